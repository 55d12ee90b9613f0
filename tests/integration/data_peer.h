/* SPDX-License-Identifier: Apache-2.0 */
/* A data plane in this process, with the real engine and transport, and a raw peer that says what it likes to it. The
 * transport is $ROS2_TEST_TRANSPORT, tcp without it. */
#ifndef TESTS_INTEGRATION_DATA_PEER_H
#define TESTS_INTEGRATION_DATA_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/data/data.h"
#include "daemon/data/engines.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/shared_memory.h"
#include "lib/protocol/wire.h"

/* Long enough for a loaded machine under a sanitizer; nothing waits that long when all is well. */
#define PATIENCE_NS (60 * ROS2I_NS_PER_S)

#define MUST(call)                                    \
    do {                                              \
        if ((call) < 0)                               \
            fail_msg("%s: %s", #call, ros2i_error()); \
    } while (0)

/* -- the daemon's side -- */

struct rig {
    char dir[64]; /* mkdtemp; root is DIR/root, files that hold operations lie in DIR */
    char root[80];
    struct ros2d_config *config;
    struct ros2d_engines *engines;
    struct ros2d_state state;
    struct ros2d_principal principal;
    struct ros2d_data *data;
};

/* rules: of layer fault, with @ for the rig's folder; NULL: no layer. change: NULL, or alters the configuration. */
void rig_start(struct rig *rig, const char *rules, void (*change)(struct ros2d_config *config));
/* Stops the data plane (when it still runs) and checks that everything was given back. */
void rig_stop(struct rig *rig);
void rig_stop_data(struct rig *rig, uint64_t wait_ns);
struct ros2d_session *rig_session(struct rig *rig);
/* rights: enum ros2i_right. */
uint64_t rig_open(struct rig *rig, struct ros2d_session *session, const char *path,
                  uint32_t rights);
/* A file of the root with `len` bytes of pattern(seed). */
void rig_write_file(struct rig *rig, const char *path, size_t len, unsigned seed);
/* The file holds exactly these bytes. */
void rig_assert_file(struct rig *rig, const char *path, const void *bytes, size_t len);
/* A file whose being there holds operations of layer fault. */
void rig_hold(struct rig *rig, const char *name);
void rig_release(struct rig *rig, const char *name);
void pattern(void *buf, size_t len, unsigned seed);

/* -- the peer's side -- */

#define INBOX 512

struct letter {
    struct ros2i_msg msg; /* payload points into raw */
    uint8_t *raw;
    size_t len;
};

struct peer {
    struct rig *rig;
    const struct ros2_transport_ops *ops;
    struct ros2i_shared_view *memory;
    struct ros2_domain *domain;
    struct ros2_ep *ep;
    bool connected, closed;
    int close_err;
    struct letter inbox[INBOX];
    unsigned received, taken;
    /* What it says in HELLO; may be altered before. */
    struct ros2d_session *session; /* borrowed */
    struct ros2i_hello hello;
    uint8_t secret[ROS2I_SECRET_LEN];
    uint8_t hello_raw[256], challenge_raw[256];
    size_t hello_len, challenge_len;
    struct ros2i_challenge challenge;
};

/* Connects to the data plane's endpoint `index`; HELLO's fields are set for session (NULL: none such). */
void peer_connect(struct peer *peer, struct rig *rig, struct ros2d_session *session);
void peer_disconnect(struct peer *peer);
/* HELLO to WELCOME. 0, a REJECT's error, or -1: closed without a word. */
int peer_handshake(struct peer *peer);
/* Parts of it. */
void peer_say_hello(struct peer *peer);
int peer_await_challenge(struct peer *peer); /* as peer_handshake */
void peer_say_proof(struct peer *peer);
int peer_await_welcome(struct peer *peer); /* as peer_handshake; checks the daemon's proof */
/* connect + handshake that must work. */
void peer_join(struct peer *peer, struct rig *rig, struct ros2d_session *session, uint32_t queue,
               uint64_t epoch);

void peer_send(struct peer *peer, const struct ros2i_msg *msg);
void peer_send_raw(struct peer *peer, const void *bytes, size_t len);
/* The next message, or NULL when the daemon closed first. Fails the test after a long while. */
const struct letter *peer_next(struct peer *peer);
void peer_await_close(struct peer *peer);
/* Handles what is there now; returns whether anything was. */
bool peer_turn(struct peer *peer);
/* A round trip: whatever the daemon has sent before is in the inbox after it. Only on a READY channel. */
void peer_ping(struct peer *peer);

/* -- requests; id 0 of a message picks the next sequence in slot 0 -- */

uint64_t request_id(uint64_t sequence, uint16_t slot);
void fill_read(struct ros2i_msg *msg, uint64_t id, uint64_t handle, uint64_t offset, uint32_t len);
/* Inline, with checksums of data. */
void fill_write(struct ros2i_msg *msg, uint64_t id, uint64_t handle, uint64_t offset,
                const void *data, uint32_t len);
/* Moves msg's data into (READ: out of) a region of one's own, as segments of these lengths, 0 ends. */
void use_region(struct peer *peer, struct ros2i_msg *msg, struct ros2_region *region,
                const uint32_t *lens);
/* The CRCs of a WRITE by the channel's block. */
void fill_crcs(struct peer *peer, struct ros2i_msg *msg, const void *data);
struct ros2_region *peer_region(struct peer *peer, void *buf, size_t len, unsigned rights);
/* Zeroed memory that can be a region on any transport. */
void *peer_alloc(size_t len);
void peer_free(void *memory, size_t len);
/* Its memory is mapped by the daemon: nothing of it goes over a wire. */
bool peer_is_mapped(const struct peer *peer);
/* Sends and waits for its REPLY, which is checked for id and type. */
const struct ros2i_reply *peer_call(struct peer *peer, const struct ros2i_msg *msg);
const struct ros2i_reply *peer_reply(struct peer *peer, uint64_t id);

#endif
