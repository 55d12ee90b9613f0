/* SPDX-License-Identifier: Apache-2.0 */
/* Transport ucx: what it offers, for each choice of UCX's own transports. docs/PROTOCOL-ucx.md says what it puts on the wire.
 * Owner: none, constants. */
#include "config.h"

#include "transports/ucx/plugin.h"

#include <stdlib.h>
#include <string.h>

#include "transports/rdma_device.h"
#include "transports/ucx/domain.h"
#include "transports/ucx/endpoint.h"
#include "transports/ucx/linger.h"
#include "transports/ucx/listener.h"
#include "transports/ucx/message.h"
#include "transports/ucx/process.h"
#include "transports/ucx/progress.h"
#include "transports/ucx/region.h"
#include "transports/ucx/rma.h"

#define OPENS(function, full_name, its_tls, is_rdma)                                              \
    static int function(const struct ros2_domain_options *options, struct ros2_domain **domain_p) \
    {                                                                                             \
        static const struct ucx_variant variant = {                                               \
            .name = full_name, .tls = its_tls, .rdma = is_rdma};                                  \
        return ucx_domain_open(&variant, options, domain_p);                                      \
    }

OPENS(open_tcp, "ucx+tcp", "tcp", false)
OPENS(open_rc, "ucx+rc", "rc_verbs", true)

/* Whoever can connect, or is connected to, may write to any memory of this process: UCX's tcp, and its emulation of put on other
 * transports, take the address from the wire. */
#define EXPOSES ROS2_TRANSPORT_EXPOSES
#define RDMA    (EXPOSES | ROS2_TRANSPORT_REVOKES | ROS2_TRANSPORT_LOCAL_REGIONS)

static int tcp_available(const struct ros2_host *host, const char *peer)
{
    (void)peer;
    return ucx_process_check(host);
}

static int rdma_available(const struct ros2_host *host, const char *peer)
{
    int rc = ucx_process_check(host);

    return rc < 0 ? rc : rdma_device_available(host, peer);
}

#define OPS(full_name, open, its_flags, is_available)                                              \
    {                                                                                              \
        .abi = ROS2_TRANSPORT_ABI, .flags = its_flags, .size = sizeof(struct ros2_transport_ops),  \
        .name = full_name, .domain_open = open, .domain_close = ucx_domain_close,                  \
        .domain_fd = ucx_domain_fd, .domain_arm = ucx_domain_arm, .progress = ucx_progress,        \
        .listen = ucx_listen, .listener_address = ucx_listener_address,                            \
        .listener_pause = ucx_listener_pause, .listener_close = ucx_listener_close,                \
        .connect = ucx_connect, .ep_set_handler = ucx_ep_set_handler, .ep_peer = ucx_ep_peer,      \
        .ep_close = ucx_ep_close, .ep_abort = ucx_ep_abort,                                        \
        .region_register = ucx_region_register, .region_deregister = ucx_region_deregister,        \
        .region_pack = ucx_region_pack, .rkey_import = ucx_rkey_import,                            \
        .rkey_release = ucx_rkey_release, .send = ucx_send, .put = ucx_put, .get = ucx_get,        \
        .flush = ucx_flush, .domain_lingering = ucx_domain_lingering,                              \
        .domain_lend = ucx_domain_lend, .domain_wake = ucx_domain_wake, .available = is_available, \
    }

static const struct ros2_transport_ops variants[] = {
    OPS("ucx+tcp", open_tcp, EXPOSES, tcp_available),
    OPS("ucx+rc", open_rc, RDMA, rdma_available),
};

/* Where a user has registrations cached, they and their keys outlive region_deregister(). */
static const struct ros2_transport_ops cached[] = {
    OPS("ucx+rc", open_rc, RDMA & ~ROS2_TRANSPORT_REVOKES, rdma_available),
};

const struct ros2_transport_ops *ros2_ucx_variant(const char *name)
{
    const char *methods = getenv("UCX_IB_REG_METHODS");

    for (size_t i = 0; i < sizeof cached / sizeof cached[0]; i++)
        if (methods && strcmp(methods, "direct") != 0 &&
            strcmp(cached[i].name + strlen("ucx+"), name) == 0)
            return &cached[i];
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++)
        if (strcmp(variants[i].name + strlen("ucx+"), name) == 0)
            return &variants[i];
    return NULL;
}
