/* SPDX-License-Identifier: Apache-2.0 */
/* The data plane's messages: the one place that touches raw bytes from the network. docs/PROTOCOL.md is the
 * specification; all integers are little-endian. Decoders trust nothing: lengths are checked before use, reserved bits
 * must be zero, and pointers in the result lead into the caller's buffer. */
#ifndef ROS2I_WIRE_H
#define ROS2I_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define ROS2I_WIRE_VERSION      1
#define ROS2I_WIRE_MAGIC        0x32534f52u /* "ROS2" */
#define ROS2I_WIRE_HEADER_LEN   16
#define ROS2I_WIRE_SEGMENT_LEN  24
#define ROS2I_WIRE_REPLY_LEN    56
#define ROS2I_WIRE_SEGMENTS_MAX 16
#define ROS2I_WIRE_CRCS_MAX     64
#define ROS2I_WIRE_IO_MAX       (16u << 20) /* upper bound of any negotiated max_io */
#define ROS2I_WIRE_INLINE_MAX   32768u      /* upper bound of any negotiated inline limit */
#define ROS2I_WIRE_CREDITS_MAX  1024u
#define ROS2I_WIRE_TEXT_MAX     255u
#define ROS2I_WIRE_EXTENT_LEN   24
#define ROS2I_WIRE_RESULT_LEN   8 /* of an extent, in a READV's reply */
#define ROS2I_WIRE_EXTENTS_MAX  1024u
#define ROS2I_WIRE_CLOSES_MAX   4096u
/* The longest message of version 1: a WRITE with the largest inline payload. */
#define ROS2I_WIRE_MESSAGE_MAX (ROS2I_WIRE_INLINE_MAX + 1024u)

enum ros2i_msg_type {
    ROS2I_MSG_HELLO = 1,
    ROS2I_MSG_CHALLENGE = 2,
    ROS2I_MSG_PROOF = 3,
    ROS2I_MSG_WELCOME = 4,
    ROS2I_MSG_REJECT = 5,
    ROS2I_MSG_READ = 16,
    ROS2I_MSG_WRITE = 17,
    ROS2I_MSG_FSYNC = 18,
    ROS2I_MSG_CANCEL = 19,
    ROS2I_MSG_PING = 20,
    ROS2I_MSG_READV = 21,
    ROS2I_MSG_CLOSE = 22,
    ROS2I_MSG_REPLY = 32,
    ROS2I_MSG_PONG = 33,
};

enum ros2i_msg_flag {
    ROS2I_MSG_CHECKSUM = 1 << 0, /* READ, READV: wanted; WRITE, REPLY: CRC-32C present */
    ROS2I_MSG_REPLAY = 1 << 1,   /* a request sent before on an older epoch */
    ROS2I_MSG_DATASYNC = 1 << 2, /* FSYNC */
    ROS2I_MSG_VECTOR =
        1 << 3, /* REPLY to a READV of status 0: the payload begins with the extents' results */
};

/* A request id is (sequence << 16) | slot. A slot (0..credits-1) holds one request at a time; its sequence only grows. */
static inline uint64_t ros2i_request_id(uint64_t sequence, uint16_t slot)
{
    return (sequence << 16) | slot;
}
static inline uint16_t ros2i_request_slot(uint64_t id)
{
    return (uint16_t)(id & 0xffff);
}

enum ros2i_option {
    ROS2I_OPTION_CHECKSUM = 1 << 0, /* payloads carry CRC-32C */
};

enum ros2i_segment_kind {
    ROS2I_SEGMENT_REGION = 0, /* id is a region of Memory.Register */
    ROS2I_SEGMENT_TOKEN =
        1, /* id is a transport token of this channel, checked by the client's own transport */
};

struct ros2i_segment {
    uint64_t id;
    uint64_t offset;
    uint32_t len;
    uint32_t kind;
};

struct ros2i_hello {
    uint16_t version_min, version_max;
    uint8_t session_id[16];
    uint8_t process_nonce[16];
    uint8_t client_nonce[32];
    uint64_t epoch; /* 1 for a queue's first channel, then +1 for each reconnect */
    uint32_t queue;
    uint32_t credits;      /* wanted */
    uint32_t inline_limit; /* wanted */
    uint32_t options;      /* wanted */
};

struct ros2i_challenge {
    uint16_t version;
    uint32_t credits, inline_limit, max_io, options;
    uint32_t checksum_block; /* bytes covered by each CRC of a WRITE: power of two, >= 64 KiB */
    uint8_t server_nonce[32];
};

