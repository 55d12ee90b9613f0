/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: puts. What lands, where, when its message comes, and what never lands. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Side a puts into memory of side b, unless said otherwise. */
#define WRITE ROS2_REGION_REMOTE_WRITE
#define READ  ROS2_REGION_REMOTE_READ

/* -- what lands -- */

static void put_lands_exactly(void **state)
{
    static const size_t len[] = {1, 7, 255, 4095, 4096, 16383, 16384, 16385, 262144, 999999};
    struct pair *p = *state;
    uint8_t *src = malloc(1000000);
    struct pair_op op;

    assert_non_null(src);
    for (size_t i = 0; i < sizeof len / sizeof len[0]; i++) {
        struct pair_region r;
        size_t offset = i * 13;
        pair_region_open(&r, &p->b, &p->a, len[i] + 200, WRITE);
        pair_pattern(src, len[i], (uint32_t)i);
        pair_put(&p->a, src, len[i], pair_remote(&r, offset, len[i]), &i, sizeof i, &op);
        pair_until(p, p->b.messages == i + 1 && op.calls == 1);
        assert_int_equal(op.status, 0);
        assert_memory_equal(p->b.last, &i, sizeof i);
        pair_region_check(&r, offset, offset + len[i]);
        assert_memory_equal(r.bytes + offset, src, len[i]);
        pair_region_close(&r);
    }
    free(src);
}

/* Cuts len bytes into count pieces of random lengths, some of them empty. */
static void cut(size_t len, int count, size_t *piece, uint32_t *seed)
{
    for (int i = 0; i < count; i++) {
        piece[i] = i == count - 1 ? len : pair_random(seed) % (2 * len / (size_t)(count - i) + 1);
        if (piece[i] > len)
            piece[i] = len;
        len -= piece[i];
    }
}

static void pieces_of_unequal_lengths_form_one_stream(void **state)
{
    struct pair *p = *state;
    enum { LEN = 100000, GAP = 3 };
    uint8_t *src = malloc(LEN);
    uint32_t seed = 7;

    assert_non_null(src);
    for (int round = 0; round < 50; round++) {
        int srccnt = 1 + (int)(pair_random(&seed) % ROS2_TRANSPORT_SEGMENTS_MAX);
        int dstcnt = 1 + (int)(pair_random(&seed) % ROS2_TRANSPORT_SEGMENTS_MAX);
        if (round == 0)
            srccnt = dstcnt = ROS2_TRANSPORT_SEGMENTS_MAX;
        size_t len = round % 5 == 4 ? 100 : LEN;
        size_t src_len[ROS2_TRANSPORT_SEGMENTS_MAX], dst_len[ROS2_TRANSPORT_SEGMENTS_MAX];
        struct iovec iov[ROS2_TRANSPORT_SEGMENTS_MAX];
        struct ros2_remote dst[ROS2_TRANSPORT_SEGMENTS_MAX];
        struct pair_region r[2];
        struct pair_op op;
        size_t at = 0;

        pair_pattern(src, len, (uint32_t)round);
        cut(len, srccnt, src_len, &seed);
        cut(len, dstcnt, dst_len, &seed);
        for (int i = 0; i < 2; i++)
            pair_region_open(&r[i], &p->b, &p->a, LEN + GAP * ROS2_TRANSPORT_SEGMENTS_MAX, WRITE);
        for (int i = 0; i < srccnt; at += src_len[i++])
            iov[i] = (struct iovec){src + at, src_len[i]};
        /* By turns into two regions, with gaps between. */
        at = 0;
        for (int i = 0; i < dstcnt; at += dst_len[i++] + GAP)
            dst[i] = pair_remote(&r[i % 2], at, dst_len[i]);
        pair_op_init(&op);
        assert_int_equal(pair_ops->put(p->a.ep, iov, srccnt, dst, dstcnt, "m", 1, &op.op), 0);
        memset(dst, 0xff, sizeof dst); /* copied */
        memset(iov, 0xff, sizeof iov);
        pair_until(p, op.calls == 1 && p->b.messages == (uint64_t)round + 1);
        at = 0;
        size_t from = 0;
        for (int i = 0; i < dstcnt; i++) {
            assert_memory_equal(r[i % 2].bytes + at, src + from, dst_len[i]);
            for (size_t j = 0; j < dst_len[i]; j++)
                r[i % 2].bytes[at + j] = PAIR_FILL;
            from += dst_len[i];
            at += dst_len[i] + GAP;
        }
        for (int i = 0; i < 2; i++) {
            pair_region_check(&r[i], 0, 0);
            pair_region_close(&r[i]);
        }
    }
    free(src);
}

