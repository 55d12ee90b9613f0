#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ros2ctl put and get: bytes, names and modes survive, and nothing is ever half there."""
import json
import os
import random
import signal
import stat
import subprocess
import sys

from ctl_harness import case, error_line, main, same_trees, tree, until

ODD_NAMES = [b"a b", b"-r", b"--", b"new\nline", b"tab\tbed", b"back\\slash", b"quote'\"", b"caf\xc3\xa9", b"latin\xe9",
             b"\xff\xfe", b"\x01\x7f", b"*?[x]", b"~", b"#", b"%20", b"n" * 255, b"...", b".hidden", b"$HOME;ls"]


def fill(d, top):
    rng = random.Random(1)
    d.write(f"{top}/empty")
    d.write(f"{top}/one", b"x", 0o600)
    d.write(f"{top}/program", b"#!/bin/sh\n", 0o755)
    d.write(f"{top}/read-only", b"r", 0o444)
    d.write(f"{top}/deep/er/and/deeper/file", b"deep")
    d.write(f"{top}/large", rng.randbytes(40 << 20))
    d.write(f"{top}/block", rng.randbytes(1 << 20))
    d.write(f"{top}/not a block", rng.randbytes((1 << 20) + 1))
    os.mkdir(os.path.join(d.local, top, "empty folder"))
    for number, name in enumerate(ODD_NAMES):
        d.write(os.path.join(os.fsencode(top), b"odd", name), b"%d" % number)


@case
def a_tree_survives_put_and_get(d):
    fill(d, "tree")
    d.good("put", "-r", f"{d.local}/tree", "/")
    same_trees(f"{d.local}/tree", f"{d.store}/tree")
    d.good("get", "-r", "--jobs", "2", "/tree", f"{d.local}/back")
    same_trees(f"{d.local}/tree", f"{d.local}/back")


@case
def many_small_files_by_many_threads_survive(d):
    for i in range(300):
        d.write(f"many/{i % 7}/{i}", b"%d" % i * (i % 50))
    d.good("put", "-r", "-j", "16", "--no-sync", f"{d.local}/many", "/")
    d.good("get", "-r", "-j", "16", "--no-sync", "/many", f"{d.local}/back")
    same_trees(f"{d.local}/many", f"{d.local}/back")


@case
def copies_go_into_a_directory_that_exists(d):
    d.write("f", b"1")
    d.write("g", b"2")
    d.write("t/h", b"3")
    d.good("mkdir", "/dir")
    d.good("put", "-r", f"{d.local}/f", f"{d.local}/g", f"{d.local}/t", "/dir/")
    assert {k: v[2] for k, v in tree(f"{d.store}/dir").items()} == {b"f": b"1", b"g": b"2", b"t": None, b"t/h": b"3"}
    os.mkdir(f"{d.local}/into")
    d.good("get", "/dir/f", "/dir/g", f"{d.local}/into")
    assert tree(f"{d.local}/into").keys() == {b"f", b"g"}


@case
def several_sources_need_a_directory(d):
    d.write("f")
    d.write("g")
    error_line(d.bad("put", f"{d.local}/f", f"{d.local}/g", "/none"), "put")
    assert os.listdir(d.store) == []
    error_line(d.bad("get", "/f", "/g", f"{d.local}/none"), "get")


@case
def sources_of_one_name_are_refused_before_anything_is_done(d):
    for top in ("a", "b"):
        d.write(f"{top}/x", top.encode())
        os.mkdir(f"{d.store}/{top}")
        with open(f"{d.store}/{top}/x", "w", encoding="ascii") as f:
            f.write(top)
    os.mkdir(f"{d.store}/to")
    os.mkdir(f"{d.local}/to")
    d.write("other")
    other = f"{d.local}/other"
    for verb, first, rest, second, dest in (("put", f"{d.local}/a/x", [other], f"{d.local}/b//x", "/to"),
                                            ("put", f"{d.local}/a/", ["-r"], f"{d.local}/a", "/to"),
                                            ("get", "/a/x", [], "/b/x", f"{d.local}/to"),
                                            ("mv", "/a/x", [], "/b/x", "/to")):
        text = d.bad(verb, first, *rest, second, dest)
        error_line(text, verb)
        assert f"{first} and {second}: both" in text, text
    assert os.listdir(f"{d.store}/to") == os.listdir(f"{d.local}/to") == []
    assert os.path.exists(f"{d.store}/a/x") and os.path.exists(f"{d.store}/b/x")


@case
def a_directory_needs_recursive(d):
    d.write("t/f")
    assert "-r" in d.bad("put", f"{d.local}/t", "/t")
    assert os.listdir(d.store) == []
    os.mkdir(f"{d.store}/t")
    assert "-r" in d.bad("get", "/t", f"{d.local}/u")
    assert not os.path.exists(f"{d.local}/u")


@case
def put_replaces_what_was_there(d):
    d.write("f", b"new", 0o640)
    with open(f"{d.store}/f", "wb") as f:
        f.write(b"old and longer")
    d.good("put", f"{d.local}/f", "/f")
    assert tree(d.store) == {b"f": ("file", 0o640, b"new")}


