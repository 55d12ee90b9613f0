#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ros2ctl doctor finds what is wrong, and nothing where all is well."""
import contextlib
import json
import mmap
import os
import re
import resource
import sys

from ctl_harness import case, main

# Of one key: valid in 2020, and from 2090 on.
OLD = b"""-----BEGIN CERTIFICATE-----
MIIBFTCBvQIUT0uXZjKJL+VNETqRymW+NuWL37swCgYIKoZIzj0EAwIwDjEMMAoG
A1UEAwwDb2xkMB4XDTIwMDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowDjEMMAoG
A1UEAwwDb2xkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEX4C9XmcQFx2wj+Jt
lw/CyiSh3D8EU5B0iMWIveYp2crXyU/Q62UPwQt3GgW1/yueHQ5rHK0byiRMw+lq
6ajzBTAKBggqhkjOPQQDAgNHADBEAiAsVvzuVKyfYhVsgnke8ea1sLz9ch1hza1f
xBrnpETzPAIgbCTl3Sx39uIY9K9a3EQrqCFSqNEiku6mlm2hKE1XvHw=
-----END CERTIFICATE-----
"""
FUTURE = b"""-----BEGIN CERTIFICATE-----
MIIBGzCBwQIUcUb8h33KMcwmJyuuFJRmPTELud4wCgYIKoZIzj0EAwIwDjEMMAoG
A1UEAwwDb2xkMCIYDzIwOTAwMTAxMDAwMDAwWhgPMjA5MTAxMDEwMDAwMDBaMA4x
DDAKBgNVBAMMA29sZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABF+AvV5nEBcd
sI/ibZcPwsokodw/BFOQdIjFiL3mKdnK18lP0OtlD8ELdxoFtf8rnh0OaxytG8ok
TMPpaumo8wUwCgYIKoZIzj0EAwIDSQAwRgIhAO5B4E7Vah9NEighYocDjEACb5Ov
XUpGq9XWafonjsQkAiEAt5CYtGhownSR9Hf4W8hbXxmILQkAlOgJ/W5P4K5kuME=
-----END CERTIFICATE-----
"""


def findings(d, *arguments, status=0, **options):
    """{what: [(level, found, remedy), ...]}; the counts have to be right."""
    done = d.run("doctor", "--json", *arguments, **options)
    assert done.returncode == status and done.stderr == b"", (done.returncode, done.stdout, done.stderr)
    told = json.loads(done.stdout)
    found = {}
    for row in told["findings"]:
        found.setdefault(row["what"], []).append((row["level"], row["found"], row["remedy"]))
    for level in ("ok", "warn", "bad"):
        assert told[level] == sum(row["level"] == level for row in told["findings"]), told
    assert (told["bad"] > 0) == (status == 1), told
    return found


@contextlib.contextmanager
def environment(d, **variables):
    """For a case: None removes one."""
    before = dict(d.env)
    for name, value in variables.items():
        d.env.pop(name, None)
        if value is not None:
            d.env[name] = value
    try:
        yield
    finally:
        d.env.clear()
        d.env.update(before)


def the_bad(found):
    return {what: rows for what, rows in found.items() if any(row[0] == "bad" for row in rows)}


@case
def a_client_that_works_has_nothing_bad(d):
    found = findings(d)
    settings = {text.split(" ")[0]: text for _, text, _ in found["setting"]}
    assert settings["url"] == f"url {d.env['ROS2_URL']} (ROS2_URL)", settings
    assert settings["ca_file"] == f"ca_file {d.env['ROS2_CA_FILE']} (ROS2_CA_FILE)", settings
    assert found["token_file"][0][0] == "ok" and found["ca_file"][0][0] == "ok", found
    assert re.search(r"^a session was opened in \d+ ms$", found["daemon"][0][1]), found
    assert re.search(r"^a round trip over \w+ took \d+ us$", found["data plane"][0][1]), found
    assert found["transport tcp"][0][0] == "ok", found
    for what in ("kernel", "clock", "io_uring", "/dev/shm", "RDMA device", "locked memory", "descriptors", "libraries"):
        assert what in found, (what, found)


@case
def people_get_a_line_each_and_the_way_out_below(d):
    text = d.good("doctor", "--transport", "tcp").decode()
    assert re.search(r"^ok    setting: transport tcp \(option\)$", text, re.M), text
    assert re.search(r"^ok    transport tcp: chosen$", text, re.M), text
    assert re.search(r"^\d+ ok, \d+ to look at, 0 bad$", text.splitlines()[-1]), text
    done = d.run("doctor", "--ca-file", d.write("old.pem", OLD))
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("bad   ca_file: "))
    assert lines[at].endswith("has expired at 2021-01-01T00:00:00Z"), lines[at]
    assert lines[at + 1].startswith("      make a new one"), lines[at + 1]


