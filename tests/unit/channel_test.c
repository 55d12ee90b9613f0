/* SPDX-License-Identifier: Apache-2.0 */
/* A channel's life: handshake, loss, replay, attach, keepalive, and the walk over states and events. */
#include "config.h"

#include "lib/data/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "tests/unit/data_peer.h"

#define SECONDS(n) ((n)*ROS2I_NS_PER_S)

static void ping_goes_round(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), 0);
    assert_int_equal(w->peer.hello.epoch, 1);
    assert_int_equal(w->peer.hello.queue, 5);
    assert_int_equal(w->channel->state, ROS2I_CHANNEL_READY);
    assert_true(w->peer.seen[0].id >> 16 >
                1000); /* goes on from what the queue's last channel used */
}

static void no_connection_is_made_before_there_is_work(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 100; i++)
        world_turn(w);
    assert_int_equal(w->peer.connections, 0);
    assert_true(ros2i_channel_next_ns(w->channel) == ROS2I_FOREVER);
}

static void a_daemon_that_cannot_prove_the_secret_gets_no_request(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    char buf[10];
    w->peer.wrong_proof = true;
    world_submit(w, &op, ROS2I_OP_WRITE, buf, sizeof(buf), 0, 0, SECONDS(3));
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_non_null(strstr(op.text, "prove"));
    assert_int_equal(w->peer.seen_count, 0);
}

static void offers_beyond_what_was_wanted_are_refused(void **state)
{
    struct world *w = *state;
    const struct ros2i_challenge good = w->peer.challenge;
    for (int i = 0; i < 2; i++) {
        struct ros2i_op op;
        w->peer.challenge = good;
        if (i == 0)
            w->peer.challenge.credits = 5;
        else
            w->peer.challenge.inline_limit = 4097;
        world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(2));
        world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
        assert_int_equal(op.result, -ETIMEDOUT);
        assert_non_null(strstr(op.text, "challenge"));
    }
    assert_int_equal(w->peer.seen_count, 0);
    w->peer.challenge = good;
    struct ros2i_op op;
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), 0);
}

static void limits_of_an_impostor_are_forgotten(void **state)
{
    struct world *w = *state;
    const struct ros2i_challenge good = w->peer.challenge;
    struct ros2i_op op;
    char buf[10000];
    w->peer.wrong_proof = true;
    w->peer.challenge.credits = 1;
    w->peer.challenge.max_io = 128 << 10;
    w->peer.challenge.inline_limit = 100;
    world_submit(w, &op, ROS2I_OP_READ, buf, sizeof(buf), 0, 0, SECONDS(30));
    world_run_until(w, 1000000, w->peer.connections == 3);
    w->peer.wrong_proof = false;
    w->peer.challenge = good;
    peer_drop(&w->peer);
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, sizeof(buf));
    assert_int_equal(w->channel->inflight.credits, good.credits);
}

static void limits_that_change_within_a_session_are_refused(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), 0);
    peer_drop(&w->peer);
    w->peer.challenge.max_io = 64 << 10;
    world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(2));
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_non_null(strstr(op.text, "changed the channel's limits"));
}

/* -- loss and replay -- */

static void what_was_in_flight_is_replayed_under_its_id_with_the_next_epoch(void **state)
{
    struct world *w = *state;
    struct ros2i_op read, write, sync;
    char *a = calloc(1, 50000), *b = calloc(1, 50000);
    w->peer.hold = true;
    world_submit(w, &read, ROS2I_OP_READ, a, 50000, 0, 0, SECONDS(30));
    world_submit(w, &write, ROS2I_OP_WRITE, b, 50000, 100000, 0, SECONDS(30));
    world_submit(w, &sync, ROS2I_OP_FSYNC, NULL, 0, 0, 0, SECONDS(30));
    world_run_until(w, 1000, w->peer.seen_count == 3);
    peer_drop(&w->peer);
    w->peer.hold = false;
    world_run_until(w, 100000, w->done == 3);
    assert_true(read.result == 50000 && write.result == 50000 && sync.result == 0);
    assert_int_equal(w->peer.seen_count, 6);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(w->peer.seen[i].epoch == 1 && !(w->peer.seen[i].flags & ROS2I_MSG_REPLAY));
        unsigned twin = 3;
        while (twin < 6 && w->peer.seen[twin].id != w->peer.seen[i].id)
            twin++;
        assert_true(twin < 6 && w->peer.seen[twin].epoch == 2 &&
                    (w->peer.seen[twin].flags & ROS2I_MSG_REPLAY));
    }
    assert_memory_equal(a, w->peer.file, 50000);
    free(a);
    free(b);
}

