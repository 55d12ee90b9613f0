#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""examples/loader: in each epoch every sample is read once, whole, by any number of workers; what is not so is said."""
import gzip
import os
import random
import re
import signal
import struct
import subprocess
import sys

from ctl_harness import Daemon, case, main

LOADER = os.path.join(os.environ["abs_top_builddir"], "examples", "loader")
DATASET = "/usr/share/datasets/fashion-mnist"
SANITIZED = bool(os.environ.get("SANITIZER_FLAGS"))
PIXELS = 28 * 28
TRAIN, T10K = 130, 21  # samples of the small data set: no multiple of a batch


def make_daemon():
    d = Daemon()
    d.env["XDG_RUNTIME_DIR"] = d.dir  # where the index goes
    return d


def write_idx(path, dimensions, records):
    with gzip.open(path, "wb", compresslevel=1) as f:
        f.write(bytes([0, 0, 8, len(dimensions)]) + struct.pack(f">{len(dimensions)}I", *dimensions) + records)


def write_dataset(folder, train=TRAIN, t10k=T10K):
    """IDX files as Fashion-MNIST has them; {path of a sample: its bytes}."""
    rng = random.Random(1)
    samples = {}
    os.makedirs(folder, exist_ok=True)
    for part, count in (("train", train), ("t10k", t10k)):
        images = rng.randbytes(count * PIXELS)
        labels = bytes(i % 10 for i in range(count))
        write_idx(f"{folder}/{part}-images-idx3-ubyte.gz", (count, 28, 28), images)
        write_idx(f"{folder}/{part}-labels-idx1-ubyte.gz", (count,), labels)
        for i in range(count):
            samples[f"{part}/{i // 1000:02}/{i:05}"] = labels[i:i + 1] + images[i * PIXELS:(i + 1) * PIXELS]
    return samples


def explode(d, train=TRAIN, t10k=T10K):
    """The small data set at /fashion in the store; (its samples, its checksum)."""
    samples = write_dataset(f"{d.local}/idx", train, t10k)
    text = d.good("explode", f"{d.store}/fashion", "--from", f"{d.local}/idx", program=LOADER).decode()
    found = re.fullmatch(rf"\S+: {len(samples)} samples, checksum ([0-9a-f]{{16}})\n", text)
    assert found, text
    return samples, found[1]


def run(d, *arguments, **options):
    return d.good("run", *arguments, program=LOADER, **options).decode()


def refused(d, *arguments, **options):
    return d.bad("run", *arguments, program=LOADER, **options)


def check_epochs(text, epochs, samples, checksum):
    """The lines of a run that succeeded."""
    lines = text.splitlines()
    assert len(lines) == epochs + 2, text
    for number, line in enumerate(lines[1:-1], 1):
        wanted = rf"epoch {number}/{epochs}  {samples} of {samples} samples read once, checksum {checksum}  \d+ samples/s"
        assert re.fullmatch(wanted, line), (line, wanted)
    assert re.fullmatch(rf"total +{samples * epochs} samples in [0-9.]+ s: \d+ samples/s, \d+ in the median epoch",
                        lines[-1]), text


@case
def explode_writes_a_file_for_each_sample(d):
    samples, _ = explode(d, 1001, 3)  # more than one directory
    found = {}
    for folder, _, names in os.walk(f"{d.store}/fashion"):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, f"{d.store}/fashion")] = f.read()
    assert found == samples


@case
def explode_refuses_files_that_are_not_whole(d):
    folder = f"{d.local}/idx"
    images = f"{folder}/train-images-idx3-ubyte.gz"

    def explode_to(name):
        return d.bad("explode", f"{d.store}/{name}", "--from", folder, program=LOADER)

    assert "dataset-fashion-mnist" in explode_to("none")
    write_dataset(folder, 20, 10)
    write_idx(images, (21, 28, 28), bytes(21 * PIXELS))
    assert "20 labels for 21 images" in explode_to("labels")
    write_idx(images, (20, 28, 28), bytes(19 * PIXELS))
    assert "ends after 19 of 20 records" in explode_to("short")
    write_idx(images, (20, 28, 28), bytes(20 * PIXELS + 1))
    assert "longer than the 20 records" in explode_to("long")
    write_idx(images, (20, 28), bytes(20 * 28))
    assert "is no IDX file of bytes with 3 dimensions" in explode_to("flat")
    write_idx(images, (20, 28, 28), bytes(20 * PIXELS))
    with open(images, "r+b") as f:
        f.seek(-8, os.SEEK_END)  # gzip's checksum
        f.write(b"\xff\xff\xff\xff")
    assert "gzip finds it damaged" in explode_to("sum")


@case
def explode_does_not_mix_two_data_sets(d):
    explode(d)
    assert "is there already" in d.bad("explode", f"{d.store}/fashion", "--from", f"{d.local}/idx", program=LOADER)


@case
def explode_takes_uncompressed_files_too(d):
    samples = write_dataset(f"{d.local}/idx", 20, 10)
    for name in os.listdir(f"{d.local}/idx"):
        subprocess.run(["gzip", "-d", f"{d.local}/idx/{name}"], check=True)
    text = d.good("explode", f"{d.store}/fashion", "--from", f"{d.local}/idx", program=LOADER).decode()
    assert f"{len(samples)} samples" in text, text


@case
def each_epoch_reads_every_sample_once(d):
    samples, checksum = explode(d, 1001, 250)
    for transport in ("shm", "tcp"):
        d.env["ROS2_TRANSPORT"] = transport
        for workers in ("0", "1", "4"):
            text = run(d, "--workers", workers, "--epochs", "2", "--batch", "100", "--checksum", checksum)
            first = f"/fashion: {len(samples)} samples, {len(samples) * (PIXELS + 1)} bytes, indexed in "
            assert text.startswith(first), text
            assert f" {workers} workers, batches of 100, over {transport}\n" in text, text
            check_epochs(text, 2, len(samples), checksum)
    del d.env["ROS2_TRANSPORT"]


