/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: how connections end. Whatever the way, each op completes once, the user hears of it at most once, and
 * afterwards nothing is written to memory of an op or a region. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WRITE ROS2_REGION_REMOTE_WRITE
#define READ  ROS2_REGION_REMOTE_READ

/* -- orderly -- */

static void connecting_where_nobody_listens_is_told(void **state)
{
    struct pair *p = *state;
    struct pair_side client = {.domain = p->a.domain};

    pair_ops->listener_close(p->listener);
    assert_int_equal(pair_ops->connect(p->a.domain, p->address, &pair_handler, &client, &client.ep),
                     0);
    pair_until(p, client.closed);
    assert_int_equal(client.closed_err, -ECONNREFUSED);
    assert_int_equal(client.connected, 0);
    pair_ops->ep_close(client.ep);
}

static void close_delivers_what_was_sent_before(void **state)
{
    struct pair *p = *state;

    for (uint64_t i = 0; i < 500; i++)
        pair_send(p, &p->a, &i, sizeof i);
    pair_ops->ep_close(p->a.ep);
    p->a.ep = NULL;
    pair_until(p, p->b.closed);
    assert_int_equal(p->b.messages, 500);
    assert_int_equal(p->b.closed_err, -EPIPE);
    assert_int_equal(p->a.closed, 0); /* who closes hears nothing */
}

/* The peer has not read yet, and more is queued than the pipe between takes: copied messages still arrive. */
static void close_delivers_copied_messages_that_wait(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[4096] = {0};
    const struct iovec iov = {bytes, sizeof bytes};
    uint64_t count = 0;

    for (int idle = 0; idle < 100; idle++) {
        while (pair_ops->send(p->a.ep, &iov, 1, NULL) == 0) {
            count++;
            idle = 0;
        }
        pair_ops->progress(p->a.domain);
    }
    pair_ops->ep_close(p->a.ep);
    p->a.ep = NULL;
    pair_until(p, p->b.closed);
    assert_int_equal(p->b.messages, count);
    assert_int_equal(p->b.closed_err, -EPIPE);
}

/* Bytes that nobody will read must not take back those that were sent last. */
static void the_last_word_arrives_although_the_peer_still_talks(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 50; i++)
        pair_send(p, &p->a, "unread", 6);
    pair_ops->flush(p->a.ep);
    pair_send(p, &p->b, "go away", 7);
    pair_ops->ep_close(p->b.ep);
    p->b.ep = NULL;
    pair_send(p, &p->a, "more", 4);
    pair_until(p, p->a.closed);
    assert_int_equal(p->a.messages, 1);
    assert_memory_equal(p->a.last, "go away", 7);
}

static void close_completes_each_op(void **state)
{
    enum { LEN = 4 << 20, OPS = 16 };
    struct pair *p = *state;
    uint8_t *src = calloc(1, LEN);
    struct pair_region r;
    struct pair_op op[OPS];
    int sent = 0;

    assert_non_null(src);
    pair_region_open(&r, &p->b, &p->a, LEN, WRITE);
    for (int i = 0; i < OPS; i++)
        pair_put(&p->a, src, LEN, pair_remote(&r, 0, LEN), "m", 1, &op[i]);
    pair_ops->ep_close(p->a.ep);
    p->a.ep = NULL;
    memset(src, 0xee, LEN); /* ours again */
    for (int i = 0; i < OPS; i++) {
        assert_int_equal(op[i].calls, 1);
        assert_true(op[i].status == 0 || op[i].status == -ECANCELED);
        sent += op[i].status == 0;
    }
    assert_true(sent < OPS);
    pair_until(p, p->b.closed);
    assert_int_equal(p->b.messages, sent);
    for (size_t i = 0; i < LEN; i++)
        assert_int_not_equal(r.bytes[i], 0xee);
    pair_region_close(&r);
    free(src);
}

