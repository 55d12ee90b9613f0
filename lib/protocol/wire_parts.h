/* SPDX-License-Identifier: Apache-2.0 */
/* The codec's own seam: wire.c owns the header and picks a codec by type; a codec handles the body of one type.
 *
 * check judges the fields and runs after decoding as well as before encoding, so that both ends refuse the same
 * messages. size gives the length that the checked fields lead to, which has to be the message's own. */
#ifndef ROS2I_WIRE_PARTS_H
#define ROS2I_WIRE_PARTS_H

#include "lib/protocol/wire.h"

#define ROS2I_WIRE_TYPES 34 /* one over the highest type */

enum ros2i_id_rule { ROS2I_ID_ZERO, ROS2I_ID_NEEDED, ROS2I_ID_FREE };

struct ros2i_codec {
    const char *name;
    uint16_t flags;             /* all that this type may carry */
    enum ros2i_id_rule id_rule; /* of the header's request id */
    uint32_t fixed;             /* bytes of the body's fixed part */
    /* body: len bytes, at least `fixed`. Fills msg->u. 0 or -EPROTO. */
    int (*decode)(struct ros2i_msg *msg, const uint8_t *body, size_t len);
    /* 0 or -err with a text. NULL: any value is good. */
    int (*check)(const struct ros2i_msg *msg, int err);
    /* Body bytes that encode writes; *payload_len_p, 0 before, is set to the payload bytes behind them. NULL: `fixed`. */
    size_t (*size)(const struct ros2i_msg *msg, size_t *payload_len_p);
    void (*encode)(const struct ros2i_msg *msg, uint8_t *body);
};

extern const struct ros2i_codec ros2i_codec_hello, ros2i_codec_challenge, ros2i_codec_proof,
    ros2i_codec_welcome, ros2i_codec_reject;
extern const struct ros2i_codec ros2i_codec_read, ros2i_codec_write, ros2i_codec_fsync,
    ros2i_codec_cancel, ros2i_codec_ping, ros2i_codec_pong, ros2i_codec_reply;
extern const struct ros2i_codec ros2i_codec_readv, ros2i_codec_close;

/* Segments, of any message that has some. name: its type's. */
void ros2i_segments_decode(struct ros2i_segment *segment, unsigned count, const uint8_t *at);
void ros2i_segments_encode(const struct ros2i_segment *segment, unsigned count, uint8_t *at);
/* length: what they must add up to. No segments: any. 0 or -err with a text. */
int ros2i_segments_check(const char *name, const struct ros2i_segment *segment, unsigned count,
                         uint32_t length, int err);

#endif
