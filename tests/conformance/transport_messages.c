/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: messages. Each case is a promise of include/ros2/transport.h. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 65536u /* the default */

/* -- order and sizes -- */

struct expect {
    const size_t *len;
    size_t count, next;
    uint8_t *bytes;
};

static void expect_next(struct pair_side *side, const uint8_t *msg, size_t len)
{
    struct expect *e = side->user;

    assert_true(e->next < e->count);
    assert_int_equal(len, e->len[e->next]);
    pair_pattern(e->bytes, len, (uint32_t)e->next);
    assert_memory_equal(msg, e->bytes, len);
    e->next++;
}

static size_t all_sizes(size_t *len)
{
    size_t count = 0;

    for (size_t i = 0; i <= 300; i++)
        len[count++] = i;
    for (size_t i = 512; i <= MAX_MESSAGE; i *= 2)
        for (size_t j = 0; j < 3; j++)
            if (i + j - 1 <= MAX_MESSAGE)
                len[count++] = i + j - 1;
    len[count++] = 0;
    len[count++] = MAX_MESSAGE;
    len[count++] = 1;
    return count;
}

/* In pieces of unequal lengths, some empty. */
static int cut(uint8_t *bytes, size_t len, struct iovec *iov)
{
    int n = 0;

    for (size_t at = 0; n < 7; n++) {
        size_t part = n == 6 ? len - at : n == 3 ? 0 : (len - at) / 3;
        iov[n] = (struct iovec){bytes + at, part};
        at += part;
    }
    return n;
}

static void messages_of_all_sizes_arrive_whole_and_in_order(void **state)
{
    struct pair *p = *state;
    size_t len[400];
    struct expect e = {.len = len, .count = all_sizes(len)};
    struct pair_op *op = calloc(e.count, sizeof *op);
    uint8_t **bytes = calloc(e.count, sizeof *bytes);

    e.bytes = malloc(MAX_MESSAGE);
    assert_true(op && bytes && e.bytes);
    p->b.on_message = expect_next;
    p->b.user = &e;
    for (size_t i = 0; i < e.count; i++) {
        struct iovec iov[7];
        bytes[i] = malloc(len[i] + 1);
        assert_non_null(bytes[i]);
        pair_pattern(bytes[i], len[i], (uint32_t)i);
        int n = cut(bytes[i], len[i], iov);
        pair_op_init(&op[i]);
        /* Copied and borrowed ones by turns: they must not overtake one another. */
        int rc;
        while ((rc = pair_ops->send(p->a.ep, iov, n, i % 2 ? &op[i].op : NULL)) == -EAGAIN)
            pair_progress(p);
        assert_int_equal(rc, 0);
        if (i % 2 == 0)
            memset(bytes[i], 0xee, len[i]); /* free on return */
    }
    pair_until(p, e.next == e.count);
    for (size_t i = 0; i < e.count; i++) {
        if (i % 2)
            pair_until(p, op[i].calls == 1);
        assert_int_equal(op[i].status, i % 2 ? 0 : INT32_MIN);
        free(bytes[i]);
    }
    assert_int_equal(p->b.messages, e.count);
    free(e.bytes);
    free(bytes);
    free(op);
}

static void a_message_longer_than_the_limit_is_refused(void **state)
{
    struct pair *p = *state;
    uint8_t *bytes = calloc(1, MAX_MESSAGE + 1);
    struct iovec iov[2] = {{bytes, MAX_MESSAGE}, {bytes, 1}};
    struct pair_op op;

    assert_non_null(bytes);
    pair_op_init(&op);
    assert_int_equal(pair_ops->send(p->a.ep, iov, 2, NULL), -EMSGSIZE);
    assert_int_equal(pair_ops->send(p->a.ep, iov, 2, &op.op), -EMSGSIZE);
    iov[1].iov_len = SIZE_MAX; /* the sum wraps */
    assert_int_equal(pair_ops->send(p->a.ep, iov, 2, NULL), -EMSGSIZE);
    pair_send(p, &p->a, "x", 1);
    pair_until(p, p->b.messages == 1);
    assert_int_equal(p->b.last_len, 1);
    assert_int_equal(op.calls, 0);
    free(bytes);
}

static void a_longer_message_from_the_peer_ends_the_endpoint(void **state)
{
    struct pair p;
    uint8_t bytes[5000] = {0};

    (void)state;
    pair_open(&p, &(struct pair_options){.a_max_message = 8192, .b_max_message = 4096});
    pair_send(&p, &p.a, bytes, 4096);
    pair_send(&p, &p.a, bytes, 4097);
    pair_until(&p, p.b.closed && p.a.closed);
    assert_int_equal(p.b.messages, 1);
    assert_int_equal(p.b.closed_err, -EPROTO);
    pair_close(&p);
}

