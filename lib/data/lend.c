/* SPDX-License-Identifier: Apache-2.0 */
/* Lending a channel. Either thread, in an order that the caller sees to. */
#include "config.h"

#include "lib/data/lend.h"

void ros2i_channel_lend(struct ros2i_channel *ch, bool lent)
{
    if (ch->wake && !lent)
        ch->ops->domain_wake(ch->domain);
    ch->wake = false;
    ch->lent = lent;
    ch->ops->domain_lend(ch->domain, lent);
}

void ros2i_channel_wake(struct ros2i_channel *ch)
{
    ros2i_channel_lend(ch, true);
    ch->wake = true;
    ros2i_channel_lend(ch, false);
}

int ros2i_lend_end_settled(struct ros2i_channel *ch)
{
    int ended = 0;
    while (ch->settled.first) {
        struct ros2i_op *op = ch->settled.first;
        ros2i_op_list_remove(&ch->settled, op);
        ros2i_channel_settle(ch, op);
        ended++;
    }
    return ended;
}
