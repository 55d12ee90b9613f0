/* SPDX-License-Identifier: Apache-2.0 */
/* A process: its limits, and libraries that must not be there twice. Two copies of UCX, libfabric or gRPC in one process
 * share symbols, patched functions and device state without knowing. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/ros2ctl/doctor.h"
#include "tools/ros2ctl/text.h"

/* Bytes that RDMA pins for a client with some threads and queues. */
#define MEMLOCK_WANTED (64u << 20)
#define NOFILE_WANTED  1024u
#define CAP_IPC_LOCK   14 /* linux/capability.h */

/* -- limits -- */

static const char *format_limit(char buf[CTL_TEXT_MAX], rlim_t limit)
{
    if (limit == RLIM_INFINITY)
        return "unlimited";
    return ctl_format_size(buf, (double)limit);
}

static bool may_lock_any(pid_t pid)
{
    char path[64], line[256];
    unsigned long long effective = 0;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            break;
    if (file)
        fclose(file);
    return effective >> CAP_IPC_LOCK & 1;
}

static void check_limits(struct doctor *doctor, pid_t pid)
{
    struct rlimit lock, files;
    char text[CTL_TEXT_MAX];

    if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &lock) < 0 ||
        prlimit(pid, RLIMIT_NOFILE, NULL, &files) < 0) {
        doctor_say(doctor, DOCTOR_WARN, "limits", "be its user, or root", "of process %d: %s",
                   (int)pid, strerror(errno));
        return;
    }
    const bool capable = may_lock_any(pid);
    const bool enough = lock.rlim_cur >= MEMLOCK_WANTED || capable || !doctor_has_device();
    doctor_say(doctor, enough ? DOCTOR_OK : DOCTOR_WARN, "locked memory",
               enough ? NULL
                      : "RDMA needs more: ulimit -l unlimited, LimitMEMLOCK=infinity in a systemd "
                        "unit, --ulimit memlock=-1 for a container",
               "RLIMIT_MEMLOCK of process %d is %s%s", (int)pid, format_limit(text, lock.rlim_cur),
               lock.rlim_cur < MEMLOCK_WANTED && capable ? ", and it has CAP_IPC_LOCK" : "");
    const bool many = files.rlim_cur >= NOFILE_WANTED;
    doctor_say(doctor, many ? DOCTOR_OK : DOCTOR_WARN, "descriptors",
               many ? NULL : "each thread and queue needs some: ulimit -n 65536",
               "RLIMIT_NOFILE of process %d is %llu", (int)pid, (unsigned long long)files.rlim_cur);
}

/* -- copies -- */

static const char *const single[] = {"libucp",    "libuct",     "libucs",    "libucm",
                                     "libfabric", "libibverbs", "librdmacm", "libgrpc"};

#define SINGLES (sizeof(single) / sizeof(single[0]))

struct copies {
    char *path[SINGLES]; /* the first of each */
    unsigned found, twice;
};

/* "libucp.so.0", and what wheels make of it: "libucp-1a2b3c.so.0". */
static bool is_library(const char *path, const char *stem)
{
    const char *name = strrchr(path, '/');
    const size_t len = strlen(stem);

    name = name ? name + 1 : path;
    return strncmp(name, stem, len) == 0 && (name[len] == '.' || name[len] == '-') &&
           strstr(name, ".so");
}

static void take_mapping(struct doctor *doctor, struct copies *copies, const char *path, pid_t pid)
{
    for (size_t i = 0; i < SINGLES; i++) {
        if (!is_library(path, single[i]))
            continue;
        if (!copies->path[i]) {
            copies->path[i] = strdup(path);
            copies->found++;
        } else if (strcmp(copies->path[i], path) != 0) {
            copies->twice++;
            doctor_say(doctor, DOCTOR_WARN, "libraries",
                       "let everything in the process use one of them: one package, or one "
                       "LD_LIBRARY_PATH",
                       "process %d has %s twice: %s and %s", (int)pid, single[i], copies->path[i],
                       path);
            free(copies->path[i]); /* lines of one file are together: each is told once */
            copies->path[i] = strdup(path);
        }
    }
}

static void check_copies(struct doctor *doctor, pid_t pid)
{
    struct copies copies = {0};
    char name[64], line[4352];

    snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
    FILE *file = fopen(name, "re");
    if (!file) {
        doctor_say(doctor, DOCTOR_WARN, "libraries", "be its user, or root", "%s: %s", name,
                   strerror(errno));
        return;
    }
    while (fgets(line, sizeof(line), file)) {
        char *path = strchr(line, '/');
        line[strcspn(line, "\n")] = 0;
        if (path)
            take_mapping(doctor, &copies, path, pid);
    }
    fclose(file);
    if (copies.twice == 0)
        doctor_say(doctor, DOCTOR_OK, "libraries", NULL,
                   "process %d has no copy of UCX, libfabric, verbs or gRPC twice", (int)pid);
    for (size_t i = 0; i < SINGLES; i++)
        free(copies.path[i]);
}

void doctor_process(struct doctor *doctor, pid_t pid)
{
    check_limits(doctor, pid);
    check_copies(doctor, pid);
}
