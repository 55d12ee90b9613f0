# SPDX-License-Identifier: Apache-2.0
"""What the comparing programs share: a ros2d of their own, measurements by name, medians."""
import json
import os
import resource
import secrets
import signal
import socket
import statistics
import subprocess
import threading
import time

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


class ConfiguredDaemon(Daemon):
    """A ros2d that offers those transports, all of which are trusted, at host; run: a new folder for its secrets and log."""

    def __init__(self, build, store, run, transports, host="127.0.0.1"):
        self.cpu_only = None
        os.mkdir(run, 0o700)
        token, config, log = (os.path.join(run, name) for name in ("token", "ros2d.yaml", "log"))
        with os.fdopen(os.open(token, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write(secrets.token_hex(32) + "\n")
        tls = os.path.join(run, "tls")
        shm = f"shm_dir: {run}, " if "shm" in transports else ""
        subprocess.run([os.path.join(build, "ros2ctl"), "tls", "init", "--dir", tls], check=True, stdout=subprocess.DEVNULL)
        with open(config, "w", encoding="utf-8") as f:
            f.write(f'control: {{listen: "127.0.0.1:0", cert_file: {tls}/server.pem, key_file: {tls}/server.key}}\n'
                    f'data: {{listen: "{host}:0", advertise: "{host}", transport: "{",".join(transports)}", '
                    f'{shm}trusted_network: true, checksum: false}}\n'
                    f'engine: {{name: posix, root: {store}}}\n'
                    f'tokens: [{{name: bench, file: {token}, rights: rw}}]\n')
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("ROS2_")}
        self.env["ROS2_PLUGIN_PATH"] = os.path.join(build, ".libs")
        self.env["XDG_CONFIG_HOME"] = "/nonexistent"
        with open(log, "w", encoding="utf-8") as out:
            self.process = subprocess.Popen([os.path.join(build, "ros2d"), "--config", config], env=self.env,
                                            stdout=subprocess.DEVNULL, stderr=out)
        self.env.update(ROS2_URL="ros2://" + self.control_address(log), ROS2_TOKEN_FILE=token,
                        ROS2_CA_FILE=os.path.join(tls, "ca.pem"))

    def control_address(self, log):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with open(log, encoding="utf-8") as f:
                said = f.read()
            for line in said.splitlines():
                if " control: listening: address " in line:
                    return line.split(" address ", 1)[1].split()[0]
            if self.process.poll() is not None:
                raise SystemExit("ros2d: " + said.strip().splitlines()[-1])
            time.sleep(0.05)
        raise SystemExit(f"ros2d does not listen: {said}")


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


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def with_server(server, ready, client, seconds):
    """Runs client while server runs, once the server has printed ready; the client's output, or None."""
    limit = 30 + 5 * seconds
    with subprocess.Popen(server, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        killer = threading.Timer(limit, process.kill)
        killer.start()
        try:
            for line in process.stdout:
                if ready in line:
                    break
            return subprocess.run(client, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
                                  timeout=limit).stdout
        except (subprocess.SubprocessError, OSError):
            return None
        finally:
            killer.cancel()
            process.kill()
