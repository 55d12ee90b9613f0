/* SPDX-License-Identifier: Apache-2.0 */
/* A peer of transport shm that is played by hand, byte by byte, and what tests with one have in common: a domain with a good
 * connection, and that domain's end of the hostile one. Owner: the test's thread. */
#ifndef SHM_PEER_HAND_H
#define SHM_PEER_HAND_H

#include "tests/conformance/transport_pair.h"
#include "transports/shm/layout.h"

/* -- the peer -- */

struct shm_peer_hand {
    int socket;
    int fds[SHM_HELLO_FDS]; /* of its table, ring and doorbell */
    int victim_doorbell;
    struct shm_table *table, *victim_table;
    struct shm_shared *ring;
    struct shm_side *mine, *theirs;
};

/* Takes over a socket; its memory is made as it should be. */
void shm_peer_open(struct shm_peer_hand *peer, int socket_fd);
void shm_peer_close(struct shm_peer_hand *peer);
/* Sends as it is. The other end may have hung up by now. */
void shm_peer_say(struct shm_peer_hand *peer, const void *bytes, size_t len, const int *fds,
                  int count);
struct shm_greeting shm_peer_greeting(uint32_t kind);
void shm_peer_hello(struct shm_peer_hand *peer);
/* Has WELCOME come? */
bool shm_peer_welcomed(struct shm_peer_hand *peer);
/* Puts a record into the ring, `there` bytes behind its header, and publishes it. */
void shm_peer_record(struct shm_peer_hand *peer, uint32_t type, uint32_t len, uint64_t total,
                     const void *bytes, uint32_t there);
/* Changes bytes of what the victim reads: indices, flags, records. */
void shm_peer_scribble(struct shm_peer_hand *peer, uint32_t *seed);

/* A region of the peer: a file, and an entry in its table. */
#define SHM_PEER_TOKEN ((uint64_t)1 << SHM_SLOT_BITS)
void shm_peer_share(struct shm_peer_hand *peer);
void shm_peer_scribble_table(struct shm_peer_hand *peer, uint32_t *seed);

enum shm_peer_file {
    SHM_PEER_UNSEALED,
    SHM_PEER_GROW_SEALED, /* may still shrink */
    SHM_PEER_SHORT,
    SHM_PEER_LONG,
    SHM_PEER_EMPTY,
    SHM_PEER_HUGE, /* of hugetlbfs; len must be a multiple of its page */
    SHM_PEER_READ_ONLY,
    SHM_PEER_WRITE_SEALED,
    SHM_PEER_PLAIN, /* a file with a name */
    SHM_PEER_PIPE,
    SHM_PEER_DEVICE,
    SHM_PEER_GOOD, /* the only one that is not refused */
};
/* -1: this system has none. */
int shm_peer_make_file(enum shm_peer_file kind, uint64_t len);

/* Mappings of memfds in this process. */
int shm_peer_count_maps(void);

/* -- what it attacks -- */

struct hostile {
    struct pair pair;
    struct pair_side victim; /* the domain's end of the hostile connection */
    int accepted;
    struct ros2_listener *listener;
    char address[128];
    struct pair_region region; /* of the domain's memory */
};
int hostile_setup(void **state);
int hostile_teardown(void **state);
/* A connection without a greeting. */
int hostile_dial(struct hostile *h);
/* One that stands. */
void hostile_join(struct hostile *h, struct shm_peer_hand *peer);
/* The peer hangs up, the victim is freed. */
void hostile_leave(struct hostile *h, struct shm_peer_hand *peer);
/* The good connection still works. */
void hostile_others_go_on(struct hostile *h);
/* The victim has ended it with -EPROTO, and others go on. */
void hostile_is_refused(struct hostile *h);

/* Descriptors and mappings of this process, when nothing is under way. */
struct hostile_usage {
    int fds, maps;
};
struct hostile_usage hostile_usage(struct hostile *h);
void hostile_is_as_before(struct hostile *h, struct hostile_usage before);

#endif
