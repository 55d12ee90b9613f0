/* SPDX-License-Identifier: Apache-2.0 */
/* A mapped file faults where it ends (SIGBUS), so a peer could kill us by cutting it. Hence only files that can no longer
 * shrink: sealed memfds. Not those of hugetlbfs: a fault there takes a page from a small pool, and is a SIGBUS when it is empty.
 * Owner: none. */
#include "config.h"

#include "transports/shm/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Linux 6.3; older ones know neither the flag nor the warning that its absence causes. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8u
#endif

int shm_file_create(const char *name, size_t len, void **map_p)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    void *map = MAP_FAILED;
    if (ftruncate(fd, (off_t)len) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        int err = errno;
        close(fd);
        return -err;
    }
    *map_p = map;
    return fd;
}

int shm_file_map(int fd, uint64_t len, void **map_p, const char **why_p)
{
    struct statfs fs;
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    *why_p = NULL;
    if (seals < 0 || !(seals & F_SEAL_SHRINK))
        *why_p = "it passed a descriptor that is no memfd sealed against shrinking";
    else if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
        *why_p = "it passed memory of a kind that may fault";
    else if (fstat(fd, &st) < 0 || len == 0 || len > INT64_MAX || st.st_size != (off_t)len)
        *why_p = "it passed a file of another length than it said";
    if (*why_p)
        return -EPROTO;
    void *map = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED && (errno == EPERM || errno == EACCES)) {
        *why_p = "it passed memory that cannot be written to";
        return -EPROTO;
    }
    if (map == MAP_FAILED) {
        *why_p = "no address space for its memory";
        return -ENOMEM;
    }
    *map_p = map;
    return 0;
}