@case
def put_reads_standard_input(d):
    d.good("put", "-", "/in", input=b"from a pipe" * 1000)
    assert d.good("cat", "/in") == b"from a pipe" * 1000


def half_put(d):
    """A put of standard input that has come half way: its process, once bytes are in the store."""
    process = d.popen("put", "-", "/target", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b"x" * (5 << 20))
    process.stdin.flush()
    until(lambda: any(os.path.getsize(os.path.join(d.store, name)) >= 4 << 20 for name in os.listdir(d.store)
                      if name.startswith(".ros2ctl-")))
    return process


def end(process):
    process.wait(timeout=60)
    process.stdin.close()
    process.stderr.close()


@case
def a_killed_put_leaves_nothing_under_the_final_name(d):
    process = half_put(d)
    process.kill()
    end(process)
    assert not os.path.exists(f"{d.store}/target")


@case
def a_killed_put_leaves_the_old_file_as_it_was(d):
    with open(f"{d.store}/target", "wb") as f:
        f.write(b"old")
    process = half_put(d)
    process.kill()
    end(process)
    with open(f"{d.store}/target", "rb") as f:
        assert f.read() == b"old"


@case
def an_interrupted_put_cleans_up_and_dies_of_the_signal(d):
    for number in (signal.SIGINT, signal.SIGTERM):
        process = half_put(d)
        process.send_signal(number)
        end(process)
        assert process.returncode == -number, process.returncode
        assert os.listdir(d.store) == [], os.listdir(d.store)


@case
def a_bad_file_does_not_stop_the_others(d):
    d.write("t/a", b"a")
    d.write("t/z", b"z")
    os.symlink("a", f"{d.local}/t/link")
    os.mkfifo(f"{d.local}/t/fifo")
    text = d.bad("put", "-r", f"{d.local}/t", f"{d.local}/none", "/")
    lines = text.splitlines()
    assert len(lines) == 3 and all(line.startswith("ros2ctl: put: ") for line in lines), text
    assert tree(f"{d.store}/t").keys() == {b"a", b"z"}


@case
def dereference_copies_what_links_point_to(d):
    d.write("t/a", b"a")
    os.symlink("a", f"{d.local}/t/link")
    d.good("put", "-r", "-L", f"{d.local}/t", "/")
    assert tree(f"{d.store}/t")[b"link"] == ("file", 0o644, b"a")


@case
def a_link_to_its_own_directory_is_refused(d):
    d.write("t/a", b"a")
    os.symlink(".", f"{d.local}/t/loop")
    assert "contains itself" in d.bad("put", "-r", "-L", f"{d.local}/t", "/")
    assert tree(f"{d.store}/t").keys() == {b"a"}


@case
def get_of_what_is_not_there_leaves_nothing(d):
    error_line(d.bad("get", "/none", f"{d.local}/none"), "get")
    assert os.listdir(d.local) == []


@case
def get_writes_into_a_fifo(d):
    data = b"through a fifo" * 100000
    d.good("put", "-", "/f", input=data)
    fifo = f"{d.local}/fifo"
    os.mkfifo(fifo)
    os.symlink("fifo", f"{d.local}/link")
    for target in (fifo, f"{d.local}/link"):
        process = d.popen("get", "/f", target)
        got = subprocess.run(["cat", fifo], stdout=subprocess.PIPE, timeout=60, check=True).stdout
        assert (process.wait(timeout=60), got == data) == (0, True), len(got)
        assert stat.S_ISFIFO(os.lstat(fifo).st_mode)
    assert sorted(os.listdir(d.local)) == ["fifo", "link"] and os.path.islink(f"{d.local}/link")


@case
def get_does_not_leave_its_destination_through_a_link(d):
    os.makedirs(f"{d.store}/tree/way")
    for name in ("way/f", "g"):
        with open(f"{d.store}/tree/{name}", "wb") as f:
            f.write(b"new")
    os.mkdir(f"{d.local}/outside")
    os.mkdir(f"{d.local}/real")
    os.symlink("../outside", f"{d.local}/real/way")
    os.symlink("real", f"{d.local}/tree")  # named by the user: followed
    text = d.bad("get", "-r", "/tree", d.local)
    error_line(text, "get")
    assert "symbolic link" in text
    assert os.listdir(f"{d.local}/outside") == []
    assert sorted(os.listdir(f"{d.local}/real")) == ["g", "way"]


@case
def json_tells_what_was_copied(d):
    d.write("t/a", b"abc")
    d.write("t/b", b"de")
    summary = json.loads(d.good("put", "-r", "--json", f"{d.local}/t", "/"))
    assert (summary["files"], summary["bytes"], summary["failed"]) == (2, 5, 0), summary


@case
def the_progress_line_is_for_terminals_only(d):
    d.write("f", b"x" * (1 << 20))
    done = d.run("put", f"{d.local}/f", "/f")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    status, screen = d.on_terminal("put", f"{d.local}/f", "/f")
    assert status == 0 and b"\r\033[K" in screen and b"1 file, 1.0 MiB in " in screen, screen
    status, screen = d.on_terminal("put", "--quiet", f"{d.local}/f", "/f")
    assert (status, screen) == (0, b""), screen


sys.exit(main())
