#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Hostile bytes on both ports of a real ros2d: it serves on, and descriptors, threads and memory return to the start."""
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROS2D = os.environ["ROS2D"]
ROS2CTL = os.environ["ROS2CTL"]
CASES = []
DEADLINE_S = 60
# Sanitizers keep freed memory in quarantine: there the bound on memory says nothing.
SANITIZED = bool(os.environ.get("ASAN_OPTIONS") or os.environ.get("TSAN_OPTIONS"))
GROWTH_KIB = 16 * 1024


def case(fn):
    CASES.append(fn)
    return fn


class Daemon:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ros2-hostile-")
        os.mkdir(os.path.join(self.dir, "store"))
        with open(os.path.join(self.dir, "store", "file"), "wb") as f:
            f.write(b"still here\n")
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.process = subprocess.Popen([ROS2D, "--ephemeral", os.path.join(self.dir, "store")],
                                        stdout=subprocess.PIPE, stderr=self.log)
        self.env = dict(os.environ)
        for line in self.process.stdout:
            line = line.decode().strip()
            if line == "ready":
                break
            if line.startswith("export "):
                key, value = line[len("export "):].split("=", 1)
                self.env[key] = value.strip("'\"")
        self.control = int(self.env["ROS2_URL"].rsplit(":", 1)[1])
        self.data = [p for p in self.listening_ports() if p != self.control]
        assert self.data, "no data port found"

    def pid(self):
        """libtool may have wrapped the program: the one that listens is the process or its child."""
        return self.process.pid

    def listening_ports(self):
        inodes = set()
        for fd in os.listdir(f"/proc/{self.pid()}/fd"):
            try:
                target = os.readlink(f"/proc/{self.pid()}/fd/{fd}")
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        ports = set()
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with open(table, encoding="ascii") as f:
                for line in f.readlines()[1:]:
                    field = line.split()
                    if field[3] == "0A" and field[9] in inodes:
                        ports.add(int(field[1].rsplit(":", 1)[1], 16))
        return sorted(ports)

    def figures(self):
        with open(f"/proc/{self.pid()}/status", encoding="ascii", errors="replace") as f:
            status = dict(line.split(":", 1) for line in f if ":" in line)
        return (len(os.listdir(f"/proc/{self.pid()}/fd")), int(status["Threads"]), int(status["VmRSS"].split()[0]))

    def serves(self):
        out = subprocess.run([ROS2CTL, "cat", "/file"], env=self.env, capture_output=True, timeout=DEADLINE_S)
        return out.returncode == 0 and out.stdout == b"still here\n"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        rc = self.process.wait(timeout=DEADLINE_S)
        self.log.close()
        return rc


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
    return s


def send_all(s, data):
    try:
        s.sendall(data)
    except OSError:
        pass  # the daemon is free to hang up early


def read_to_end(s, limit=1 << 20):
    """What the peer answers until it hangs up. None: it did not hang up in time."""
    got = b""
    try:
        while len(got) < limit:
            piece = s.recv(65536)
            if not piece:
                return got
            got += piece
    except socket.timeout:
        return None
    except OSError:
        return got
    return got


def hang_up_on(port, data, timeout=DEADLINE_S):
    """Sends data, ends the sending side, and expects the daemon to end the connection."""
    s = connect(port)
    s.settimeout(timeout)
    send_all(s, data)
    try:
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    got = read_to_end(s)
    s.close()
    return got is not None


def all_ports(d):
    return [d.control] + d.data


@case
def garbage_is_hung_up_on(d):
    rng = random.Random(7)
    return all(hang_up_on(port, rng.randbytes(n)) for port in all_ports(d) for n in (1, 7, 8, 64, 4096, 200000))


@case
def plain_http_is_hung_up_on(d):
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return all(hang_up_on(port, request) for port in all_ports(d))


