/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC offers no way to do this while it is shut down (its own fork support works only while it is up, and not for calls in
 * flight). Its epoll set is told from others by what it holds: the address of a variable inside of gRPC's library. */
#include "config.h"

#include "lib/control/leftover.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <grpc/grpc.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"

#define PAUSE_NS 100000

/* --- threads --------------------------------------------------------------------------------------------- */

/* As gRPC names them; the kernel keeps 15 characters. */
static bool is_grpcs(const char *name)
{
    static const char *const names[] = {"grpc_shutdown",   "grpc_global_tim", "default-executo",
                                        "resolver-execut", "event_engine",    "timer_manager"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool thread_is_grpcs(const char *tid)
{
    char path[64], name[32] = "";

    snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, name, sizeof name - 1);
    close(fd);
    name[n > 0 ? n : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
    return is_grpcs(name);
}

static bool any_thread_is_grpcs(void)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    bool found = false;

    if (!dir)
        return false;
    while (!found && (entry = readdir(dir)))
        found = entry->d_name[0] != '.' && thread_is_grpcs(entry->d_name);
    closedir(dir);
    return found;
}

void ros2i_leftover_wait(uint64_t max_ns)
{
    struct timespec pause = {.tv_nsec = PAUSE_NS};

    for (uint64_t waited_ns = 0; any_thread_is_grpcs() && waited_ns < max_ns; waited_ns += PAUSE_NS)
        nanosleep(&pause, NULL);
}

/* --- descriptors ----------------------------------------------------------------------------------------- */

struct wakeup {
    int fd;
    struct epoll_event event;
};

static bool is_anon(int fd, const char *kind)
{
    char path[64], link[64];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, link, sizeof link - 1);
    link[n > 0 ? n : 0] = '\0';
    return strcmp(link, kind) == 0;
}

static bool points_into_grpc(uint64_t data)
{
    Dl_info there, grpc;

    return dladdr((void *)(uintptr_t)data, &there) && dladdr((void *)(uintptr_t)grpc_init, &grpc) &&
           there.dli_fbase == grpc.dli_fbase;
}

/* Whether epoll set fd is gRPC's; then *wakeup is what it holds besides sockets (which are gone by now). */
static bool find_wakeup(int fd, struct wakeup *wakeup)
{
    char path[64], line[256];
    bool found = false;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *stream = fopen(path, "re");
    while (stream && !found && fgets(line, sizeof line, stream)) {
        uint64_t data;

        found = sscanf(line, "tfd: %d events: %" SCNx32 " data: %" SCNx64, &wakeup->fd,
                       &wakeup->event.events, &data) == 3 &&
                points_into_grpc(data) && is_anon(wakeup->fd, "anon_inode:[eventfd]");
        if (found)
            wakeup->event.data.u64 = data;
    }
    if (stream)
        fclose(stream);
    return found;
}

/* Puts new ones in the place of both, which closes the inherited ones. */
static void replace(int epoll, struct wakeup *wakeup)
{
    int new_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int new_epoll = epoll_create1(EPOLL_CLOEXEC);

    if (new_event >= 0 && new_epoll >= 0 && dup3(new_event, wakeup->fd, O_CLOEXEC) >= 0 &&
        epoll_ctl(new_epoll, EPOLL_CTL_ADD, wakeup->fd, &wakeup->event) == 0)
        dup3(new_epoll, epoll, O_CLOEXEC);
    if (new_epoll >= 0)
        close(new_epoll);
    if (new_event >= 0)
        close(new_event);
}

void ros2i_leftover_renew(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    struct wakeup wakeup;

    while (dir && (entry = readdir(dir))) {
        int fd = atoi(entry->d_name);

        if (entry->d_name[0] != '.' && is_anon(fd, "anon_inode:[eventpoll]") &&
            find_wakeup(fd, &wakeup))
            replace(fd, &wakeup);
    }
    if (dir)
        closedir(dir);
}
