/* SPDX-License-Identifier: Apache-2.0 */
/* Own files. Owner: the domain's thread. Always: a peer is sent a file before it can learn of a region in it. */
#include "config.h"

#include "transports/shm/share.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "transports/shm/endpoint.h"
#include "transports/shm/socket.h"

#define RETRY_NS 1000000ull

void shm_share_retry(struct ros2_domain *domain)
{
    bool again = false;

    for (struct shm_list *l = domain->sharing.next; l != &domain->sharing; l = l->next) {
        struct ros2_ep *ep = SHM_CONTAINER(l, struct ros2_ep, sharing_link);
        again |= ep->fd >= 0 && shm_socket_sync_files(ep) < 0;
    }
    if (again)
        shm_domain_wake_at(domain, domain->host->now_ns() + RETRY_NS);
}

/* Those whose memory was freed: their regions are gone, no new one comes. */
static void forget_dead(struct ros2_domain *domain)
{
    for (unsigned i = 0; i < SHM_FILES; i++) {
        struct shm_own_file *file = &domain->regions.file[i];
        if (!file->serial || domain->memory->is_live(domain->memory->arg, file->serial))
            continue;
        close(file->fd);
        *file = (struct shm_own_file){0};
    }
}

static int add_file(struct ros2_domain *domain, const struct ros2_shared_range *range,
                    uint32_t *index_p)
{
    struct shm_regions *regions = &domain->regions;

    forget_dead(domain);
    for (uint32_t i = 0; i < SHM_FILES; i++) {
        if (regions->file[i].serial)
            continue;
        int fd = fcntl(range->fd, F_DUPFD_CLOEXEC, 0);
        if (fd < 0)
            return domain->host->fail(EMFILE, "register memory: %s; raise the limit of open files",
                                      strerrordesc_np(errno));
        regions->file[i] =
            (struct shm_own_file){.serial = range->serial, .len = range->file_len, .fd = fd};
        regions->files_revision++;
        shm_share_retry(domain);
        *index_p = i;
        return 0;
    }
    return domain->host->fail(EMFILE,
                              "register memory: %u shared allocations are registered already; make "
                              "fewer, larger ones",
                              SHM_FILES);
}

int shm_share_file(struct ros2_domain *domain, const struct ros2_shared_range *range,
                   uint32_t *index_p)
{
    for (uint32_t i = 0; i < SHM_FILES; i++) {
        if (domain->regions.file[i].serial == range->serial) {
            *index_p = i;
            return 0;
        }
    }
    return add_file(domain, range, index_p);
}
