/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that is UCX by hand, and breaks this transport's rules: it gets its connection closed, and others go on. What UCX
 * itself takes from a peer unchecked is outside (docs/SECURITY.md). */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/ucx_peer.h"

/* -- cases -- */

static void who_keeps_the_rules_is_heard(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    peer_say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, "hello", 5);
    PEER_UNTIL(h, h->victim.messages == 1);
    assert_memory_equal(h->victim.last, "hello", 5);
    peer_say(h, (struct ucx_header){.type = UCX_BYE, .to = h->number}, NULL, 0);
    PEER_UNTIL(h, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPIPE);
}

static void who_greets_otherwise_is_not_let_in(void **state)
{
    struct peer *h = *state;

    peer_exchange(h);
    peer_say(h,
             (struct ucx_header){
                 .type = UCX_HELLO, .to = h->number, .a = PEER_NUMBER, .b = PEER_GREETING + 1},
             NULL, 0);
    peer_is_not_let_in(h);
}

static void who_greets_at_length_is_not_let_in(void **state)
{
    struct peer *h = *state;

    peer_exchange(h);
    peer_say(h,
             (struct ucx_header){
                 .type = UCX_HELLO, .to = h->number, .a = PEER_NUMBER, .b = PEER_GREETING},
             "more", 4);
    peer_is_not_let_in(h);
}

static void who_answers_before_it_greets_is_not_let_in(void **state)
{
    struct peer *h = *state;

    peer_exchange(h);
    peer_say(h,
             (struct ucx_header){
                 .type = UCX_WELCOME, .to = h->number, .a = PEER_NUMBER, .b = PEER_GREETING},
             NULL, 0);
    peer_is_not_let_in(h);
}

static void who_talks_before_it_answers_is_not_let_in(void **state)
{
    struct peer *h = *state;

    peer_exchange(h);
    peer_say(h,
             (struct ucx_header){
                 .type = UCX_HELLO, .to = h->number, .a = PEER_NUMBER, .b = PEER_GREETING},
             NULL, 0);
    peer_say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, "x", 1);
    peer_is_not_let_in(h);
}

/* What is wrong with the head is told before anything of UCX is. */
static void a_head(struct peer *h, struct peer_head head)
{
    peer_say_head(h, &head, NULL, 0);
    peer_is_not_let_in(h);
}

#define HEAD(name, ...)                                  \
    static void name(void **state)                       \
    {                                                    \
        a_head(*state, (struct peer_head){__VA_ARGS__}); \
    }

HEAD(another_magic_is_not_let_in, UCX_WIRE_MAGIC + 1, UCX_WIRE_VERSION, PEER_NUMBER, 100, 0)
HEAD(another_version_is_not_let_in, UCX_WIRE_MAGIC, UCX_WIRE_VERSION + 1, PEER_NUMBER, 100, 0)
HEAD(an_empty_address_is_not_let_in, UCX_WIRE_MAGIC, UCX_WIRE_VERSION, PEER_NUMBER, 0, 0)
HEAD(an_endless_address_is_not_let_in, UCX_WIRE_MAGIC, UCX_WIRE_VERSION, PEER_NUMBER, 16385, 0)
HEAD(a_reserved_word_is_not_let_in, UCX_WIRE_MAGIC, UCX_WIRE_VERSION, PEER_NUMBER, 100, 1)

static void half_a_head_is_not_let_in(void **state)
{
    struct peer *h = *state;

    assert_int_equal(send(h->fd, &peer_usual, 10, MSG_NOSIGNAL), 10);
    for (int i = 0; i < 1000; i++)
        peer_progress(h);
    assert_false(peer_is_over(h));
    shutdown(h->fd, SHUT_WR);
    peer_is_not_let_in(h);
}

static void more_than_an_address_ends_it(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    assert_int_equal(send(h->fd, "x", 1, MSG_NOSIGNAL), 1);
    peer_is_closed_for_it(h);
}

static void the_end_of_its_socket_ends_it(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    shutdown(h->fd, SHUT_WR);
    PEER_UNTIL(h, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -ECONNRESET);
    peer_others_go_on(h);
}

static void words_for_nobody_are_not_heard(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    peer_say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = 1}, "x", 1);
    memset(h->header, 0xff, sizeof h->header);
    peer_say_bytes(h, 20, "short", 5, UCP_AM_SEND_FLAG_EAGER);
    peer_say_bytes(h, UCX_HEADER, "?", 1, UCP_AM_SEND_FLAG_EAGER);
    peer_say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number ^ 1ull << 40}, "x", 1);
    peer_say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, "y", 1);
    PEER_UNTIL(h, h->victim.messages == 1);
    assert_int_equal(h->victim.last[0], 'y');
    peer_others_go_on(h);
}

static void a_second_greeting_ends_it(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    peer_say(h,
             (struct ucx_header){.type = UCX_WELCOME, .to = h->number, .a = 1, .b = PEER_GREETING},
             NULL, 0);
    peer_is_closed_for_it(h);
}

static void a_message_that_is_too_long_ends_it(void **state)
{
    static uint8_t bytes[10001];
    struct peer *h = *state;

    peer_greet(h);
    peer_say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, bytes, sizeof bytes);
    peer_is_closed_for_it(h);
}

