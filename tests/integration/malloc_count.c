/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded by hot_path.sh: counts what the calling thread allocates and frees. Always holds: every call is passed on. */
#include "config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* glibc's own entries: no dlsym(), which allocates. */
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t len);
extern void *__libc_realloc(void *at, size_t len);
extern void __libc_free(void *at);

uint64_t malloc_count_calls(void);

static __thread uint64_t calls __attribute__((tls_model("initial-exec")));

uint64_t malloc_count_calls(void)
{
    return calls;
}

void *malloc(size_t len)
{
    calls++;
    return __libc_malloc(len);
}

void *calloc(size_t count, size_t len)
{
    calls++;
    return __libc_calloc(count, len);
}

void *realloc(void *at, size_t len)
{
    calls++;
    return __libc_realloc(at, len);
}

void free(void *at)
{
    calls++;
    __libc_free(at);
}
