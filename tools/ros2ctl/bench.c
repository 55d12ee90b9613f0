/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl bench: its command line and its file. The file is made, filled and removed here, unless the user names one. */
#include "config.h"

#include "tools/ros2ctl/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/stop.h"
#include "tools/ros2ctl/verbs.h"

#define FILL_BUFFER (4u << 20)

struct options {
    struct ctl_bench bench;
    const char *file;
    const char *directory;
    bool overwrite;
};

static const struct workload {
    const char *name;
    bool random, write;
} workloads[] = {
    {"read", false, false},
    {"write", false, true},
    {"randread", true, false},
    {"randwrite", true, true},
};

enum { KEY_FILE = CTL_KEY_VERB, KEY_OVERWRITE, KEY_DAEMON_PID, KEY_DIRECTORY };

static const struct argp_option options[] = {
    {"block-size", 'b', "BYTES", 0, "Per operation (default: 1M, random 4k)", 0},
    {"jobs", 'j', "N", 0, "Threads (default: 1)", 0},
    {"seconds", 't', "SECONDS", 0, "How long (default: 5)", 0},
    {"size", 's', "BYTES", 0, "Of the test file (default: 256M)", 0},
    {"dir", KEY_DIRECTORY, "PATH", 0, "Directory of the test file (default: /)", 0},
    {"file", KEY_FILE, "PATH", 0, "Use this file and keep it", 0},
    {"overwrite", KEY_OVERWRITE, 0, 0, "Let write workloads destroy what is in --file", 0},
    {"daemon-pid", KEY_DAEMON_PID, "PID", 0, "Measure the CPU time of a local daemon as well", 0},
    {0},
};

static void set_workload(struct options *o, const char *name, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
        if (strcmp(workloads[i].name, name) == 0) {
            o->bench.workload = workloads[i].name;
            o->bench.random = workloads[i].random;
            o->bench.write = workloads[i].write;
            return;
        }
    }
    argp_error(state, "no workload '%s'; there are read, write, randread, randwrite", name);
}

