/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may not do: some of it is answered with an error, the rest costs it the channel, and only the channel. */
#include "config.h"

#include "tests/integration/data_peer.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/protocol/capability.h"

#define RW         (ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE)
#define NONCE_BYTE 7 /* peer_connect's process nonce is made of it */

struct fixture {
    struct rig rig;
    struct ros2d_session *session;
    struct peer peer;
    uint64_t handle, sequence;
    uint8_t memory[65536];
};

static int setup(void **state)
{
    struct fixture *f = peer_alloc(sizeof(*f));

    rig_start(&f->rig, NULL, NULL);
    f->session = rig_session(&f->rig);
    rig_write_file(&f->rig, "a", 100000, 1);
    f->handle = rig_open(&f->rig, f->session, "a", RW);
    peer_join(&f->peer, &f->rig, f->session, 0, 1);
    *state = f;
    return 0;
}

/* The daemon still serves others, whatever happened here. */
static int teardown(void **state)
{
    struct fixture *f = *state;
    struct peer other;

    peer_join(&other, &f->rig, rig_session(&f->rig), 0, 1);
    peer_ping(&other);
    peer_disconnect(&other);
    peer_disconnect(&f->peer);
    rig_stop(&f->rig);
    peer_free(f, sizeof(*f));
    return 0;
}

static uint32_t read_status(struct fixture *f, struct peer *peer, uint64_t handle)
{
    struct ros2i_msg msg;

    fill_read(&msg, request_id(++f->sequence, 0), handle, 0, 10);
    return peer_call(peer, &msg)->status;
}

static uint32_t write_status(struct fixture *f, uint64_t handle)
{
    struct ros2i_msg msg;

    fill_write(&msg, request_id(++f->sequence, 0), handle, 0, "0123456789", 10);
    return peer_call(&f->peer, &msg)->status;
}

static void rights_hold(void **state)
{
    struct fixture *f = *state;
    uint64_t ro = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    uint64_t wo = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_WRITE);

    assert_int_equal(read_status(f, &f->peer, ro), 0);
    assert_int_equal(write_status(f, ro), EBADF);
    assert_int_equal(read_status(f, &f->peer, wo), EBADF);
    assert_int_equal(write_status(f, wo), 0);
}

static void stale_forged_and_foreign_handles_are_refused(void **state)
{
    struct fixture *f = *state;
    struct ros2d_session *other = rig_session(&f->rig);
    uint64_t foreign = rig_open(&f->rig, other, "a", RW);
    struct ros2i_msg sync = {.type = ROS2I_MSG_FSYNC, .u.handle = foreign};

    assert_int_equal(read_status(f, &f->peer, foreign), EBADF);
    assert_int_equal(write_status(f, foreign), EBADF);
    sync.request_id = request_id(++f->sequence, 0);
    assert_int_equal(peer_call(&f->peer, &sync)->status, EBADF);
    assert_int_equal(read_status(f, &f->peer, UINT64_MAX), EBADF);
    assert_int_equal(read_status(f, &f->peer, 0), EBADF);
    assert_int_equal(read_status(f, &f->peer, f->handle + (2ull << 32)), EBADF);
    assert_int_equal(ros2d_handles_close(f->rig.state.handles, f->session, f->handle), 0);
    assert_int_equal(read_status(f, &f->peer, f->handle), EBADF);
}

static void directories_hold_no_data(void **state)
{
    struct fixture *f = *state;
    struct ros2d_tenant *tenant = f->rig.state.tenant;
    struct ros2_node *node;
    uint64_t handle;

    assert_int_equal(tenant->engine_ops->open(tenant->root, "",
                                              ROS2_OPEN_READ | ROS2_OPEN_DIRECTORY, 0, &node, NULL),
                     0);
    assert_int_equal(ros2d_handles_open(f->rig.state.handles, f->session, node, RW, true, &handle),
                     0);
    assert_int_equal(read_status(f, &f->peer, handle), EISDIR);
    assert_int_equal(write_status(f, handle), EISDIR);
}

