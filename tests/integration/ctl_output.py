#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What ros2ctl prints, for people and for programs, and how it ends."""
import json
import os
import re
import signal
import subprocess
import sys

from ctl_harness import case, error_line, main, until

ODD_NAMES = [b"plain", b"new\nline", b"car\rriage", b"back\\slash", b"latin\xe9", b"caf\xc3\xa9", b"\x1b[31mred", b" "]


def fill_odd(d):
    for number, name in enumerate(ODD_NAMES):
        with open(os.path.join(os.fsencode(d.store), name), "wb") as f:
            f.write(b"%d" % number)


@case
def sum_prints_what_sha256sum_prints(d):
    fill_odd(d)
    with open(f"{d.store}/large", "wb") as f:
        f.write(os.urandom((9 << 20) + 7))
    names = sorted(os.listdir(os.fsencode(d.store)))
    want = subprocess.run(["sha256sum", "--", *names], cwd=d.store, capture_output=True, check=True, env=d.env).stdout
    # The store's paths are absolute: cut the slash that they begin with.
    got = d.good("sum", *[b"/" + name for name in names]).replace(b"  /", b"  ")
    assert got == want, (got, want)


@case
def sum_goes_through_sha256sum_check(d):
    os.makedirs(f"{d.store}/a/b")
    for path in ("a/one", "a/b/two"):
        with open(f"{d.store}/{path}", "w", encoding="ascii") as f:
            f.write(path)
    sums = d.good("sum", "-r", "/a").replace(b"  /", b"  ")
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet"], cwd=d.store, input=sums, check=True)
    assert sums.count(b"\n") == 2


@case
def json_holds_every_name_byte_for_byte(d):
    fill_odd(d)
    for document in (d.good("ls", "--json", "/"), d.good("--json", "ls")):
        listed = json.loads(document)
        names = [bytes.fromhex(e["name_hex"]) if "name_hex" in e else e["name"].encode() for e in listed]
        assert names == sorted(ODD_NAMES), names
    sums = json.loads(d.good("sum", "-r", "--json", "/"))
    paths = [bytes.fromhex(e["path_hex"]) if "path_hex" in e else e["path"].encode() for e in sums]
    assert paths == sorted(b"/" + name for name in ODD_NAMES), paths


@case
def json_is_a_document_when_there_is_nothing(d):
    assert json.loads(d.good("ls", "--json", "/")) == []
    assert json.loads(d.run("stat", "--json", "/none").stdout) == []


@case
def ls_long_and_json_tell_the_same(d):
    os.mkdir(f"{d.store}/folder", 0o750)
    with open(f"{d.store}/file", "wb") as f:
        f.write(b"12345")
    os.chmod(f"{d.store}/file", 0o640)
    os.utime(f"{d.store}/file", (1700000000, 1700000000))
    lines = d.good("ls", "-l", "/").decode().splitlines()
    entries = json.loads(d.good("ls", "--json", "/"))
    assert [line.split()[-1] for line in lines] == [e["name"] for e in entries] == ["file", "folder"]
    assert re.fullmatch(r"-rw-r----- +1 +\d+ +\d+ +5 2023-11-14T22:13:20Z file", lines[0]), lines[0]
    assert lines[1].startswith("drwxr-x---"), lines[1]
    file, folder = entries
    assert (file["type"], file["mode"], file["size"], file["mtime"]) == ("file", "0640", 5, "2023-11-14T22:13:20Z")
    assert file["mtime_ns"] == 1700000000 * 10**9 and file["path"] == "/file"
    assert (folder["type"], folder["mode"]) == ("directory", "0750")
    (stat,) = json.loads(d.good("stat", "--json", "/file"))
    assert stat["size"] == 5 and stat["inode"] == file["inode"]
    assert re.search(r"^size +5$", d.good("stat", "/file").decode(), re.M)


@case
def ls_recursive_lists_every_directory(d):
    os.makedirs(f"{d.store}/a/b")
    open(f"{d.store}/a/b/c", "w", encoding="ascii").close()
    assert d.good("ls", "-R", "/") == b"/:\na\n\n/a:\nb\n\n/a/b:\nc\n"
    os.symlink("..", f"{d.store}/a/b/up")
    paths = {e["path"] for e in json.loads(d.run("ls", "-R", "--json", "/").stdout)}
    assert {"/a", "/a/b", "/a/b/c"} <= paths and len(paths) < 10, paths


