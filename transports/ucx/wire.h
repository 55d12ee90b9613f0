/* SPDX-License-Identifier: Apache-2.0 */
/* The header of each active message of this transport; docs/PROTOCOL-ucx.md is the specification. Little-endian. */
#ifndef UCX_WIRE_H
#define UCX_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define UCX_WIRE_AM      0x52u       /* the id of active messages */
#define UCX_WIRE_MAGIC   0x55325352u /* "RS2U" */
#define UCX_WIRE_VERSION 2u
#define UCX_HEADER       40u

enum ucx_message_type {
    UCX_NOTHING = 0, /* never sent: a put without a message */
    UCX_HELLO = 1,   /* a: the sender's number, b: magic and version */
    UCX_WELCOME = 2, /* the same */
    UCX_MESSAGE = 3, /* payload: the message */
    UCX_BYE = 4,     /* the sender has closed; over tcp only HEARD follows */
    UCX_PUT = 5,     /* payload: for region a, from byte b on */
    UCX_GET_FROM =
        6,         /* wanted: of region a, from byte b on, c bytes, as DATA with d as its number */
    UCX_DATA = 7,  /* a: the number of the get that the payload is for */
    UCX_BEAT = 8,  /* nothing: is the peer's device there? */
    UCX_HEARD = 9, /* over tcp: the peer's BYE has come */
};

struct ucx_header {
    uint8_t type;
    uint64_t to; /* the receiver's number of the connection; HELLO: 0 */
    uint64_t a, b;
    uint32_t c; /* GET_FROM ends at 4 GiB - 1 */
    uint64_t d;
};

static inline void ucx_header_encode(const struct ucx_header *header, uint8_t *bytes)
{
    const uint64_t words[4] = {htole64(header->to), htole64(header->a), htole64(header->b),
                               htole64(header->d)};
    const uint32_t c = htole32(header->c);

    memset(bytes, 0, 4);
    bytes[0] = header->type;
    memcpy(bytes + 4, &c, sizeof c);
    memcpy(bytes + 8, words, sizeof words);
}

static inline struct ucx_header ucx_header_decode(const uint8_t *bytes)
{
    uint64_t words[4];
    uint32_t c;

    memcpy(&c, bytes + 4, sizeof c);
    memcpy(words, bytes + 8, sizeof words);
    return (struct ucx_header){.type = bytes[0],
                               .to = le64toh(words[0]),
                               .a = le64toh(words[1]),
                               .b = le64toh(words[2]),
                               .c = le32toh(c),
                               .d = le64toh(words[3])};
}

#endif