static void transfers_are_refused_before_and_after_a_connection(void **state)
{
    struct pair *p = *state;
    struct pair_side client = {.domain = p->a.domain};
    const struct iovec iov = {(void *)(uintptr_t) "x", 1};
    struct pair_op op;

    pair_op_init(&op);
    assert_int_equal(pair_ops->connect(p->a.domain, p->address, &pair_handler, &client, &client.ep),
                     0);
    assert_int_equal(pair_ops->send(client.ep, &iov, 1, NULL), -ENOTCONN);
    assert_int_equal(pair_ops->put(client.ep, NULL, 0, NULL, 0, "m", 1, &op.op), -ENOTCONN);
    assert_int_equal(pair_ops->get(client.ep, NULL, 0, NULL, 0, &op.op), -ENOTCONN);
    pair_ops->ep_abort(client.ep);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    pair_until(p, p->a.closed);
    assert_int_equal(pair_ops->send(p->a.ep, &iov, 1, &op.op), -ENOTCONN);
    assert_int_equal(pair_ops->put(p->a.ep, NULL, 0, NULL, 0, "m", 1, &op.op), -ENOTCONN);
    assert_int_equal(pair_ops->get(p->a.ep, NULL, 0, NULL, 0, &op.op), -ENOTCONN);
    pair_ops->flush(p->a.ep);
    assert_int_equal(op.calls, 0);
    pair_settle(p); /* the aborted one may still be in the listener's queue */
}

/* -- abort in the middle -- */

enum { BIG = 24 << 20 };

struct middle {
    struct pair_region r;
    uint8_t *local;
    struct pair_op op, queued, message;
};

/* A put (or get) from side a, half done, and more behind it. */
static void middle_open(struct pair *p, struct middle *m, bool get)
{
    const struct iovec iov = {(void *)(uintptr_t) "x", 1};

    m->local = malloc(BIG);
    assert_non_null(m->local);
    memset(m->local, 0xbb, BIG);
    pair_region_open(&m->r, &p->b, &p->a, BIG, READ | WRITE);
    if (get) {
        pair_get(&p->a, m->local, BIG, pair_remote(&m->r, 0, BIG), &m->op);
        pair_get(&p->a, m->local, 8, pair_remote(&m->r, 0, 8), &m->queued);
        pair_until(p, m->local[10000] == PAIR_FILL);
    } else {
        pair_put(&p->a, m->local, BIG, pair_remote(&m->r, 0, BIG), "m", 1, &m->op);
        pair_put(&p->a, m->local, BIG, pair_remote(&m->r, 0, BIG), "m", 1, &m->queued);
        pair_until(p, m->r.bytes[10000] == 0xbb);
    }
    pair_op_init(&m->message);
    assert_int_equal(pair_ops->send(p->a.ep, &iov, 1, &m->message.op), 0);
    assert_int_equal(m->op.calls, 0);
}

static void middle_close(struct middle *m)
{
    assert_int_equal(m->op.calls, 1);
    assert_int_equal(m->queued.calls, 1);
    assert_int_equal(m->message.calls, 1);
    pair_region_close(&m->r);
    free(m->local);
}

static void abort_by_the_sender(struct pair *p, bool get)
{
    struct middle m;
    uint8_t *copy = malloc(BIG);

    assert_non_null(copy);
    middle_open(p, &m, get);
    pair_ops->ep_abort(p->a.ep);
    p->a.ep = NULL;
    assert_int_equal(m.op.status, -ECANCELED);
    /* Gets may overtake one another. */
    assert_true(m.queued.status == -ECANCELED || (get && m.queued.status == 0));
    memcpy(copy, m.local, BIG);
    pair_until(p, p->b.closed);
    pair_settle(p);
    assert_memory_equal(m.local, copy, BIG); /* nothing has been written since */
    assert_true(p->b.closed_err == -ECONNRESET || p->b.closed_err == -EPIPE);
    /* The message waits behind the data of a put; the request of a get may have left before it, and it after that. */
    assert_in_range(p->b.messages, 0, get ? 1 : 0);
    assert_int_equal(p->a.closed, 0);
    middle_close(&m);
    free(copy);
}