static void too_many_pieces_are_refused(void **state)
{
    struct pair *p = *state;
    struct iovec iov[ROS2_TRANSPORT_SEGMENTS_MAX + 1] = {{0}};

    assert_int_equal(pair_ops->send(p->a.ep, iov, ROS2_TRANSPORT_SEGMENTS_MAX + 1, NULL), -EINVAL);
    assert_int_equal(pair_ops->send(p->a.ep, iov, -1, NULL), -EINVAL);
    assert_int_equal(pair_ops->send(p->a.ep, NULL, 0, NULL), 0); /* nothing is a message too */
    pair_until(p, p->b.messages == 1);
    p->b.messages = 0;
    assert_int_equal(pair_ops->send(p->a.ep, iov, ROS2_TRANSPORT_SEGMENTS_MAX, NULL), 0);
    pair_until(p, p->b.messages == 1);
    assert_int_equal(p->b.last_len, 0);
}

/* -- flow -- */

static void check_serial(struct pair_side *side, const uint8_t *msg, size_t len)
{
    uint64_t serial;

    assert_int_equal(len, sizeof serial);
    memcpy(&serial, msg, sizeof serial);
    assert_int_equal(serial, side->messages - 1);
}

static void messages_cross_in_both_directions(void **state)
{
    struct pair *p = *state;

    p->a.on_message = p->b.on_message = check_serial;
    for (uint64_t i = 0; i < 20000; i++) {
        pair_send(p, &p->a, &i, sizeof i);
        pair_send(p, &p->b, &i, sizeof i);
    }
    pair_until(p, p->a.messages == 20000 && p->b.messages == 20000);
}

static void a_full_queue_says_eagain_and_recovers(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[4096] = {0};
    const struct iovec iov = {bytes, sizeof bytes};
    uint64_t count = 0;
    int rc;

    /* The peer does not read: some day nothing more fits anywhere. */
    for (int idle = 0; idle < 100; idle++) {
        while ((rc = pair_ops->send(p->a.ep, &iov, 1, NULL)) == 0) {
            count++;
            idle = 0;
        }
        assert_int_equal(rc, -EAGAIN);
        pair_ops->progress(p->a.domain);
    }
    assert_true(count * sizeof bytes >= 256 * 1024);
    pair_until(p, p->b.messages == count);
    assert_int_equal(pair_ops->send(p->a.ep, &iov, 1, NULL), 0);
    pair_until(p, p->b.messages == count + 1);
    assert_int_equal(p->a.closed + p->b.closed, 0);
}

static void flush_sends_without_further_progress(void **state)
{
    struct pair *p = *state;
    const struct iovec iov = {(void *)(uintptr_t) "hello", 5};
    struct pair_op op;

    pair_settle(p);
    pair_op_init(&op);
    assert_int_equal(pair_ops->send(p->a.ep, &iov, 1, &op.op), 0);
    pair_ops->flush(p->a.ep);
    side_until(&p->b, p->b.messages == 1);
    assert_int_equal(op.calls, 0); /* callbacks run from progress only */
    /* arm knows that there is something to tell. */
    if (!(pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY))
        assert_int_equal(pair_ops->domain_arm(p->a.domain), -EAGAIN);
    side_until(&p->a, op.calls == 1);
    assert_int_equal(op.status, 0);
}

/* Arms until it may sleep. */
static void arm(struct pair_side *side)
{
    uint64_t end_ns = pair_now_ns() + PAIR_DEADLINE_NS;

    while (pair_ops->domain_arm(side->domain) == -EAGAIN) {
        pair_ops->progress(side->domain);
        assert_true(pair_now_ns() < end_ns);
    }
}

static int wait_readable(struct pair_side *side, int timeout_ms)
{
    struct pollfd fd = {.fd = pair_ops->domain_fd(side->domain), .events = POLLIN};

    return poll(&fd, 1, timeout_ms);
}