/* -- breaches: each on a channel of its own -- */

static void assert_closes(struct fixture *f, const struct ros2i_msg *msg)
{
    static uint32_t queue = 100;
    struct peer peer;

    peer_join(&peer, &f->rig, f->session, queue++, 1);
    peer_send(&peer, msg);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
}

static void requests_out_of_bounds_close(void **state)
{
    struct fixture *f = *state;
    struct ros2i_msg msg;

    fill_read(&msg, request_id(1, 8), f->handle, 0, 10); /* the slots are 0..7 */
    assert_closes(f, &msg);
    fill_read(&msg, request_id(0, 3), f->handle, 0, 10); /* sequences begin at 1 */
    assert_closes(f, &msg);
    fill_read(&msg, request_id(1, 0), f->handle, 0, 4097); /* past the inline limit */
    assert_closes(f, &msg);
    fill_read(&msg, request_id(1, 0), f->handle, 0, (1 << 20) + 1); /* past max_io */
    msg.u.io.segment_count = 1;
    msg.u.io.segment[0] =
        (struct ros2i_segment){.id = 1, .len = (1 << 20) + 1, .kind = ROS2I_SEGMENT_TOKEN};
    assert_closes(f, &msg);
    fill_read(&msg, request_id(1, 0), f->handle, 0, 10);
    msg.flags = 0; /* checksums were settled */
    assert_closes(f, &msg);
    fill_write(&msg, request_id(1, 0), f->handle, 0, "x", 1);
    msg.u.io.length = 1 << 18;
    msg.u.io.segment_count = 1;
    msg.u.io.segment[0] =
        (struct ros2i_segment){.id = 1, .len = 1 << 18, .kind = ROS2I_SEGMENT_TOKEN};
    msg.u.io.crc_count = 2; /* one block */
    assert_closes(f, &msg);
}

static void a_sequence_that_does_not_grow_closes(void **state)
{
    struct fixture *f = *state;

    for (uint64_t again = 5; again >= 4; again--) {
        struct ros2i_msg msg;
        struct peer peer;

        peer_join(&peer, &f->rig, f->session, (uint32_t)again, 1);
        fill_read(&msg, request_id(5, 0), f->handle, 0, 10);
        assert_int_equal(peer_call(&peer, &msg)->status, 0);
        fill_read(&msg, request_id(again, 0), f->handle, 0, 10);
        msg.flags |= again == 4 ? ROS2I_MSG_REPLAY : 0;
        peer_send(&peer, &msg);
        assert_null(peer_next(&peer));
        peer_disconnect(&peer);
    }
}

/* A token that the client's own transport does not know ends the channel there, not the daemon. */
static void a_made_up_token_costs_the_client_its_channel(void **state)
{
    struct fixture *f = *state;
    struct ros2i_msg msg;

    fill_read(&msg, request_id(1, 0), f->handle, 0, 65536);
    msg.u.io.segment_count = 1;
    msg.u.io.segment[0] =
        (struct ros2i_segment){.id = 0xdeadbeef, .len = 65536, .kind = ROS2I_SEGMENT_TOKEN};
    peer_send(&f->peer, &msg);
    assert_null(peer_next(&f->peer));
}

/* Where the daemon maps the memory itself, it sees at once that there is none. */
static void a_get_that_the_client_refuses_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct ros2i_msg msg;

    fill_write(&msg, request_id(1, 0), f->handle, 0, NULL, 0);
    msg.u.io.length = 65536;
    msg.u.io.segment_count = 1;
    msg.u.io.segment[0] =
        (struct ros2i_segment){.id = 0xdeadbeef, .len = 65536, .kind = ROS2I_SEGMENT_TOKEN};
    memset(f->memory, 0, sizeof(f->memory));
    fill_crcs(&f->peer, &msg, f->memory);
    if (peer_is_mapped(&f->peer)) {
        peer_send(&f->peer, &msg);
        assert_null(peer_next(&f->peer));
        return;
    }
    assert_int_equal(peer_call(&f->peer, &msg)->status, EACCES);
    peer_ping(&f->peer);
}