struct order {
    struct pair_region region;
    size_t len;
    uint32_t bad;
};

static void check_last_byte(struct pair_side *side, const uint8_t *msg, size_t len)
{
    struct order *o = side->user;

    /* The sender changes the first and last bytes each time: both must be there by now. */
    if (len != 1 || o->region.bytes[0] != msg[0] || o->region.bytes[o->len - 1] != msg[0])
        o->bad++;
}

static void puts_larger_than_any_socket_buffer_land(void **state)
{
    struct pair *p = *state;
    enum { LEN = 24 << 20 };
    uint8_t *src = malloc(LEN);
    struct order o = {.len = LEN};
    struct pair_op op;

    assert_non_null(src);
    pair_pattern(src, LEN, 3);
    src[0] = src[LEN - 1] = 'm';
    pair_region_open(&o.region, &p->b, &p->a, LEN, WRITE);
    p->b.on_message = check_last_byte;
    p->b.user = &o;
    pair_put(&p->a, src, LEN, pair_remote(&o.region, 0, LEN), "m", 1, &op);
    pair_until(p, op.calls == 1 && p->b.messages == 1);
    assert_int_equal(o.bad, 0);
    assert_memory_equal(o.region.bytes, src, LEN);
    pair_region_close(&o.region);
    free(src);
}

/* -- the message -- */

static void order_rounds(struct pair *p, size_t len, uint64_t rounds)
{
    struct order o = {.len = len};
    uint8_t *src = calloc(1, len);
    struct pair_op op;

    assert_non_null(src);
    pair_region_open(&o.region, &p->b, &p->a, len, WRITE);
    p->b.on_message = check_last_byte;
    p->b.user = &o;
    p->b.messages = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        src[0] = src[len - 1] = (uint8_t)i;
        uint8_t msg = (uint8_t)i;
        pair_put(&p->a, src, len, pair_remote(&o.region, 0, len), &msg, 1, &op);
        pair_until(p, op.calls == 1 && p->b.messages == i + 1);
    }
    assert_int_equal(o.bad, 0);
    pair_region_close(&o.region);
    free(src);
}

static void no_message_comes_before_its_data(void **state)
{
    const char *more = getenv("ROS2_TEST_ROUNDS");
    const int rounds = more ? atoi(more) : 100000;

    order_rounds(*state, 64, rounds / 100 * 90);
    order_rounds(*state, 4096, rounds / 100 * 9);
    order_rounds(*state, 300000, rounds / 100);
}

static void a_put_without_message_calls_no_handler(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    struct pair_op op;

    pair_region_open(&r, &p->b, &p->a, 64, WRITE);
    pair_put(&p->a, "data", 4, pair_remote(&r, 0, 4), NULL, 0, &op);
    pair_send(p, &p->a, "x", 1);
    pair_until(p, p->b.messages == 1 && op.calls == 1);
    assert_int_equal(p->b.last_len, 1);
    assert_memory_equal(r.bytes, "data", 4);
    pair_region_close(&r);
}

static void an_empty_put_delivers_its_message(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    struct pair_op op;

    pair_region_open(&r, &p->b, &p->a, 64, WRITE);
    pair_put(&p->a, NULL, 0, pair_remote(&r, 64, 0), "empty", 5, &op);
    pair_until(p, p->b.messages == 1 && op.calls == 1);
    assert_memory_equal(p->b.last, "empty", 5);
    /* And with no pieces at all. */
    pair_op_init(&op);
    assert_int_equal(pair_ops->put(p->a.ep, NULL, 0, NULL, 0, "none", 4, &op.op), 0);
    pair_until(p, p->b.messages == 2 && op.calls == 1);
    assert_memory_equal(p->b.last, "none", 4);
    pair_region_check(&r, 0, 0);
    pair_region_close(&r);
}

/* -- both directions, and mixed with messages -- */

static void puts_cross_in_both_directions(void **state)
{
    enum { LEN = 100000, ROUNDS = 200 };
    struct pair *p = *state;
    struct pair_side *side[2] = {&p->a, &p->b};
    uint8_t *src = malloc(LEN);
    struct pair_region r[2];
    struct pair_op *op = calloc(2 * ROUNDS, sizeof *op);

    assert_true(src && op);
    pair_pattern(src, LEN, 1);
    for (int i = 0; i < 2; i++)
        pair_region_open(&r[i], side[!i], side[i], LEN, WRITE);
    for (int n = 0; n < ROUNDS; n++) {
        for (int i = 0; i < 2; i++) {
            pair_put(side[i], src, LEN, pair_remote(&r[i], 0, LEN), "p", 1, &op[2 * n + i]);
            pair_send(p, side[i], "m", 1);
        }
        if (n % 8 == 7)
            pair_until(p, op[2 * n].calls && op[2 * n + 1].calls);
    }
    pair_until(p, p->a.messages == 2 * ROUNDS && p->b.messages == 2 * ROUNDS);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(r[i].bytes, src, LEN);
        pair_region_close(&r[i]);
    }
    for (int n = 0; n < 2 * ROUNDS; n++)
        pair_until(p, op[n].calls == 1);
    free(src);
    free(op);
}