@case
def names_are_escaped_on_a_terminal_and_raw_in_a_pipe(d):
    fill_odd(d)
    assert d.good("ls").splitlines() == b"\n".join(sorted(ODD_NAMES)).splitlines()
    status, screen = d.on_terminal("ls")
    assert status == 0 and b"\x1b" not in screen, screen
    shown = screen.replace(b"\r\n", b"\n").split(b"\n")[:-1]
    want = {b"plain", b"new\\nline", b"car\\rriage", b"back\\\\slash", b"latin\\351", b"caf\xc3\xa9",
            b"\\033[31mred", b" "}
    assert set(shown) == want, shown


@case
def an_error_is_one_line_that_names_the_verb(d):
    for arguments in (["ls", "/none"], ["cat", "/none"], ["stat", "/none"], ["rm", "/none"], ["sum", "/none"],
                      ["mkdir", "/none/x"], ["mv", "/none", "/x"], ["get", "/none", d.local], ["put", "/none", "/x"],
                      ["rm", "/none\n\x1b"], ["bench", "--file", "/none/x"]):
        text = d.bad(*arguments)
        error_line(text, arguments[0])
        assert "\x1b" not in text


@case
def wrong_usage_ends_with_2(d):
    for arguments in ([], ["nonsense"], ["--nonsense"], ["ls", "--nonsense"], ["cat"], ["put", "x"], ["mv", "/x"],
                      ["ping", "x"], ["bench", "nonsense"], ["bench", "-b", "0"], ["bench", "-b", "2M", "-s", "1M"],
                      ["--timeout", "0", "ls"], ["mkdir", "-m", "9", "/x"], ["put", "-j", "0", "a", "b"],
                      ["tls"], ["tls", "init"], ["help", "nonsense"]):
        assert "ros2ctl" in d.bad(*arguments, status=2)


@case
def help_and_version_end_with_0(d):
    for arguments in (["help"], ["--help"], ["--version"], ["help", "put"], ["ls", "--help"], ["ls", "--version"]):
        assert b"ros2ctl" in d.good(*arguments)


@case
def global_options_stand_in_front_or_behind(d):
    url = d.env["ROS2_URL"]
    assert d.good("--url", url, "ls", "/") == d.good("ls", "--url", url, "/") == b""


@case
def a_full_disk_is_a_failure(d):
    with open(f"{d.store}/f", "wb") as f:
        f.write(b"x" * 100000)
    for verb in ("cat", "sum", "ls"):
        with open("/dev/full", "wb") as full:
            process = d.popen(verb, "/f", stdout=full, stderr=subprocess.PIPE)
            _, text = process.communicate(timeout=60)
        assert process.returncode == 1 and b"standard output" in text, (verb, text)


@case
def mkdir_mv_and_rm_do_what_they_say(d):
    d.good("mkdir", "-p", "/a//b/c/")
    d.good("mkdir", "-p", "/a/b/c")
    error_line(d.bad("mkdir", "/a"), "mkdir")
    d.good("mkdir", "-m", "700", "/private")
    assert os.stat(f"{d.store}/private").st_mode & 0o777 == 0o700
    d.good("put", "-", "/a/f", input=b"1")
    assert "a file" in d.bad("mkdir", "-p", "/a/f")
    d.good("mv", "/a/f", "/a/g")
    d.good("mv", "/a/g", "/a/b")
    assert os.path.exists(f"{d.store}/a/b/g")
    for arguments in (("/a/b/g/", "/a"), ("/a/b/g", "/a/new/"), ("/a/b/g", "/a/b/g/")):
        error_line(d.bad("mv", *arguments), "mv")
    assert sorted(os.listdir(f"{d.store}/a/b")) == ["c", "g"]
    assert "-r" in d.bad("rm", "/a")
    d.good("rm", "-f", "/none")
    for root in ("/", "//", "/a/..", "/."):
        d.bad("rm", "-r", root)
    d.good("rm", "-r", "/a")
    assert os.listdir(d.store) == ["private"]


@case
def rm_recursive_does_not_follow_links(d):
    os.makedirs(f"{d.store}/keep")
    open(f"{d.store}/keep/file", "w", encoding="ascii").close()
    os.mkdir(f"{d.store}/gone")
    os.symlink("../keep", f"{d.store}/gone/link")
    os.symlink("keep", f"{d.store}/link")
    d.good("rm", "-r", "/gone", "/link/")
    assert os.listdir(d.store) == ["keep"] and os.listdir(f"{d.store}/keep") == ["file"]