/* -- registered regions -- */

static uint64_t register_region(struct fixture *f, struct ros2_region *region, uint32_t queue,
                                uint32_t rights)
{
    struct ros2d_region what = {.queue = queue, .len = sizeof(f->memory), .rights = rights};
    uint64_t id;

    strcpy(what.transport, f->peer.ops->name);

    memset(what.process_nonce, NONCE_BYTE, sizeof(what.process_nonce));
    what.key_len = (uint32_t)f->peer.ops->region_pack(region, what.key, sizeof(what.key));
    assert_int_equal(ros2d_regions_register(f->rig.state.regions, f->session, &what, &id), 0);
    return id;
}

static uint32_t read_into(struct fixture *f, uint64_t region, uint64_t offset, uint32_t len)
{
    struct ros2i_msg msg;

    fill_read(&msg, request_id(++f->sequence, 0), f->handle, 0, len);
    msg.u.io.segment_count = 1;
    msg.u.io.segment[0] = (struct ros2i_segment){
        .id = region, .offset = offset, .len = len, .kind = ROS2I_SEGMENT_REGION};
    return peer_call(&f->peer, &msg)->status;
}

static void a_registered_region_takes_data_within_its_bounds(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region =
        peer_region(&f->peer, f->memory, sizeof(f->memory), ROS2_REGION_REMOTE_WRITE);
    uint64_t id = register_region(f, region, 0, ROS2_REGION_REMOTE_WRITE);
    uint8_t wanted[65536];

    pattern(wanted, sizeof(wanted), 1);
    for (int i = 0; i < 3; i++) {
        memset(f->memory, 0, sizeof(f->memory));
        assert_int_equal(read_into(f, id, 0, 65536), 0);
        assert_memory_equal(f->memory, wanted, 65536);
    }
    assert_int_equal(read_into(f, id, 65000, 536), 0);
    assert_memory_equal(f->memory + 65000, wanted, 536);
    assert_int_equal(read_into(f, id, 65000, 537), ERANGE);
    assert_int_equal(read_into(f, id, 1ull << 40, 1), ERANGE);
    assert_memory_equal(f->memory, wanted, 65000);
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}

static void regions_of_others_and_without_the_right_are_refused(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region =
        peer_region(&f->peer, f->memory, sizeof(f->memory), ROS2_REGION_REMOTE_WRITE);
    struct ros2d_session *mine = f->session;

    assert_int_equal(read_into(f, register_region(f, region, 9, ROS2_REGION_REMOTE_WRITE), 0, 10),
                     EACCES);
    assert_int_equal(read_into(f, register_region(f, region, 0, ROS2_REGION_REMOTE_READ), 0, 10),
                     EACCES);
    f->session = rig_session(&f->rig);
    uint64_t foreign = register_region(f, region, 0, ROS2_REGION_REMOTE_WRITE);
    f->session = mine;
    assert_int_equal(read_into(f, foreign, 0, 10), ENOENT);
    assert_int_equal(read_into(f, 12345, 0, 10), ENOENT);
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}

static void a_revoked_region_is_refused_and_unused(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region =
        peer_region(&f->peer, f->memory, sizeof(f->memory), ROS2_REGION_REMOTE_WRITE);
    uint64_t id = register_region(f, region, 0, ROS2_REGION_REMOTE_WRITE);

    assert_int_equal(read_into(f, id, 0, 65536), 0);
    assert_int_equal(ros2d_regions_revoke(f->rig.state.regions, f->session, id), 0);
    assert_int_equal(
        ros2d_regions_wait_unused(f->rig.state.regions, id, ros2i_now_ns() + 60 * ROS2I_NS_PER_S),
        0);
    assert_int_equal(read_into(f, id, 0, 10), ENOENT);
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}

