/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets a data channel, and what else happens to who does not. */
#include "config.h"

#include "tests/integration/data_peer.h"

#include <errno.h>
#include <string.h>

static int setup(void **state)
{
    static struct rig rig;

    rig_start(&rig, NULL, NULL);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    rig_stop(*state);
    return 0;
}

static void a_proved_channel_is_welcome_with_settled_values(void **state)
{
    struct rig *rig = *state;
    struct ros2d_session *session = rig_session(rig);
    struct peer peer;

    peer_connect(&peer, rig, session);
    peer.hello.credits = 1000;
    peer.hello.inline_limit = 32768;
    assert_int_equal(peer_handshake(&peer), 0);
    assert_int_equal(peer.challenge.credits, 64);
    assert_int_equal(peer.challenge.inline_limit, 4096);
    assert_int_equal(peer.challenge.max_io, 1 << 20);
    assert_int_equal(peer.challenge.checksum_block, 1 << 18);
    assert_int_equal(peer.challenge.options, ROS2I_OPTION_CHECKSUM);
    assert_int_equal(session->channels, 1);
    peer_ping(&peer);
    peer_disconnect(&peer);
}

static void wishes_below_the_limits_are_granted(void **state)
{
    struct rig *rig = *state;
    struct peer peer;

    peer_connect(&peer, rig, rig_session(rig));
    peer.hello.credits = 3;
    peer.hello.inline_limit = 0;
    peer.hello.options = 0;
    assert_int_equal(peer_handshake(&peer), 0);
    assert_int_equal(peer.challenge.credits, 3);
    assert_int_equal(peer.challenge.inline_limit, 0);
    assert_int_equal(peer.challenge.options, 0);
    peer_disconnect(&peer);
}

/* Everything that an impostor gets to see: one for an unknown session, one for a known one. */
static void an_unknown_session_looks_like_a_wrong_proof(void **state)
{
    struct rig *rig = *state;
    struct ros2d_session *session = rig_session(rig);
    struct peer unknown, wrong;
    const size_t nonce_at = 40;

    peer_connect(&unknown, rig, NULL);
    peer_connect(&wrong, rig, session);
    wrong.secret[31] ^= 1;
    assert_int_equal(peer_handshake(&unknown), EACCES);
    assert_int_equal(peer_handshake(&wrong), EACCES);
    assert_int_equal(unknown.challenge_len, wrong.challenge_len);
    assert_memory_equal(unknown.challenge_raw, wrong.challenge_raw, nonce_at);
    assert_memory_not_equal(unknown.challenge_raw + nonce_at, wrong.challenge_raw + nonce_at, 32);
    assert_int_equal(unknown.inbox[1].len, wrong.inbox[1].len);
    assert_memory_equal(unknown.inbox[1].raw, wrong.inbox[1].raw, wrong.inbox[1].len);
    peer_await_close(&unknown);
    peer_await_close(&wrong);
    assert_int_equal(session->channels, 0);
    peer_disconnect(&unknown);
    peer_disconnect(&wrong);
}

static void versions_without_overlap_are_rejected(void **state)
{
    struct rig *rig = *state;
    struct peer peer;

    peer_connect(&peer, rig, rig_session(rig));
    peer.hello.version_min = 2;
    peer.hello.version_max = 9;
    assert_int_equal(peer_handshake(&peer), EPROTONOSUPPORT);
    peer_await_close(&peer);
    peer_disconnect(&peer);
    peer_connect(&peer, rig, rig_session(rig));
    peer.hello.version_max = 9;
    assert_int_equal(peer_handshake(&peer), 0);
    assert_int_equal(peer.challenge.version, 1);
    peer_disconnect(&peer);
}

static void what_is_no_message_closes(void **state)
{
    struct rig *rig = *state;
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\n\r\n", "\x01",
        "\x01\x01\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"};

    for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
        struct peer peer;
        peer_connect(&peer, rig, NULL);
        peer_send_raw(&peer, garbage[i], i == 2 ? 16 : strlen(garbage[i]));
        assert_null(peer_next(&peer));
        peer_disconnect(&peer);
    }
}

static void a_request_before_the_proof_closes(void **state)
{
    struct rig *rig = *state;
    struct ros2i_msg read;
    struct peer peer;

    fill_read(&read, request_id(1, 0), 1ull << 32, 0, 10);
    peer_connect(&peer, rig, rig_session(rig));
    peer_send(&peer, &read);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
    peer_connect(&peer, rig, rig_session(rig));
    peer_say_hello(&peer);
    assert_int_equal(peer_await_challenge(&peer), 0);
    peer_send(&peer, &read);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
}

static void messages_out_of_turn_close(void **state)
{
    struct rig *rig = *state;
    struct ros2i_msg proof = {.type = ROS2I_MSG_PROOF};
    struct peer peer;

    peer_connect(&peer, rig, rig_session(rig));
    peer_send(&peer, &proof);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
    peer_connect(&peer, rig, rig_session(rig));
    peer_say_hello(&peer);
    assert_int_equal(peer_await_challenge(&peer), 0);
    peer_say_hello(&peer);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
    peer_join(&peer, rig, rig_session(rig), 0, 1);
    peer_say_hello(&peer);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
    peer_join(&peer, rig, rig_session(rig), 0, 1);
    peer_send(&peer, &proof);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
}