struct ros2i_reject {
    uint32_t
        err; /* positive errno: EACCES, ESTALE (epoch), EPROTONOSUPPORT (version), EBUSY, ... */
    const char *text;
    size_t text_len;
};

struct ros2i_io_request { /* READ, WRITE */
    uint64_t handle;
    uint64_t offset; /* ignored for handles opened with append */
    uint32_t length;
    uint16_t segment_count; /* 0: the payload rides inline */
    struct ros2i_segment segment[ROS2I_WIRE_SEGMENTS_MAX];
    uint16_t crc_count; /* WRITE with CHECKSUM: ceil(length / checksum_block), at least 1 */
    uint32_t crc[ROS2I_WIRE_CRCS_MAX];
    const void *payload; /* WRITE without segments: length bytes */
};

struct ros2i_extent {
    uint64_t handle, offset;
    uint32_t len; /* 0 or more */
};

struct ros2i_vector_request { /* READV */
    uint32_t length;          /* of all extents */
    uint16_t extent_count;    /* 1 or more */
    uint16_t segment_count;   /* 0: the data rides in the reply */
    struct ros2i_segment segment[ROS2I_WIRE_SEGMENTS_MAX];
    const void *
        extents; /* as on the wire: extent_count * ROS2I_WIRE_EXTENT_LEN bytes; ros2i_extent_get() */
};

struct ros2i_close_request { /* CLOSE */
    uint32_t count;          /* 1 or more */
    const void *handles;     /* as on the wire: count * 8 bytes; ros2i_close_get() */
};

struct ros2i_extent_result {
    uint32_t status; /* 0 or a positive errno */
    uint32_t bytes;  /* that are good from the extent's start, whatever the status */
};

struct ros2i_reply {
    uint32_t status; /* 0 or a positive errno */
    uint32_t bytes;
    uint64_t offset;           /* append: where the data went */
    uint64_t durability_epoch; /* the write verifier */
    uint32_t crc;              /* of all bytes of the read, with CHECKSUM */
    uint32_t engine_ns,
        queue_ns; /* time in the engine; time from arrival to engine start; saturated */
    uint32_t
        payload_len; /* inline bytes that follow: 0 or bytes; with VECTOR: results, then as before */
    const void *payload;
};

struct ros2i_msg {
    uint8_t type;
    uint16_t flags;
    uint64_t
        request_id; /* 0 in handshake messages and CANCEL; PONG repeats PING's, whatever it is */
    union {
        struct ros2i_hello hello;
        struct ros2i_challenge challenge;
        uint8_t proof[32]; /* PROOF, WELCOME */
        struct ros2i_reject reject;
        struct ros2i_io_request io;
        struct ros2i_vector_request vector;
        struct ros2i_close_request close;
        uint64_t handle;    /* FSYNC */
        uint64_t target_id; /* CANCEL */
        uint64_t opaque;    /* PING, PONG */
        struct ros2i_reply reply;
    } u;
};

/* Decodes one whole message. 0, or -EPROTO with an error text that names the field and why it is refused; *msg is then
 * undefined. Borrowed pointers into buf live as long as buf. */
int ros2i_wire_decode(const void *buf, size_t len, struct ros2i_msg *msg);

/* Encodes all but what is borrowed in bytes: returns the length written; the caller sends `payload` of io (WRITE) or reply,
 * `extents` (READV) or `handles` (CLOSE) behind it as a second piece (the header's length counts it). -ENOSPC when buf is too small, -EINVAL when msg breaks
 * the bounds that the decoder checks. */
int ros2i_wire_encode(const struct ros2i_msg *msg, void *buf, size_t len);

/* -- arrays that stay as they are on the wire: copying a thousand extents twice would cost more than reading them once -- */

struct ros2i_extent ros2i_extent_get(const void *extents, size_t i);
void ros2i_extent_put(void *extents, size_t i, const struct ros2i_extent *extent);
uint64_t ros2i_close_get(const void *handles, size_t i);
void ros2i_close_put(void *handles, size_t i, uint64_t handle);
/* results: the start of the payload of a REPLY with VECTOR. */
struct ros2i_extent_result ros2i_result_get(const void *results, size_t i);
void ros2i_result_put(void *results, size_t i, const struct ros2i_extent_result *result);

#endif