static void an_append_that_was_sent_is_not_repeated(void **state)
{
    struct world *w = *state;
    struct ros2i_op append, later;
    char buf[100] = {0};
    w->peer.hold = true;
    world_submit(w, &append, ROS2I_OP_WRITE, buf, 100, 0, ROS2I_OP_APPEND, SECONDS(30));
    world_run_until(w, 1000, w->peer.seen_count == 1);
    peer_drop(&w->peer);
    world_run_until(w, 1000, append.phase == ROS2I_OP_DONE);
    assert_int_equal(append.result, -ENOTRECOVERABLE);
    assert_non_null(strstr(append.text, "outcome unknown"));
    /* One that was not sent goes on. */
    w->peer.hold = false;
    world_submit(w, &later, ROS2I_OP_WRITE, buf, 100, 0, ROS2I_OP_APPEND, SECONDS(30));
    world_run_until(w, 100000, later.phase == ROS2I_OP_DONE);
    assert_int_equal(later.result, 100);
    assert_int_equal(w->peer.seen_count, 2);
}

static void attempts_back_off_and_stop_with_the_last_deadline(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    w->peer.ops->listener_close(w->peer.listener);
    world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(10));
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
    assert_non_null(strstr(op.text, "Connection refused"));
    /* 1+2+...+256 ms, then every 500 ms or sooner by half: between 20 and 60 in 10 s. */
    assert_in_range(w->channel->attempt, 15, 60);
    unsigned attempts = w->channel->attempt;
    for (int i = 0; i < 100; i++) {
        world_turn(w);
        world_now_ns += SECONDS(1);
    }
    assert_int_equal(w->channel->attempt, attempts);
    assert_true(ros2i_channel_next_ns(w->channel) == ROS2I_FOREVER);
}

static void the_next_address_is_tried_at_once(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    memcpy(w->address[1], w->address[0], sizeof(w->address[0]));
    strcpy(w->address[0], "127.0.0.1:1");
    w->channel->address_count = 2;
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), 0);
    assert_int_equal(w->channel->attempt, 1);
}

/* -- the session -- */

static void a_refusal_asks_the_control_plane_once(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    w->peer.reject = EACCES;
    w->peer.rejections = 1;
    world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(30));
    world_run_until(w, 1000, w->channel->state == ROS2I_CHANNEL_AWAIT_ATTACH);
    ros2i_channel_attached(w->channel, 0);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, 0);
}

static void a_second_refusal_is_final(void **state)
{
    struct world *w = *state;
    struct ros2i_op op, later;
    w->peer.reject = EACCES;
    w->peer.rejections = 2;
    world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(30));
    world_run_until(w, 1000, w->channel->state == ROS2I_CHANNEL_AWAIT_ATTACH);
    ros2i_channel_attached(w->channel, 0);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -EACCES);
    assert_non_null(strstr(op.text, "on purpose"));
    assert_int_equal(world_do(w, &later, ROS2I_OP_PING, NULL, 0, 0), -EACCES);
}

static void only_the_last_addresss_refusal_is_final(void **state)
{
    struct world *w = *state;
    memcpy(w->address[1], w->address[0], sizeof(w->address[0]));
    w->channel->address_count = 2;
    w->peer.reject = EACCES;
    for (unsigned rejections = 2; rejections <= 3; rejections++) {
        struct ros2i_op op;
        peer_drop(&w->peer);
        w->peer.rejections = rejections;
        world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(30));
        world_run_until(w, 1000, w->channel->state == ROS2I_CHANNEL_AWAIT_ATTACH);
        ros2i_channel_attached(w->channel, 0);
        world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
        assert_int_equal(op.result, rejections == 2 ? 0 : -EACCES);
    }
}

static void a_lost_session_ends_every_operation(void **state)
{
    struct world *w = *state;
    struct ros2i_op op[8];
    char *buf = calloc(8, 100000);
    w->peer.hold = true;
    for (int i = 0; i < 8; i++)
        world_submit(w, &op[i], i % 2 ? ROS2I_OP_READ : ROS2I_OP_WRITE, buf + i * 100000, 100000, 0,
                     0, SECONDS(30));
    world_run_until(w, 1000, w->peer.seen_count == 4);
    w->peer.reject = ESTALE;
    w->peer.rejections = 1;
    peer_drop(&w->peer);
    world_run_until(w, 100000, w->channel->state == ROS2I_CHANNEL_AWAIT_ATTACH);
    assert_int_equal(w->done, 0);
    ros2i_channel_attached(w->channel, ros2i_fail(ESTALE, "the session is gone"));
    assert_int_equal(w->done, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(op[i].result, -ESTALE);
        assert_string_equal(op[i].text, "the session is gone");
    }
    free(buf);
}

