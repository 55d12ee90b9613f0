/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "daemon/data/lane.h"

#include <errno.h>
#include <sys/stat.h>

#include "daemon/data/connection.h"
#include "daemon/data/thread.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/plugin.h"
#include "lib/protocol/wire.h"

/* A lane without a connection has only new ones to expect: it is looked at so often, and before the thread sleeps. So a
 * transport that nobody uses costs those that are used no system calls by the turn, of which a read takes many. */
#define LOOK_NS ROS2I_NS_PER_MS
/* Whoever gets to the socket may connect: its folder's mode says who that is, and the session's proof who is served. */
#define SOCKET_MODE 0666

/* -- open, close -- */

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    (void)listener;
    ros2d_connection_accept(arg, ep);
}

static int listen_on(struct ros2d_lane *lane)
{
    bool local = ros2d_config_is_local(lane->listen.transport);
    int rc =
        lane->ops->listen(lane->domain, lane->listen.address, on_accept, lane, &lane->listener);

    if (rc < 0)
        return ros2i_fail_prefix(rc, local ? "data.shm_dir" : "data.listen");
    rc = lane->ops->listener_address(lane->listener, lane->address, sizeof(lane->address));
    if (rc == 0 && local && chmod(lane->address, SOCKET_MODE) < 0)
        rc = ros2i_fail(errno, "data.shm_dir: chmod %s: %s", lane->address, ros2i_strerror(errno));
    return rc;
}

/* A device reads and writes bounce memory by a key of its own: no peer gets a right to it. */
static int register_memory(struct ros2d_lane *lane)
{
    const struct ros2d_bounce *pool[] = {&lane->thread->chunks, &lane->thread->small};
    int rc = 0;

    if (!(lane->ops->flags & ROS2_TRANSPORT_LOCAL_REGIONS))
        return 0;
    for (unsigned i = 0; rc == 0 && i < sizeof(pool) / sizeof(pool[0]); i++)
        rc = lane->ops->region_register(lane->domain, pool[i]->base,
                                        pool[i]->unit_len * pool[i]->units, 0, ROS2_MEMORY_HOST,
                                        &lane->local[i]);
    return rc < 0 ? ros2i_fail_prefix(rc, "transport %s: data.bounce_memory", lane->ops->name) : 0;
}

int ros2d_lane_open(struct ros2d_lane *lane)
{
    uint32_t credits = lane->thread->state->config->data.credits;
    struct ros2_domain_options options = {
        .size = sizeof(options),
        .host = &ros2i_host,
        .max_message = ROS2I_WIRE_MESSAGE_MAX,
        .local = lane->listen.address,
        .send_queue = (256u << 10) + credits * 1024, /* a reply and a put for each credit, always */
    };
    int rc = ros2i_plugin_open_domain(lane->ops, &options, &lane->domain);

    if (rc < 0)
        return ros2i_fail_prefix(rc, "transport %s", lane->ops->name);
    lane->fd = lane->ops->domain_fd(lane->domain);
    rc = register_memory(lane);
    return rc < 0 ? rc : listen_on(lane);
}

void ros2d_lane_close(struct ros2d_lane *lane)
{
    for (unsigned i = 0; i < sizeof(lane->local) / sizeof(lane->local[0]); i++)
        if (lane->local[i])
            lane->ops->region_deregister(lane->local[i]);
    if (lane->domain)
        lane->ops->domain_close(lane->domain);
    lane->domain = NULL;
    lane->listener = NULL;
}

void ros2d_lane_stop_listening(struct ros2d_lane *lane)
{
    lane->ops->listener_close(lane->listener);
    lane->listener = NULL;
}

/* -- all of a thread -- */

int ros2d_lanes_progress(struct ros2d_thread *thread)
{
    bool look = thread->now_ns >= thread->look_ns;
    int work = 0;

    if (look)
        thread->look_ns = thread->now_ns + LOOK_NS;
    for (unsigned i = 0; i < thread->lane_count; i++) {
        struct ros2d_lane *lane = &thread->lane[i];
        if (lane->connections > 0 || look)
            work += lane->ops->progress(lane->domain);
    }
    return work;
}

bool ros2d_lanes_arm(struct ros2d_thread *thread)
{
    bool armed = true;

    thread->look_ns = 0; /* the next turn looks at all, since any of them may have woken it */
    for (unsigned i = 0; i < thread->lane_count; i++)
        armed &= thread->lane[i].ops->domain_arm(thread->lane[i].domain) == 0;
    return armed;
}

unsigned ros2d_lanes_lingering(struct ros2d_thread *thread)
{
    unsigned lingering = 0;

    for (unsigned i = 0; i < thread->lane_count; i++)
        lingering += thread->lane[i].ops->domain_lingering(thread->lane[i].domain);
    return lingering;
}
