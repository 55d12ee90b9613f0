/* SPDX-License-Identifier: Apache-2.0 */
/* Two things that libfabric 1.17 does with devices, and that we must not have.
 *
 * It keeps what is registered in a cache, with all rights, and registered after it was closed: a peer would still reach it. To
 * notice memory that goes away it also patches the C library's own calls. No hint turns that off, only the environment, or a
 * monitor of memory that does not start: one is given to it here. That holds for all who use the same copy of libfabric.
 *
 * librdmacm opens each device once in a process, as soon as libfabric starts, and a forked child inherits that: it would drive
 * its parent's queues. So a process whose parent had devices open gets none. Owner: none; any thread. */
#include "config.h"

#include "transports/ofi/rdma.h"

#include <errno.h>
#include <rdma/fi_errno.h>
#include <rdma/fi_ext.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* -- the cache -- */

static int refuse_start(struct fid_mem_monitor *monitor)
{
    (void)monitor;
    return -FI_ENOSYS;
}

static void no_stop(struct fid_mem_monitor *monitor)
{
    (void)monitor;
}

static int refuse_subscribe(struct fid_mem_monitor *monitor, const void *addr, size_t len)
{
    (void)monitor, (void)addr, (void)len;
    return -FI_ENOSYS;
}

static void no_unsubscribe(struct fid_mem_monitor *monitor, const void *addr, size_t len)
{
    (void)monitor, (void)addr, (void)len;
}

static bool never_valid(struct fid_mem_monitor *monitor, const void *addr, size_t len)
{
    (void)monitor, (void)addr, (void)len;
    return false;
}

static struct fi_ops_mem_monitor no_monitor_ops = {
    .size = sizeof no_monitor_ops,
    .start = refuse_start,
    .stop = no_stop,
    .subscribe = refuse_subscribe,
    .unsubscribe = no_unsubscribe,
    .valid = never_valid,
};

/* libfabric keeps it for good. */
static struct fid_mem_monitor no_monitor = {
    .fid = {.fclass = FI_CLASS_MEM_MONITOR},
    .export_ops = &no_monitor_ops,
};

/* Whether it worked is seen by ofi_rdma_check_revokes(): another user of libfabric may have been first. */
static void turn_cache_off(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;

    if (!atomic_flag_test_and_set(&done))
        (void)fi_import(FI_VERSION(1, 17), "mr_cache", NULL, 0, 0, &no_monitor.fid, NULL);
}

int ofi_rdma_check_revokes(struct ros2_domain *domain)
{
    const size_t len = 4096;
    struct fid_mr *mr[2] = {0};
    int rc = 0;

    if (strcmp(domain->info->fabric_attr->name, "Ethernet-iWARP") == 0)
        return domain->host->fail(ENOTSUP,
                                  "%s: on iWARP the target of a get is open to writes of every "
                                  "peer; use transport tcp",
                                  domain->name);
    void *page = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return ofi_domain_complain(domain, "map a page", -errno);
    /* Out of the cache both are the same registration; or none, since the cache asks for all rights, and this page is not to
     * be written. */
    for (int i = 0; rc == 0 && i < 2; i++)
        rc = fi_mr_reg(domain->fi, page, len, FI_REMOTE_READ, 0, 0, 0, &mr[i], NULL);
    const bool cached = rc == -FI_EFAULT || (rc == 0 && fi_mr_key(mr[0]) == fi_mr_key(mr[1]));
    for (int i = 0; i < 2; i++)
        if (mr[i])
            fi_close(&mr[i]->fid);
    munmap(page, len);
    if (cached)
        return domain->host->fail(
            ENOTSUP,
            "%s: libfabric's cache of registered memory is in use in this process, so that "
            "deregistering would not end access; set FI_MR_CACHE_MAX_COUNT=0",
            domain->name);
    return rc < 0 ? ofi_domain_complain(domain, "register memory (see ulimit -l)", rc) : 0;
}

/* -- which processes may use devices -- */

static atomic_int user; /* the first process that looked for devices here; 0: none */

static int refuse_child(const struct ros2_host *host, int parent)
{
    return host->fail(ENOTSUP,
                      "process %d had devices open when it forked this one, which cannot "
                      "use them; name another transport to fall back to",
                      parent);
}

int ofi_rdma_claim(struct ros2_domain *domain)
{
    int none = 0;

    if (!atomic_compare_exchange_strong(&user, &none, domain->pid) && none != domain->pid &&
        domain->provider->rdma)
        return refuse_child(domain->host, none);
    if (domain->provider->rdma)
        turn_cache_off();
    return 0;
}

int ofi_rdma_check_process(const struct ros2_host *host)
{
    const int first = atomic_load(&user);

    return first != 0 && first != getpid() ? refuse_child(host, first) : 0;
}
