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

static struct shm_own_file *longest_unused(struct shm_regions *regions)
{
    struct shm_own_file *oldest = NULL;

    for (uint32_t i = 0; i < SHM_FILES; i++) {
        struct shm_own_file *file = &regions->file[i];
        if (file->serial && file->users == 0 && (!oldest || file->last_use < oldest->last_use))
            oldest = file;
    }
    return oldest;
}

static struct shm_own_file *free_place(struct shm_regions *regions, uint64_t *bytes_p)
{
    struct shm_own_file *place = NULL;

    *bytes_p = 0;
    for (uint32_t i = 0; i < SHM_FILES; i++) {
        *bytes_p += regions->file[i].len;
        if (!regions->file[i].serial)
            place = &regions->file[i];
    }
    return place;
}

/* A place for a file of len bytes within what a peer maps, or NULL: regions are registered in too much of it. */
static struct shm_own_file *make_place(struct shm_regions *regions, uint64_t len)
{
    for (;;) {
        uint64_t bytes;
        struct shm_own_file *place = free_place(regions, &bytes);
        if (place && len <= SHM_FILE_BYTES_MAX && bytes <= SHM_FILE_BYTES_MAX - len)
            return place;
        struct shm_own_file *oldest = longest_unused(regions);
        if (!oldest)
            return NULL;
        close(oldest->fd);
        *oldest = (struct shm_own_file){0};
    }
}

static int add_file(struct ros2_domain *domain, const struct ros2_shared_range *range,
                    uint32_t *index_p)
{
    struct shm_regions *regions = &domain->regions;

    forget_dead(domain);
    int fd = fcntl(range->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return domain->host->fail(EMFILE, "register memory: %s; raise the limit of open files",
                                  strerrordesc_np(errno));
    struct shm_own_file *file = make_place(regions, range->file_len);
    if (!file) {
        close(fd);
        return domain->host->fail(
            EMFILE,
            "register memory: regions of %u shared allocations are registered "
            "already; make fewer, larger ones",
            SHM_FILES);
    }
    *file = (struct shm_own_file){.serial = range->serial, .len = range->file_len, .fd = fd};
    regions->files_revision++;
    shm_share_retry(domain);
    *index_p = (uint32_t)(file - regions->file);
    return 0;
}

void shm_share_use(struct ros2_region *region, uint32_t index)
{
    struct shm_regions *regions = &region->domain->regions;
    struct shm_own_file *file = &regions->file[index];

    file->users++;
    file->last_use = ++regions->uses;
    region->file = index;
    region->serial = file->serial;
}

void shm_share_unuse(struct ros2_region *region)
{
    struct shm_own_file *file = &region->domain->regions.file[region->file];

    if (file->serial == region->serial) /* else its memory was freed under it */
        file->users--;
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