static void a_message_by_rendezvous_ends_it(void **state)
{
    struct peer *h = *state;
    uint8_t *bytes = calloc(1, 1 << 20);

    peer_greet(h);
    const struct ucx_header header = {.type = UCX_MESSAGE, .to = h->number};
    ucx_header_encode(&header, h->header);
    peer_say_bytes(h, UCX_HEADER, bytes, 1 << 20, UCP_AM_SEND_FLAG_RNDV);
    peer_is_closed_for_it(h);
    free(bytes);
}

static void an_unknown_kind_ends_it(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    peer_say(h, (struct ucx_header){.type = 200, .to = h->number}, NULL, 0);
    peer_is_closed_for_it(h);
}

static void data_that_nobody_asked_for_ends_it(void **state)
{
    struct peer *h = *state;

    peer_greet(h);
    peer_say(h, (struct ucx_header){.type = UCX_DATA, .to = h->number, .a = h->number}, "x", 1);
    peer_is_closed_for_it(h);
}

/* Of 100 bytes that may be read or written; from: added to the region's number. */
static void reach(struct peer *h, enum ucx_message_type type, unsigned rights, uint64_t from,
                  uint64_t offset, uint32_t len)
{
    uint8_t bytes[200] = {0};
    uint64_t number;

    peer_greet(h);
    pair_region_open(&h->region, &h->victim, &h->pair.a, 100, rights);
    memcpy(&number, h->region.key + 8, sizeof number); /* as docs/PROTOCOL-ucx.md has it */
    peer_say(h,
             (struct ucx_header){.type = (uint8_t)type,
                                 .to = h->number,
                                 .a = le64toh(number) + from,
                                 .b = offset,
                                 .c = len,
                                 .d = PEER_NUMBER},
             bytes, type == UCX_PUT ? len : 0);
    peer_is_closed_for_it(h);
    pair_region_check(&h->region, 0, 0);
    pair_region_close(&h->region);
}

#define BOTH (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

#define REACH(name, type, rights, from, offset, len)    \
    static void name(void **state)                      \
    {                                                   \
        reach(*state, type, rights, from, offset, len); \
    }

REACH(a_put_past_the_end_ends_it, UCX_PUT, BOTH, 0, 50, 51)
REACH(a_put_far_outside_ends_it, UCX_PUT, BOTH, 0, UINT64_MAX - 10, 20)
REACH(a_put_without_the_right_ends_it, UCX_PUT, ROS2_REGION_REMOTE_READ, 0, 0, 10)
REACH(a_put_to_another_number_ends_it, UCX_PUT, BOTH, 1ull << 32, 0, 10)
REACH(a_get_past_the_end_ends_it, UCX_GET_FROM, BOTH, 0, 50, 51)
REACH(a_get_of_everything_ends_it, UCX_GET_FROM, BOTH, 0, 0, UINT32_MAX)
REACH(a_get_without_the_right_ends_it, UCX_GET_FROM, ROS2_REGION_REMOTE_WRITE, 0, 0, 10)
REACH(a_get_from_another_number_ends_it, UCX_GET_FROM, BOTH, 1, 0, 10)

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
    const struct CMUnitTest tests[] = {
        CASE(who_keeps_the_rules_is_heard),
        CASE(who_greets_otherwise_is_not_let_in),
        CASE(who_greets_at_length_is_not_let_in),
        CASE(who_answers_before_it_greets_is_not_let_in),
        CASE(who_talks_before_it_answers_is_not_let_in),
        CASE(another_magic_is_not_let_in),
        CASE(another_version_is_not_let_in),
        CASE(an_empty_address_is_not_let_in),
        CASE(an_endless_address_is_not_let_in),
        CASE(a_reserved_word_is_not_let_in),
        CASE(half_a_head_is_not_let_in),
        CASE(more_than_an_address_ends_it),
        CASE(the_end_of_its_socket_ends_it),
        CASE(words_for_nobody_are_not_heard),
        CASE(a_second_greeting_ends_it),
        CASE(a_message_that_is_too_long_ends_it),
        CASE(a_message_by_rendezvous_ends_it),
        CASE(an_unknown_kind_ends_it),
        CASE(data_that_nobody_asked_for_ends_it),
        CASE(a_put_past_the_end_ends_it),
        CASE(a_put_far_outside_ends_it),
        CASE(a_put_without_the_right_ends_it),
        CASE(a_put_to_another_number_ends_it),
        CASE(a_get_past_the_end_ends_it),
        CASE(a_get_of_everything_ends_it),
        CASE(a_get_without_the_right_ends_it),
        CASE(a_get_from_another_number_ends_it),
    };

    /* This program links UCX, which then replaces functions of the C library before main(): ThreadSanitizer cannot have that. */
    if (!getenv("UCX_MEM_EVENTS")) {
        setenv("UCX_MEM_EVENTS", "n", 1);
        setenv("ROS2_TEST_TRANSPORT", "ucx+tcp", 1);
        execv("/proc/self/exe", argv);
        return 1;
    }
    (void)argc;
    return cmocka_run_group_tests(tests, pair_group_setup, NULL);
}