@case
def a_daemon_that_is_not_there_is_found_and_the_rest_is_told_too(d):
    found = findings(d, "--url", "ros2://127.0.0.1:1", status=1)
    assert list(the_bad(found)) == ["daemon"] and "nothing listens" in found["daemon"][0][1], found
    assert "kernel" in found and "libraries" in found


@case
def a_daemon_that_nobody_names_is_found(d):
    with environment(d, ROS2_URL=None):
        found = findings(d, status=1)
    assert list(the_bad(found)) == ["settings"] and "ROS2_URL" in found["settings"][0][2], found


@case
def a_config_file_is_named_as_the_source_and_its_errors_are_found(d):
    path = d.write("client.yaml", b"transport: tcp\n").decode()
    with environment(d, ROS2_CONFIG=path):
        assert ("ok", f"transport tcp ({path})", None) in findings(d)["setting"]
        d.write("client.yaml", b"transprot: tcp\n")
        found = findings(d, status=1)
    assert list(the_bad(found)) == ["settings"] and "transprot" in found["settings"][0][1], found


@case
def secrets_that_others_can_read_are_found(d):
    path = d.write("token", b"secret\n", 0o644).decode()
    found = findings(d, "--token-file", path, status=1)
    assert "token_file" in the_bad(found) and "secret" not in json.dumps(found).replace(path, ""), found


@case
def certificates_that_are_not_valid_are_found(d):
    for pem, text in ((OLD, "has expired at 2021-01-01"), (FUTURE, "is not valid before 2090-01-01"),
                      (b"nothing\n", "has no certificate")):
        found = findings(d, "--ca-file", d.write("ca.pem", pem).decode(), status=1)
        assert text in found["ca_file"][0][1], found
    found = findings(d, "--ca-file", "/nowhere/ca.pem", status=1)
    assert "No such file" in found["ca_file"][0][1], found


@case
def certificates_that_end_soon_are_pointed_out(d):
    pki = os.path.join(d.local, "pki")
    d.good("tls", "init", "--dir", pki, "--days", "3", "--host", "localhost")
    found = findings(d, "--ca-file", f"{pki}/ca.pem", status=1)  # the daemon's is from another
    assert found["ca_file"][0][0] == "warn" and found["ca_file"][0][2], found
    assert list(the_bad(found)) == ["daemon"], found


@case
def keys_of_other_certificates_are_found(d):
    pki = os.path.join(d.local, "pki")
    d.good("tls", "init", "--dir", pki, "--host", "localhost")
    pair = ["--cert-file", f"{pki}/client.pem", "--key-file", f"{pki}/client.key"]
    assert findings(d, *pair)["key_file"][0][0] == "ok"
    found = findings(d, *pair[:3], f"{pki}/server.key", status=1)
    assert "not the key of" in found["key_file"][0][1], found
    os.chmod(f"{pki}/client.key", 0o644)
    assert "can read it" in findings(d, *pair, status=1)["key_file"][0][1]


@case
def a_key_with_a_passphrase_is_found_and_nobody_is_asked_for_it(d):
    pki = os.path.join(d.local, "pki")
    d.good("tls", "init", "--dir", pki, "--host", "localhost")
    locked = os.path.join(pki, "locked.key")
    d.good("pkcs8", "-topk8", "-v2", "aes-128-cbc", "-passout", "pass:secret", "-in", f"{pki}/client.key", "-out", locked,
           program="openssl")
    os.chmod(locked, 0o600)
    status, told = d.on_terminal("doctor", "--cert-file", f"{pki}/client.pem", "--key-file", locked)
    assert status == 1 and b"has no private key" in told and b"not encrypted" in told, (status, told)


@case
def limits_of_a_process_are_looked_at(d):
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    found = findings(d, preexec_fn=lower)
    assert found["descriptors"][0][0] == "warn" and "256" in found["descriptors"][0][1], found
    assert findings(d, "--pid", str(os.getpid()))["descriptors"] != found["descriptors"]


@case
def libraries_that_a_process_has_twice_are_found(d):
    """Only their names count here: the files hold nothing."""
    paths = [d.write(name, b"x" * 4096).decode() for name in ("a/libucp.so.0", "b/libucp-1a2b.so.0", "b/libucpx.so")]
    maps = []
    for path in paths:
        with open(path, "rb") as f:
            maps.append(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ))
    pid = str(os.getpid())
    found = findings(d, "--pid", pid)
    assert [row[0] for row in found["libraries"]] == ["warn"], found
    assert all(path in found["libraries"][0][1] for path in paths[:2]), found
    maps[1].close()
    assert [row[0] for row in findings(d, "--pid", pid)["libraries"]] == ["ok"]
    maps[0].close()
    maps[2].close()


@case
def wrong_usage_is_refused(d):
    assert "--pid" in d.bad("doctor", "--pid", "0", status=2)
    assert "no argument" in d.bad("doctor", "x", status=2)


sys.exit(main())