static void abort_by_the_target(struct pair *p, bool get)
{
    struct middle m;
    uint8_t *copy = malloc(BIG);

    assert_non_null(copy);
    middle_open(p, &m, get);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    memcpy(copy, m.r.bytes, BIG);
    pair_until(p, p->a.closed);
    assert_int_equal(m.op.calls, 1); /* before closed() */
    /* A put is over when its source is free, and the answers to a get may be on their way. UCX's worker drains a connection over tcp
     * that was ended, so nothing holds them up until this end hears of it. */
    assert_true(m.op.status == -ECONNRESET || m.op.status == -EPIPE ||
                (pair_is("ucx+tcp") && m.op.status == 0));
    assert_memory_equal(m.r.bytes, copy, BIG);
    middle_close(&m);
    free(copy);
}

static void abort_in_the_middle_of_a_put_by_its_sender(void **state)
{
    abort_by_the_sender(*state, false);
}
static void abort_in_the_middle_of_a_put_by_its_target(void **state)
{
    abort_by_the_target(*state, false);
}
static void abort_in_the_middle_of_a_get_by_its_asker(void **state)
{
    abort_by_the_sender(*state, true);
}
static void abort_in_the_middle_of_a_get_by_its_target(void **state)
{
    abort_by_the_target(*state, true);
}

/* The sender cannot know yet. */
static void a_put_after_the_targets_abort_lands_nowhere(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    struct pair_op op;

    pair_region_open(&r, &p->b, &p->a, 1000, READ | WRITE);
    pair_put(&p->a, "before", 6, pair_remote(&r, 0, 6), "m", 1, &op);
    pair_until(p, p->b.messages == 1 && op.calls == 1);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    memset(r.bytes, PAIR_FILL, 6);
    pair_put(&p->a, "behind", 6, pair_remote(&r, 100, 6), "m", 1, &op);
    pair_until(p, p->a.closed);
    assert_int_equal(op.calls, 1);
    pair_region_check(&r, 0, 0);
    pair_region_close(&r);
}

static void domain_close_ends_all_that_is_left(void **state)
{
    struct pair p;
    struct middle m;

    (void)state;
    pair_open(&p, NULL);
    middle_open(&p, &m, false);
    if (m.r.rkey)
        pair_ops->rkey_release(
            m.r.rkey); /* it goes before its endpoint, although puts still use it */
    m.r.rkey = NULL;
    pair_ops->domain_close(p.a.domain);
    const bool revokes = pair_has(ROS2_TRANSPORT_REVOKES);
    if (revokes)
        middle_close(&m); /* although the rest of the put may still be in its way */
    assert_int_equal(m.op.status, -ECANCELED);
    assert_int_equal(p.a.closed, 0);
    side_until(&p.b, p.b.closed);
    if (!revokes)
        middle_close(&m);
    pair_ops->domain_close(p.b.domain); /* with a dead endpoint and a listener in it */
}

/* -- ends from callbacks -- */

static void abort_self(struct pair_side *side, const uint8_t *msg, size_t len)
{
    uint8_t first = msg[0];

    pair_ops->ep_abort(side->ep);
    side->ep = NULL;
    assert_int_equal(msg[len - 1], first); /* msg is whole until return */
}

static void close_self(struct pair_side *side, const uint8_t *msg, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)msg, len};

    assert_int_equal(pair_ops->send(side->ep, &iov, 1, NULL), 0);
    pair_ops->ep_close(side->ep);
    side->ep = NULL;
    assert_int_equal(msg[0], msg[len - 1]);
}

static void abort_on_closed(struct pair_side *side)
{
    pair_ops->ep_abort(side->ep);
    side->ep = NULL;
}

static void a_handler_may_abort_its_own_endpoint(void **state)
{
    struct pair *p = *state;

    p->b.on_message = abort_self;
    p->a.on_closed = abort_on_closed;
    for (int i = 0; i < 100; i++)
        pair_send(p, &p->a, "one two o", 9);
    pair_until(p, p->a.closed);
    assert_int_equal(p->b.messages, 1); /* none after its end */
    assert_int_equal(p->b.closed, 0);
}