static void deadlines_hold_while_the_control_plane_is_asked(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    w->peer.reject = EACCES;
    w->peer.rejections = 1;
    world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(2));
    world_run_until(w, 1000, w->channel->state == ROS2I_CHANNEL_AWAIT_ATTACH);
    world_run_until(w, 10000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, -ETIMEDOUT);
}

static void an_unknown_version_is_final(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    w->peer.reject = EPROTONOSUPPORT;
    w->peer.rejections = 1;
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), -EPROTONOSUPPORT);
}

static void a_busy_daemon_is_asked_again(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    w->peer.reject = EBUSY;
    w->peer.rejections = 3;
    world_submit(w, &op, ROS2I_OP_PING, NULL, 0, 0, 0, SECONDS(30));
    world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, 0);
    assert_int_equal(w->peer.connections, 4);
}

/* -- keepalive -- */

static void a_silent_daemon_is_given_up_after_three_pings(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    char buf[100];
    w->peer.hold = w->peer.mute_pong = true;
    world_submit(w, &op, ROS2I_OP_READ, buf, 100, 0, 0, SECONDS(60));
    world_run_until(w, 1000, w->peer.seen_count == 1);
    uint64_t start = world_now_ns;
    world_run_until(w, 10000000, w->peer.connections == 2);
    assert_in_range((world_now_ns - start) / ROS2I_NS_PER_MS, 7900, 8600);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_PING), 3);
    w->peer.hold = false;
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, 100);
}

static void a_slow_daemon_that_answers_pings_is_waited_for(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    char buf[100];
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_READ, buf, 100, 0, 0, SECONDS(60));
    world_run_until(w, 1000, w->peer.seen_count == 1);
    uint64_t start = world_now_ns;
    world_run_until(w, 10000000, world_now_ns - start > SECONDS(50));
    assert_int_equal(w->peer.connections, 1);
    assert_true(peer_count(&w->peer, ROS2I_MSG_PING) > 10);
    peer_answer(&w->peer, 0);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, 100);
}

static void an_idle_channel_is_silent_however_long(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), 0);
    world_now_ns += SECONDS(3600);
    for (int i = 0; i < 100; i++)
        world_turn(w);
    assert_int_equal(world_do(w, &op, ROS2I_OP_PING, NULL, 0, 0), 0);
    assert_int_equal(w->peer.connections, 1);
    assert_int_equal(w->peer.seen_count, 2);
}

/* -- every state, every message -- */

static void send_type(struct peer *peer, uint8_t type)
{
    struct ros2i_msg msg = {.type = type};
    switch (type) {
    case 0:
        peer_send_raw(peer, "garbage", 7);
        return;
    case 255:
        peer_drop(peer);
        return;
    case ROS2I_MSG_CHALLENGE:
        msg.u.challenge = peer->challenge;
        break;
    case ROS2I_MSG_HELLO:
        msg.u.hello = peer->hello;
        break;
    case ROS2I_MSG_REJECT:
        msg.u.reject = (struct ros2i_reject){.err = EBUSY, .text = "x", .text_len = 1};
        break;
    case ROS2I_MSG_READ:
        msg.request_id = 1;
        msg.u.io = (struct ros2i_io_request){.length = 1};
        break;
    case ROS2I_MSG_CANCEL:
        msg.u.target_id = 1;
        break;
    case ROS2I_MSG_REPLY:
        msg.request_id = 1;
        break;
    case ROS2I_MSG_PING:
        break;
    }
    peer_send(peer, &msg, NULL, 0);
}

