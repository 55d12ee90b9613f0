/* SPDX-License-Identifier: Apache-2.0 */
/* READV, CLOSE, and the reply with results. Their arrays are the message's own bytes, so each sample has its array here. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "tests/unit/wire_samples.h"

static uint8_t *array(void)
{
    static uint8_t bytes[ROS2I_WIRE_INLINE_MAX];

    return bytes;
}

static void vector(struct ros2i_msg *msg, uint16_t count, uint32_t each)
{
    uint8_t *extents = array();

    msg->type = ROS2I_MSG_READV;
    msg->request_id = ros2i_request_id(9, 3);
    msg->u.vector.extent_count = count;
    msg->u.vector.length = count * each;
    msg->u.vector.extents = extents;
    for (unsigned i = 0; i < count; i++)
        ros2i_extent_put(extents, i, &(struct ros2i_extent){0x100000002 + i, 0x1000 * i, each});
}

static void add_segment(struct ros2i_msg *msg, uint64_t id, uint32_t len, uint32_t kind)
{
    struct ros2i_vector_request *v = &msg->u.vector;

    v->segment[v->segment_count++] = (struct ros2i_segment){id, 8 * id, len, kind};
}

void wire_readv_inline(struct ros2i_msg *msg)
{
    vector(msg, 3, 1000);
}

void wire_readv_nothing(struct ros2i_msg *msg)
{
    vector(msg, 1, 0);
}

void wire_readv_segments(struct ros2i_msg *msg)
{
    vector(msg, 2, 1500);
    msg->flags = ROS2I_MSG_CHECKSUM | ROS2I_MSG_REPLAY;
    add_segment(msg, 5, 1000, ROS2I_SEGMENT_TOKEN);
    add_segment(msg, 6, 2000, ROS2I_SEGMENT_REGION);
}

void wire_readv_largest_inline(struct ros2i_msg *msg)
{
    vector(msg, ROS2I_WIRE_EXTENTS_MAX, 24); /* and 8 of results each: 32768 */
}

void wire_readv_largest(struct ros2i_msg *msg)
{
    vector(msg, ROS2I_WIRE_EXTENTS_MAX, ROS2I_WIRE_IO_MAX / ROS2I_WIRE_EXTENTS_MAX);
    for (unsigned i = 0; i < ROS2I_WIRE_SEGMENTS_MAX; i++)
        add_segment(msg, 100 + i, ROS2I_WIRE_IO_MAX / ROS2I_WIRE_SEGMENTS_MAX, ROS2I_SEGMENT_TOKEN);
}

static void close_some(struct ros2i_msg *msg, uint32_t count)
{
    uint8_t *handles = array();

    msg->type = ROS2I_MSG_CLOSE;
    msg->request_id = ros2i_request_id(10, 0);
    msg->u.close.count = count;
    msg->u.close.handles = handles;
    for (unsigned i = 0; i < count; i++)
        ros2i_close_put(handles, i, 0x0102030405060708ull * (i + 1));
}

void wire_close(struct ros2i_msg *msg)
{
    close_some(msg, 2);
    msg->flags = ROS2I_MSG_REPLAY;
}

void wire_close_largest(struct ros2i_msg *msg)
{
    close_some(msg, ROS2I_WIRE_CLOSES_MAX);
}

static void results(struct ros2i_msg *msg, unsigned count)
{
    uint8_t *at = array();

    msg->type = ROS2I_MSG_REPLY;
    msg->flags = ROS2I_MSG_VECTOR;
    msg->request_id = ros2i_request_id(9, 3);
    msg->u.reply.bytes = 100;
    msg->u.reply.payload = at;
    msg->u.reply.payload_len = count * ROS2I_WIRE_RESULT_LEN;
    for (unsigned i = 0; i < count; i++)
        ros2i_result_put(at, i, &(struct ros2i_extent_result){i % 2 ? EBADF : 0, 100 / count});
}

void wire_reply_results(struct ros2i_msg *msg)
{
    results(msg, 1);
}

void wire_reply_results_inline(struct ros2i_msg *msg)
{
    results(msg, 2);
    memset(array() + 16, 0x77, 100);
    msg->flags |= ROS2I_MSG_CHECKSUM;
    msg->u.reply.crc = 0x51525354;
    msg->u.reply.payload_len += msg->u.reply.bytes;
}

void wire_random_vector(uint64_t *state, struct ros2i_msg *msg)
{
    struct ros2i_vector_request *v = &msg->u.vector;
    uint8_t *extents = array();
    unsigned segments = (unsigned)(unit_next(state) % (ROS2I_WIRE_SEGMENTS_MAX + 1));
    uint32_t left = 0;

    vector(msg, (uint16_t)(1 + unit_next(state) % (segments ? ROS2I_WIRE_EXTENTS_MAX : 64)), 0);
    msg->flags = (uint16_t)(unit_next(state) % 4); /* CHECKSUM, REPLAY */
    for (unsigned i = 0; i < segments; i++) {
        uint32_t len = 1 + (uint32_t)(unit_next(state) % 100000);
        add_segment(msg, unit_next(state) >> 8, len, unit_next(state) % 2);
        left += len;
    }
    if (segments == 0)
        left = (uint32_t)(unit_next(state) % 4096);
    v->length = left;
    for (unsigned i = 0; i < v->extent_count; i++) {
        uint32_t len =
            i + 1u == v->extent_count ? left : (uint32_t)(unit_next(state) % (left / 2 + 1));
        ros2i_extent_put(extents, i,
                         &(struct ros2i_extent){unit_next(state), unit_next(state) >> 2, len});
        left -= len;
    }
}

bool wire_same_vector(const struct ros2i_vector_request *a, const struct ros2i_vector_request *b)
{
    if (a->length != b->length || a->extent_count != b->extent_count ||
        a->segment_count != b->segment_count)
        return false;
    for (unsigned i = 0; i < a->segment_count; i++) {
        const struct ros2i_segment *x = &a->segment[i], *y = &b->segment[i];

        if (x->id != y->id || x->offset != y->offset || x->len != y->len || x->kind != y->kind)
            return false;
    }
    return memcmp(a->extents, b->extents, (size_t)a->extent_count * ROS2I_WIRE_EXTENT_LEN) == 0;
}
