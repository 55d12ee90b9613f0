/* SPDX-License-Identifier: Apache-2.0 */
/* Lost channels, replays, cancels, drains: what was asked takes effect once or not at all, and never late. */
#include "config.h"

#include "tests/integration/data_peer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/protocol/capability.h"

#define RW    (ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE)
#define BLOCK (1u << 18)

struct fixture {
    struct rig rig;
    struct ros2d_session *session;
    uint64_t handle;
    uint8_t memory[1 << 20];
};

/* Operations on paths with "held" in them wait for the file "hold" to go. */
static int setup(void **state)
{
    struct fixture *f = peer_alloc(sizeof(*f));

    rig_start(&f->rig, "write:path=held:while=@/hold,read:path=held:while=@/hold", NULL);
    f->session = rig_session(&f->rig);
    rig_write_file(&f->rig, "held", 100, 1);
    f->handle = rig_open(&f->rig, f->session, "held", RW);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rig_stop(&f->rig);
    peer_free(f, sizeof(*f));
    return 0;
}

static void send_write(struct peer *peer, uint64_t id, uint64_t handle, const char *text,
                       unsigned flags)
{
    struct ros2i_msg msg;

    fill_write(&msg, id, handle, 0, text, (uint32_t)strlen(text));
    msg.flags |= (uint16_t)flags;
    peer_send(peer, &msg);
}

/* The file begins with text. */
static void assert_starts(struct fixture *f, const char *text)
{
    uint8_t wanted[100];

    pattern(wanted, sizeof(wanted), 1);
    memcpy(wanted, text, strlen(text));
    rig_assert_file(&f->rig, "held", wanted, sizeof(wanted));
}

/* -- replay -- */

static void a_replayed_write_is_answered_not_repeated(void **state)
{
    struct fixture *f = *state;
    struct peer first, second, other;
    const struct ros2i_reply *reply;

    peer_join(&first, &f->rig, f->session, 0, 1);
    send_write(&first, request_id(1, 0), f->handle, "first", 0);
    assert_int_equal(peer_reply(&first, request_id(1, 0))->status, 0);
    peer_disconnect(&first); /* as if the reply had been lost */
    peer_join(&other, &f->rig, f->session, 1, 1);
    send_write(&other, request_id(1, 0), f->handle, "other", 0);
    assert_int_equal(peer_reply(&other, request_id(1, 0))->status, 0);
    peer_join(&second, &f->rig, f->session, 0, 2);
    send_write(&second, request_id(1, 0), f->handle, "first", ROS2I_MSG_REPLAY);
    reply = peer_reply(&second, request_id(1, 0));
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, 5);
    assert_int_equal(reply->durability_epoch, f->rig.state.tenant->durability_epoch);
    assert_starts(f, "other");
    /* And once more, on the same channel. */
    send_write(&second, request_id(1, 0), f->handle, "first", ROS2I_MSG_REPLAY);
    assert_int_equal(peer_reply(&second, request_id(1, 0))->bytes, 5);
    assert_starts(f, "other");
    /* A write that the daemon never saw is executed. */
    send_write(&second, request_id(1, 1), f->handle, "again", ROS2I_MSG_REPLAY);
    assert_int_equal(peer_reply(&second, request_id(1, 1))->status, 0);
    assert_starts(f, "again");
    peer_disconnect(&second);
    peer_disconnect(&other);
}

static void a_failed_write_is_remembered_too(void **state)
{
    struct fixture *f = *state;
    struct peer first, second;

    peer_join(&first, &f->rig, f->session, 0, 1);
    send_write(&first, request_id(1, 0), 0, "nowhere", 0);
    assert_int_equal(peer_reply(&first, request_id(1, 0))->status, EBADF);
    peer_disconnect(&first);
    peer_join(&second, &f->rig, f->session, 0, 2);
    send_write(&second, request_id(1, 0), f->handle, "nowhere", ROS2I_MSG_REPLAY);
    assert_int_equal(peer_reply(&second, request_id(1, 0))->status, EBADF);
    peer_disconnect(&second);
}