static void a_message_out_of_turn_ends_the_connection_in_every_state(void **state)
{
    struct world *w = *state;
    static const uint8_t types[] = {0,
                                    255,
                                    ROS2I_MSG_HELLO,
                                    ROS2I_MSG_CHALLENGE,
                                    ROS2I_MSG_PROOF,
                                    ROS2I_MSG_WELCOME,
                                    ROS2I_MSG_REJECT,
                                    ROS2I_MSG_READ,
                                    ROS2I_MSG_CANCEL,
                                    ROS2I_MSG_PING,
                                    ROS2I_MSG_REPLY};
    static const enum ros2i_channel_state states[] = {
        ROS2I_CHANNEL_AWAIT_CHALLENGE, ROS2I_CHANNEL_AWAIT_WELCOME, ROS2I_CHANNEL_READY};
    char buf[100];
    for (size_t s = 0; s < 3; s++) {
        for (size_t t = 0; t < sizeof(types); t++) {
            bool fits =
                (states[s] == ROS2I_CHANNEL_AWAIT_CHALLENGE && types[t] == ROS2I_MSG_CHALLENGE) ||
                (states[s] == ROS2I_CHANNEL_READY && types[t] == ROS2I_MSG_REPLY);
            if (fits)
                continue;
            struct ros2i_op op;
            peer_drop(&w->peer);
            w->peer.mute_handshake = states[s] == ROS2I_CHANNEL_AWAIT_CHALLENGE;
            w->peer.mute_welcome = states[s] == ROS2I_CHANNEL_AWAIT_WELCOME;
            w->peer.hold = true;
            world_submit(w, &op, ROS2I_OP_READ, buf, sizeof(buf), 0, 0, SECONDS(60));
            unsigned seen = w->peer.seen_count;
            unsigned before = w->peer.connections;
            world_run_until(w, 10000,
                            w->peer.connections > before && w->channel->state == states[s]);
            if (states[s] == ROS2I_CHANNEL_READY)
                world_run_until(w, 10000, w->peer.seen_count > seen);
            w->peer.mute_handshake = w->peer.mute_welcome = w->peer.hold = false;
            unsigned connections = w->peer.connections;
            send_type(&w->peer, types[t]);
            world_run_until(w, 10000, op.phase == ROS2I_OP_DONE);
            assert_int_equal(op.result, 100);
            if (w->peer.connections == connections)
                fail_msg("state %d took message %u", states[s], types[t]);
        }
    }
}

static void every_state_ends_at_the_deadline(void **state)
{
    struct world *w = *state;
    char *buf = calloc(1, 100000);
    for (int i = 0; i < 4; i++) {
        struct ros2i_op op;
        peer_drop(&w->peer);
        w->peer.mute_handshake = i == 1;
        w->peer.mute_welcome = i == 2;
        w->peer.hold = i == 3;
        world_submit(w, &op, ROS2I_OP_READ, buf, 100000, 0, 0, SECONDS(2));
        if (i == 0)
            world_now_ns += SECONDS(3);
        uint64_t start = world_now_ns;
        world_run_until(w, 1000000, op.phase == ROS2I_OP_DONE);
        assert_int_equal(op.result, -ETIMEDOUT);
        assert_true(world_now_ns - start < SECONDS(3) + SECONDS(1) / 2);
    }
    free(buf);
}

static void destroy_ends_what_is_in_flight(void **state)
{
    struct world *w = *state;
    struct ros2i_op op[6];
    char *buf = calloc(6, 100000);
    w->peer.hold = true;
    for (int i = 0; i < 6; i++)
        world_submit(w, &op[i], ROS2I_OP_READ, buf + i * 100000, 100000, 0, 0, SECONDS(30));
    world_run_until(w, 1000, w->peer.seen_count == 4);
    ros2i_channel_destroy(w->channel);
    w->channel = NULL;
    assert_int_equal(w->done, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(op[i].result, -ECANCELED);
    free(buf);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(ping_goes_round),
        CASE(no_connection_is_made_before_there_is_work),
        CASE(a_daemon_that_cannot_prove_the_secret_gets_no_request),
        CASE(offers_beyond_what_was_wanted_are_refused),
        CASE(limits_of_an_impostor_are_forgotten),
        CASE(limits_that_change_within_a_session_are_refused),
        CASE(what_was_in_flight_is_replayed_under_its_id_with_the_next_epoch),
        CASE(an_append_that_was_sent_is_not_repeated),
        CASE(attempts_back_off_and_stop_with_the_last_deadline),
        CASE(the_next_address_is_tried_at_once),
        CASE(a_refusal_asks_the_control_plane_once),
        CASE(a_second_refusal_is_final),
        CASE(only_the_last_addresss_refusal_is_final),
        CASE(a_lost_session_ends_every_operation),
        CASE(deadlines_hold_while_the_control_plane_is_asked),
        CASE(an_unknown_version_is_final),
        CASE(a_busy_daemon_is_asked_again),
        CASE(a_silent_daemon_is_given_up_after_three_pings),
        CASE(a_slow_daemon_that_answers_pings_is_waited_for),
        CASE(an_idle_channel_is_silent_however_long),
        CASE(a_message_out_of_turn_ends_the_connection_in_every_state),
        CASE(every_state_ends_at_the_deadline),
        CASE(destroy_ends_what_is_in_flight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
