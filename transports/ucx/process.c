/* SPDX-License-Identifier: Apache-2.0 */
/* UCX starts a thread that looks after connections to come, once in a process, and does not notice that a forked child has none:
 * there nobody would ever be connected. So a process whose parent had domains open gets none. Owner: none; any thread. */
#include "config.h"

#include "transports/ucx/process.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

static atomic_int user; /* the first process that opened a domain here; 0: none */

static int refuse_child(const struct ros2_host *host, int parent)
{
    return host->fail(
        ENOTSUP,
        "process %d used UCX when it forked this one, which cannot use it now; connect "
        "after the fork, or start a program (exec)",
        parent);
}

int ucx_process_claim(const struct ros2_host *host)
{
    int none = 0;

    if (!atomic_compare_exchange_strong(&user, &none, getpid()) && none != getpid())
        return refuse_child(host, none);
    return 0;
}

int ucx_process_check(const struct ros2_host *host)
{
    const int first = atomic_load(&user);

    return first != 0 && first != getpid() ? refuse_child(host, first) : 0;
}