static void a_replayed_read_is_read_again(void **state)
{
    struct fixture *f = *state;
    struct ros2i_msg msg;
    struct peer first, second;

    fill_read(&msg, request_id(3, 0), f->handle, 0, 5);
    peer_join(&first, &f->rig, f->session, 0, 1);
    assert_int_equal(peer_call(&first, &msg)->bytes, 5);
    peer_disconnect(&first);
    peer_join(&second, &f->rig, f->session, 0, 2);
    send_write(&second, request_id(1, 1), f->handle, "fresh", 0);
    assert_int_equal(peer_reply(&second, request_id(1, 1))->status, 0);
    msg.flags |= ROS2I_MSG_REPLAY;
    const struct ros2i_reply *reply = peer_call(&second, &msg);
    assert_int_equal(reply->bytes, 5);
    assert_memory_equal(reply->payload, "fresh", 5);
    peer_disconnect(&second);
}

static void an_append_is_never_done_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t handle = rig_open(&f->rig, f->session, "log", ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND);
    struct peer first, second;

    peer_join(&first, &f->rig, f->session, 0, 1);
    send_write(&first, request_id(1, 0), handle, "one", 0);
    assert_int_equal(peer_reply(&first, request_id(1, 0))->status, 0);
    peer_disconnect(&first);
    peer_join(&second, &f->rig, f->session, 0, 2);
    send_write(&second, request_id(1, 0), handle, "one", ROS2I_MSG_REPLAY);
    assert_int_equal(peer_reply(&second, request_id(1, 0))->status, 0);
    send_write(&second, request_id(1, 1), handle, "two", ROS2I_MSG_REPLAY);
    assert_int_equal(peer_reply(&second, request_id(1, 1))->status, ENOTRECOVERABLE);
    rig_assert_file(&f->rig, "log", "one", 3);
    peer_disconnect(&second);
}

/* -- the fence -- */

static void a_new_epoch_waits_for_the_old_one_s_writes(void **state)
{
    struct fixture *f = *state;
    struct peer first, second, other;

    rig_hold(&f->rig, "hold");
    peer_join(&first, &f->rig, f->session, 0, 1);
    send_write(&first, request_id(1, 0), f->handle, "old", 0);
    peer_ping(&first); /* it is in the engine now */
    peer_connect(&second, &f->rig, f->session);
    second.hello.epoch = 2;
    peer_say_hello(&second);
    assert_int_equal(peer_await_challenge(&second), 0);
    peer_say_proof(&second);
    peer_await_close(&first); /* that is how far it gets */
    /* Another queue is served meanwhile: the daemon had every chance to welcome the second. */
    peer_join(&other, &f->rig, f->session, 1, 1);
    peer_ping(&other);
    while (peer_turn(&second))
        ;
    assert_int_equal(second.received, 1);
    assert_false(second.closed);
    rig_release(&f->rig, "hold");
    assert_int_equal(peer_await_welcome(&second), 0);
    assert_starts(f, "old"); /* its time was before the welcome */
    send_write(&second, request_id(1, 0), f->handle, "new", ROS2I_MSG_REPLAY);
    assert_int_equal(peer_reply(&second, request_id(1, 0))->bytes, 3);
    assert_starts(f, "old"); /* the result was kept, though its channel was gone */
    peer_disconnect(&first);
    peer_disconnect(&second);
    peer_disconnect(&other);
}

static void a_third_epoch_takes_the_place_of_one_that_waits(void **state)
{
    struct fixture *f = *state;
    struct peer first, second, third;

    rig_hold(&f->rig, "hold");
    peer_join(&first, &f->rig, f->session, 0, 1);
    send_write(&first, request_id(1, 0), f->handle, "old", 0);
    peer_ping(&first);
    peer_disconnect(&first);
    peer_connect(&second, &f->rig, f->session);
    second.hello.epoch = 2;
    peer_say_hello(&second);
    assert_int_equal(peer_await_challenge(&second), 0);
    peer_say_proof(&second);
    peer_connect(&third, &f->rig, f->session);
    third.hello.epoch = 3;
    peer_say_hello(&third);
    assert_int_equal(peer_await_challenge(&third), 0);
    peer_say_proof(&third);
    peer_await_close(&second);
    rig_release(&f->rig, "hold");
    assert_int_equal(peer_await_welcome(&third), 0);
    peer_disconnect(&second);
    peer_disconnect(&third);
}

