/* SPDX-License-Identifier: Apache-2.0 */
/* Regions are libfabric's, checked by the provider at the target: key, bounds and rights. Keys are drawn at random where
 * the provider lets us choose: whoever finds the way to a domain's port must not guess one. Owner: the domain's thread. */
#include "config.h"

#include "transports/ofi/region.h"

#include <endian.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <rdma/fi_errno.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ofi/domain.h"
#include "transports/ofi/endpoint.h"

#define ALL_RIGHTS (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

/* A packed key: magic, rights, key, base, length, CRC-32C of these; little-endian. The sum is against damage, which must not
 * reach the peer: a provider ends the connection for a bad key. */
#define KEY_MAGIC 0x3141464fu /* "OFA1" */
#define KEY_LEN   36u
#define KEY_SUM   32u

struct ros2_region {
    struct ros2_domain *domain;
    TAILQ_ENTRY(ros2_region) link;
    struct fid_mr *mr;
    void *addr;
    size_t len;
    unsigned rights;
};

/* -- registering -- */

static int refuse(const struct ros2_host *host, int err, size_t len)
{
    if (err == ENOMEM || err == EPERM) /* EPERM: the limit is 0 */
        return host->fail(ENOMEM,
                          "register memory: libfabric cannot pin %zu bytes; raise the limit of "
                          "locked memory (ulimit -l)",
                          len);
    return host->fail(err, "register memory: %zu bytes: libfabric says: %s", len, fi_strerror(err));
}

static int register_mr(struct ros2_region *region, uint64_t access)
{
    const struct ros2_host *host = region->domain->host;
    int rc;

    do {
        uint64_t key = 0;
        if (!(region->domain->info->domain_attr->mr_mode & FI_MR_PROV_KEY)) {
            rc = host->random(&key, sizeof key);
            if (rc < 0)
                return rc;
        }
        rc = fi_mr_reg(region->domain->fi, region->addr, region->len, access, 0, key, 0,
                       &region->mr, NULL);
    } while (rc == -FI_ENOKEY); /* taken: draw another */
    return rc < 0 ? refuse(host, -rc, region->len) : 0;
}

int ofi_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p)
{
    /* As the local side of put and get too: a device asks for that. */
    uint64_t access = domain->local_keys ? FI_SEND | FI_WRITE : 0;

    ofi_domain_own(domain);
    if (kind != ROS2_MEMORY_HOST)
        return domain->host->fail(ENOTSUP,
                                  "register memory: transport ofi reaches host memory only as "
                                  "built; copy to host memory");
    if (!addr || len == 0 || (uintptr_t)addr + len < (uintptr_t)addr || rights & ~ALL_RIGHTS)
        return domain->host->fail(EINVAL, "register memory: 1 byte or more, within the address "
                                          "space, with rights to read or write");
    struct ros2_region *region = calloc(1, sizeof *region);
    if (!region)
        return domain->host->fail(ENOMEM, "register memory: out of memory");
    region->domain = domain;
    region->addr = addr;
    region->len = len;
    region->rights = rights;
    if (rights & ROS2_REGION_REMOTE_READ)
        access |= FI_REMOTE_READ;
    if (rights & ROS2_REGION_REMOTE_WRITE)
        access |= FI_REMOTE_WRITE;
    if (domain->local_keys && rights == 0)
        access |= FI_RECV | FI_READ;
    int rc = register_mr(region, access);
    if (rc < 0) {
        free(region);
        return rc;
    }
    if (rights == 0)
        TAILQ_INSERT_HEAD(&domain->regions, region, link);
    else
        TAILQ_INSERT_TAIL(&domain->regions, region, link);
    *region_p = region;
    return 0;
}

int ofi_region_deregister(struct ros2_region *region)
{
    struct ros2_domain *domain = region->domain;

    ofi_domain_own(domain);
    if (!ofi_domain_forked(domain)) {
        int rc = fi_close(&region->mr->fid);
        if (rc < 0)
            return -EBUSY;
    }
    TAILQ_REMOVE(&domain->regions, region, link);
    free(region);
    return 0;
}

/* -- local memory -- */

bool ofi_region_covers(const struct ros2_domain *domain, const struct iovec *piece, bool written,
                       void **desc_p)
{
    const struct ros2_region *region;

    TAILQ_FOREACH(region, &domain->regions, link)
    {
        const uintptr_t at = (uintptr_t)piece->iov_base - (uintptr_t)region->addr;
        if (at <= region->len && piece->iov_len <= region->len - at &&
            (!written || region->rights == 0 || region->rights & ROS2_REGION_REMOTE_WRITE)) {
            *desc_p = fi_mr_desc(region->mr);
            return true;
        }
    }
    return false;
}

/* -- keys -- */

int ofi_region_pack(struct ros2_region *region, void *buf, size_t len)
{
    const uint64_t mode = (uint64_t)region->domain->info->domain_attr->mr_mode;
    const uint32_t head[2] = {htole32(KEY_MAGIC), htole32(region->rights)};
    const uint64_t body[3] = {htole64(fi_mr_key(region->mr)),
                              htole64(mode & FI_MR_VIRT_ADDR ? (uintptr_t)region->addr : 0),
                              htole64(region->len)};
    uint8_t bytes[KEY_LEN];

    ofi_domain_own(region->domain);
    if (len < KEY_LEN)
        return -ENOSPC;
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + sizeof head, body, sizeof body);
    const uint32_t sum = htole32(crc32_iscsi(bytes, KEY_SUM, ~0u));
    memcpy(bytes + KEY_SUM, &sum, sizeof sum);
    memcpy(buf, bytes, KEY_LEN);
    return KEY_LEN;
}

int ofi_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p)
{
    const struct ros2_host *host = ep->domain->host;
    uint8_t bytes[KEY_LEN];
    uint32_t head[2], sum;
    uint64_t body[3];

    ofi_domain_own(ep->domain);
    if (len != KEY_LEN)
        return host->fail(EINVAL, "import a memory key: it has %zu bytes, those of ofi have %u",
                          len, KEY_LEN);
    memcpy(bytes, key, KEY_LEN);
    memcpy(head, bytes, sizeof head);
    memcpy(body, bytes + sizeof head, sizeof body);
    memcpy(&sum, bytes + KEY_SUM, sizeof sum);
    if (le32toh(head[0]) != KEY_MAGIC || le32toh(head[1]) & ~(uint32_t)ALL_RIGHTS ||
        le32toh(sum) != crc32_iscsi(bytes, KEY_SUM, ~0u) ||
        le64toh(body[1]) + le64toh(body[2]) < le64toh(body[1]))
        return host->fail(EINVAL, "import a memory key: it is damaged, or of another transport");
    struct ros2_rkey *rkey = malloc(sizeof *rkey);
    if (!rkey)
        return host->fail(ENOMEM, "import a memory key: out of memory");
    *rkey = (struct ros2_rkey){.key = le64toh(body[0]),
                               .base = le64toh(body[1]),
                               .len = le64toh(body[2]),
                               .rights = le32toh(head[1])};
    *rkey_p = rkey;
    return 0;
}

void ofi_rkey_release(struct ros2_rkey *rkey)
{
    free(rkey);
}
