#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ros2ctl tls init: certificates that OpenSSL and a ros2d with mutual TLS take."""
import os
import stat
import subprocess
import sys

from ctl_harness import Daemon, case, error_line, main

FILES = ["ca.key", "ca.pem", "client.key", "client.pem", "server.key", "server.pem"]

CONFIG = """\
control:
  listen: "127.0.0.1:0"
  cert_file: "{tls}/server.pem"
  key_file: "{tls}/server.key"
  client_ca_file: "{tls}/ca.pem"
data:
  listen: "127.0.0.1:0"
engine:
  name: posix
  root: "{store}"
"""


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout


def init(d, name="tls"):
    d.good("tls", "init", "--dir", f"{d.local}/{name}", "--host", "127.0.0.1", "--host", "store.example")
    return f"{d.local}/{name}"


@case
def init_writes_keys_that_others_cannot_read(d):
    tls = init(d)
    assert sorted(os.listdir(tls)) == FILES
    for name in FILES:
        mode = stat.S_IMODE(os.stat(f"{tls}/{name}").st_mode)
        assert not name.endswith(".key") or mode == 0o600, (name, oct(mode))


@case
def openssl_verifies_the_certificates(d):
    tls = init(d)
    for name, purpose in (("server", "sslserver"), ("client", "sslclient")):
        openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", f"{tls}/ca.pem", f"{tls}/{name}.pem")
    openssl("verify", "-verify_hostname", "store.example", "-CAfile", f"{tls}/ca.pem", f"{tls}/server.pem")
    openssl("verify", "-verify_ip", "127.0.0.1", "-CAfile", f"{tls}/ca.pem", f"{tls}/server.pem")


@case
def init_overwrites_nothing(d):
    tls = init(d)
    before = {name: open(f"{tls}/{name}", "rb").read() for name in FILES}
    error_line(d.bad("tls", "init", "--dir", tls), "tls")
    assert before == {name: open(f"{tls}/{name}", "rb").read() for name in FILES}


@case
def ros2d_with_mutual_tls_serves_who_has_a_certificate(d):
    tls = init(d)
    other = init(d, "other")
    config = d.write("ros2d.yaml", CONFIG.format(tls=tls, store=d.store).encode())
    d.stop()
    d.start(["--config", os.fsdecode(config)])
    url = d.env["ROS2_URL"]

    def ls(ca, client, verb=d.good):
        certificate = ["--cert-file", f"{client}/client.pem", "--key-file", f"{client}/client.key"] if client else []
        d.env.pop("ROS2_TOKEN_FILE", None)
        d.env.pop("ROS2_CA_FILE", None)
        return verb("ls", "--url", url, "--ca-file", f"{ca}/ca.pem", *certificate, "/")

    open(f"{d.store}/file", "w", encoding="ascii").close()
    assert ls(tls, tls) == b"file\n"
    error_line(ls(tls, None, d.bad), "ls")
    error_line(ls(tls, other, d.bad), "ls")
    error_line(ls(other, tls, d.bad), "ls")


sys.exit(main(Daemon))