static void a_session_may_end_while_the_engine_works_for_it(void **state)
{
    struct fixture *f = *state;
    struct peer peer;

    rig_hold(&f->rig, "hold");
    peer_join(&peer, &f->rig, f->session, 0, 1);
    send_write(&peer, request_id(1, 0), f->handle, "old", 0);
    peer_ping(&peer);
    ros2d_sessions_close(f->rig.state.sessions, f->session);
    peer_await_close(&peer);
    peer_disconnect(&peer);
    rig_release(&f->rig, "hold"); /* rig_stop checks that the node was given back */
}

/* -- cancel -- */

static void cancel(struct peer *peer, uint64_t id)
{
    struct ros2i_msg msg = {.type = ROS2I_MSG_CANCEL, .u.target_id = id};

    peer_send(peer, &msg);
}

static void a_cancel_of_what_the_engine_has_brings_the_result(void **state)
{
    struct fixture *f = *state;
    struct peer peer;

    rig_hold(&f->rig, "hold");
    peer_join(&peer, &f->rig, f->session, 0, 1);
    send_write(&peer, request_id(1, 0), f->handle, "done", 0);
    cancel(&peer, request_id(1, 0));
    peer_ping(&peer);
    assert_int_equal(peer.received, peer.taken + 1); /* the pong */
    rig_release(&f->rig, "hold");
    assert_int_equal(peer_reply(&peer, request_id(1, 0))->status, 0);
    assert_starts(f, "done");
    peer_disconnect(&peer);
}

static void a_cancel_drops_what_the_engine_has_not(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region;
    const struct ros2i_reply *reply;
    struct ros2i_msg msg;
    struct peer peer;

    rig_write_file(&f->rig, "held-too", sizeof(f->memory), 3);
    f->handle = rig_open(&f->rig, f->session, "held-too", RW);
    rig_hold(&f->rig, "hold");
    peer_join(&peer, &f->rig, f->session, 0, 1);
    region = peer_region(&peer, f->memory, sizeof(f->memory), ROS2_REGION_REMOTE_WRITE);
    /* Four chunks, two of which the engine has when the cancel comes. */
    fill_read(&msg, request_id(1, 0), f->handle, 0, sizeof(f->memory));
    use_region(&peer, &msg, region, (const uint32_t[]){sizeof(f->memory), 0});
    memset(f->memory, 0, sizeof(f->memory));
    peer_send(&peer, &msg);
    cancel(&peer, request_id(1, 0));
    peer_ping(&peer);
    rig_release(&f->rig, "hold");
    reply = peer_reply(&peer, request_id(1, 0));
    assert_int_equal(reply->status, ECANCELED);
    assert_int_equal(peer.ops->region_deregister(region), 0);
    /* The slot works on, and a cancel of what has ended is nothing. */
    cancel(&peer, request_id(1, 0));
    cancel(&peer, request_id(9, 9));
    fill_read(&msg, request_id(2, 0), f->handle, 0, 10);
    assert_int_equal(peer_call(&peer, &msg)->bytes, 10);
    peer_disconnect(&peer);
}

static void a_request_in_a_busy_slot_closes(void **state)
{
    struct fixture *f = *state;
    struct peer peer;

    rig_hold(&f->rig, "hold");
    peer_join(&peer, &f->rig, f->session, 0, 1);
    send_write(&peer, request_id(1, 0), f->handle, "one", 0);
    send_write(&peer, request_id(2, 0), f->handle, "two", 0);
    assert_null(peer_next(&peer));
    rig_release(&f->rig, "hold");
    peer_disconnect(&peer);
}

/* -- drain -- */

struct stopper {
    struct rig *rig;
    uint64_t wait_ns;
};

static void *stop(void *arg)
{
    struct stopper *stopper = arg;

    rig_stop_data(stopper->rig, stopper->wait_ns);
    return NULL;
}

static void a_drain_lets_requests_end_and_idle_channels_go(void **state)
{
    struct fixture *f = *state;
    struct stopper stopper = {&f->rig, 60 * ROS2I_NS_PER_S};
    struct peer busy, idle;
    pthread_t thread;

    rig_hold(&f->rig, "hold");
    peer_join(&busy, &f->rig, f->session, 0, 1);
    peer_join(&idle, &f->rig, f->session, 1, 1);
    send_write(&busy, request_id(1, 0), f->handle, "late", 0);
    peer_ping(&busy);
    assert_int_equal(pthread_create(&thread, NULL, stop, &stopper), 0);
    peer_await_close(&idle);
    assert_int_equal(busy.closed, false);
    rig_release(&f->rig, "hold");
    assert_int_equal(peer_reply(&busy, request_id(1, 0))->status, 0);
    peer_await_close(&busy);
    pthread_join(thread, NULL);
    assert_starts(f, "late");
    peer_disconnect(&busy);
    peer_disconnect(&idle);
}