@case
def more_workers_than_batches_and_batches_larger_than_the_data_set_are_no_error(d):
    samples, checksum = explode(d)
    check_epochs(run(d, "--workers", "9", "--epochs", "2", "--batch", "4096"), 2, len(samples), checksum)
    text = run(d, "--workers", "3", "--epochs", "1", "--batch", "1", "--path", "/fashion/t10k/")
    assert f" {T10K} of {T10K} samples read once" in text, text


@case
def files_of_any_size_are_samples(d):
    for i, size in enumerate((0, 1, 4095, 4096, 4097, 100000, 0, 785)):
        os.makedirs(f"{d.store}/fashion/{i % 3}", exist_ok=True)
        with open(f"{d.store}/fashion/{i % 3}/{i}", "wb") as f:
            f.write(bytes([i]) * size)
    assert "epoch 2/2  8 of 8 samples read once" in run(d, "--workers", "2", "--epochs", "2", "--batch", "3")


@case
def a_missing_sample_is_named(d):
    samples, _ = explode(d)
    run(d, "--epochs", "1")
    os.unlink(f"{d.store}/fashion/train/00/00042")
    for workers in ("0", "4"):
        text = refused(d, "--workers", workers)
        assert re.search(r"^loader: .*/fashion/train/00/00042: .*No such file or directory .*--refresh", text), text
    assert f" {len(samples) - 1} of {len(samples) - 1} samples read once" in run(d, "--refresh", "--epochs", "1")


@case
def a_sample_that_is_not_as_long_as_listed_is_named(d):
    explode(d)
    run(d, "--epochs", "1")
    for size, workers in ((100, "0"), (100, "4"), (0, "1"), (786, "2")):
        os.truncate(f"{d.store}/fashion/t10k/00/00007", size)
        text = refused(d, "--workers", workers)
        wanted = rf"^loader: (worker \d: )?/fashion/t10k/00/00007: has {size} bytes, but had 785 "
        assert re.search(wanted, text), text


@case
def other_bytes_than_those_that_were_written_are_found(d):
    samples, checksum = explode(d)
    name = "train/00/00050"
    with open(f"{d.store}/fashion/{name}", "wb") as f:
        f.write(samples["train/00/00051"])
    assert re.search(rf"^loader: epoch 1: the samples' checksum is [0-9a-f]{{16}}, not {checksum} as given$",
                     refused(d, "--checksum", checksum).strip())


@case
def an_empty_data_set_is_refused(d):
    os.mkdir(f"{d.store}/fashion")
    assert "/fashion: no file lies below it" in refused(d)
    assert "/none: " in refused(d, "--path", "/none")


@case
def a_killed_worker_ends_the_run(d):
    explode(d)
    process = d.popen("run", "--workers", "3", "--epochs", "1000000", program=LOADER, stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE)
    try:
        while not process.stdout.readline().startswith(b"epoch 1/"):
            assert process.poll() is None
        children = [int(pid) for pid in subprocess.check_output(["pgrep", "-P", str(process.pid)]).split()]
        assert len(children) == 3, children
        os.kill(children[1], signal.SIGKILL)
        text = process.communicate(timeout=60)[1].decode()
        assert process.returncode == 1 and re.fullmatch(r"loader: worker \d: Killed\n", text), (process.returncode, text)
        assert not any(os.path.exists(f"/proc/{child}") for child in children)
    finally:
        process.kill()
        process.wait()


@case
def workers_end_with_a_parent_that_is_killed(d):
    explode(d)
    process = d.popen("run", "--workers", "3", "--epochs", "1000000", program=LOADER, stdout=subprocess.PIPE)
    try:
        while not process.stdout.readline().startswith(b"epoch 1/"):
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    # They have the other end of the pipe: it ends with the last of them.
    process.stdout.read()
    process.stdout.close()


@case
def the_progress_line_is_for_terminals_only(d):
    explode(d)
    assert "%" not in run(d, "--epochs", "1")
    status, screen = d.on_terminal("run", "--epochs", "1", program=LOADER)
    assert status == 0 and b"\repoch 1/1  100 %" in screen and b"\r\033[Kepoch 1/1  151 of" in screen, screen


@case
def a_wrong_command_line_is_explained(d):
    for arguments in (["run", "--workers", "-1"], ["run", "--epochs", "0"], ["run", "--batch", ""], ["run", "--seed", "1x"],
                      ["run", "--checksum", "12"], ["run", "--none"], ["run", "more"], ["explode", "a", "--workers", "1"]):
        text = d.bad(*arguments, program=LOADER, status=2)
        assert re.match(r"loader: [^\n]+\nusage: loader explode ", text), (arguments, text)
    assert d.bad(program=LOADER, status=2).startswith("usage: ")


@case
def a_data_set_of_full_size_comes_whole(d):
    folder, train, t10k = DATASET, 60000, 10000
    if SANITIZED:
        train, t10k = 6000, 1000  # they add nothing but time here
    if SANITIZED or not os.path.exists(f"{folder}/t10k-labels-idx1-ubyte.gz"):
        folder = f"{d.local}/idx"
        write_dataset(folder, train, t10k)
    text = d.good("explode", f"{d.store}/fashion", "--from", folder, program=LOADER, timeout=200).decode()
    checksum = text.split()[-1]
    assert f" {train + t10k} samples, " in text, text
    check_epochs(run(d, "--epochs", "1", "--checksum", checksum, timeout=200), 1, train + t10k, checksum)


sys.exit(main(make_daemon))