static void an_armed_domain_sleeps_until_a_message_comes(void **state)
{
    struct pair *p = *state;
    const struct iovec iov = {(void *)(uintptr_t) "hello", 5};

    if (pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY)
        skip();
    pair_settle(p);
    for (uint64_t i = 1; i <= 100; i++) {
        arm(&p->b);
        assert_int_equal(wait_readable(&p->b, 0), 0);
        assert_int_equal(pair_ops->send(p->a.ep, &iov, 1, NULL), 0);
        arm(&p->a); /* sends what is held back */
        assert_int_equal(wait_readable(&p->b, 10000), 1);
        side_until(&p->b, p->b.messages == i);
    }
}

static void an_armed_domain_wakes_when_the_peer_takes_more(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[4096] = {0};
    const struct iovec iov = {bytes, sizeof bytes};
    uint64_t count = 0;

    if (pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY)
        skip();
    for (int idle = 0; idle < 100; idle++) {
        while (pair_ops->send(p->a.ep, &iov, 1, NULL) == 0) {
            count++;
            idle = 0;
        }
        pair_ops->progress(p->a.domain);
    }
    uint64_t end_ns = pair_now_ns() + PAIR_DEADLINE_NS;
    while (p->b.messages < count) {
        arm(&p->a);
        pair_ops->progress(p->b.domain);
        if (wait_readable(&p->a, 0) == 1)
            pair_ops->progress(p->a.domain);
        assert_true(pair_now_ns() < end_ns);
    }
}

static void echo(struct pair_side *side, const uint8_t *msg, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)msg, len};

    assert_int_equal(pair_ops->send(side->ep, &iov, 1, NULL), 0);
}

static void a_handler_may_answer(void **state)
{
    struct pair *p = *state;

    p->b.on_message = echo;
    for (uint64_t i = 0; i < 1000; i++) {
        pair_send(p, &p->a, &i, sizeof i);
        pair_until(p, p->a.messages == i + 1);
        assert_memory_equal(p->a.last, &i, sizeof i);
    }
}

static void burst_then_one(struct pair_side *side, const uint8_t *msg, size_t len)
{
    (void)msg;
    (void)len;
    /* From inside progress: it must not start over below the callback. */
    pair_ops->progress(side->domain);
}

static void progress_from_a_callback_delivers_nothing_twice(void **state)
{
    struct pair *p = *state;

    p->b.on_message = burst_then_one;
    for (uint64_t i = 0; i < 100; i++)
        pair_send(p, &p->a, &i, sizeof i);
    pair_until(p, p->b.messages == 100);
    pair_settle(p);
    assert_int_equal(p->b.messages, 100);
}

static void *abort_for_the_owner(void *arg)
{
    struct pair_side *side = arg;

    pair_ops->domain_lend(side->domain, 1);
    pair_ops->ep_abort(side->ep);
    side->ep = NULL;
    pair_ops->domain_wake(side->domain);
    pair_ops->domain_lend(side->domain, 0);
    return NULL;
}

static void who_was_lent_a_domain_may_wake_its_owner(void **state)
{
    struct pair *p = *state;
    pthread_t thread;

    pair_settle(p);
    arm(&p->a);
    if (!(pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY))
        assert_int_equal(wait_readable(&p->a, 0), 0);
    bool polls = pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY;
    struct pollfd fd = {.fd = polls ? -1 : pair_ops->domain_fd(p->a.domain), .events = POLLIN};
    assert_int_equal(pthread_create(&thread, NULL, abort_for_the_owner, &p->a), 0);
    if (!polls)
        assert_int_equal(poll(&fd, 1, 10000), 1);
    pthread_join(thread, NULL);
    assert_null(p->a.ep);
    pair_until(p, p->b.closed);
    pair_settle(p);
    arm(&p->a);
    if (!(pair_ops->flags & ROS2_TRANSPORT_POLL_ONLY))
        assert_int_equal(wait_readable(&p->a, 0), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    struct CMUnitTest tests[] = {
        CASE(messages_of_all_sizes_arrive_whole_and_in_order),
        CASE(a_message_longer_than_the_limit_is_refused),
        cmocka_unit_test(a_longer_message_from_the_peer_ends_the_endpoint),
        CASE(too_many_pieces_are_refused),
        CASE(messages_cross_in_both_directions),
        CASE(a_full_queue_says_eagain_and_recovers),
        CASE(flush_sends_without_further_progress),
        CASE(an_armed_domain_sleeps_until_a_message_comes),
        CASE(an_armed_domain_wakes_when_the_peer_takes_more),
        CASE(who_was_lent_a_domain_may_wake_its_owner),
        CASE(a_handler_may_answer),
        CASE(progress_from_a_callback_delivers_nothing_twice),
    };

    return PAIR_RUN("transport_messages", tests);
}
