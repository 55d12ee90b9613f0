# SPDX-License-Identifier: Apache-2.0
"""What the ctl_*.py tests and others share: a real ros2d over a folder, ros2ctl, a terminal, and TAP."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import traceback

ROS2D = os.environ["ROS2D"]
ROS2CTL = os.environ["ROS2CTL"]
DEADLINE_S = 60
CASES = []


def case(fn):
    """A test: fn(d) asserts. Its name is the promise."""
    CASES.append(fn)
    return fn


class Daemon:
    """A ros2d over self.store, ready to serve. arguments: instead of --ephemeral STORE."""

    def __init__(self, arguments=None):
        self.dir = tempfile.mkdtemp(prefix="ros2-ctl-")
        self.store = os.path.join(self.dir, "store")
        self.local = os.path.join(self.dir, "local")
        os.mkdir(self.store)
        os.mkdir(self.local)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("ROS2_") or k == "ROS2_PLUGIN_PATH"}
        self.env["XDG_CONFIG_HOME"] = self.dir
        self.env["LC_ALL"] = "C.UTF-8"
        self.process = None
        self.start(arguments or ["--ephemeral", self.store])

    def start(self, arguments):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen([ROS2D] + arguments, stdout=subprocess.PIPE, stderr=self.log, env=self.env)
        ready = False
        for line in self.process.stdout:
            line = line.decode().strip()
            if line.split(" ")[0] == "ready":
                ready = True
                if " " in line:  # with --config it names its address
                    self.env["ROS2_URL"] = "ros2://" + line.split(" ")[1]
                break
            if line.startswith("export "):
                key, value = line[len("export "):].split("=", 1)
                self.env[key] = value.strip("'\"")
        if not ready:
            self.print_log()
            raise RuntimeError("ros2d ended before it was ready")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=DEADLINE_S)
        self.process.stdout.close()
        self.log.close()
        return status

    def print_log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            for line in f.readlines()[-40:]:
                print("# ros2d:", line.rstrip())

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.dir)

    def fresh(self):
        """An empty store, an empty local folder."""
        for top in (self.store, self.local):
            for name in os.listdir(top):
                path = os.path.join(top, name)
                if os.path.isdir(path) and not os.path.islink(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)

    def run(self, *arguments, program=ROS2CTL, **options):
        options.setdefault("timeout", DEADLINE_S)
        return subprocess.run([program, *arguments], env=self.env, capture_output=True, **options)

    def good(self, *arguments, **options):
        """Runs the program, which must succeed without a word on stderr; what it printed."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, f"{arguments}: status {done.returncode}, {done.stderr}"
        assert done.stderr == b"", f"{arguments}: {done.stderr}"
        return done.stdout

    def bad(self, *arguments, status=1, **options):
        """Runs the program, which must fail; its stderr."""
        done = self.run(*arguments, **options)
        assert done.returncode == status, f"{arguments}: status {done.returncode}, not {status}: {done.stderr}"
        assert done.stderr, f"{arguments}: no error line"
        return done.stderr.decode()

    def popen(self, *arguments, program=ROS2CTL, **options):
        return subprocess.Popen([program, *arguments], env=self.env, **options)

    def write(self, path, data=b"", mode=0o644):
        """A local file, folders made on the way. path is below self.local, or an absolute one."""
        path = os.path.join(os.fsencode(self.local), os.fsencode(path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, mode)
        return path

    def on_terminal(self, *arguments, program=ROS2CTL):
        """Runs the program with stdout and stderr on a terminal; (status, all that it wrote there)."""
        master, slave = pty.openpty()
        process = subprocess.Popen([program, *arguments], env=dict(self.env, TERM="xterm"), stdin=slave, stdout=slave,
                                   stderr=slave)
        os.close(slave)
        got = b""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if select.select([master], [], [], 1)[0]:
                try:
                    piece = os.read(master, 65536)
                except OSError:  # EIO: the last one has closed the terminal
                    break
                if not piece:
                    break
                got += piece
        os.close(master)
        return process.wait(timeout=DEADLINE_S), got


def until(condition):
    """Polls what another process does; there is nothing to wait on."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


def tree(top):
    """{relative path: (kind, mode, bytes)} of all below top, names as bytes."""
    top = os.fsencode(top)
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = ("folder", os.stat(path).st_mode & 0o777, None)
        for name in files:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, top)] = ("file", os.stat(path).st_mode & 0o777, f.read())
    return found


def same_trees(a, b):
    a, b = tree(a), tree(b)
    for path in sorted(set(a) | set(b)):
        assert a.get(path) == b.get(path), f"{path!r} differs: {str(a.get(path))[:60]}, {str(b.get(path))[:60]}"


def error_line(text, verb):
    """One line, "ros2ctl: VERB: why"."""
    assert re.fullmatch(rf"ros2ctl: {verb}: [^\n]+\n", text), repr(text)


def main(make_daemon=Daemon):
    print(f"1..{len(CASES)}", flush=True)
    d = make_daemon()
    failed = False
    for number, fn in enumerate(CASES, 1):
        try:
            d.fresh()
            fn(d)
            good = True
        except Exception:  # the case's own failure, told as such
            for line in traceback.format_exc().splitlines():
                print("#", line)
            good = False
        failed = failed or not good
        print("ok" if good else "not ok", number, "-", fn.__name__.replace("_", " "), flush=True)
    if failed:
        d.print_log()
    d.close()
    return 1 if failed else 0
