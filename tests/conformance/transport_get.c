/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: gets. What is read, what is refused, and that a refusal costs only that get. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Side a gets from memory of side b, unless said otherwise. */
#define WRITE ROS2_REGION_REMOTE_WRITE
#define READ  ROS2_REGION_REMOTE_READ

static void get_reads_exactly(void **state)
{
    static const size_t len[] = {0, 1, 7, 255, 4095, 4096, 16383, 16384, 16385, 262144, 999999};
    struct pair *p = *state;
    uint8_t *dst = malloc(1000000 + 2);
    struct pair_op op;

    assert_non_null(dst);
    for (size_t i = 0; i < sizeof len / sizeof len[0]; i++) {
        struct pair_region r;
        size_t offset = i * 13;
        pair_region_open(&r, &p->b, &p->a, len[i] + 200, READ);
        pair_pattern(r.bytes, r.len, (uint32_t)i);
        memset(dst, 0xc3, len[i] + 2);
        pair_get(&p->a, dst + 1, len[i], pair_remote(&r, offset, len[i]), &op);
        pair_until(p, op.calls == 1);
        assert_int_equal(op.status, 0);
        assert_memory_equal(dst + 1, r.bytes + offset, len[i]);
        assert_int_equal(dst[0], 0xc3);
        assert_int_equal(dst[len[i] + 1], 0xc3);
        pair_region_close(&r);
    }
    assert_int_equal(p->a.messages + p->b.messages, 0);
    free(dst);
}

static void pieces_of_unequal_lengths_form_one_stream(void **state)
{
    enum { MAX = ROS2_TRANSPORT_SEGMENTS_MAX, SRC = 300 };
    struct pair *p = *state;
    uint8_t *dst = malloc(MAX * SRC), *want = malloc(MAX * SRC);
    struct iovec iov[MAX];
    struct ros2_remote src[MAX];
    struct pair_region r[2];

    assert_true(dst && want);
    for (int i = 0; i < 2; i++) {
        pair_region_open(&r[i], &p->b, &p->a, MAX * SRC, READ);
        pair_pattern(r[i].bytes, r[i].len, (uint32_t)i);
    }
    for (int dstcnt = 1; dstcnt <= MAX; dstcnt += 9) {
        struct pair_op op;
        size_t total = MAX * SRC, at = 0;
        for (int i = 0; i < MAX; i++) {
            size_t from = (size_t)(MAX - 1 - i) * SRC; /* backwards, by turns from two regions */
            src[i] = pair_remote(&r[i % 2], from, SRC);
            memcpy(want + i * SRC, r[i % 2].bytes + from, SRC);
        }
        for (int i = 0; i < dstcnt; i++) {
            size_t part = i == dstcnt - 1 ? total - at : i % 4 == 1 ? 0 : (total - at) / 3;
            iov[i] = (struct iovec){dst + at, part};
            at += part;
        }
        memset(dst, 0, total);
        pair_op_init(&op);
        assert_int_equal(pair_ops->get(p->a.ep, iov, dstcnt, src, MAX, &op.op), 0);
        memset(iov, 0xff, sizeof iov); /* copied */
        memset(src, 0xff, sizeof src);
        pair_until(p, op.calls == 1);
        assert_int_equal(op.status, 0);
        assert_memory_equal(dst, want, total);
    }
    for (int i = 0; i < 2; i++)
        pair_region_close(&r[i]);
    free(dst);
    free(want);
}

