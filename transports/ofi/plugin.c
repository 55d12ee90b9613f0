/* SPDX-License-Identifier: Apache-2.0 */
/* Transport ofi: what it offers, for each provider of libfabric that it is known to work with. docs/PROTOCOL-ofi.md says
 * what it puts on the wire. Owner: none, constants. */
#include "config.h"

#include "transports/ofi/plugin.h"

#include <string.h>

#include "transports/ofi/domain.h"
#include "transports/ofi/endpoint.h"
#include "transports/ofi/linger.h"
#include "transports/ofi/listener.h"
#include "transports/ofi/message.h"
#include "transports/ofi/progress.h"
#include "transports/ofi/rdma.h"
#include "transports/ofi/region.h"
#include "transports/ofi/rma.h"
#include "transports/rdma_device.h"

/* The provider's tcp runs in this process: it goes on with a transfer that has begun, whatever becomes of the region. So no
 * ROS2_TRANSPORT_REVOKES. */
static int open_tcp(const struct ros2_domain_options *options, struct ros2_domain **domain_p)
{
    static const struct ofi_provider tcp = {.name = "ofi+tcp", .provider = "tcp"};

    return ofi_domain_open(&tcp, options, domain_p);
}

/* Closing a registration takes its key from the device: ofi_rdma_check_revokes() sees to it that closing is that. */
static int open_verbs(const struct ros2_domain_options *options, struct ros2_domain **domain_p)
{
    static const struct ofi_provider verbs = {
        .name = "ofi+verbs", .provider = "verbs", .rdma = true};

    return ofi_domain_open(&verbs, options, domain_p);
}

static int verbs_available(const struct ros2_host *host, const char *peer)
{
    int rc = ofi_rdma_check_process(host);

    return rc < 0 ? rc : rdma_device_available(host, peer);
}

#define OPS(full_name, open, its_flags, is_available)                                              \
    {                                                                                              \
        .abi = ROS2_TRANSPORT_ABI, .flags = its_flags, .size = sizeof(struct ros2_transport_ops),  \
        .name = full_name, .domain_open = open, .domain_close = ofi_domain_close,                  \
        .domain_fd = ofi_domain_fd, .domain_arm = ofi_domain_arm, .progress = ofi_progress,        \
        .listen = ofi_listen, .listener_address = ofi_listener_address,                            \
        .listener_pause = ofi_listener_pause, .listener_close = ofi_listener_close,                \
        .connect = ofi_connect, .ep_set_handler = ofi_ep_set_handler, .ep_peer = ofi_ep_peer,      \
        .ep_close = ofi_ep_close, .ep_abort = ofi_ep_abort,                                        \
        .region_register = ofi_region_register, .region_deregister = ofi_region_deregister,        \
        .region_pack = ofi_region_pack, .rkey_import = ofi_rkey_import,                            \
        .rkey_release = ofi_rkey_release, .send = ofi_send, .put = ofi_put, .get = ofi_get,        \
        .flush = ofi_flush, .domain_lingering = ofi_domain_lingering,                              \
        .domain_lend = ofi_domain_lend, .domain_wake = ofi_domain_wake, .available = is_available, \
    }

static const struct ros2_transport_ops variants[] = {
    OPS("ofi+tcp", open_tcp, 0, NULL),
    OPS("ofi+verbs", open_verbs, ROS2_TRANSPORT_REVOKES | ROS2_TRANSPORT_LOCAL_REGIONS,
        verbs_available),
};

static const struct ros2_transport_ops *find_variant(const char *name)
{
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (strcmp(variants[i].name + strlen("ofi+"), name) == 0)
            return &variants[i];
    return NULL;
}

static const struct ros2_transport_ops ops = {
    .abi = ROS2_TRANSPORT_ABI,
    .size = sizeof ops,
    .name = "ofi",
    .variant = find_variant,
};

const struct ros2_transport_ops *ros2_transport_plugin(void)
{
    return &ops;
}
