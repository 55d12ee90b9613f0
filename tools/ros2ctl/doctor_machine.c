/* SPDX-License-Identifier: Apache-2.0 */
/* This machine as a client, or a ros2d, finds it. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tools/ros2ctl/doctor.h"
#include "tools/ros2ctl/text.h"

/* Bytes that an index of some hundred thousand names takes; containers have 64 MiB in all unless they ask for more. */
#define SHM_WANTED (128u << 20)
/* A clock before this program was written is wrong: 2026-01-01. */
#define EARLIEST 1767225600

static void check_kernel(struct doctor *doctor)
{
    struct utsname name;
    unsigned major = 0, minor = 0;

    if (uname(&name) < 0)
        return;
    const bool old = sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
                     (major < 5 || (major == 5 && minor < 6));
    doctor_say(doctor, old ? DOCTOR_WARN : DOCTOR_OK, "kernel",
               old ? "a ros2d here is slower at opening files; use Linux 5.6 or later" : NULL,
               "%s %s, %s%s", name.sysname, name.release, name.machine,
               old ? ": openat2 is missing" : "");
}

static void check_clock(struct doctor *doctor)
{
    char now[CTL_TEXT_MAX];
    const bool wrong = time(NULL) < EARLIEST;

    doctor_say(doctor, wrong ? DOCTOR_BAD : DOCTOR_OK, "clock",
               wrong ? "set it, or certificates will be refused" : NULL, "%s",
               ctl_format_time(now, (int64_t)time(NULL)));
}

static void check_io_uring(struct doctor *doctor)
{
    if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM))
        doctor_say(doctor, DOCTOR_OK, "io_uring", NULL,
                   "not here (%s): a ros2d on this machine uses threads instead", strerror(errno));
    else
        doctor_say(doctor, DOCTOR_OK, "io_uring", NULL, "usable");
}

static void check_shared_memory(struct doctor *doctor)
{
    struct statvfs fs;
    char room[CTL_TEXT_MAX];

    if (statvfs("/dev/shm", &fs) < 0 || access("/dev/shm", W_OK) < 0) {
        doctor_say(doctor, DOCTOR_WARN, "/dev/shm", "mount a tmpfs there, mode 1777",
                   "%s: processes of this machine cannot share an index", strerror(errno));
        return;
    }
    const double bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    const bool little = bytes < SHM_WANTED;
    doctor_say(doctor, little ? DOCTOR_WARN : DOCTOR_OK, "/dev/shm",
               little ? "an index of many files may not fit: enlarge it (docker run --shm-size=1g)"
                      : NULL,
               "%s free", ctl_format_size(room, bytes));
}

/* -- devices -- */

/* The first line of a file, without its end; "" when there is none. */
static void first_line(const char *path, char *line, size_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, line, len - 1) : -1;

    if (fd >= 0)
        close(fd);
    line[n > 0 ? n : 0] = 0;
    line[strcspn(line, "\n")] = 0;
}

/* path: /sys/class/infiniband/DEVICE/ports/N/state, which says "4: ACTIVE" (sysfs-class-infiniband). */
static void check_port(struct doctor *doctor, const char *path)
{
    char device[64], port[16], state[64];

    if (sscanf(path, "/sys/class/infiniband/%63[^/]/ports/%15[^/]", device, port) != 2)
        return;
    first_line(path, state, sizeof(state));
    const bool active = strstr(state, "ACTIVE") != NULL;
    doctor_say(doctor, active ? DOCTOR_OK : DOCTOR_WARN, "RDMA device",
               active ? NULL : "bring its network interface up: ip link set ... up",
               "%s port %s: %s", device, port, state[0] ? state : "unknown");
}

#define PORT_STATES "/sys/class/infiniband/*/ports/*/state"

bool doctor_has_device(void)
{
    glob_t ports = {0};
    const bool has = glob(PORT_STATES, 0, NULL, &ports) == 0;

    globfree(&ports);
    return has;
}

static void check_devices(struct doctor *doctor)
{
    glob_t ports = {0};

    if (glob(PORT_STATES, 0, NULL, &ports) != 0) {
        doctor_say(doctor, DOCTOR_OK, "RDMA device", NULL,
                   "none: file data goes over shared memory or tcp");
        return;
    }
    for (size_t i = 0; i < ports.gl_pathc; i++)
        check_port(doctor, ports.gl_pathv[i]);
    if (ports.gl_pathc > 0 && access("/dev/infiniband/rdma_cm", R_OK | W_OK) < 0)
        doctor_say(doctor, DOCTOR_WARN, "RDMA device",
                   "load the module rdma_ucm, and give /dev/infiniband to the container",
                   "/dev/infiniband/rdma_cm: %s", strerror(errno));
    globfree(&ports);
}

void doctor_machine(struct doctor *doctor)
{
    check_kernel(doctor);
    check_clock(doctor);
    check_io_uring(doctor);
    check_shared_memory(doctor);
    check_devices(doctor);
}
