/* SPDX-License-Identifier: Apache-2.0 */
/* getrandom(2), or what a test put in its place. Any thread; blocks only before the kernel's pool is seeded (boot). */
#include "config.h"

#include "lib/base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/random.h>

#include "lib/base/error.h"

typedef int fill_fn(void *buf, size_t len);

static _Atomic(fill_fn *) injected_fill; /* relaxed: set before the threads that read it start */

static int draw(uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ros2i_fail(
                EIO, "random bytes: getrandom: %s; the kernel or a seccomp filter refuses it",
                n < 0 ? ros2i_strerror(errno) : "no bytes");
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int ros2i_random(void *buf, size_t len)
{
    fill_fn *fill = atomic_load_explicit(&injected_fill, memory_order_relaxed);
    int cancel_state;

    if (fill)
        return fill(buf, len);
    /* getrandom() is a cancellation point, and the caller may hold locks. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int rc = draw(buf, len);
    pthread_setcancelstate(cancel_state, NULL);
    return rc;
}

void ros2i_random_inject(int (*fill)(void *buf, size_t len))
{
    atomic_store_explicit(&injected_fill, fill, memory_order_relaxed);
}
