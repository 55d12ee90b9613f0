/* SPDX-License-Identifier: Apache-2.0 */
/* UCX makes an epoll set for each of its interfaces, which holds the sockets; all of them, and the sockets of connections to
 * come, are in one set of its own thread, which stores the descriptor with each. The kernel lists the members of a set in
 * /proc/self/fdinfo ("tfd:", proc(5)). The sets of a worker are noted when it is made, before any fork: their numbers are the
 * same in a child. Sockets come and go, and a set that was inherited by fork is the parent's too: its list may name what only the
 * parent has, so a socket is taken only when the same one is behind its number. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct member {
    int fd;
    unsigned long long data;
    unsigned long ino;
};

/* -- sets and their members -- */

static bool is_set(int fd)
{
    char path[32], target[32] = {0};

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return readlink(path, target, sizeof target - 1) > 0 &&
           strcmp(target, "anon_inode:[eventpoll]") == 0;
}

static bool is_socket(const struct member *member)
{
    struct stat st;

    return fstat(member->fd, &st) == 0 && (S_ISSOCK(st.st_mode) || S_ISCHR(st.st_mode)) &&
           st.st_ino == member->ino;
}

/* Without /proc there are none, and they stay as they are. */
static FILE *open_members(int set)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", set);
    return fopen(path, "re");
}

static bool next_member(FILE *list, struct member *member)
{
    char line[256];

    while (fgets(line, sizeof line, list))
        if (sscanf(line, "tfd: %d events: %*x data: %llx pos:%*i ino:%lx", &member->fd,
                   &member->data, &member->ino) == 3)
            return true;
    return false;
}

int *ucx_descriptors_sets(unsigned *count_p)
{
    unsigned room = 64;
    int *set = malloc(room * sizeof *set);
    DIR *dir = set ? opendir("/proc/self/fd") : NULL;
    const struct dirent *entry;

    *count_p = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        const int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || !is_set(fd))
            continue;
        if (*count_p == room) {
            int *more = realloc(set, 2 * room * sizeof *set);
            if (!more)
                break;
            set = more;
            room *= 2;
        }
        set[(*count_p)++] = fd;
    }
    if (dir)
        closedir(dir);
    return set;
}

static bool is_among(int fd, const int *set, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (set[i] == fd)
            return true;
    return false;
}

/* -- which are ours -- */

static void note(struct ros2_domain *domain, int fd)
{
    if (domain->set_count < UCX_DESCRIPTORS_MAX && !is_among(fd, domain->set, domain->set_count))
        domain->set[domain->set_count++] = fd;
}

/* If `set` is that of UCX's thread: the sets in it that were not there before. */
static void note_interfaces(struct ros2_domain *domain, int set, const int *before,
                            unsigned before_count)
{
    FILE *list = open_members(set);
    int found[UCX_DESCRIPTORS_MAX];
    unsigned count = 0;
    struct member member;
    bool of_thread = true;

    while (list && next_member(list, &member)) {
        of_thread = of_thread && member.data == (unsigned long long)member.fd;
        if (count < UCX_DESCRIPTORS_MAX && is_set(member.fd) &&
            !is_among(member.fd, before, before_count))
            found[count++] = member.fd;
    }
    if (list)
        fclose(list);
    if (!of_thread || count == 0)
        return;
    domain->thread_set = set;
    while (count > 0)
        note(domain, found[--count]);
}

void ucx_descriptors_find(struct ros2_domain *domain, int worker_fd, const int *before,
                          unsigned before_count)
{
    unsigned count;
    int *now = ucx_descriptors_sets(&count);

    note(domain, worker_fd);
    for (unsigned i = 0; now && i < count; i++)
        if (now[i] != worker_fd && now[i] != domain->epoll_fd)
            note_interfaces(domain, now[i], before, before_count);
    free(now);
}

/* -- what to do with them -- */

static void keep_from_exec(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags >= 0 && !(flags & FD_CLOEXEC))
        (void)fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
}

static void set_up(int set, bool all)
{
    FILE *list = open_members(set);
    struct member member;

    keep_from_exec(set);
    while (list && next_member(list, &member))
        if (all || is_socket(&member))
            keep_from_exec(member.fd);
    if (list)
        fclose(list);
}

void ucx_descriptors_set_up(struct ros2_domain *domain)
{
    for (unsigned i = 0; i < domain->set_count; i++)
        set_up(domain->set[i], false);
    if (domain->thread_set >= 0)
        set_up(domain->thread_set, true);
}

static void close_sockets(int set)
{
    struct member member;
    FILE *list = open_members(set);

    while (list && next_member(list, &member))
        if (is_socket(&member))
            close(member.fd);
    if (list)
        fclose(list);
}

void ucx_descriptors_drop(struct ros2_domain *domain)
{
    for (unsigned i = 0; i < domain->set_count; i++) {
        if (!is_set(domain->set[i]))
            continue; /* the child has closed it, and the number may be another's */
        close_sockets(domain->set[i]);
        close(domain->set[i]);
    }
    /* Listeners and connections to come, of all domains: UCX's thread is not here, so they are of no use to anybody. */
    if (domain->thread_set >= 0 && is_set(domain->thread_set))
        close_sockets(domain->thread_set);
}
