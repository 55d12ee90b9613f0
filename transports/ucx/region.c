/* SPDX-License-Identifier: Apache-2.0 */
/* Where a device moves the data a region is a registration, and its key the device's. Elsewhere a region is a number in the
 * domain's table: this side checks it, the bounds and the rights for each transfer before UCX is given an address.
 * Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/region.h"

#include <endian.h>
#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "transports/ucx/context.h"

#define ALL_RIGHTS (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

/* A packed key: magic, rights and bytes of the key, number, base, length, UCX's key, CRC-32C of these; little-endian. The sum is against damage: UCX
 * takes its key without a length, and a device ends the connection for a wrong one. */
#define KEY_MAGIC 0x31584355u /* "UCX1" */
#define KEY_HEAD  32u
#define KEY_SUM   4u
#define KEY_LEN   16 /* bit of the second word */
/* UCX 1.13 reads a key as far as its own bytes say: one that was made to hurt must end within ours. Its longest is one entry,
 * of 255 bytes at most, for each of 64 memory domains. */
#define UCX_KEY_ROOM 20480u

/* -- registering -- */

static int refuse(const struct ros2_domain *domain, ucs_status_t status, size_t len)
{
    return domain->host->fail(
        status == UCS_ERR_NO_MEMORY || status == UCS_ERR_IO_ERROR ? ENOMEM : -ucx_errno(status),
        "register memory: UCX cannot pin %zu bytes: %s; raise the limit of locked memory (ulimit "
        "-l)",
        len, ucs_status_string(status));
}

static int map(struct ros2_region *region)
{
    const ucp_mem_map_params_t params = {
        .field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH,
        .address = region->addr,
        .length = region->len,
    };
    const struct ros2_host *was = ucx_context_log_to(region->domain->host);
    ucs_status_t status = ucp_mem_map(region->domain->context, &params, &region->memory);

    (void)ucx_context_log_to(was);
    return status == UCS_OK ? 0 : refuse(region->domain, status, region->len);
}

