/* SPDX-License-Identifier: Apache-2.0 */
/* The table of shared memory. Always holds: its stretches are sorted and do not overlap; a file is open exactly as long as a
 * stretch of it is in the table. Freeing punches the pages out of the file first: a peer that has it mapped, and is stuck or
 * slow to let go, keeps address space and not memory. */
#include "config.h"

#include "lib/base/shared_memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/error.h"

#define PAGE ((size_t)ROS2_SHARED_MEMORY_ALIGN)
#define HUGE ((size_t)2 << 20)
/* Linux 6.3; older ones know neither the flag nor the warning that its absence causes. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8u
#endif
/* Nodes that a mask of ours has room for. */
#define NODES 1024

struct stretch {
    char *addr;
    size_t len;
    struct ros2_shared_range range; /* of addr */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by mutex: */
static struct stretch *table;
static size_t count, capacity;
static uint64_t last_serial;
/* Raised under mutex (release) by each change; views compare it (acquire). */
static _Atomic uint64_t revision;

/* -- files -- */

static int create_file(size_t len)
{
    int fd = memfd_create("libros2", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("libros2", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return ros2i_fail(errno, "shared memory: memfd_create: %s", ros2i_strerror(errno));
    if (ftruncate(fd, (off_t)len) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int err = errno;
        close(fd);
        return ros2i_fail(err == EFBIG ? ENOMEM : err, "shared memory of %zu bytes: %s", len,
                          ros2i_strerror(err));
    }
    return fd;
}

/* Takes the pages now: they are counted against this process and not against the peer that first writes to them, and a lack
 * of memory is an error here and no fault later. */
static int take_pages(int fd, size_t len)
{
    int rc;
    do
        rc = fallocate(fd, 0, 0, (off_t)len);
    while (rc < 0 && errno == EINTR);
    return rc == 0
               ? 0
               : ros2i_fail(ENOMEM, "shared memory of %zu bytes: %s", len, ros2i_strerror(errno));
}

static void give_pages(int fd, uint64_t len)
{
    (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)len);
    close(fd);
}

/* Of a file whose pages were replaced: a peer may still be writing what is in them to a file, for a request that is not over.
 * It would write zeros, and remember that as done. The pages go when it unmaps them. */
static void close_file(int fd, uint64_t len)
{
    (void)len;
    close(fd);
}

/* -- the table, under mutex -- */

static size_t first_at_or_behind(const struct stretch *stretches, size_t n, const char *addr)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (stretches[middle].addr + stretches[middle].len > addr)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool make_room(size_t more)
{
    if (count + more <= capacity)
        return true;
    size_t grown = capacity ? 2 * capacity : 16;
    struct stretch *moved = realloc(table, grown * sizeof(*table));
    if (!moved)
        return false;
    table = moved;
    capacity = grown;
    return true;
}

static void insert_at(size_t at, const struct stretch *stretch)
{
    memmove(&table[at + 1], &table[at], (count - at) * sizeof(*table));
    table[at] = *stretch;
    count++;
}

static bool is_in_use(uint64_t serial)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].range.serial == serial)
            return true;
    return false;
}

/* The last of its file closes it, by give_pages() or close_file(). */
static void remove_at(size_t at, void (*let_go)(int fd, uint64_t len))
{
    struct ros2_shared_range range = table[at].range;
    count--;
    memmove(&table[at], &table[at + 1], (count - at) * sizeof(*table));
    if (!is_in_use(range.serial))
        let_go(range.fd, range.file_len);
}

/* Cuts [addr, addr + len), which stretches of the table cover, out of it. There is room for two more. */
static void cut_out(char *addr, size_t len)
{
    size_t at = first_at_or_behind(table, count, addr);
    while (at < count && table[at].addr < addr + len) {
        struct stretch whole = table[at], rest = whole;
        if (whole.addr < addr) { /* what lies in front stays */
            table[at].len = (size_t)(addr - whole.addr);
            at++;
            if (whole.addr + whole.len <= addr + len)
                continue;
            rest.addr = addr + len;
        } else if (whole.addr + whole.len <= addr + len) {
            remove_at(at, close_file);
            continue;
        } else {
            rest.addr = addr + len;
            count--;
            memmove(&table[at], &table[at + 1], (count - at) * sizeof(*table));
        }
        rest.len = (size_t)(whole.addr + whole.len - rest.addr);
        rest.range.offset += (uint64_t)(rest.addr - whole.addr);
        insert_at(at, &rest);
        return;
    }
}

static void changed(void)
{
    atomic_fetch_add_explicit(&revision, 1, memory_order_release);
}

