/* SPDX-License-Identifier: Apache-2.0 */
/* What two processes share: records on the socket, the memory of a connection, the table of a domain's regions.
 * docs/PROTOCOL-shm.md is the specification. Every word here may be changed by a hostile peer at any time: it is loaded once,
 * and the copy is checked. */
#ifndef SHM_LAYOUT_H
#define SHM_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define SHM_PAGE  4096u
#define SHM_SLOTS 16384u /* regions of a domain */
#define SHM_FILES 64u    /* files of a domain that a peer can map */
#define SHM_FILE_BYTES_MAX \
    ((uint64_t)64 << 30) /* address space that one peer's files may take here */

/* -- the socket: a greeting of each side, then records; their descriptors ride on them -- */

#define SHM_MAGIC   "ROS2SHM"
#define SHM_VERSION 2

enum { SHM_HELLO = 1, SHM_WELCOME = 2 };

/* HELLO carries the table, the connection's memory and the doorbell, WELCOME the table and the doorbell. */
struct shm_greeting {
    char magic[7];
    uint8_t version;
    uint32_t kind;
    uint32_t ring_len; /* SHM_RING_LEN */
    uint32_t slots;    /* SHM_SLOTS */
    uint32_t table_len;
    uint8_t reserved[8]; /* 0 */
};
_Static_assert(sizeof(struct shm_greeting) == 32, "wire format");

#define SHM_HELLO_FDS   3
#define SHM_WELCOME_FDS 2

enum shm_notice_type {
    SHM_WAKE = 0,   /* this byte alone */
    SHM_FILE = 1,   /* with a descriptor: takes the place of the file that had this index */
    SHM_FORGET = 2, /* the file of this index is no more */
};

struct shm_notice {
    uint8_t type;
    uint8_t index;
    uint8_t reserved[6]; /* 0 */
    uint64_t serial;     /* never 0; 0 in FORGET */
    uint64_t len;        /* of the file; 0 in FORGET */
};
_Static_assert(sizeof(struct shm_notice) == 24, "wire format");

/* -- the connection's memory: sides, ring of the connecting side, of the accepting side, their pins -- */

#define SHM_RING_BYTES 65536u /* of one direction */
/* Longer messages go in fragments. The longest message of docs/PROTOCOL.md goes whole. */
#define SHM_RECORD_MAX 49152u

enum shm_gate {
    SHM_GATE_OPEN = 0,
    SHM_GATE_CLOSING = 1, /* this side's regions are closed to the peer; its messages still come */
    SHM_GATE_CLOSED = 2,  /* nothing comes any more */
};

enum shm_sleep {
    SHM_AWAKE = 0,
    SHM_WAKE_ON_DATA = 1,
    SHM_WAKE_ON_SPACE = 2,
};

/* Words of one side; only that side writes them, but for sleep, which its peer exchanges for SHM_AWAKE. A line for each
 * direction that they travel in, and its neighbour, which processors fetch along. */
struct shm_side {
    _Atomic uint64_t tail; /* bytes ever put into the own ring */
    _Atomic uint32_t gate; /* enum shm_gate */
    uint8_t pad_tail[128 - 12];
    _Atomic uint64_t head; /* bytes ever taken from the peer's ring */
    uint8_t pad_head[128 - 8];
    _Atomic uint32_t sleep; /* enum shm_sleep, a set */
    uint8_t pad_sleep[128 - 4];
};
_Static_assert(sizeof(struct shm_side) == 384, "shared layout");

struct shm_shared {
    union {
        struct shm_side side[2]; /* 0: who connected */
        uint8_t page[SHM_PAGE];
    } head;
    uint8_t ring[2][SHM_RING_BYTES];
    _Atomic uint32_t pin[2][SHM_SLOTS]; /* side's accesses under way to each region of its peer */
};
#define SHM_RING_LEN ((uint32_t)sizeof(struct shm_shared))
_Static_assert(SHM_RING_LEN % SHM_PAGE == 0, "whole pages");

enum shm_record_type {
    SHM_MESSAGE = 1,
    SHM_FRAGMENT =
        2, /* of a message of `total` bytes; the fragments of one message follow one another */
    SHM_BYE = 3,    /* an orderly end */
    SHM_BREACH = 4, /* the peer's user asked for a put that the region table does not allow */
};

/* In a ring, followed by len bytes, padded to SHM_RECORD_ALIGN; a record may wrap around the ring's end, this header not. */
struct shm_record {
    uint32_t len;
    uint32_t type;
    uint64_t total; /* of the message; 0 without one */
};
#define SHM_RECORD_ALIGN 16u
_Static_assert(sizeof(struct shm_record) == SHM_RECORD_ALIGN, "a header never wraps");

/* -- a domain's table of regions -- */

/* The two low bits of an entry's state; above them the generation. */
enum { SHM_ENTRY_DEAD = 0, SHM_ENTRY_LIVE = 1, SHM_ENTRY_MOVING = 2 };
#define SHM_ENTRY_BITS 2

struct shm_entry {
    _Atomic uint64_t state;
    _Atomic uint64_t serial; /* of its file */
    _Atomic uint64_t offset; /* in its file */
    _Atomic uint64_t len;
    _Atomic uint32_t file; /* index of its file */
    _Atomic uint32_t rights;
    uint8_t pad[24];
};
_Static_assert(sizeof(struct shm_entry) == 64, "shared layout");

struct shm_table {
    union {
        _Atomic uint32_t
            bell; /* set by a peer that has rung a doorbell: epoll is worth a question */
        uint8_t page[SHM_PAGE];
    } head;
    struct shm_entry entry[SHM_SLOTS];
};
#define SHM_TABLE_LEN ((uint32_t)sizeof(struct shm_table))

/* A token is generation << SHM_SLOT_BITS | slot. */
#define SHM_SLOT_BITS 16

#endif
