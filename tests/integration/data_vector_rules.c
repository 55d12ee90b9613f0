/* SPDX-License-Identifier: Apache-2.0 */
/* READV when it is cancelled, replayed or against the rules; and CLOSE. */
#include "config.h"

#include "tests/integration/vector_peer.h"

#include <errno.h>
#include <string.h>

static int setup(void **state)
{
    return vector_setup_with(state, NULL);
}

/* f11 fails, f12 waits. */
static int setup_faults(void **state)
{
    return vector_setup_with(state, "read:path=f11:errno=EIO,read:path=f12:while=@/hold");
}

/* -- cancel, close, loss -- */

static void send_held(struct fixture *f, struct ros2_region *region, uint16_t slot)
{
    vector_begin(f);
    f->msg.request_id = request_id(f->sequence, slot);
    vector_add(f, 4, 0, 5000);
    vector_add(f, 12, 0, 5000);
    vector_add(f, 5, 0, 5000);
    vector_use_segments(f, region, (const uint32_t[]){15000, 0});
    peer_send(&f->peer, &f->msg);
}

static void a_cancelled_one_leaves_the_memory_alone(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);
    struct ros2i_msg cancel = {.type = ROS2I_MSG_CANCEL};

    rig_hold(&f->rig, "hold");
    send_held(f, region, 0);
    cancel.u.target_id = f->msg.request_id;
    peer_send(&f->peer, &cancel);
    peer_ping(&f->peer); /* the cancel was there, and the engine still has its read */
    assert_int_equal(f->peer.received - f->peer.taken, 1);
    rig_release(&f->rig, "hold");
    const struct ros2i_reply *reply = peer_reply(&f->peer, f->msg.request_id);
    assert_true(reply->status == ECANCELED || reply->status == 0); /* it may have had all of it */
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
    memset(f->memory, UNSET, MIB);
    peer_ping(&f->peer);
    for (uint32_t i = 0; i < MIB; i++)
        assert_int_equal(f->memory[i], UNSET);
}

static void files_closed_in_the_middle_are_read_to_the_end(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);

    rig_hold(&f->rig, "hold");
    memset(f->memory, UNSET, MIB);
    send_held(f, region, 0);
    peer_ping(&f->peer);
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(ros2d_handles_close(f->rig.state.handles, f->session, f->handle[i]), 0);
    rig_release(&f->rig, "hold");
    vector_check(f, peer_reply(&f->peer, f->msg.request_id), f->memory, true);
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
    /* The daemon lets go of the files only once its transport has told that the data is out. */
    while (f->rig.state.tenant->limits.open_files.used > 0) {
        peer_ping(&f->peer);
        ros2d_handles_reap(f->rig.state.handles);
    }
}

static void a_lost_channel_is_fenced_and_the_replay_reads_again(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);

    rig_hold(&f->rig, "hold");
    send_held(f, region, 0);
    send_held(f, region, 1);
    peer_ping(&f->peer);
    vector_hang_up(&f->peer, region);
    peer_connect(&f->peer, &f->rig, f->session);
    f->peer.hello.epoch = 2;
    peer_say_hello(&f->peer);
    assert_int_equal(peer_await_challenge(&f->peer), 0);
    peer_say_proof(&f->peer);
    rig_release(&f->rig, "hold");
    assert_int_equal(peer_await_welcome(&f->peer), 0);
    vector_begin(f);
    f->msg.flags |= ROS2I_MSG_REPLAY;
    f->msg.request_id = request_id(f->sequence - 1, 1); /* the second one's */
    vector_add(f, 4, 0, 5000);
    vector_add(f, 12, 0, 5000);
    vector_call_region(f, (const uint32_t[]){10000, 0});
}