static int add(char *addr, size_t len, int fd)
{
    if (!make_room(1))
        return ros2i_fail(ENOMEM, "shared memory: out of memory");
    struct stretch stretch = {
        .addr = addr, .len = len, .range = {.serial = ++last_serial, .fd = fd, .file_len = len}};
    insert_at(first_at_or_behind(table, count, addr), &stretch);
    changed();
    return 0;
}

/* -- alloc, free -- */

/* Address space for len bytes that starts at a multiple of align. */
static char *reserve(size_t len, size_t align)
{
    size_t more = align > PAGE ? align : 0;
    char *base =
        mmap(NULL, len + more, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (more == 0)
        return base;
    size_t skip = (align - (uintptr_t)base % align) % align;
    if (skip > 0)
        munmap(base, skip);
    munmap(base + skip + len, more - skip);
    return base + skip;
}

/* Both are wishes: a kernel that refuses them gives plain pages. */
static void advise(void *addr, size_t len, unsigned flags, int numa_node)
{
    unsigned long mask[NODES / (8 * sizeof(unsigned long))] = {0};
    if (flags & ROS2I_SHARED_HUGE)
        (void)madvise(addr, len, MADV_HUGEPAGE);
    if (numa_node < 0)
        return;
    mask[(unsigned)numa_node / (8 * sizeof(mask[0]))] =
        1ul << ((unsigned)numa_node % (8 * sizeof(mask[0])));
    (void)syscall(SYS_mbind, addr, len, MPOL_PREFERRED, mask, NODES + 1, 0);
}

static int map_at(void *addr, size_t len, int fd)
{
    if (mmap(addr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return ros2i_fail(ENOMEM, "shared memory of %zu bytes: mmap: %s", len,
                          ros2i_strerror(errno));
    if (madvise(addr, len, MADV_DONTFORK) < 0)
        return ros2i_fail(errno, "shared memory: MADV_DONTFORK: %s", ros2i_strerror(errno));
    return 0;
}

int ros2i_shared_alloc(size_t len, unsigned flags, int numa_node, void **addr_p)
{
    if (len == 0 || len > SSIZE_MAX - 2 * HUGE)
        return ros2i_fail(EINVAL, "shared memory: a length of %zu bytes", len);
    if (numa_node < -1 || numa_node >= NODES)
        return ros2i_fail(EINVAL, "shared memory: NUMA node %d is not in -1..%d", numa_node,
                          NODES - 1);
    len = (len + PAGE - 1) & ~(PAGE - 1);
    char *addr = reserve(len, (flags & ROS2I_SHARED_HUGE) && len >= HUGE ? HUGE : PAGE);
    if (!addr)
        return ros2i_fail(ENOMEM, "shared memory of %zu bytes: no address space", len);
    int fd = create_file(len), rc = fd;
    if (fd < 0)
        goto unmap;
    rc = map_at(addr, len, fd);
    if (rc < 0)
        goto close_fd;
    advise(addr, len, flags, numa_node);
    rc = take_pages(fd, len);
    if (rc < 0)
        goto close_fd;
    pthread_mutex_lock(&mutex);
    rc = add(addr, len, fd);
    pthread_mutex_unlock(&mutex);
    if (rc < 0)
        goto close_fd;
    *addr_p = addr;
    return 0;
close_fd:
    close(fd);
unmap:
    munmap(addr, len);
    return rc;
}

void ros2i_shared_free(void *addr, size_t len)
{
    char *start = addr;
    len = (len + PAGE - 1) & ~(PAGE - 1);
    pthread_mutex_lock(&mutex);
    size_t at = first_at_or_behind(table, count, start);
    /* In a forked child the table is empty, and something else may be mapped there. */
    while (at < count && table[at].addr >= start && table[at].addr < start + len) {
        munmap(table[at].addr, table[at].len);
        remove_at(at, give_pages);
    }
    changed();
    pthread_mutex_unlock(&mutex);
}

/* -- replace -- */

static int copy_to(int fd, const char *from, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = pwrite(fd, from + at, len - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ros2i_fail(ENOMEM, "shared memory: copy of %zu bytes: %s", len,
                              ros2i_strerror(n < 0 ? errno : ENOSPC));
        at += (size_t)n;
    }
    return 0;
}

static int replace_locked(char *addr, size_t len, int fd)
{
    if (!make_room(3))
        return ros2i_fail(ENOMEM, "shared memory: out of memory");
    int rc = map_at(addr, len, fd);
    if (rc < 0)
        return rc;
    cut_out(addr, len);
    return add(addr, len, fd);
}

static int replace(void *arg, void *address, size_t len)
{
    (void)arg;
    char *addr = (char *)((uintptr_t)address & ~(uintptr_t)(PAGE - 1));
    len = ((size_t)((char *)address - addr) + len + PAGE - 1) & ~(PAGE - 1);
    int fd = create_file(len);
    if (fd < 0)
        return -ENOMEM;
    int rc = copy_to(fd, addr, len);
    if (rc == 0) {
        pthread_mutex_lock(&mutex);
        rc = replace_locked(addr, len, fd);
        pthread_mutex_unlock(&mutex);
    }
    if (rc < 0)
        close(fd);
    return rc < 0 ? -ENOMEM : 0;
}

/* -- views -- */

struct ros2i_shared_view {
    struct ros2_shared_memory memory;
    uint64_t revision;
    struct stretch *stretch;
    size_t count, capacity;
};

/* Without memory for the copy the view is empty: its owner then goes the way of memory that is not shared. */
static void renew(struct ros2i_shared_view *view)
{
    pthread_mutex_lock(&mutex);
    view->count = 0;
    if (view->capacity < count) {
        struct stretch *grown = realloc(view->stretch, capacity * sizeof(*grown));
        if (grown) {
            view->stretch = grown;
            view->capacity = capacity;
        }
    }
    if (view->capacity >= count) {
        if (count > 0)
            memcpy(view->stretch, table, count * sizeof(*table));
        view->count = count;
        view->revision = atomic_load_explicit(&revision, memory_order_relaxed);
    }
    pthread_mutex_unlock(&mutex);
}

static void bring_up_to_date(struct ros2i_shared_view *view)
{
    if (atomic_load_explicit(&revision, memory_order_acquire) != view->revision)
        renew(view);
}

static const struct stretch *stretch_of(struct ros2i_shared_view *view, const char *addr)
{
    bring_up_to_date(view);
    size_t at = first_at_or_behind(view->stretch, view->count, addr);
    return at < view->count && view->stretch[at].addr <= addr ? &view->stretch[at] : NULL;
}

static int find(void *arg, const void *addr, size_t len, struct ros2_shared_range *range_p)
{
    const struct stretch *stretch = stretch_of(arg, addr);
    if (!stretch)
        return -ENOENT;
    size_t skip = (size_t)((const char *)addr - stretch->addr);
    if (len > stretch->len - skip)
        return -ENOENT;
    *range_p = stretch->range;
    range_p->offset += skip;
    return 0;
}

static int is_live(void *arg, uint64_t serial)
{
    struct ros2i_shared_view *view = arg;
    bring_up_to_date(view);
    for (size_t i = 0; i < view->count; i++)
        if (view->stretch[i].range.serial == serial)
            return 1;
    return 0;
}

size_t ros2i_shared_view_run(struct ros2i_shared_view *view, const void *addr, size_t len)
{
    const struct stretch *stretch = stretch_of(view, addr);
    if (!stretch)
        return 0;
    size_t left = stretch->len - (size_t)((const char *)addr - stretch->addr);
    return left < len ? left : len;
}

int ros2i_shared_view_create(struct ros2i_shared_view **view_p)
{
    struct ros2i_shared_view *view = calloc(1, sizeof(*view));
    if (!view)
        return ros2i_fail(ENOMEM, "shared memory: out of memory");
    view->memory = (struct ros2_shared_memory){
        .size = sizeof(view->memory),
        .arg = view,
        .find = find,
        .is_live = is_live,
        .replace = replace,
    };
    renew(view);
    *view_p = view;
    return 0;
}

void ros2i_shared_view_destroy(struct ros2i_shared_view *view)
{
    if (!view)
        return;
    free(view->stretch);
    free(view);
}

const struct ros2_shared_memory *ros2i_shared_view_memory(struct ros2i_shared_view *view)
{
    return &view->memory;
}

/* -- fork -- */

void ros2i_shared_fork_prepare(void)
{
    pthread_mutex_lock(&mutex);
}

void ros2i_shared_fork_parent(void)
{
    pthread_mutex_unlock(&mutex);
}

void ros2i_shared_fork_child(void)
{
    for (size_t i = 0; i < count; i++) {
        bool last = true;
        for (size_t j = i + 1; j < count; j++)
            last &= table[j].range.serial != table[i].range.serial;
        if (last)
            close(table[i].range.fd); /* not give_pages(): the parent uses them */
    }
    count = 0;
    changed();
    pthread_mutex_unlock(&mutex);
}
