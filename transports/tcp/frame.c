/* SPDX-License-Identifier: Apache-2.0 */
/* Frame headers and segment descriptors: the only place that reads raw bytes of a peer as numbers.
 * Owner: none, pure functions. A header that passes has all fields within their bounds, and every field that its type
 * does not use is zero. */
#include "config.h"

#include "transports/tcp/frame.h"

#include <errno.h>

/* "ROS2TCP" and the version. */
const uint8_t tcp_preamble[TCP_PREAMBLE_LEN] = {'R', 'O', 'S', '2', 'T', 'C', 'P', 1};

static int refuse(const char **why_p, const char *why)
{
    *why_p = why;
    return -EPROTO;
}

/* What each type must leave zero. NULL: fine. */
static const char *unused_fields(const struct tcp_header *h)
{
    bool segments = h->type == TCP_PUT || h->type == TCP_GET;
    bool message = h->type == TCP_MSG || h->type == TCP_PUT;
    bool data = h->type == TCP_PUT || h->type == TCP_GET || h->type == TCP_GET_DATA;
    bool id = h->type == TCP_GET || h->type == TCP_GET_DATA || h->type == TCP_GET_ERROR;

    if (!segments && h->segment_count != 0)
        return "a frame without segments counts some";
    if (!message && h->message_len != 0)
        return "a frame without a message gives its length";
    if (!data && h->data_len != 0)
        return "a frame without data gives its length";
    if (id != (h->id != 0))
        return "a frame's id is missing or out of place";
    if (h->type != TCP_GET_ERROR && h->status != 0)
        return "a frame has a status out of place";
    return NULL;
}

int tcp_header_decode(const uint8_t *bytes, uint32_t max_message, struct tcp_header *header_p,
                      const char **why_p)
{
    struct tcp_header h = {
        .type = bytes[0],
        .segment_count = bytes[1],
        .message_len = tcp_load32(bytes + 4),
        .data_len = tcp_load64(bytes + 8),
        .id = tcp_load64(bytes + 16),
        .status = tcp_load32(bytes + 24),
    };

    if (h.type < TCP_MSG || h.type > TCP_GET_ERROR)
        return refuse(why_p, "unknown frame type");
    if (bytes[2] != 0 || bytes[3] != 0 || tcp_load32(bytes + 28) != 0)
        return refuse(why_p, "reserved bits are set");
    const char *why = unused_fields(&h);
    if (why)
        return refuse(why_p, why);
    if (h.segment_count > TCP_SEGMENTS_MAX)
        return refuse(why_p, "too many segments");
    if (h.message_len > max_message)
        return refuse(why_p, "a message is longer than this side allows");
    if (h.type == TCP_GET_ERROR && h.status != EACCES && h.status != ERANGE)
        return refuse(why_p, "unknown status");
    if (h.type == TCP_PUT && h.segment_count == 0 && h.data_len != 0)
        return refuse(why_p, "data without a segment");
    *header_p = h;
    return 0;
}

void tcp_header_encode(const struct tcp_header *h, uint8_t *bytes)
{
    bytes[0] = h->type;
    bytes[1] = h->segment_count;
    bytes[2] = 0;
    bytes[3] = 0;
    tcp_store32(bytes + 4, h->message_len);
    tcp_store64(bytes + 8, h->data_len);
    tcp_store64(bytes + 16, h->id);
    tcp_store32(bytes + 24, h->status);
    tcp_store32(bytes + 28, 0);
}

int tcp_segments_decode(const uint8_t *bytes, const struct tcp_header *header,
                        struct tcp_segment *segment, const char **why_p)
{
    uint64_t left = header->data_len;

    for (int i = 0; i < header->segment_count; i++, bytes += TCP_SEGMENT_LEN) {
        segment[i].token = tcp_load64(bytes);
        segment[i].offset = tcp_load64(bytes + 8);
        segment[i].len = tcp_load64(bytes + 16);
        if (segment[i].len > left)
            return refuse(why_p, "segments are longer than the data");
        left -= segment[i].len;
    }
    if (left != 0)
        return refuse(why_p, "segments are shorter than the data");
    return 0;
}

void tcp_segment_encode(const struct tcp_segment *segment, uint8_t *bytes)
{
    tcp_store64(bytes, segment->token);
    tcp_store64(bytes + 8, segment->offset);
    tcp_store64(bytes + 16, segment->len);
}