static void all_slots_are_served_at_once(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);
    struct ros2i_vector_request *v;

    for (unsigned round = 0; round < 5; round++) {
        for (uint16_t slot = 0; slot < 8; slot++) {
            v = vector_begin(f);
            f->msg.request_id = request_id(f->sequence, slot);
            for (unsigned i = 0; i < ROS2I_WIRE_EXTENTS_MAX; i++)
                vector_add(f, (slot + i) % FILES, 0, 100);
            vector_use_segments(f, region, (const uint32_t[]){v->length, 0});
            peer_send(&f->peer, &f->msg);
        }
        for (uint16_t slot = 0; slot < 8; slot++) {
            const struct letter *letter = peer_next(&f->peer);
            assert_non_null(letter);
            assert_int_equal(letter->msg.u.reply.status, 0);
            assert_int_equal(letter->msg.u.reply.payload_len, 8 * ROS2I_WIRE_EXTENTS_MAX);
        }
    }
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}

/* -- CLOSE -- */

static uint32_t close_files(struct fixture *f, const uint64_t *handles, uint32_t count,
                            uint16_t flags)
{
    uint8_t raw[FILES * 8];
    struct ros2i_msg msg = {.type = ROS2I_MSG_CLOSE, .flags = flags};

    for (uint32_t i = 0; i < count; i++)
        ros2i_close_put(raw, i, handles[i]);
    msg.request_id = request_id(flags ? f->sequence : ++f->sequence, 0);
    msg.u.close.count = count;
    msg.u.close.handles = raw;
    const struct ros2i_reply *reply = peer_call(&f->peer, &msg);
    assert_int_equal(reply->payload_len, 0);
    return reply->status;
}

static void close_closes_what_is_the_session_s(void **state)
{
    struct fixture *f = *state;
    struct ros2d_session *other = rig_session(&f->rig);
    uint64_t foreign = rig_open(&f->rig, other, "f2", RW);
    uint64_t some[] = {f->handle[0], 0, foreign, UINT64_MAX, f->handle[1], f->handle[1]};

    assert_int_equal(close_files(f, some, 6, 0), 0);
    ros2d_handles_reap(f->rig.state.handles);
    assert_int_equal(f->rig.state.tenant->limits.open_files.used, FILES + 1 - 2);
    vector_begin(f);
    vector_add_raw(f, f->handle[0], 0, 1, EBADF, 0);
    vector_add_raw(f, f->handle[1], 0, 1, EBADF, 0);
    vector_add(f, 2, 0, 1);
    vector_call_inline(f);
    assert_int_equal(ros2d_handles_close(f->rig.state.handles, other, foreign), 0);
    /* As after a lost channel. */
    assert_int_equal(close_files(f, f->handle, FILES, 0), 0);
    peer_disconnect(&f->peer);
    peer_join(&f->peer, &f->rig, f->session, 0, 2);
    assert_int_equal(close_files(f, f->handle, FILES, ROS2I_MSG_REPLAY), 0);
    ros2d_handles_reap(f->rig.state.handles);
    assert_int_equal(f->rig.state.tenant->limits.open_files.used, 0);
}

/* -- breaches: each on a channel of its own -- */

static void assert_closes(struct fixture *f, const void *bytes, size_t len)
{
    static uint32_t queue = 100;
    struct peer peer;

    peer_join(&peer, &f->rig, f->session, queue++, 1);
    if (bytes)
        peer_send_raw(&peer, bytes, len);
    else
        peer_send(&peer, &f->msg);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
}

static void use_token(struct fixture *f, uint64_t token)
{
    f->msg.u.vector.segment_count = 1;
    f->msg.u.vector.segment[0] =
        (struct ros2i_segment){token, 0, f->msg.u.vector.length, ROS2I_SEGMENT_TOKEN};
}

static void what_breaks_the_rules_costs_the_channel(void **state)
{
    struct fixture *f = *state;

    vector_begin(f);
    vector_add(f, 3, 0, 4096 - 7); /* with its result past the inline limit */
    assert_closes(f, NULL, 0);
    vector_begin(f);
    for (unsigned i = 0; i < 257; i++)
        vector_add(f, 3, 0, 8);
    assert_closes(f, NULL, 0);
    vector_begin(f);
    vector_add(f, 6, 0, MIB);
    vector_add(f, 6, 0, 1);
    use_token(f, 1); /* past max_io */
    assert_closes(f, NULL, 0);
    vector_begin(f);
    vector_add(f, 3, 0, 10);
    f->msg.flags = 0; /* checksums were settled */
    assert_closes(f, NULL, 0);
    vector_begin(f);
    vector_add(f, 3, 0, 10);
    f->msg.request_id = request_id(1, 8); /* the slots are 0..7 */
    assert_closes(f, NULL, 0);
    vector_begin(f);
    vector_add(f, 6, 0, 100000);
    use_token(f, 0xdeadbeef); /* the client's transport does not know it */
    assert_closes(f, NULL, 0);
}

