#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ros2d as its operator meets it: configuration, ephemeral runs, signals, what it says."""
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback

ROS2D = os.environ["ROS2D"]
ROS2CTL = os.environ["ROS2CTL"]
SOURCE = os.environ["abs_top_srcdir"]
DEADLINE_S = 60
CASES = []


def case(fn):
    CASES.append(fn)
    return fn


class Place:
    """A folder with a store, certificates, tokens, and the example configuration over them."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ros2-daemon-")
        self.store = os.path.join(self.dir, "store")
        self.etc = os.path.join(self.dir, "etc")
        self.run_dir = os.path.join(self.dir, "run")
        os.mkdir(self.store)
        with open(os.path.join(self.store, "file"), "wb") as f:
            f.write(b"served\n")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("ROS2_") or k == "ROS2_PLUGIN_PATH"}
        self.env["XDG_RUNTIME_DIR"] = self.dir
        self.env["LC_ALL"] = "C.UTF-8"

    def install(self):
        subprocess.run([ROS2CTL, "tls", "init", "--dir", self.etc], env=self.env, check=True, capture_output=True)
        for name in ("training", "checkpoints"):
            path = os.path.join(self.etc, name + ".token")
            with open(path, "w", encoding="ascii") as f:
                f.write(name * 4 + "\n")
            os.chmod(path, 0o600)
        with open(os.path.join(SOURCE, "docs", "ros2d.yaml"), encoding="utf-8") as f:
            text = f.read()
        text = text.replace("/etc/ros2/", self.etc + "/").replace("/srv/ros2", self.store)
        text = text.replace("127.0.0.1:7720", "127.0.0.1:0").replace("127.0.0.1:7721", "127.0.0.1:0")
        return self.configure(text)

    def configure(self, text):
        path = os.path.join(self.dir, "ros2d.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def ends(self, *arguments):
        """Runs ros2d, which must end by itself: status, stdout, stderr."""
        done = subprocess.run([ROS2D, *arguments], env=self.env, capture_output=True, timeout=DEADLINE_S)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def start(self, *arguments):
        """Runs ros2d up to its ready line: process, the lines before, the ready line."""
        with open(os.path.join(self.dir, "log"), "wb") as log:
            process = subprocess.Popen([ROS2D, *arguments], env=self.env, stdout=subprocess.PIPE, stderr=log)
        lines = []
        for line in process.stdout:
            lines.append(line.decode().rstrip("\n"))
            if lines[-1].split(" ")[0] == "ready":
                return process, lines[:-1], lines[-1]
        raise RuntimeError("ros2d ended before it was ready: " + self.log())

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def await_log(self, pattern):
        until = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.log()):
            assert time.monotonic() < until, f"{pattern} is not in the log:\n{self.log()}"
            time.sleep(0.01)

    def client(self, *arguments, **env):
        return subprocess.run([ROS2CTL, *arguments], env=dict(self.env, **env), capture_output=True, timeout=DEADLINE_S)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def stop(process, sig=signal.SIGTERM):
    process.send_signal(sig)
    status = process.wait(timeout=DEADLINE_S)
    process.stdout.close()
    return status


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def exports(lines):
    env = {}
    for line in lines:
        assert line.startswith("export "), line
        key, value = line[len("export "):].split("=", 1)
        env[key] = value.strip("'")
    return env


# --- configuration ---------------------------------------------------------------------------------------

@case
def the_example_configuration_passes_its_check(p):
    path = p.install()
    assert p.ends("--check-config", "--config", path) == (0, path + ": ok\n", "")


@case
def the_check_names_file_line_key_and_remedy(p):
    path = p.install()
    os.chmod(os.path.join(p.etc, "training.token"), 0o644)
    status, out, err = p.ends("--check-config", "--config", path)
    assert status == 1 and out == "", out
    assert re.search(r"ros2d\.yaml:\d+: tokens\.0\.file: .*training\.token.*chmod 600", err), err
    with open(path, encoding="utf-8") as f:
        line = f.read().split("\n")[int(re.search(r"yaml:(\d+):", err).group(1)) - 1]
    assert "training.token" in line, line


@case
def a_wrong_key_keeps_it_from_starting(p):
    path = p.configure("control:\n  plaintext: true\nengine:\n  rot: /srv\n")
    status, _, err = p.ends("--config", path)
    assert status == 1 and 'ros2d.yaml:4: engine: unknown key "rot"' in err, err


@case
def a_configured_daemon_serves_by_token_and_rights(p):
    path = p.install()
    process, before, ready = p.start("--config", path)
    try:
        assert before == [], before
        env = {"ROS2_URL": "ros2://" + ready.split(" ")[1], "ROS2_CA_FILE": os.path.join(p.etc, "ca.pem"),
               "ROS2_TOKEN_FILE": os.path.join(p.etc, "training.token")}
        done = p.client("cat", "/file", **env)
        assert done.returncode == 0 and done.stdout == b"served\n", done.stderr
        done = p.client("rm", "/file", **env)
        assert done.returncode != 0, "a read-only token removed a file"
        env["ROS2_TOKEN_FILE"] = os.path.join(p.etc, "checkpoints.token")
        done = p.client("rm", "/file", **env)
        assert done.returncode == 0, done.stderr
        assert os.listdir(p.store) == []
    finally:
        assert stop(process) == 0, p.log()


# --- ephemeral -------------------------------------------------------------------------------------------

@case
def an_ephemeral_run_leaves_nothing_behind(p):
    process, lines, ready = p.start("--ephemeral", p.store)
    env = exports(lines)
    run_dir = os.path.dirname(env["ROS2_TOKEN_FILE"])
    try:
        assert ready == "ready"
        assert sorted(env) == ["ROS2_CA_FILE", "ROS2_TOKEN_FILE", "ROS2_URL"], env
        assert os.path.dirname(run_dir) == p.dir and mode(run_dir) == 0o700
        for name in os.listdir(run_dir):
            wanted = {".pem": 0o644, ".sock": 0o666}.get(os.path.splitext(name)[1], 0o600)
            assert mode(os.path.join(run_dir, name)) == wanted, name
        done = p.client("cat", "/file", **env)
        assert done.returncode == 0 and done.stdout == b"served\n", done.stderr
    finally:
        assert stop(process, signal.SIGINT) == 0, p.log()
    assert not os.path.exists(run_dir)
    with open(os.path.join(p.store, "file"), "rb") as f:
        assert f.read() == b"served\n"


@case
def a_run_dir_of_one_s_own_is_kept_but_emptied(p):
    os.mkdir(p.run_dir, 0o700)
    process, lines, _ = p.start("--ephemeral", p.store, "--run-dir", p.run_dir, "--listen", "127.0.0.1:0")
    try:
        assert exports(lines)["ROS2_TOKEN_FILE"] == os.path.join(os.path.realpath(p.run_dir), "token")
    finally:
        assert stop(process) == 0, p.log()
    assert os.listdir(p.run_dir) == []


@case
def a_run_dir_in_use_is_left_alone(p):
    os.mkdir(p.run_dir, 0o700)
    with open(os.path.join(p.run_dir, "ca.key"), "w", encoding="ascii") as f:
        f.write("mine")
    status, _, err = p.ends("--ephemeral", p.store, "--run-dir", p.run_dir)
    assert status == 1 and "ca.key" in err and "not overwritten" in err, err
    with open(os.path.join(p.run_dir, "ca.key"), encoding="ascii") as f:
        assert f.read() == "mine"


@case
def a_run_dir_that_lets_others_in_is_refused(p):
    os.mkdir(p.run_dir)
    os.chmod(p.run_dir, 0o750)
    status, out, err = p.ends("--ephemeral", p.store, "--run-dir", p.run_dir)
    assert status == 1 and out == "" and "0750" in err and "chmod 700" in err, err
    assert os.listdir(p.run_dir) == []


@case
def a_store_that_is_not_there_is_named(p):
    status, out, err = p.ends("--ephemeral", os.path.join(p.dir, "nowhere"))
    assert status == 1 and out == "" and "nowhere" in err, err
    assert not [name for name in os.listdir(p.dir) if name.startswith("ros2d-")], "its run folder stayed"


@case
def an_address_in_use_is_named(p):
    first, lines, _ = p.start("--ephemeral", p.store)
    try:
        address = exports(lines)["ROS2_URL"][len("ros2://"):]
        status, _, err = p.ends("--ephemeral", p.store, "--listen", address)
        assert status == 1 and address in err, err
    finally:
        assert stop(first) == 0


def has_ucx():
    return any(os.path.exists(os.path.join(folder, "ros2_transport_ucx.so"))
               for folder in os.environ.get("ROS2_PLUGIN_PATH", "").split(":"))


def trusting(p, more):
    """A configuration with transports ucx+tcp and tcp."""
    token = os.path.join(p.dir, "token")
    with open(token, "w", encoding="ascii") as f:
        f.write("0123456789abcdef\n")
    os.chmod(token, 0o600)
    return p.configure(f"control: {{listen: \"127.0.0.1:0\", plaintext: true}}\n"
                       f"data: {{listen: \"127.0.0.1:0\", transport: \"ucx+tcp,tcp\"{more}}}\n"
                       f"engine: {{name: posix, root: {p.store}}}\n"
                       f"tokens: [{{name: t, file: {token}, rights: ro}}]\n"), token


@case
def a_transport_that_exposes_ros2d_is_served_only_on_a_trusted_network(p):
    path, _ = trusting(p, "")
    status, _, err = p.ends("--config", path)
    assert status == 1, err
    if has_ucx():
        assert "ucx+tcp" in err and "trusted_network: true" in err, err


@case
def a_client_takes_such_a_transport_only_by_name(p):
    path, token = trusting(p, ", trusted_network: true")
    if not has_ucx():  # it was left out
        return
    process, _, ready = p.start("--config", path)
    try:
        env = {"ROS2_URL": "ros2://" + ready.split(" ")[1], "ROS2_TOKEN_FILE": token}
        told = p.client("--plaintext", "transports", **env).stdout.decode()
        assert re.search(r"^\* tcp +yes +yes +chosen$", told, re.M), told
        assert re.search(r"^  ucx\+tcp +yes +no +.*ROS2_TRANSPORT", told, re.M), told
        told = p.client("--plaintext", "transports", ROS2_TRANSPORT="ucx+tcp,tcp", **env).stdout.decode()
        assert re.search(r"^\* ucx\+tcp +yes +yes +chosen$", told, re.M), told
        got = p.client("--plaintext", "cat", "/file", ROS2_TRANSPORT="ucx+tcp", **env)
        assert got.stdout == b"served\n", got.stderr
    finally:
        assert stop(process) == 0


@case
def the_certificate_names_what_clients_connect_to(p):
    usual = ["DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1"]
    for listen, more in (("127.0.0.1:0", []), ("127.0.0.2:0", ["IP Address:127.0.0.2"]), ("0.0.0.0:0", [])):
        process, lines, _ = p.start("--ephemeral", p.store, "--listen", listen)
        try:
            folder = os.path.dirname(exports(lines)["ROS2_TOKEN_FILE"])
            shown = subprocess.run(["openssl", "x509", "-in", os.path.join(folder, "server.pem"), "-noout", "-ext",
                                    "subjectAltName"], stdout=subprocess.PIPE, text=True, check=True).stdout
            assert shown.split("\n")[1].strip().split(", ") == usual + more, (listen, shown)
        finally:
            assert stop(process) == 0, p.log()


# --- command line ----------------------------------------------------------------------------------------

@case
def options_that_exclude_one_another_are_refused(p):
    for arguments in ([], ["--config", "a", "--ephemeral", "b"], ["--ephemeral", "b", "--check-config"],
                      ["--config", "a", "--run-dir", "b"], ["stray"]):
        status, out, err = p.ends(*arguments)
        assert status == 64 and out == "" and err, (arguments, status, err)


@case
def it_tells_its_version(p):
    status, out, _ = p.ends("--version")
    assert status == 0 and re.fullmatch(r"ros2d \(libros2\) \d+\.\d+\.\d+\n", out), out


@case
def layers_and_their_settings_come_from_the_command_line_too(p):
    process, lines, _ = p.start("--ephemeral", p.store, "--layers", "forward,fault", "--layer-config",
                                "read:errno=EIO", "--log-level", "debug")
    try:
        done = p.client("cat", "/file", **exports(lines))
        assert done.returncode != 0 and b"error" in done.stderr.lower(), (done.stdout, done.stderr)
    finally:
        assert stop(process) == 0, p.log()


# --- signals and rest ------------------------------------------------------------------------------------

@case
def usr1_logs_the_figures(p):
    process, lines, _ = p.start("--ephemeral", p.store)
    try:
        assert p.client("cat", "/file", **exports(lines)).returncode == 0
        process.send_signal(signal.SIGUSR1)
        p.await_log(r"metrics: .*reads \d+ .*bytes_read 7\b")
    finally:
        assert stop(process) == 0, p.log()


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        field = f.read().rsplit(")", 1)[1].split()
    return int(field[11]) + int(field[12])


@case
def an_idle_daemon_uses_no_cpu(p):
    process, lines, _ = p.start("--ephemeral", p.store)
    try:
        assert p.client("cat", "/file", **exports(lines)).returncode == 0
        # What the last client left to do ends; from then on nothing happens. The least of a few looks counts, since gRPC's
        # own timers and a loaded machine may add a tick.
        used = []
        for _ in range(5):
            before = cpu_ticks(process.pid)
            time.sleep(1)  # the time is what is measured
            used.append(cpu_ticks(process.pid) - before)
            if used[-1] == 0:
                break
        assert min(used) <= 1, used
    finally:
        assert stop(process) == 0, p.log()


def main():
    print(f"1..{len(CASES)}")
    failed = 0
    for number, fn in enumerate(CASES, 1):
        place = Place()
        try:
            fn(place)
            print(f"ok {number} - {fn.__name__}", flush=True)
        except Exception:  # each case is told, whatever it died of
            failed += 1
            print(f"not ok {number} - {fn.__name__}")
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            sys.stdout.flush()
        finally:
            place.close()
    return 1 if failed else 0


sys.exit(main())
