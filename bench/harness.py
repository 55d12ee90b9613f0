# SPDX-License-Identifier: Apache-2.0
"""What the comparing programs share: a ros2d of their own, measurements by name, medians."""
import json
import os
import resource
import signal
import statistics
import subprocess

GIB = 1 << 30
TICKS = os.sysconf("SC_CLK_TCK")


def on_cpu(cpu):
    """For what a process is to do before it runs a program: stay on that CPU; None: on any."""
    return None if cpu is None else lambda: os.sched_setaffinity(0, {cpu})


def raise_file_limit():
    """A thousand clients hold some thousand descriptors, at each end."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Daemon:
    """A ros2d over folder, checksums off as the clients ask for it. arguments: more of its own; cpu: the only one for it and
    its clients."""

    def __init__(self, build, folder, log, arguments=(), cpu=None):
        self.cpu_only = cpu
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("ROS2_")}
        self.env["ROS2_PLUGIN_PATH"] = os.path.join(build, ".libs")
        self.env["XDG_CONFIG_HOME"] = "/nonexistent"
        self.process = subprocess.Popen([os.path.join(build, "ros2d"), "--ephemeral", folder, *arguments],
                                        stdout=subprocess.PIPE, stderr=log, text=True, env=self.env,
                                        preexec_fn=on_cpu(cpu))
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
            if line.startswith("export "):
                key, value = line[len("export "):].strip().split("=", 1)
                self.env[key] = value.strip("'\"")
        raise RuntimeError("ros2d ended before it was ready")

    def cpu(self):
        """Seconds of user and system time so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Runs:
    """The measurements of all rounds, by name."""

    def __init__(self, args, daemon):
        self.args, self.daemon, self.results = args, daemon, {}

    def program(self, name, *arguments, daemon=None, cpu=None):
        command = [os.path.join(self.args.build, "bench", name), "--seconds", str(self.args.seconds), *arguments]
        return json.loads(subprocess.run(command, env=(daemon or self.daemon).env, stdout=subprocess.PIPE, check=True,
                                         text=True, timeout=120 + 10 * self.args.seconds,
                                         preexec_fn=on_cpu(cpu)).stdout)

    def add(self, key, result):
        if result is not None:
            self.results.setdefault(key, []).append(result)

    def ros2(self, key, transport, *arguments, path="/bench", program="ros2_io", daemon=None):
        """One run of bench/ros2_io over that transport, with the daemon's CPU time beside it."""
        daemon = daemon or self.daemon
        daemon.env["ROS2_TRANSPORT"] = transport
        before = daemon.cpu()
        result = self.program(program, "--path", path, *arguments, daemon=daemon, cpu=daemon.cpu_only)
        # Of the whole run, connecting included: the daemon does nothing else.
        result["other_cpu_s_per_gib"] = (daemon.cpu() - before) / (result["bytes"] / GIB)
        self.add(key, result)

    def median(self, key, field):
        values = [r[field] for r in self.results.get(key, []) if r.get(field) is not None]
        return statistics.median(values) if values else None


def ratio(a, b):
    return a / b if a and b else None


def text(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def fill(path, mib):
    with open("/dev/urandom", "rb") as source, open(path, "wb") as f:
        for _ in range(mib):
            f.write(source.read(1 << 20))