/* What only a daemon says. */
static void a_daemon_s_messages_from_a_client_close(void **state)
{
    struct rig *rig = *state;
    struct ros2i_msg pong = {.type = ROS2I_MSG_PONG};
    struct peer peer;

    peer_join(&peer, rig, rig_session(rig), 0, 1);
    peer_send(&peer, &pong);
    assert_null(peer_next(&peer));
    peer_disconnect(&peer);
}

static void an_epoch_that_is_not_newer_is_stale(void **state)
{
    struct rig *rig = *state;
    struct ros2d_session *session = rig_session(rig);
    struct peer first, second, other;

    peer_join(&first, rig, session, 0, 5);
    for (uint64_t epoch = 1; epoch <= 5; epoch += 4) {
        peer_connect(&second, rig, session);
        second.hello.epoch = epoch;
        assert_int_equal(peer_handshake(&second), ESTALE);
        peer_disconnect(&second);
    }
    peer_ping(&first);                     /* nothing happened to it */
    peer_join(&other, rig, session, 1, 1); /* another queue has its own */
    peer_disconnect(&other);
    peer_connect(&other, rig, session); /* and so has another process */
    other.hello.process_nonce[0] ^= 1;
    assert_int_equal(peer_handshake(&other), 0);
    peer_disconnect(&other);
    peer_disconnect(&first);
}

static void a_newer_epoch_ends_the_old_channel(void **state)
{
    struct rig *rig = *state;
    struct ros2d_session *session = rig_session(rig);
    struct peer old, new;

    peer_join(&old, rig, session, 3, 1);
    peer_join(&new, rig, session, 3, 2);
    peer_await_close(&old);
    assert_int_equal(session->channels, 1);
    peer_ping(&new);
    peer_disconnect(&old);
    peer_disconnect(&new);
}

static void a_session_s_end_drops_its_channels_only(void **state)
{
    struct rig *rig = *state;
    struct ros2d_session *session = rig_session(rig), *other = rig_session(rig);
    struct peer proved, unproved, stays;

    peer_join(&proved, rig, session, 0, 1);
    peer_join(&stays, rig, other, 0, 1);
    peer_connect(&unproved, rig, session);
    peer_say_hello(&unproved);
    assert_int_equal(peer_await_challenge(&unproved), 0);
    ros2d_sessions_close(rig->state.sessions, session);
    peer_await_close(&proved);
    peer_await_close(&unproved);
    peer_ping(&stays);
    peer_disconnect(&proved);
    peer_disconnect(&unproved);
    peer_disconnect(&stays);
}

static void a_closed_session_proves_nothing(void **state)
{
    struct rig *rig = *state;
    struct ros2d_session *session = rig_session(rig);
    struct peer peer;

    peer_connect(&peer, rig, session);
    ros2d_sessions_close(rig->state.sessions, session);
    assert_int_equal(peer_handshake(&peer), EACCES);
    peer_disconnect(&peer);
}

/* -- with other limits -- */

static void be_impatient(struct ros2d_config *config)
{
    config->data.handshake_timeout_ms = 100;
}

static void a_silent_connection_is_closed(void **state)
{
    struct rig rig;
    struct peer silent, half;

    (void)state;
    rig_start(&rig, NULL, be_impatient);
    peer_connect(&silent, &rig, NULL);
    peer_connect(&half, &rig, rig_session(&rig));
    peer_say_hello(&half);
    assert_int_equal(peer_await_challenge(&half), 0);
    peer_await_close(&silent);
    peer_await_close(&half);
    peer_disconnect(&silent);
    peer_disconnect(&half);
    rig_stop(&rig);
}

static void allow_two(struct ros2d_config *config)
{
    config->data.max_channels = 2;
}

static void more_than_max_channels_are_told_to_wait(void **state)
{
    struct rig rig;
    struct ros2d_session *session;
    struct peer a, b, c;

    (void)state;
    rig_start(&rig, NULL, allow_two);
    session = rig_session(&rig);
    peer_join(&a, &rig, session, 0, 1);
    peer_join(&b, &rig, session, 1, 1);
    peer_connect(&c, &rig, session);
    c.hello.queue = 2;
    assert_int_equal(peer_handshake(&c), EBUSY);
    peer_disconnect(&c);
    peer_ping(&a);
    peer_disconnect(&a);
    peer_disconnect(&b);
    rig_stop(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_proved_channel_is_welcome_with_settled_values),
        TEST(wishes_below_the_limits_are_granted),
        TEST(an_unknown_session_looks_like_a_wrong_proof),
        TEST(versions_without_overlap_are_rejected),
        TEST(what_is_no_message_closes),
        TEST(a_request_before_the_proof_closes),
        TEST(messages_out_of_turn_close),
        TEST(a_daemon_s_messages_from_a_client_close),
        TEST(an_epoch_that_is_not_newer_is_stale),
        TEST(a_newer_epoch_ends_the_old_channel),
        TEST(a_session_s_end_drops_its_channels_only),
        TEST(a_closed_session_proves_nothing),
        cmocka_unit_test(a_silent_connection_is_closed),
        cmocka_unit_test(more_than_max_channels_are_told_to_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
