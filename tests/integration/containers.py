#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients in containers. Shared memory needs nothing in common with ros2d but the folder of its socket; only the control
plane needs a route. Each container is a set of namespaces of its own (mount, pid, ipc, uts, network) with a /dev/shm, a
/proc and one end of a virtual Ethernet cable of its own, in which ros2d's folders are empty."""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from ctl_harness import DEADLINE_S, ROS2CTL, Daemon, case, main  # noqa: E402

HOST, GUEST = "198.18.0.1", "198.18.0.2"  # for measurements between networks, nobody's (RFC 2544)
NAMESPACES = ["--mount", "--pid", "--ipc", "--uts", "--net"]
# The first process of a container, until it becomes "$@": folder $1 appears at $2, and $3 is empty.
INSIDE = f"""
set -e
kept=$1 place=$2 hidden=$3
shift 3
echo made
read -r cable
mount --make-rprivate /
mount --bind "$kept" "$place"
mount -t tmpfs container "$hidden"
mount -t tmpfs container /dev/shm
mount -t proc proc /proc
ip link set lo up
ip address add {GUEST}/30 dev "$cable"
ip link set "$cable" up
exec "$@"
"""


class Host(Daemon):
    """A ros2d whose control plane listens at HOST, and whose socket is in self.run_dir."""

    def __init__(self):
        self.run_dir = ""
        super().__init__()

    def start(self, arguments):
        self.run_dir = os.path.join(self.dir, "run")
        super().start(arguments + ["--listen", HOST + ":0", "--run-dir", self.run_dir])

    def image(self):
        """What a container brings along: credentials, and an empty folder where the socket's goes. No other file of ours."""
        folder = os.path.join(self.dir, "image")
        os.makedirs(os.path.join(folder, "socket"), exist_ok=True)
        for name in ("token", "ca.pem"):
            with open(os.path.join(self.run_dir, name), "rb") as f:
                data = f.read()
            with open(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(data)
        return folder

    def contained(self, *arguments, transport="shm"):
        """Runs ros2ctl in a container; its stdout."""
        image = self.image()
        socket = os.path.join(image, "socket")
        env = dict(self.env, ROS2_TRANSPORT=transport, ROS2_SHM_DIR=socket, ROS2_TOKEN_FILE=os.path.join(image, "token"),
                   ROS2_CA_FILE=os.path.join(image, "ca.pem"))
        command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", INSIDE, "container", self.run_dir, socket,
                   self.store, ROS2CTL, *arguments]
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            assert p.stdout.readline() == b"made\n", p.stderr.read()
            cable(p.pid)
            try:
                out, err = p.communicate(b"guest\n", timeout=DEADLINE_S)
            finally:
                # Both ends, at once: the kernel takes its time over the network of a process that has ended.
                subprocess.run(["ip", "link", "delete", "host"], check=False, capture_output=True)
        assert p.returncode == 0, f"{arguments}: status {p.returncode}, {err}"
        return out


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, timeout=DEADLINE_S)


def cable(pid):
    """Between us and the network of that process."""
    ip("link", "add", "host", "type", "veth", "peer", "name", "guest", "netns", str(pid))
    ip("address", "add", HOST + "/30", "dev", "host")
    ip("link", "set", "host", "up")


@case
def a_container_shares_only_the_sockets_folder(d):
    data = os.urandom(5_000_000)
    with open(os.path.join(d.store, "f"), "wb") as f:
        f.write(data)
    assert d.contained("cat", "/f") == data


@case
def a_container_writes_what_others_read(d):
    local = d.write("sent", os.urandom(3_000_001))
    d.contained("put", local, "/written")
    with open(local, "rb") as sent, open(os.path.join(d.store, "written"), "rb") as stored:
        assert sent.read() == stored.read()
    assert d.contained("cat", "/written", transport="tcp") == d.contained("cat", "/written")


def refusal():
    """Why nobody may make such namespaces and cables here, or None."""
    tried = subprocess.run(["unshare", *NAMESPACES, "--fork", "ip", "link", "add", "host", "type", "veth", "peer", "name",
                            "guest"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["unshare"])[0]


if __name__ == "__main__":
    if os.environ.get("ROS2_TEST_OWN_NETWORK") != "1":
        why = refusal()
        if why:
            print(f"1..0 # SKIP no namespaces: {why}")
            sys.exit(0)
        # All of it in a network of its own, so that nothing of the machine's is touched.
        os.environ["ROS2_TEST_OWN_NETWORK"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
    ip("link", "set", "lo", "up")
    # ros2d can listen there before there is a cable.
    ip("address", "add", HOST + "/32", "dev", "lo")
    sys.exit(main(Host))
