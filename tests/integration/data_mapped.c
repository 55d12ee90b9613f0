/* SPDX-License-Identifier: Apache-2.0 */
/* What holds when the engine works in the client's own memory: always on shm, whatever the others run on. */
#include "config.h"

#include "tests/integration/data_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RW    (ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE)
#define BLOCK (1u << 18) /* the rig's chunk */

struct fixture {
    struct rig rig;
    struct ros2d_session *session;
    struct peer peer;
    uint64_t handle;
    uint8_t *memory;
    struct ros2_region *region;
};

/* The second read of "a", and writes to it, wait for the file "hold" to go. */
static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    rig_start(&f->rig, "read:path=a:nth=2:times=1:while=@/hold,write:path=a:while=@/hold", NULL);
    f->session = rig_session(&f->rig);
    rig_write_file(&f->rig, "a", 100, 1);
    f->handle = rig_open(&f->rig, f->session, "a", RW);
    peer_join(&f->peer, &f->rig, f->session, 0, 1);
    assert_true(peer_is_mapped(&f->peer));
    f->memory = peer_alloc(2 * BLOCK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char hold[100];

    snprintf(hold, sizeof(hold), "%s/hold", f->rig.dir);
    unlink(hold); /* a case that failed has left it */
    rig_stop(&f->rig);
    peer_free(f->memory, 2 * BLOCK);
    free(f);
    return 0;
}

/* A READ or WRITE of two chunks, in memory with that right. */
static void begin(struct fixture *f, struct ros2i_msg *msg, uint8_t type, unsigned right)
{
    f->region = peer_region(&f->peer, f->memory, 2 * BLOCK, right);
    fill_read(msg, request_id(1, 0), f->handle, 0, 2 * BLOCK);
    msg->type = type;
    use_region(&f->peer, msg, f->region, (const uint32_t[]){2 * BLOCK, 0});
    if (type == ROS2I_MSG_WRITE)
        fill_crcs(&f->peer, msg, f->memory);
    peer_send(&f->peer, msg);
}

/* Nothing but the pong has come when the daemon has seen all that was sent. */
static void assert_no_reply(struct peer *peer)
{
    peer_ping(peer);
    assert_int_equal(peer_next(peer)->msg.type, ROS2I_MSG_PONG);
    assert_int_equal(peer->taken, peer->received);
}

static void end_peer(struct fixture *f)
{
    assert_int_equal(f->peer.ops->region_deregister(f->region), 0);
    peer_disconnect(&f->peer);
}

static void a_short_read_answers_once_the_engine_has_left_the_memory(void **state)
{
    struct fixture *f = *state;
    struct ros2i_msg msg;

    rig_hold(&f->rig, "hold");
    begin(f, &msg, ROS2I_MSG_READ, ROS2_REGION_REMOTE_WRITE);
    assert_no_reply(&f->peer); /* the end of file is known, but the chunk behind it is out */
    rig_release(&f->rig, "hold");
    const struct ros2i_reply *reply = peer_reply(&f->peer, msg.request_id);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, 100);
    end_peer(f); /* not -EBUSY: nothing is mapped when the reply is seen */
}

static void a_cancelled_write_answers_once_the_engine_has_left_the_memory(void **state)
{
    struct ros2i_msg msg, cancel = {.type = ROS2I_MSG_CANCEL};
    struct fixture *f = *state;

    rig_hold(&f->rig, "hold");
    begin(f, &msg, ROS2I_MSG_WRITE, ROS2_REGION_REMOTE_READ);
    cancel.u.target_id = msg.request_id;
    peer_send(&f->peer, &cancel);
    assert_no_reply(&f->peer);
    rig_release(&f->rig, "hold");
    /* The engine had all of it: it is done, as on any transport. */
    assert_int_equal(peer_reply(&f->peer, msg.request_id)->bytes, 2 * BLOCK);
    end_peer(f);
}

static void memory_without_the_right_costs_the_channel(void **state)
{
    struct ros2d_counters sum = {.broken = 0};
    struct fixture *f = *state;
    struct ros2i_msg msg;

    begin(f, &msg, ROS2I_MSG_WRITE, ROS2_REGION_REMOTE_WRITE);
    assert_null(peer_next(&f->peer));
    ros2d_data_counters(f->rig.data, &sum);
    assert_int_equal(atomic_load(&sum.broken), 1);
    end_peer(f);
}

/* The next epoch waits for the engine, finds the result, and the client has its memory back long before. */
static void a_lost_channel_leaves_the_engine_its_pages(void **state)
{
    struct fixture *f = *state;
    uint8_t *wanted = malloc(2 * BLOCK);
    struct ros2i_msg msg;
    struct peer next;

    pattern(f->memory, 2 * BLOCK, 5);
    memcpy(wanted, f->memory, 2 * BLOCK);
    rig_hold(&f->rig, "hold");
    begin(f, &msg, ROS2I_MSG_WRITE, ROS2_REGION_REMOTE_READ);
    peer_ping(&f->peer);
    f->peer.ops->ep_abort(f->peer.ep);
    f->peer.ep = NULL;
    end_peer(f);
    memset(f->memory, 0xee, 2 * BLOCK);
    peer_connect(&next, &f->rig, f->session);
    next.hello.epoch = 2;
    peer_say_hello(&next);
    assert_int_equal(peer_await_challenge(&next), 0);
    peer_say_proof(&next);
    rig_release(&f->rig, "hold");
    assert_int_equal(peer_await_welcome(&next), 0);
    f->region = peer_region(&next, f->memory, 2 * BLOCK, ROS2_REGION_REMOTE_READ);
    msg.flags |= ROS2I_MSG_REPLAY;
    use_region(&next, &msg, f->region, (const uint32_t[]){2 * BLOCK, 0});
    assert_int_equal(peer_call(&next, &msg)->bytes, 2 * BLOCK);
    rig_assert_file(&f->rig, "a", wanted, 2 * BLOCK);
    assert_int_equal(next.ops->region_deregister(f->region), 0);
    peer_disconnect(&next);
    free(wanted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_short_read_answers_once_the_engine_has_left_the_memory),
        TEST(a_cancelled_write_answers_once_the_engine_has_left_the_memory),
        TEST(memory_without_the_right_costs_the_channel),
        TEST(a_lost_channel_leaves_the_engine_its_pages),
    };

    setenv("ROS2_TEST_TRANSPORT", "shm", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