/* -- what never lands -- */

/* The transport may refuse on this side, or the peer ends the connection; the region must stay as it is. */
static void refused(struct ros2_remote (*remote)(const struct pair_region *r), unsigned rights)
{
    struct pair p;
    struct pair_region r;
    struct pair_op op;
    uint8_t src[256];
    const struct iovec iov = {src, sizeof src};

    pair_open(&p, NULL);
    memset(src, 0xbb, sizeof src);
    pair_region_open(&r, &p.b, &p.a, 1000, rights);
    const struct ros2_remote dst = remote(&r);
    pair_op_init(&op);
    const struct iovec part = {src, dst.len};
    int rc =
        pair_ops->put(p.a.ep, dst.len <= sizeof src ? &part : &iov, 1, &dst, 1, "m", 1, &op.op);
    if (rc < 0) {
        assert_int_equal(rc, -EINVAL);
        pair_settle(&p);
        assert_int_equal(op.calls, 0);
    } else {
        pair_until(&p, p.b.closed && p.a.closed && op.calls == 1);
        assert_int_equal(p.b.closed_err, -EPROTO);
    }
    assert_int_equal(p.b.messages, 0);
    pair_region_check(&r, 0, 0);
    pair_ops->ep_abort(p.a.ep);
    p.a.ep = NULL;
    pair_region_close(&r);
    pair_close(&p);
}

static struct ros2_remote whole(const struct pair_region *r)
{
    return pair_remote(r, 0, 100);
}
static struct ros2_remote past_end(const struct pair_region *r)
{
    return pair_remote(r, r->len - 99, 100);
}
static struct ros2_remote behind_end(const struct pair_region *r)
{
    return pair_remote(r, r->len + 1, 0);
}
static struct ros2_remote far_behind(const struct pair_region *r)
{
    return pair_remote(r, UINT64_MAX / 2, 100);
}
static struct ros2_remote wrapping(const struct pair_region *r)
{
    return pair_remote(r, UINT64_MAX - 49, 100);
}
static struct ros2_remote wrapping_to_zero(const struct pair_region *r)
{
    return pair_remote(r, UINT64_MAX - 99, 100);
}
static struct ros2_remote too_long(const struct pair_region *r)
{
    return pair_remote(r, 0, UINT64_MAX);
}

static void a_put_past_the_end_changes_nothing(void **state)
{
    (void)state;
    refused(past_end, WRITE);
    refused(behind_end, WRITE);
    refused(far_behind, WRITE);
    refused(wrapping, WRITE);
    refused(wrapping_to_zero, WRITE);
    refused(too_long, WRITE);
}

static void a_put_without_the_right_changes_nothing(void **state)
{
    (void)state;
    refused(whole, READ);
    refused(whole, 0);
}

static struct ros2_remote next_token(const struct pair_region *r)
{
    struct ros2_remote remote = pair_remote(r, 0, 100);

    for (int bit = 0; bit < 64; bit += 8)
        remote.token ^= 1ull << bit;
    return remote;
}
static struct ros2_remote zero_token(const struct pair_region *r)
{
    struct ros2_remote remote = pair_remote(r, 0, 100);

    remote.token = 0;
    return remote;
}
static struct ros2_remote higher_token(const struct pair_region *r)
{
    struct ros2_remote remote = pair_remote(r, 0, 100);

    remote.token |= 1ull << 63 | 1ull << 62;
    return remote;
}

static void a_put_to_a_token_never_issued_changes_nothing(void **state)
{
    (void)state;
    refused(next_token, WRITE);
    refused(zero_token, WRITE);
    refused(higher_token, WRITE);
}