/* -- clients that stop -- */

#define MIB (1u << 20)

static void eight_buffers(struct ros2d_config *config)
{
    config->data.bounce_memory = 8 * config->data.chunk;
    config->data.stall_timeout_ms = 100;
}

static uint64_t live_channels(const struct rig *rig)
{
    struct ros2d_counters sum = {.channels = 0};

    ros2d_data_counters(rig->data, &sum);
    return atomic_load(&sum.channels);
}

static uint64_t writes_begun(const struct rig *rig)
{
    struct ros2d_counters sum = {.writes = 0};

    ros2d_data_counters(rig->data, &sum);
    return atomic_load(&sum.writes);
}

/* Has as many gets as a channel may, and answers none. */
static struct ros2_region *write_and_stop(struct peer *peer, uint64_t handle, void *memory)
{
    struct ros2_region *region = peer_region(peer, memory, MIB, ROS2_REGION_REMOTE_READ);

    for (uint16_t slot = 0; slot < 2; slot++) {
        struct ros2i_msg msg;
        fill_write(&msg, request_id(1, slot), handle, 0, NULL, 0);
        msg.u.io.length = MIB;
        use_region(peer, &msg, region, (const uint32_t[]){MIB, 0});
        fill_crcs(peer, &msg, memory);
        peer_send(peer, &msg);
    }
    return region;
}

static void who_answers_no_get_makes_room_for_others(void **state)
{
    uint8_t *memory = peer_alloc(MIB);
    struct ros2_region *region[3];
    struct peer stopped[2], other;
    struct rig rig;

    (void)state;
    rig_start(&rig, NULL, eight_buffers);
    struct ros2d_session *session = rig_session(&rig);
    uint64_t handle = rig_open(&rig, session, "a", RW);
    rig_write_file(&rig, "a", MIB, 1);
    peer_join(&other, &rig, session, 2, 1);
    if (peer_is_mapped(
            &other)) /* nobody takes the daemon's memory, and no get waits for an answer */
        goto stop;
    region[2] = peer_region(&other, memory, MIB, ROS2_REGION_REMOTE_WRITE);
    for (uint32_t i = 0; i < 2; i++) {
        peer_join(&stopped[i], &rig, session, i, 1);
        region[i] = write_and_stop(&stopped[i], handle, memory);
    }
    /* All memory is theirs from here on: what they did not get now they would not stand in line for. */
    for (uint64_t until_ns = ros2i_now_ns() + PATIENCE_NS; writes_begun(&rig) < 4; sched_yield())
        assert_true(ros2i_now_ns() < until_ns);
    for (uint64_t i = 1; live_channels(&rig) == 3; i++) {
        struct ros2i_msg msg;
        fill_read(&msg, request_id(i, 0), handle, 0, MIB);
        use_region(&other, &msg, region[2], (const uint32_t[]){MIB, 0});
        assert_int_equal(peer_call(&other, &msg)->bytes, MIB);
    }
    peer_ping(&other);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(stopped[i].ops->region_deregister(region[i]), 0);
        peer_disconnect(&stopped[i]);
    }
    assert_int_equal(other.ops->region_deregister(region[2]), 0);
stop:
    peer_disconnect(&other);
    rig_stop(&rig);
    peer_free(memory, MIB);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rights_hold),
        TEST(stale_forged_and_foreign_handles_are_refused),
        TEST(directories_hold_no_data),
        TEST(requests_out_of_bounds_close),
        TEST(a_sequence_that_does_not_grow_closes),
        TEST(a_made_up_token_costs_the_client_its_channel),
        TEST(a_get_that_the_client_refuses_is_an_error),
        TEST(a_registered_region_takes_data_within_its_bounds),
        TEST(regions_of_others_and_without_the_right_are_refused),
        TEST(a_revoked_region_is_refused_and_unused),
        cmocka_unit_test(who_answers_no_get_makes_room_for_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