@case
def garbage_on_the_data_port_is_refused_without_waiting_for_more(d):
    """No end of file from us: the daemon has to decide by the bytes alone."""
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 64, b"\xff" * 64, b"\x16\x03\x01\x02\x00" + b"\x01" * 64):
        s = connect(d.data[0])
        s.settimeout(DEADLINE_S)
        send_all(s, data)
        if read_to_end(s) is None:
            return False
        s.close()
    return True


@case
def oversized_lengths_are_refused(d):
    """A real preamble is learnt from the daemon itself, then a header that claims 4 GiB."""
    s = connect(d.data[0])
    s.settimeout(2)
    try:
        preamble = s.recv(8)
    except socket.timeout:
        preamble = b""
    s.close()
    for header in (b"\xff" * 32, struct.pack("<BBHIIIQQ", 1, 0, 0, 0xffffffff, 0xffffffff, 0, 1, 0),
                   struct.pack("<BBHIIIQQ", 2, 255, 0, 16, 0x7fffffff, 0, 1, 0)):
        s = connect(d.data[0])
        s.settimeout(DEADLINE_S)
        send_all(s, preamble + header + b"\0" * 4096)
        if read_to_end(s) is None:
            return False
        s.close()
    return True


@case
def a_crowd_that_says_nothing_does_not_keep_others_out(d):
    crowd = []
    for port in all_ports(d):
        for _ in range(200):
            crowd.append(connect(port))
    served = d.serves()
    for s in crowd:
        s.close()
    return served


@case
def connections_reset_in_the_middle_are_let_go(d):
    rng = random.Random(11)
    for _ in range(300):
        for port in all_ports(d):
            s = connect(port)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            send_all(s, rng.randbytes(rng.randrange(1, 200)))
            s.close()  # RST
    return d.serves()


@case
def wrong_tokens_are_refused_and_not_repeated(d):
    path = os.path.join(d.dir, "wrong")
    secret = "0123456789abcdefwrongwrongwrong"
    with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write(secret + "\n")
    for _ in range(20):
        out = subprocess.run([ROS2CTL, "ls", "/"], env=dict(d.env, ROS2_TOKEN_FILE=path), capture_output=True,
                             timeout=DEADLINE_S)
        if out.returncode == 0 or secret.encode() in out.stderr or b"token" not in out.stderr:
            print("#", out.stderr)
            return False
    with open(os.path.join(d.dir, "log"), "rb") as f:
        return secret.encode() not in f.read()


def settles(d, start):
    """Descriptors and threads go back to where they were (idle gRPC connections take a moment to be reaped)."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        fds, threads, rss = d.figures()
        if fds <= start[0] and threads <= start[1] and (SANITIZED or rss <= start[2] + GROWTH_KIB):
            return True
        time.sleep(0.1)  # polling another process: there is nothing to wait on
    print(f"# at the start {start}, now {d.figures()} (descriptors, threads, RSS in KiB)")
    return False


def main():
    print(f"1..{len(CASES) + 3}")
    d = Daemon()
    ok = d.serves()
    for fn in CASES:  # once for what is allocated on first use
        fn(d)
    start = d.figures()
    n = 0
    for fn in CASES:
        n += 1
        name = fn.__name__.replace("_", " ")
        try:
            good = fn(d) and d.serves()
        except Exception as e:  # the case's own failure, told as such
            print("#", repr(e))
            good = False
        print(("ok" if good else "not ok"), n, "-", name)
        ok = ok and good
    good = settles(d, start)
    print("ok" if good else "not ok", n + 1, "- descriptors, threads and memory return to the start")
    good = d.serves()
    print("ok" if good else "not ok", n + 2, "- the daemon serves on")
    rc = d.stop()
    print("ok" if rc == 0 else "not ok", n + 3, f"- it ends cleanly when told to (status {rc})")
    if rc:
        with open(os.path.join(d.dir, "log"), encoding="utf-8", errors="replace") as f:
            for line in f.readlines()[-40:]:
                print("#", line.rstrip())
    shutil.rmtree(d.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