static void a_drain_s_deadline_ends_what_is_left(void **state)
{
    struct fixture *f = *state;
    struct stopper stopper = {&f->rig, 50 * ROS2I_NS_PER_MS};
    struct peer busy;
    pthread_t thread;

    rig_hold(&f->rig, "hold");
    peer_join(&busy, &f->rig, f->session, 0, 1);
    send_write(&busy, request_id(1, 0), f->handle, "late", 0);
    peer_ping(&busy);
    assert_int_equal(pthread_create(&thread, NULL, stop, &stopper), 0);
    peer_await_close(&busy);
    rig_release(&f->rig, "hold");
    pthread_join(thread, NULL);
    peer_disconnect(&busy);
}

#define READS 8
#define LONG  (2u << 20)

/* All the reads can be in the transport at once: more than the kernel takes. */
static void large_chunks(struct ros2d_config *config)
{
    config->data.chunk = LONG / 2;
    config->data.max_io = LONG;
    config->data.bounce_memory = 4 * READS * LONG;
}

static uint64_t reads_begun(const struct rig *rig)
{
    struct ros2d_counters sum = {.reads = 0};

    ros2d_data_counters(rig->data, &sum);
    return sum.reads;
}

static void a_drain_sends_all_of_what_it_replies_with(void **state)
{
    uint8_t *memory = peer_alloc(LONG);
    const struct letter *letter;
    struct ros2_region *region;
    struct rig rig;
    struct stopper stopper = {&rig, PATIENCE_NS};
    struct peer peer;
    pthread_t thread;
    int replies = 0;

    (void)state;
    rig_start(&rig, NULL, large_chunks);
    struct ros2d_session *session = rig_session(&rig);
    rig_write_file(&rig, "a", LONG, 1);
    uint64_t handle = rig_open(&rig, session, "a", ROS2I_RIGHT_READ);
    peer_join(&peer, &rig, session, 0, 1);
    region = peer_region(&peer, memory, LONG, ROS2_REGION_REMOTE_WRITE);
    for (uint16_t slot = 0; slot < READS; slot++) {
        struct ros2i_msg msg;
        fill_read(&msg, request_id(1, slot), handle, 0, LONG);
        use_region(&peer, &msg, region, (const uint32_t[]){LONG, 0});
        peer_send(&peer, &msg);
    }
    /* The peer takes nothing meanwhile. */
    for (uint64_t until_ns = ros2i_now_ns() + PATIENCE_NS; reads_begun(&rig) < READS; sched_yield())
        assert_true(ros2i_now_ns() < until_ns);
    assert_int_equal(pthread_create(&thread, NULL, stop, &stopper), 0);
    while ((letter = peer_next(&peer))) {
        assert_int_equal(letter->msg.u.reply.status, 0);
        assert_int_equal(letter->msg.u.reply.bytes, LONG);
        replies++;
    }
    assert_int_equal(replies, READS);
    pthread_join(thread, NULL);
    assert_int_equal(peer.ops->region_deregister(region), 0);
    peer_disconnect(&peer);
    rig_stop(&rig);
    peer_free(memory, LONG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_replayed_write_is_answered_not_repeated),
        TEST(a_failed_write_is_remembered_too),
        TEST(a_replayed_read_is_read_again),
        TEST(an_append_is_never_done_twice),
        TEST(a_new_epoch_waits_for_the_old_one_s_writes),
        TEST(a_third_epoch_takes_the_place_of_one_that_waits),
        TEST(a_session_may_end_while_the_engine_works_for_it),
        TEST(a_cancel_of_what_the_engine_has_brings_the_result),
        TEST(a_cancel_drops_what_the_engine_has_not),
        TEST(a_request_in_a_busy_slot_closes),
        TEST(a_drain_lets_requests_end_and_idle_channels_go),
        TEST(a_drain_s_deadline_ends_what_is_left),
        cmocka_unit_test(a_drain_sends_all_of_what_it_replies_with),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
