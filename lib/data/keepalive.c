/* SPDX-License-Identifier: Apache-2.0 */
/* Own keepalive. Silence counts only while something is in flight: a thread that makes no call hears nothing. */
#include "config.h"

#include "lib/data/keepalive.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/data/reconnect.h"

#define PING_NS   (2 * ROS2I_NS_PER_S)
#define PINGS_MAX 3
#define STALE_NS  ROS2I_NS_PER_S

static uint64_t due_ns(const struct ros2i_channel *ch)
{
    return ch->heard_ns + (ch->pings + 1) * PING_NS;
}

void ros2i_keepalive_heard(struct ros2i_channel *ch)
{
    /* The timer is left alone: when it fires it is put off, which is once in 2 s instead of once a message. */
    ch->heard_ns = ch->now_ns;
    ch->pings = 0;
}

void ros2i_keepalive_reset(struct ros2i_channel *ch)
{
    ros2i_keepalive_heard(ch);
    ch->timer_ns = due_ns(ch);
}

void ros2i_keepalive_submitted(struct ros2i_channel *ch)
{
    if (ch->state != ROS2I_CHANNEL_READY || ch->inflight.waiting > 0)
        return;
    ch->pings = 0;
    ch->timer_ns = ch->now_ns + PING_NS;
}

bool ros2i_keepalive_stale(const struct ros2i_channel *ch)
{
    return ch->now_ns - ch->heard_ns > STALE_NS;
}

enum ros2i_channel_state ros2i_keepalive_tick(struct ros2i_channel *ch)
{
    /* What waits for credits or bounce memory that abandoned requests hold needs to know, too, whether answers can come. */
    bool waits = ch->inflight.waiting > 0 || ch->inflight.queued > 0 || ch->pending.first;
    if (!waits) {
        ch->pings = 0;
        ch->timer_ns = ch->now_ns + PING_NS;
        return ROS2I_CHANNEL_READY;
    }
    if (ch->pings == 0 && ch->now_ns >= due_ns(ch) + PING_NS)
        ch->heard_ns =
            ch->now_ns - PING_NS; /* it was idle before: the silence begins with this request */
    if (ch->now_ns < due_ns(ch)) {
        ch->timer_ns = due_ns(ch);
        return ROS2I_CHANNEL_READY;
    }
    if (ch->pings == PINGS_MAX)
        return ros2i_reconnect_lost(
            ch, ros2i_fail(ETIMEDOUT, "the daemon at %s is silent for %llu s",
                           ros2i_reconnect_address(ch),
                           (unsigned long long)((ch->now_ns - ch->heard_ns) / ROS2I_NS_PER_S)));
    /* Not a request: it takes no credit, and its id is one that no slot has. */
    struct ros2i_msg msg = {.type = ROS2I_MSG_PING};
    msg.request_id = ros2i_request_id(++ch->inflight.sequence, 0);
    msg.u.opaque = msg.request_id;
    int rc = ros2i_channel_send(ch, &msg);
    if (rc < 0 && rc != -EAGAIN)
        return ros2i_reconnect_lost(ch, rc);
    ch->ops->flush(ch->ep);
    ch->pings++;
    ch->timer_ns = due_ns(ch);
    return ROS2I_CHANNEL_READY;
}