static void one_bad_piece_spoils_the_whole_put(void **state)
{
    struct pair *p = *state;
    uint8_t src[200];
    const struct iovec iov = {src, sizeof src};
    struct pair_region good, bad;
    struct pair_op op;

    memset(src, 0xbb, sizeof src);
    pair_region_open(&good, &p->b, &p->a, 100, WRITE);
    pair_region_open(&bad, &p->b, &p->a, 100, READ);
    const struct ros2_remote dst[2] = {pair_remote(&good, 0, 100), pair_remote(&bad, 0, 100)};
    pair_op_init(&op);
    int rc = pair_ops->put(p->a.ep, &iov, 1, dst, 2, "m", 1, &op.op);
    if (rc == 0)
        pair_until(p, p->b.closed && op.calls == 1);
    pair_region_check(&good, 0, 0);
    pair_region_check(&bad, 0, 0);
    pair_region_close(&good);
    pair_region_close(&bad);
}

static void bad_arguments_are_refused(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    uint8_t src[16];
    struct iovec iov[ROS2_TRANSPORT_SEGMENTS_MAX + 1] = {{src, 16}};
    struct ros2_remote dst[ROS2_TRANSPORT_SEGMENTS_MAX + 1];
    struct pair_op op;
    uint8_t *long_message = calloc(1, 65537);

    assert_non_null(long_message);
    pair_region_open(&r, &p->b, &p->a, 100, WRITE);
    pair_op_init(&op);
    for (int i = 0; i <= ROS2_TRANSPORT_SEGMENTS_MAX; i++)
        dst[i] = pair_remote(&r, 0, i == 0 ? 16 : 0);
    const int max = ROS2_TRANSPORT_SEGMENTS_MAX;
    assert_int_equal(pair_ops->put(p->a.ep, iov, max + 1, dst, 1, "m", 1, &op.op), -EINVAL);
    assert_int_equal(pair_ops->put(p->a.ep, iov, 1, dst, max + 1, "m", 1, &op.op), -EINVAL);
    assert_int_equal(pair_ops->put(p->a.ep, iov, 1, dst, 0, "m", 1, &op.op), -EINVAL);
    assert_int_equal(pair_ops->put(p->a.ep, iov, 1, dst, 1, long_message, 65537, &op.op),
                     -EMSGSIZE);
    dst[0].len = 15;
    assert_int_equal(pair_ops->put(p->a.ep, iov, 1, dst, 1, "m", 1, &op.op), -EINVAL);
    dst[0].len = 17;
    assert_int_equal(pair_ops->put(p->a.ep, iov, 1, dst, 1, "m", 1, &op.op), -EINVAL);
    pair_settle(p);
    assert_int_equal(op.calls, 0);
    assert_int_equal(p->b.messages, 0);
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_check(&r, 0, 0);
    pair_region_close(&r);
    free(long_message);
}

static void a_full_queue_says_eagain_and_recovers(void **state)
{
    enum { OPS = 20000 };
    struct pair *p = *state;
    struct pair_region r;
    struct pair_op *op = calloc(OPS, sizeof *op);
    uint8_t src[1024] = {0};
    const struct iovec iov = {src, sizeof src};
    int count = 0, rc = 0;

    assert_non_null(op);
    pair_region_open(&r, &p->b, &p->a, sizeof src, WRITE);
    const struct ros2_remote dst = pair_remote(&r, 0, sizeof src);
    for (int idle = 0; idle < 100 && count < OPS; idle++) {
        while (count < OPS) {
            pair_op_init(&op[count]);
            rc = pair_ops->put(p->a.ep, &iov, 1, &dst, 1, "m", 1, &op[count].op);
            if (rc < 0)
                break;
            count++;
            idle = 0;
        }
        pair_ops->progress(p->a.domain);
    }
    assert_int_equal(rc, -EAGAIN);
    pair_until(p, p->b.messages == (uint64_t)count);
    for (int i = 0; i < count; i++)
        pair_until(p, op[i].calls == 1);
    assert_int_equal(op[count].calls, 0);
    pair_region_close(&r);
    free(op);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
    struct CMUnitTest tests[] = {
        CASE(put_lands_exactly),
        CASE(pieces_of_unequal_lengths_form_one_stream),
        CASE(puts_larger_than_any_socket_buffer_land),
        CASE(no_message_comes_before_its_data),
        CASE(a_put_without_message_calls_no_handler),
        CASE(an_empty_put_delivers_its_message),
        CASE(puts_cross_in_both_directions),
        cmocka_unit_test(a_put_past_the_end_changes_nothing),
        cmocka_unit_test(a_put_without_the_right_changes_nothing),
        PAIR_CASE_IF(pair_has(ROS2_TRANSPORT_TOKENS),
                     cmocka_unit_test(a_put_to_a_token_never_issued_changes_nothing)),
        CASE(one_bad_piece_spoils_the_whole_put),
        CASE(bad_arguments_are_refused),
        CASE(a_full_queue_says_eagain_and_recovers),
    };

    return PAIR_RUN("transport_put", tests);
}