@case
def cat_joins_files(d):
    d.good("put", "-", "/1", input=b"one")
    d.good("put", "-", "/2", input=b"two" * (3 << 20))
    assert d.good("cat", "/1", "/2") == b"one" + b"two" * (3 << 20)


@case
def ping_measures(d):
    result = json.loads(d.good("ping", "-c", "3", "-i", "0.01", "--json"))
    assert result["sent"] == result["received"] == 3 and result["transport"]
    tcp = json.loads(d.good("ping", "-c", "1", "--transport", "tcp", "--json"))
    assert tcp["transport"] == "tcp"
    assert "transport nowhere" in d.bad("ping", "--transport", "nowhere")
    assert 0 < result["min_us"] <= result["avg_us"] <= result["max_us"]
    text = d.good("ping", "-c", "2", "-i", "0.01").decode()
    assert re.search(r"^2 sent, 2 received over \w+, min/avg/max [\d.]+/[\d.]+/[\d.]+ us$", text, re.M), text


@case
def bench_measures_every_workload_and_leaves_nothing(d):
    for workload in ("read", "write", "randread", "randwrite"):
        result = json.loads(d.good("bench", workload, "-t", "0.2", "-s", "4M", "-j", "2", "--json", "--daemon-pid",
                                   str(d.process.pid)))
        assert result["workload"] == workload and result["jobs"] == 2 and result["operations"] > 0
        assert result["transport"]
        assert result["bytes"] == result["operations"] * result["block_size"]
        latency = result["latency_us"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"] <= latency["max"], latency
        assert result["client_cpu_s_per_gib"] > 0 and result["daemon_cpu_s_per_gib"] >= 0
    assert b"GiB/s" in d.good("bench", "-t", "0.1", "-s", "1M")
    assert os.listdir(d.store) == []


@case
def an_interrupted_bench_removes_its_file(d):
    process = d.popen("bench", "-s", "4M", "-t", "600", stdout=subprocess.DEVNULL)
    until(lambda: os.listdir(d.store))
    # timeout(1) sends each signal twice.
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == -signal.SIGINT
    assert os.listdir(d.store) == []


@case
def transports_tells_which_and_why(d):
    rows = {row["name"]: row for row in json.loads(d.good("transports", "--transport", "tcp", "--json"))}
    assert [name for name, row in rows.items() if row["chosen"]] == ["tcp"], rows
    assert rows["tcp"]["offered"] and rows["tcp"]["usable"] and rows["tcp"]["reason"] == "chosen"
    assert not rows["ofi+tcp"]["offered"] and rows["ofi+tcp"]["reason"], rows
    text = d.good("transports", "--transport", "tcp").decode()
    assert re.search(r"^\* tcp +yes +yes +chosen$", text, re.M), text
    assert len(text.splitlines()) == 1 + len(rows)


@case
def file_data_goes_over_allowed_networks_only(d):
    told = d.bad("ping", "-c", "1", "--transport", "tcp", "--networks", "10.0.0.0/8,192.168.7.0/24")
    assert "127.0.0.1:" in told and "10.0.0.0/8,192.168.7.0/24" in told, told
    for networks in ("lo", "10.0.0.0/8,127.0.0.0/8", "127.0.0.1"):
        assert b"over tcp" in d.good("ping", "-c", "1", "--transport", "tcp", "--networks", networks)
    rows = {row["name"]: row for row in json.loads(d.good("transports", "--networks", "10.0.0.0/8", "--json"))}
    assert rows["shm"]["chosen"] and not rows["tcp"]["usable"] and "10.0.0.0/8" in rows["tcp"]["reason"], rows
    assert "10.0.0.0/99" in d.bad("ping", "--networks", "10.0.0.0/99")


@case
def bench_does_not_overwrite_a_file_unasked(d):
    with open(f"{d.store}/precious", "wb") as f:
        f.write(b"x" * 8192)
    arguments = ["bench", "write", "-t", "0.1", "-b", "4k", "-s", "8k", "--file", "/precious"]
    assert "--overwrite" in d.bad(*arguments)
    d.good("bench", "read", "-t", "0.1", "-b", "4k", "--file", "/precious")
    with open(f"{d.store}/precious", "rb") as f:
        assert f.read() == b"x" * 8192
    d.good(*arguments, "--overwrite")
    assert os.path.getsize(f"{d.store}/precious") == 8192


sys.exit(main())
