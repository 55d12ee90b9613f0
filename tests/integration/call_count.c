/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by hot_path.sh into the client and into ros2d: counts what is allocated and freed, and which locks are taken; by the
 * calling thread for itself, and by all threads in the file CALL_COUNT_FILE, for another process. Always holds: every call is
 * passed on. */
#include "config.h"

#include "tests/integration/call_count.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own entries: no dlsym(), which allocates. */
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *at, size_t len);
extern void __libc_free(void *at);

static __thread struct call_count own __attribute__((tls_model("initial-exec")));
static struct call_count unseen, *all = &unseen;

struct call_count call_count_own(void)
{
    return own;
}

__attribute__((constructor)) static void share(void)
{
    const char *path = getenv("CALL_COUNT_FILE");
    if (!path)
        return;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*all)) < 0)
        abort();
    void *shared = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        abort();
    close(fd);
    all = shared;
}

static void allocation(void)
{
    own.allocations++;
    __atomic_fetch_add(&all->allocations, 1, __ATOMIC_RELAXED);
}

static void lock(void)
{
    own.locks++;
    __atomic_fetch_add(&all->locks, 1, __ATOMIC_RELAXED);
}

/* -- allocations -- */

void *malloc(size_t len)
{
    allocation();
    return __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    allocation();
    return __libc_calloc(count, len);
}

void *realloc(void *at, size_t len)
{
    allocation();
    return __libc_realloc(at, len);
}

void free(void *at)
{
    if (at)
        allocation();
    __libc_free(at);
}

/* -- locks -- */

/* Looked up when first called, which may be before share(). */
#define COUNTED(name, type)                                                              \
    int name(type *at)                                                                   \
    {                                                                                    \
        static int (*next)(type *);                                                      \
        if (!__atomic_load_n(&next, __ATOMIC_RELAXED))                                   \
            __atomic_store_n((void **)&next, dlsym(RTLD_NEXT, #name), __ATOMIC_RELAXED); \
        lock();                                                                          \
        return next(at);                                                                 \
    }

COUNTED(pthread_mutex_lock, pthread_mutex_t)
COUNTED(pthread_mutex_trylock, pthread_mutex_t)
COUNTED(pthread_rwlock_rdlock, pthread_rwlock_t)
COUNTED(pthread_rwlock_wrlock, pthread_rwlock_t)
COUNTED(pthread_spin_lock, pthread_spinlock_t)