static void many_gets_at_once_each_read_their_own(void **state)
{
    enum { COUNT = 500, LEN = 5000 };
    struct pair *p = *state;
    uint8_t *dst = malloc(COUNT * LEN);
    struct pair_op *op = calloc(COUNT, sizeof *op);
    struct pair_region r;
    int eagain = 0;

    assert_true(dst && op);
    pair_region_open(&r, &p->b, &p->a, COUNT * LEN, READ);
    pair_pattern(r.bytes, r.len, 11);
    for (int i = 0; i < COUNT; i++) {
        const struct iovec iov = {dst + i * LEN, LEN};
        const struct ros2_remote src = pair_remote(&r, (uint64_t)i * LEN, LEN);
        int rc;
        pair_op_init(&op[i]);
        while ((rc = pair_ops->get(p->a.ep, &iov, 1, &src, 1, &op[i].op)) == -EAGAIN) {
            eagain++;
            pair_progress(p);
        }
        assert_int_equal(rc, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        pair_until(p, op[i].calls == 1);
        assert_int_equal(op[i].status, 0);
    }
    assert_memory_equal(dst, r.bytes, COUNT * LEN);
    pair_region_close(&r);
    free(dst);
    free(op);
    (void)eagain;
}

static void gets_puts_and_messages_cross_in_both_directions(void **state)
{
    enum { LEN = 50000, ROUNDS = 300 };
    struct pair *p = *state;
    struct pair_side *side[2] = {&p->a, &p->b};
    uint8_t *dst[2] = {malloc(LEN), malloc(LEN)};
    struct pair_region r[2];

    assert_true(dst[0] && dst[1]);
    for (int i = 0; i < 2; i++) {
        pair_region_open(&r[i], side[!i], side[i], LEN, READ | WRITE);
        pair_pattern(r[i].bytes, LEN, (uint32_t)i);
    }
    for (uint64_t n = 0; n < ROUNDS; n++) {
        struct pair_op get[2], put[2];
        for (int i = 0; i < 2; i++) {
            pair_get(side[i], dst[i], LEN, pair_remote(&r[i], 0, LEN), &get[i]);
            pair_send(p, side[i], "m", 1);
            pair_put(side[i], r[!i].bytes, 1000, pair_remote(&r[i], 0, 1000), "p", 1, &put[i]);
        }
        pair_until(p, get[0].calls && get[1].calls && put[0].calls && put[1].calls);
        pair_until(p, p->a.messages == 2 * (n + 1) && p->b.messages == 2 * (n + 1));
        assert_int_equal(get[0].status | get[1].status | put[0].status | put[1].status, 0);
        for (int i = 0; i < 2; i++)
            assert_memory_equal(dst[i] + 1000, r[i].bytes + 1000, LEN - 1000);
    }
    for (int i = 0; i < 2; i++) {
        pair_region_close(&r[i]);
        free(dst[i]);
    }
}

/* -- refusals -- */

/* status: what the op gets, when this side cannot know better; the connection goes on. */
static void refused(struct pair *p, struct ros2_remote src, struct pair_side *from, int status)
{
    uint8_t dst[256];
    const struct iovec iov = {dst, src.len};
    uint64_t messages = p->b.messages;
    struct pair_op op;

    memset(dst, 0xc3, sizeof dst);
    pair_op_init(&op);
    int rc = pair_ops->get(from->ep, &iov, 1, &src, 1, &op.op);
    if (rc < 0) {
        assert_int_equal(rc, -EINVAL);
        pair_settle(p);
        assert_int_equal(op.calls, 0);
    } else {
        pair_until(p, op.calls == 1);
        assert_int_equal(op.status, status);
    }
    for (size_t i = 0; i < sizeof dst; i++)
        assert_int_equal(dst[i], 0xc3);
    pair_send(p, from, "still here", 10);
    pair_until(p, p->b.messages == messages + 1);
    assert_int_equal(p->a.closed + p->b.closed, 0);
}

static void a_get_past_the_end_is_refused(void **state)
{
    struct pair *p = *state;
    struct pair_region r;

    pair_region_open(&r, &p->b, &p->a, 1000, READ);
    refused(p, pair_remote(&r, 901, 100), &p->a, -ERANGE);
    refused(p, pair_remote(&r, 1001, 0), &p->a, -ERANGE);
    refused(p, pair_remote(&r, UINT64_MAX / 2, 100), &p->a, -ERANGE);
    refused(p, pair_remote(&r, UINT64_MAX - 49, 100), &p->a, -ERANGE);
    refused(p, pair_remote(&r, UINT64_MAX - 99, 100), &p->a, -ERANGE);
    pair_region_close(&r);
}

static void a_get_without_the_right_is_refused(void **state)
{
    struct pair *p = *state;
    struct pair_region r;

    pair_region_open(&r, &p->b, &p->a, 1000, WRITE);
    refused(p, pair_remote(&r, 0, 100), &p->a, -EACCES);
    pair_region_close(&r);
}

static void a_get_from_a_region_that_is_gone_is_refused(void **state)
{
    struct pair *p = *state;
    struct pair_region r;

    pair_region_open(&r, &p->b, &p->a, 1000, READ);
    const struct ros2_remote stale = pair_remote(&r, 0, 100);
    pair_region_close(&r);
    refused(p, stale, &p->a, -EACCES);
    /* Nor does the next region in its place open to the old token. */
    pair_region_open(&r, &p->b, &p->a, 1000, READ);
    assert_true(r.token != stale.token);
    refused(p, stale, &p->a, -EACCES);
    pair_region_close(&r);
}

static void one_bad_piece_refuses_the_whole_get(void **state)
{
    struct pair *p = *state;
    struct pair_region good, bad;
    uint8_t dst[200];
    const struct iovec iov = {dst, sizeof dst};
    struct pair_op op;

    memset(dst, 0xc3, sizeof dst);
    pair_region_open(&good, &p->b, &p->a, 100, READ);
    pair_region_open(&bad, &p->b, &p->a, 100, WRITE);
    const struct ros2_remote src[2] = {pair_remote(&good, 0, 100), pair_remote(&bad, 0, 100)};
    pair_op_init(&op);
    int rc = pair_ops->get(p->a.ep, &iov, 1, src, 2, &op.op);
    if (rc == 0) {
        pair_until(p, op.calls == 1);
        assert_int_equal(op.status, -EACCES);
    }
    for (size_t i = 0; i < sizeof dst; i++)
        assert_int_equal(dst[i], 0xc3);
    pair_region_close(&good);
    pair_region_close(&bad);
}

static void bad_arguments_are_refused(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    uint8_t dst[16];
    struct iovec iov[ROS2_TRANSPORT_SEGMENTS_MAX + 1] = {{dst, 16}};
    struct ros2_remote src[ROS2_TRANSPORT_SEGMENTS_MAX + 1];
    const int max = ROS2_TRANSPORT_SEGMENTS_MAX;
    struct pair_op op;

    pair_region_open(&r, &p->b, &p->a, 100, READ);
    pair_op_init(&op);
    for (int i = 0; i <= max; i++)
        src[i] = pair_remote(&r, 0, i == 0 ? 16 : 0);
    assert_int_equal(pair_ops->get(p->a.ep, iov, max + 1, src, 1, &op.op), -EINVAL);
    assert_int_equal(pair_ops->get(p->a.ep, iov, 1, src, max + 1, &op.op), -EINVAL);
    assert_int_equal(pair_ops->get(p->a.ep, iov, 1, src, 0, &op.op), -EINVAL);
    src[0].len = 17;
    assert_int_equal(pair_ops->get(p->a.ep, iov, 1, src, 1, &op.op), -EINVAL);
    src[0].len = 15;
    assert_int_equal(pair_ops->get(p->a.ep, iov, 1, src, 1, &op.op), -EINVAL);
    pair_settle(p);
    assert_int_equal(op.calls, 0);
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_close(&r);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    struct CMUnitTest tests[] = {
        CASE(get_reads_exactly),
        CASE(pieces_of_unequal_lengths_form_one_stream),
        CASE(many_gets_at_once_each_read_their_own),
        CASE(gets_puts_and_messages_cross_in_both_directions),
        CASE(a_get_past_the_end_is_refused),
        CASE(a_get_without_the_right_is_refused),
        PAIR_CASE_IF(pair_has(ROS2_TRANSPORT_TOKENS),
                     CASE(a_get_from_a_region_that_is_gone_is_refused)),
        CASE(one_bad_piece_refuses_the_whole_get),
        CASE(bad_arguments_are_refused),
    };

    return PAIR_RUN("transport_get", tests);
}