int ucx_region_register(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                        enum ros2_memory_kind kind, struct ros2_region **region_p)
{
    const struct ros2_host *host = domain->host;
    int rc;

    ucx_domain_own(domain);
    if (kind != ROS2_MEMORY_HOST)
        return host->fail(ENOTSUP, "register memory: transport ucx reaches host memory only as "
                                   "built; copy to host memory");
    if (!addr || len == 0 || (uintptr_t)addr + len < (uintptr_t)addr || rights & ~ALL_RIGHTS)
        return host->fail(EINVAL, "register memory: 1 byte or more, within the address space, "
                                  "with rights to read or write");
    struct ros2_region *region = calloc(1, sizeof *region);
    if (!region)
        return host->fail(ENOMEM, "register memory: out of memory");
    region->domain = domain;
    region->addr = addr;
    region->len = len;
    region->rights = rights;
    if (domain->variant->rdma)
        rc = map(region);
    else
        rc = ucx_table_add(&domain->table, host, UCX_REGION, region, &region->number);
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

int ucx_region_deregister(struct ros2_region *region)
{
    struct ros2_domain *domain = region->domain;

    ucx_domain_own(domain);
    if (!ucx_domain_forked(domain)) {
        if (region->memory)
            ucp_mem_unmap(domain->context, region->memory);
        if (region->number)
            ucx_table_remove(&domain->table, region->number);
    }
    TAILQ_REMOVE(&domain->regions, region, link);
    free(region);
    return 0;
}

struct ros2_region *ucx_region_find(const struct ros2_domain *domain, uint64_t number,
                                    unsigned right, uint64_t offset, uint64_t len)
{
    struct ros2_region *region = ucx_table_find(&domain->table, UCX_REGION, number);

    if (!region || !(region->rights & right) || offset > region->len || len > region->len - offset)
        return NULL;
    return region;
}

ucp_mem_h ucx_region_memory(const struct ros2_domain *domain, const void *addr, size_t len)
{
    const struct ros2_region *region;

    TAILQ_FOREACH(region, &domain->regions, link)
    {
        const uintptr_t at = (uintptr_t)addr - (uintptr_t)region->addr;
        if (at <= region->len && len <= region->len - at)
            return region->memory;
    }
    return NULL;
}

/* -- keys -- */

int ucx_region_pack(struct ros2_region *region, void *buf, size_t len)
{
    struct ros2_domain *domain = region->domain;
    const uint64_t body[3] = {htole64(region->number),
                              htole64(region->memory ? (uintptr_t)region->addr : 0),
                              htole64(region->len)};
    void *key = NULL;
    size_t key_len = 0;
    uint8_t *bytes = buf;

    ucx_domain_own(domain);
    if (region->memory && ucp_rkey_pack(domain->context, region->memory, &key, &key_len) != UCS_OK)
        return -ENOSPC;
    const size_t sum_at = KEY_HEAD + key_len;
    const uint32_t head[2] = {htole32(KEY_MAGIC),
                              htole32(region->rights | (uint32_t)(sum_at + KEY_SUM) << KEY_LEN)};
    if (len >= sum_at + KEY_SUM) {
        memcpy(bytes, head, sizeof head);
        memcpy(bytes + sizeof head, body, sizeof body);
        if (key_len > 0)
            memcpy(bytes + KEY_HEAD, key, key_len);
        const uint32_t sum = htole32(crc32_iscsi(bytes, (int)sum_at, ~0u));
        memcpy(bytes + sum_at, &sum, sizeof sum);
    }
    if (key)
        ucp_rkey_buffer_release(key);
    return len >= sum_at + KEY_SUM ? (int)(sum_at + KEY_SUM) : -ENOSPC;
}

/* UCX's part of a key. */
static int import(struct ros2_ep *ep, const uint8_t *key, size_t len, struct ros2_rkey *rkey)
{
    const struct ros2_host *host = ep->domain->host;

    if (!ep->ucp)
        return host->fail(EINVAL, "import a memory key: the connection is over");
    uint8_t *room = calloc(1, UCX_KEY_ROOM);
    if (!room)
        return host->fail(ENOMEM, "import a memory key: out of memory");
    memcpy(room, key, len);
    const struct ros2_host *was = ucx_context_log_to(host);
    ucs_status_t status = ucp_ep_rkey_unpack(ep->ucp, room, &rkey->ucp);
    (void)ucx_context_log_to(was);
    free(room);
    if (status == UCS_OK)
        return 0;
    return host->fail(EINVAL, "import a memory key: UCX says: %s", ucs_status_string(status));
}

int ucx_rkey_import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p)
{
    const struct ros2_host *host = ep->domain->host;
    const bool rdma = ep->domain->variant->rdma;
    uint8_t bytes[ROS2_TRANSPORT_KEY_MAX];
    uint32_t head[2], sum;
    uint64_t body[3];

    ucx_domain_own(ep->domain);
    if (len < KEY_HEAD + KEY_SUM || len > sizeof bytes || rdma == (len == KEY_HEAD + KEY_SUM))
        return host->fail(EINVAL, "import a memory key: it has %zu bytes, which no key of %s has",
                          len, ep->domain->name);
    memcpy(bytes, key, len);
    memcpy(head, bytes, sizeof head);
    memcpy(body, bytes + sizeof head, sizeof body);
    memcpy(&sum, bytes + len - KEY_SUM, sizeof sum);
    if (le32toh(head[0]) != KEY_MAGIC || le32toh(head[1]) >> KEY_LEN != len ||
        le32toh(head[1]) & 0xffffu & ~(uint32_t)ALL_RIGHTS ||
        le32toh(sum) != crc32_iscsi(bytes, (int)(len - KEY_SUM), ~0u) ||
        le64toh(body[1]) + le64toh(body[2]) < le64toh(body[1]))
        return host->fail(EINVAL, "import a memory key: it is damaged, or of another transport");
    struct ros2_rkey *rkey = calloc(1, sizeof *rkey);
    if (!rkey)
        return host->fail(ENOMEM, "import a memory key: out of memory");
    *rkey = (struct ros2_rkey){.number = le64toh(body[0]),
                               .base = le64toh(body[1]),
                               .len = le64toh(body[2]),
                               .rights = le32toh(head[1]) & ALL_RIGHTS};
    int rc = rdma ? import(ep, bytes + KEY_HEAD, len - KEY_HEAD - KEY_SUM, rkey) : 0;
    if (rc < 0) {
        free(rkey);
        return rc;
    }
    *rkey_p = rkey;
    return 0;
}

static void free_rkey(struct ros2_rkey *rkey)
{
    if (rkey->ucp)
        ucp_rkey_destroy(rkey->ucp);
    free(rkey);
}

void ucx_rkey_left(struct ros2_rkey *rkey)
{
    if (--rkey->users == 0 && rkey->released)
        free_rkey(rkey);
}

void ucx_rkey_release(struct ros2_rkey *rkey)
{
    rkey->released = true;
    if (rkey->users == 0)
        free_rkey(rkey);
}