static error_t finish(struct options *o, struct argp_state *state)
{
    struct ctl_bench *bench = &o->bench;

    if (!bench->workload)
        set_workload(o, "read", state);
    if (bench->block == 0)
        bench->block = bench->random ? 4096 : 1 << 20;
    if (bench->block > bench->size)
        argp_error(state, "--block-size is above --size");
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    unsigned pid;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = o->bench.ctl;
        return 0;
    case 'b':
        if (!ctl_parse_size(arg, 1, 1u << 30, &o->bench.block))
            argp_error(state, "--block-size %s: give bytes, 1 to 1G, such as 64k", arg);
        return 0;
    case 'j':
        if (!ctl_parse_count(arg, 1, 256, &o->bench.jobs))
            argp_error(state, "--jobs %s: give a number from 1 to 256", arg);
        return 0;
    case 't':
        if (!ctl_parse_seconds(arg, 86400, &o->bench.duration_ns))
            argp_error(state, "--seconds %s: give seconds above 0, at most 86400", arg);
        return 0;
    case 's':
        if (!ctl_parse_size(arg, 1, UINT64_C(1) << 50, &o->bench.size))
            argp_error(state, "--size %s: give bytes, at least 1, such as 1G", arg);
        return 0;
    case KEY_FILE:
        o->file = arg;
        return 0;
    case KEY_DIRECTORY:
        o->directory = arg;
        return 0;
    case KEY_OVERWRITE:
        o->overwrite = true;
        return 0;
    case KEY_DAEMON_PID:
        if (!ctl_parse_count(arg, 1, 1u << 30, &pid))
            argp_error(state, "--daemon-pid %s: give a process id", arg);
        o->bench.daemon_pid = (pid_t)pid;
        return 0;
    case ARGP_KEY_ARG:
        if (o->bench.workload)
            argp_error(state, "one workload at a time");
        set_workload(o, arg, state);
        return 0;
    case ARGP_KEY_SUCCESS:
        return finish(o, state);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int fill(const struct ctl_bench *bench, struct ros2_file *file, char *buf)
{
    for (uint64_t offset = 0; offset < bench->size;) {
        uint64_t rest = bench->size - offset;
        size_t len = rest < FILL_BUFFER ? (size_t)rest : FILL_BUFFER;
        if (ctl_stop_asked())
            return CTL_FAILURE;
        ctl_bench_fill(buf, len, offset);
        if (ros2_pwrite(file, buf, len, offset) < 0)
            return ctl_fail_ros2(bench->ctl);
        offset += len;
    }
    return CTL_OK;
}

/* The error line is left to the caller's code: CTL_FAILURE has had it. */
static int create(const struct ctl_bench *bench, int flags)
{
    struct ros2_file *file;
    char *buf = malloc(FILL_BUFFER);

    if (!buf)
        return ctl_fail_memory(bench->ctl);
    int code;
    if (ros2_open(bench->ctl->client, bench->path, O_WRONLY | O_CREAT | flags, 0600, &file) < 0) {
        code = ctl_fail_ros2(bench->ctl);
    } else {
        code = fill(bench, file, buf);
        if (ros2_close(file) < 0 && code == CTL_OK)
            code = ctl_fail_ros2(bench->ctl);
    }
    free(buf);
    return code;
}

static int measure(const struct ctl_bench *bench)
{
    struct ctl_bench_result *result = calloc(1, sizeof(*result));

    if (!result)
        return ctl_fail_memory(bench->ctl);
    int code = ctl_bench_run(bench, result);
    if (code == CTL_OK && !ctl_stop_asked())
        code = ctl_bench_print(bench, result);
    free(result);
    return code;
}

static int run_on_own_file(struct options *o)
{
    struct ctl_bench *bench = &o->bench;
    char name[40];
    uint64_t seed = 0;

    /* A name of its own: two may run at once. */
    char *tmp = ctl_path_temporary("x");
    if (tmp)
        seed = strtoull(tmp + strlen(tmp) - 16, NULL, 16);
    free(tmp);
    snprintf(name, sizeof(name), "ros2ctl-bench-%016" PRIx64, seed);
    char *path = ctl_path_join(o->directory, name);
    if (!path)
        return ctl_fail_memory(bench->ctl);
    bench->path = path;
    int code = create(bench, O_EXCL);
    if (code == CTL_OK)
        code = measure(bench);
    int rc = ros2_unlink(bench->ctl->client, path);
    if (rc < 0 && rc != -ENOENT)
        code = ctl_fail_ros2(bench->ctl);
    free(path);
    return code;
}

static int run_on_named_file(struct options *o)
{
    struct ctl_bench *bench = &o->bench;
    struct stat st;

    bench->path = o->file;
    int rc = ros2_stat(bench->ctl->client, o->file, &st);
    if (rc < 0 && rc != -ENOENT)
        return ctl_fail_ros2(bench->ctl);
    if (rc == 0 && bench->write && !o->overwrite)
        return ctl_error(bench->ctl, "%s: is there already; --overwrite lets %s destroy it",
                         o->file, bench->workload);
    if (rc == 0 && !bench->write) {
        bench->size = (uint64_t)st.st_size;
        if (bench->size < bench->block)
            return ctl_error(bench->ctl, "%s: is smaller than a block", o->file);
        return measure(bench);
    }
    int code = create(bench, 0);
    return code == CTL_OK ? measure(bench) : code;
}

int ctl_bench(struct ctl *ctl, int argc, char **argv)
{
    struct options o = {
        .bench = {.ctl = ctl, .jobs = 1, .duration_ns = 5000000000u, .size = 256 << 20},
        .directory = "/"};
    const struct argp argp = {
        options,
        parse,
        "[read|write|randread|randwrite]",
        "Measures reads or writes of a test file, one operation at a time in each thread.",
        CTL_GLOBAL_CHILDREN,
        0,
        0};

    argp_parse(&argp, argc, argv, 0, NULL, &o);
    ctl_stop_catch();
    int code = ctl_connect(ctl);
    if (code != CTL_OK)
        return code;
    code = o.file ? run_on_named_file(&o) : run_on_own_file(&o);
    ctl_stop_die();
    return code;
}