static void hostile_counts_and_sums_cost_the_channel(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned at, width;
        uint64_t value;
    } changes[] = {
        {16, 2, 0},          {16, 2, 1},          {16, 2, 3},  {16, 2, 1024},
        {16, 2, 1025},       {16, 2, UINT16_MAX}, {18, 2, 1},  {18, 2, 17},
        {18, 2, UINT16_MAX}, {20, 4, 19},         {20, 4, 21}, {20, 4, 0},
        {20, 4, UINT32_MAX}, {40, 4, 11},         {40, 4, 0},  {40, 4, UINT32_MAX},
        {32, 8, UINT64_MAX}, {32, 8, INT64_MAX},  {44, 4, 1},  {4, 4, 71},
    };

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t bytes[256];
        vector_begin(f);
        f->msg.request_id = request_id(1, 0);
        vector_add(f, 3, 0, 10);
        vector_add(f, 4, 0, 10);
        int len = ros2i_wire_encode(&f->msg, bytes, sizeof(bytes));
        memcpy(bytes + len, f->raw, 2 * ROS2I_WIRE_EXTENT_LEN);
        for (unsigned b = 0; b < changes[i].width; b++)
            bytes[changes[i].at + b] = (uint8_t)(changes[i].value >> 8 * b);
        assert_closes(f, bytes, (size_t)len + 2 * ROS2I_WIRE_EXTENT_LEN);
    }
    peer_ping(&f->peer);
}

static void a_region_that_is_not_the_client_s_is_refused(void **state)
{
    struct fixture *f = *state;

    vector_begin(f);
    vector_add(f, 6, 0, 100000);
    use_token(f, 12345);
    f->msg.u.vector.segment[0].kind = ROS2I_SEGMENT_REGION;
    const struct ros2i_reply *reply = peer_call(&f->peer, &f->msg);
    assert_int_equal(reply->status, ENOENT);
    assert_int_equal(reply->payload_len, 0);
    vector_begin(f);
    vector_add(f, 4, 0, 100);
    vector_call_inline(f);
}

static void a_segment_past_the_region_costs_the_channel(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region = peer_region(&f->peer, f->memory, 8192, ROS2_REGION_REMOTE_WRITE);

    memset(f->memory, UNSET, MIB);
    vector_begin(f);
    vector_add(f, 4, 0, 5000);
    vector_add(f, 5, 0, 5000);
    vector_use_segments(f, region, (const uint32_t[]){10000, 0});
    peer_send(&f->peer, &f->msg);
    assert_null(peer_next(&f->peer));
    for (uint32_t i = 8192; i < MIB; i++)
        assert_int_equal(f->memory[i], UNSET);
    vector_hang_up(&f->peer, region);
    peer_join(&f->peer, &f->rig, f->session, 0, 2);
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, vector_teardown)
#define FAULTY(name) cmocka_unit_test_setup_teardown(name, setup_faults, vector_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULTY(a_cancelled_one_leaves_the_memory_alone),
        FAULTY(files_closed_in_the_middle_are_read_to_the_end),
        FAULTY(a_lost_channel_is_fenced_and_the_replay_reads_again),
        TEST(all_slots_are_served_at_once),
        TEST(close_closes_what_is_the_session_s),
        TEST(what_breaks_the_rules_costs_the_channel),
        TEST(hostile_counts_and_sums_cost_the_channel),
        TEST(a_region_that_is_not_the_client_s_is_refused),
        TEST(a_segment_past_the_region_costs_the_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
