/* SPDX-License-Identifier: Apache-2.0 */
/* What this transport puts into messages of libfabric; docs/PROTOCOL-ofi.md is the specification. Little-endian. */
#ifndef OFI_WIRE_H
#define OFI_WIRE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define OFI_WIRE_MAGIC   0x46325352u /* "RS2F" */
#define OFI_WIRE_VERSION 1
#define OFI_FRAGMENT     4608u /* bytes of the longest fragment, with its header */
#define OFI_HEADER       8u
#define OFI_PAYLOAD      (OFI_FRAGMENT - OFI_HEADER)
#define OFI_GREETING     12u

enum ofi_fragment_type {
    OFI_MESSAGE = 1, /* the next part of a message */
    OFI_CREDIT = 2,  /* nothing but credits */
    OFI_BYE = 3,     /* the sender has closed; nothing follows */
};

struct ofi_header {
    uint8_t type;
    uint16_t credits; /* fragments that the peer may send more */
    uint32_t left;    /* bytes of the message from this fragment on */
};

/* Connection data of both ends: how much the sender takes. */
struct ofi_greeting {
    uint16_t window;   /* fragments */
    uint32_t fragment; /* bytes */
};

static inline void ofi_header_encode(const struct ofi_header *header, uint8_t *bytes)
{
    const uint16_t credits = htole16(header->credits);
    const uint32_t left = htole32(header->left);

    bytes[0] = header->type;
    bytes[1] = 0;
    memcpy(bytes + 2, &credits, sizeof credits);
    memcpy(bytes + 4, &left, sizeof left);
}

static inline struct ofi_header ofi_header_decode(const uint8_t *bytes)
{
    uint16_t credits;
    uint32_t left;

    memcpy(&credits, bytes + 2, sizeof credits);
    memcpy(&left, bytes + 4, sizeof left);
    return (struct ofi_header){
        .type = bytes[0], .credits = le16toh(credits), .left = le32toh(left)};
}

static inline void ofi_greeting_encode(const struct ofi_greeting *greeting, uint8_t *bytes)
{
    const uint32_t magic = htole32(OFI_WIRE_MAGIC), fragment = htole32(greeting->fragment);
    const uint16_t version = htole16(OFI_WIRE_VERSION), window = htole16(greeting->window);

    memcpy(bytes, &magic, sizeof magic);
    memcpy(bytes + 4, &version, sizeof version);
    memcpy(bytes + 6, &window, sizeof window);
    memcpy(bytes + 8, &fragment, sizeof fragment);
}

/* 0, or -1: not a greeting of this version. */
static inline int ofi_greeting_decode(const uint8_t *bytes, size_t len,
                                      struct ofi_greeting *greeting_p)
{
    uint32_t magic, fragment;
    uint16_t version, window;

    if (len < OFI_GREETING)
        return -1;
    memcpy(&magic, bytes, sizeof magic);
    memcpy(&version, bytes + 4, sizeof version);
    memcpy(&window, bytes + 6, sizeof window);
    memcpy(&fragment, bytes + 8, sizeof fragment);
    if (le32toh(magic) != OFI_WIRE_MAGIC || le16toh(version) != OFI_WIRE_VERSION)
        return -1;
    *greeting_p = (struct ofi_greeting){.window = le16toh(window), .fragment = le32toh(fragment)};
    return 0;
}

#endif