static void a_handler_may_close_its_own_endpoint(void **state)
{
    struct pair *p = *state;

    p->b.on_message = close_self;
    p->a.on_closed = abort_on_closed;
    pair_send(p, &p->a, "bye b", 5);
    pair_until(p, p->a.closed);
    assert_int_equal(p->a.messages, 1);
    assert_int_equal(p->b.closed, 0);
}

/* More often than endpoints may linger. */
static void a_handler_may_close_although_the_peer_has(void **state)
{
    struct pair p;

    (void)state;
    for (int i = 0; i < 300; i++) {
        struct pair_side a = {0}, b = {0};
        if (i == 0)
            pair_open(&p, NULL);
        else
            assert_int_equal(pair_ops->connect(p.a.domain, p.address, &pair_handler, &p.a, &p.a.ep),
                             0);
        pair_until(&p, p.a.connected && p.b.ep);
        p.b.on_message = close_self;
        pair_send(&p, &p.a, "bye b", 5);
        pair_ops->ep_close(p.a.ep);
        p.a.ep = NULL;
        for (int j = 0; j < 8; j++)
            pair_ops->progress(p.a.domain); /* message and goodbye leave together */
        pair_until(&p, !p.b.ep);
        assert_int_equal(p.b.closed, 0);
        a.domain = p.a.domain;
        b.domain = p.b.domain;
        p.a = a;
        p.b = b;
    }
    pair_until(&p, pair_ops->domain_lingering(p.b.domain) == 0);
    pair_settle(&p);
    assert_int_equal(p.b.closed, 0);
    pair_close(&p);
}

struct chain {
    struct ros2_op op;
    struct pair *pair;
    int calls, status;
};

static void abort_from_done(struct ros2_op *op, int status)
{
    struct chain *c = (struct chain *)(void *)op;

    c->calls++;
    c->status = status;
    if (c->pair->a.ep) {
        struct ros2_ep *ep = c->pair->a.ep;
        c->pair->a.ep = NULL;
        pair_ops->ep_abort(ep);
    }
}

static void done_may_abort_the_endpoint_of_its_op(void **state)
{
    struct pair *p = *state;
    struct chain chain[20];
    const struct iovec iov = {(void *)(uintptr_t) "x", 1};

    memset(chain, 0, sizeof chain);
    for (int i = 0; i < 20; i++) {
        chain[i].op.done = abort_from_done;
        chain[i].pair = p;
        assert_int_equal(pair_ops->send(p->a.ep, &iov, 1, &chain[i].op), 0);
    }
    side_until(&p->a, chain[0].calls);
    for (int i = 0; i < 20; i++)
        assert_int_equal(chain[i].calls, 1);
    assert_null(p->a.ep);
    pair_until(p, p->b.closed);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    struct CMUnitTest tests[] = {
        CASE(connecting_where_nobody_listens_is_told),
        CASE(close_delivers_what_was_sent_before),
        CASE(close_delivers_copied_messages_that_wait),
        CASE(the_last_word_arrives_although_the_peer_still_talks),
        CASE(close_completes_each_op),
        CASE(transfers_are_refused_before_and_after_a_connection),
        CASE(abort_in_the_middle_of_a_put_by_its_sender),
        CASE(abort_in_the_middle_of_a_put_by_its_target),
        CASE(abort_in_the_middle_of_a_get_by_its_asker),
        CASE(abort_in_the_middle_of_a_get_by_its_target),
        CASE(a_put_after_the_targets_abort_lands_nowhere),
        cmocka_unit_test(domain_close_ends_all_that_is_left),
        CASE(a_handler_may_abort_its_own_endpoint),
        CASE(a_handler_may_close_its_own_endpoint),
        cmocka_unit_test(a_handler_may_close_although_the_peer_has),
        CASE(done_may_abort_the_endpoint_of_its_op),
    };

    return PAIR_RUN("transport_ends", tests);
}
