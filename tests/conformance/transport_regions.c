/* SPDX-License-Identifier: Apache-2.0 */
/* Conformance: regions. Above all: after deregister has returned 0, nothing touches the memory. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WRITE ROS2_REGION_REMOTE_WRITE
#define READ  ROS2_REGION_REMOTE_READ

static void bad_arguments_are_refused(void **state)
{
    struct pair *p = *state;
    uint8_t *byte = pair_alloc(16);
    struct ros2_region *region = NULL;
    struct ros2_domain *d = p->b.domain;

#define REGISTER(addr, len, rights, kind) \
    pair_ops->region_register(d, addr, len, rights, kind, &region)
    assert_int_equal(REGISTER(byte, 0, READ, ROS2_MEMORY_HOST), -EINVAL);
    assert_int_equal(REGISTER(NULL, 16, READ, ROS2_MEMORY_HOST), -EINVAL);
    assert_int_equal(REGISTER(byte, SIZE_MAX, READ, ROS2_MEMORY_HOST), -EINVAL);
    assert_int_equal(REGISTER(byte, 16, 0x80, ROS2_MEMORY_HOST), -EINVAL);
    assert_int_equal(REGISTER(byte, 16, READ, (enum ros2_memory_kind)77), -ENOTSUP);
    assert_null(region); /* results are untouched on failure */
    pair_free(byte, 16);
}

static void a_key_fits_its_buffer_or_is_refused(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    uint8_t key[ROS2_TRANSPORT_KEY_MAX];

    pair_region_open(&r, &p->b, &p->a, 100, READ);
    for (size_t len = 0; len < r.key_len; len++) {
        memset(key, 0xc3, sizeof key);
        assert_int_equal(pair_ops->region_pack(r.region, key, len), -ENOSPC);
        for (size_t i = len; i < sizeof key; i++)
            assert_int_equal(key[i], 0xc3);
    }
    pair_region_close(&r);
}

static void a_packed_key_reaches_its_region(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    struct ros2_rkey *rkey = NULL;
    struct pair_op op;
    uint8_t dst[50];

    pair_region_open(&r, &p->b, &p->a, 100, READ | WRITE);
    assert_int_equal(pair_ops->rkey_import(p->a.ep, r.key, r.key_len, &rkey), 0);
    const struct ros2_remote remote = {.rkey = rkey, .offset = 50, .len = 50};
    memset(dst, 0x77, sizeof dst);
    pair_put(&p->a, dst, sizeof dst, remote, "m", 1, &op);
    pair_until(p, op.calls && p->b.messages == 1);
    pair_region_check(&r, 50, 100);
    assert_memory_equal(r.bytes + 50, dst, sizeof dst);
    memset(dst, 0, sizeof dst);
    pair_get(&p->a, dst, sizeof dst, remote, &op);
    pair_until(p, op.calls);
    assert_int_equal(op.status, 0);
    assert_memory_equal(dst, r.bytes + 50, sizeof dst);
    pair_ops->rkey_release(rkey);
    pair_region_close(&r);
}

static void a_damaged_key_is_refused_or_reaches_nothing(void **state)
{
    struct pair *p = *state;
    struct pair_region r;
    uint8_t key[ROS2_TRANSPORT_KEY_MAX] = {0};
    struct ros2_rkey *rkey = NULL;

    pair_region_open(&r, &p->b, &p->a, 100, READ);
    for (size_t len = 0; len <= ROS2_TRANSPORT_KEY_MAX; len++) {
        if (len == r.key_len)
            continue;
        memcpy(key, r.key, r.key_len);
        assert_int_equal(pair_ops->rkey_import(p->a.ep, key, len, &rkey), -EINVAL);
    }
    for (size_t i = 0; i < r.key_len * 8; i++) {
        memcpy(key, r.key, r.key_len);
        key[i / 8] ^= (uint8_t)(1 << i % 8);
        int rc = pair_ops->rkey_import(p->a.ep, key, r.key_len, &rkey);
        if (rc == 0) {
            /* The damage is found at the target: the get is refused, or the damaged part does not matter to it. */
            const struct ros2_remote src = {.rkey = rkey, .offset = 0, .len = 10};
            uint8_t dst[10];
            const struct iovec iov = {dst, sizeof dst};
            struct pair_op op;
            pair_op_init(&op);
            rc = pair_ops->get(p->a.ep, &iov, 1, &src, 1, &op.op);
            if (rc == 0)
                pair_until(p, op.calls == 1);
            else
                assert_int_equal(rc, -EINVAL);
            pair_ops->rkey_release(rkey);
        } else {
            assert_int_equal(rc, -EINVAL);
        }
    }
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_check(&r, 0, 0);
    pair_region_close(&r);
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void tokens_are_never_used_again(void **state)
{
    enum { COUNT = 20000 };
    struct pair *p = *state;
    uint64_t *token = malloc(COUNT * sizeof *token);
    uint8_t *byte = pair_alloc(16);
    struct ros2_region *region[3];

    assert_non_null(token);
    for (int i = 0; i < COUNT; i++) {
        struct ros2_region **r = &region[i % 3];
        if (i >= 3)
            assert_int_equal(pair_ops->region_deregister(*r), 0);
        assert_int_equal(
            pair_ops->region_register(p->b.domain, byte, 16, READ, ROS2_MEMORY_HOST, r), 0);
        token[i] = pair_ops->region_token(*r);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(pair_ops->region_deregister(region[i]), 0);
    qsort(token, COUNT, sizeof *token, by_value);
    assert_true(token[0] != 0);
    for (int i = 1; i < COUNT; i++)
        assert_true(token[i] != token[i - 1]);
    free(token);
    pair_free(byte, 16);
}

static void thousands_of_regions_are_kept_apart(void **state)
{
    enum { COUNT = 5000, LEN = 16 };
    struct pair *p = *state;
    uint8_t *memory = pair_alloc(COUNT * LEN);
    struct ros2_region **region = calloc(COUNT, sizeof(struct ros2_region *));
    struct ros2_rkey *rkey = NULL;

    assert_non_null(region);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(pair_ops->region_register(p->b.domain, memory + i * LEN, LEN, WRITE,
                                                   ROS2_MEMORY_HOST, &region[i]),
                         0);
    for (int i = 0; i < COUNT; i += 7) {
        uint8_t key[ROS2_TRANSPORT_KEY_MAX];
        struct pair_op op;
        int len = pair_ops->region_pack(region[i], key, sizeof key);
        assert_int_equal(pair_ops->rkey_import(p->a.ep, key, (size_t)len, &rkey), 0);
        const struct ros2_remote dst = {.rkey = rkey, .offset = 0, .len = LEN};
        uint8_t src[LEN];
        memset(src, 1 + i % 250, sizeof src);
        pair_put(&p->a, src, LEN, dst, NULL, 0, &op);
        pair_until(p, op.calls == 1);
        pair_ops->rkey_release(rkey);
    }
    pair_send(p, &p->a, "end", 3);
    pair_until(p, p->b.messages == 1);
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < LEN; j++)
            assert_int_equal(memory[i * LEN + j], i % 7 ? 0 : 1 + i % 250);
        assert_int_equal(pair_ops->region_deregister(region[i]), 0);
    }
    pair_free(memory, COUNT * LEN);
    free(region);
}

/* -- revocation -- */

static void a_put_to_a_region_that_is_gone_lands_nowhere(void **state)
{
    struct pair *p = *state;
    struct pair_region old, new;
    uint8_t src[1000];
    struct pair_op op;

    memset(src, 0xbb, sizeof src);
    pair_region_open(&old, &p->b, &p->a, sizeof src, WRITE);
    const struct ros2_remote stale = pair_remote(&old, 0, sizeof src);
    assert_int_equal(pair_ops->region_deregister(old.region), 0);
    old.region = NULL;
    pair_region_open(&new, &p->b, &p->a, sizeof src, WRITE);
    /* The sender could not know yet: its connection and its message live on. */
    pair_put(&p->a, src, sizeof src, stale, "late", 4, &op);
    pair_until(p, op.calls == 1 && p->b.messages == 1);
    assert_int_equal(op.status, 0);
    assert_memory_equal(p->b.last, "late", 4);
    pair_region_check(&old, 0, 0);
    pair_region_check(&new, 0, 0);
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_close(&old);
    pair_region_close(&new);
}

/* Without tokens it is the provider who finds out, at the target: the connection ends. */
static void key_of_gone(struct pair *p, bool get)
{
    struct pair_region old, new;
    uint8_t local[1000];
    struct pair_op op;

    memset(local, 0xbb, sizeof local);
    pair_region_open(&old, &p->b, &p->a, sizeof local, READ | WRITE);
    const struct ros2_remote stale = pair_remote(&old, 0, sizeof local);
    assert_int_equal(pair_ops->region_deregister(old.region), 0);
    old.region = NULL;
    pair_region_open(&new, &p->b, &p->a, sizeof local, READ | WRITE);
    if (get)
        pair_get(&p->a, local, sizeof local, stale, &op);
    else
        pair_put(&p->a, local, sizeof local, stale, "late", 4, &op);
    pair_until(p, op.calls == 1 && p->a.closed && p->b.closed);
    assert_int_equal(p->b.messages, 0);
    pair_region_check(&old, 0, 0);
    pair_region_check(&new, 0, 0);
    if (get)
        assert_int_not_equal(op.status, 0);
    for (size_t i = 0; i < sizeof local; i++)
        assert_int_equal(local[i], 0xbb);
    pair_region_close(&old);
    pair_region_close(&new);
}

static void a_put_by_the_key_of_a_region_that_is_gone_lands_nowhere(void **state)
{
    key_of_gone(*state, false);
}
static void a_get_by_the_key_of_a_region_that_is_gone_reads_nothing(void **state)
{
    key_of_gone(*state, true);
}

static void deregister_in_the_middle_of_a_put_discards_its_rest(void **state)
{
    enum { LEN = 16 << 20 };
    struct pair *p = *state;
    uint8_t *src = malloc(LEN), *copy = malloc(LEN);
    struct pair_region r, other;
    struct pair_op op[2];

    assert_true(src && copy);
    memset(src, 0xbb, LEN);
    for (int round = 0; round < 5; round++) {
        uint64_t messages = p->b.messages;
        pair_region_open(&r, &p->b, &p->a, LEN, WRITE);
        pair_region_open(&other, &p->b, &p->a, 100, WRITE);
        pair_put(&p->a, src, LEN, pair_remote(&r, 0, LEN), "first", 5, &op[0]);
        pair_put(&p->a, src, 100, pair_remote(&other, 0, 100), "second", 6, &op[1]);
        if (round > 0) /* round 0: before its first byte */
            pair_until(p, r.bytes[round * 100000] == 0xbb);
        assert_int_equal(p->b.messages, messages);
        assert_int_equal(pair_ops->region_deregister(r.region), 0);
        r.region = NULL;
        memcpy(copy, r.bytes, LEN);
        pair_until(p, p->b.messages == messages + 2 && op[0].calls == 1 && op[1].calls == 1);
        assert_memory_equal(r.bytes, copy, LEN); /* nothing has changed since */
        assert_memory_equal(other.bytes, src, 100);
        assert_memory_equal(p->b.last, "second", 6);
        pair_region_close(&r);
        pair_region_close(&other);
    }
    free(src);
    free(copy);
}

/* Where a device checks keys the connection ends with the access. Rounds: before the first byte, and ever later. */
static void deregister_in_the_middle_of_a_put_ends_access(void **state)
{
    enum { LEN = 16 << 20 };
    uint8_t *src = malloc(LEN), *copy = malloc(LEN);
    struct pair p;
    struct pair_region r;
    struct pair_op op;

    (void)state;
    assert_true(src && copy);
    memset(src, 0xbb, LEN);
    for (int round = 0; round < 5; round++) {
        pair_open(&p, NULL);
        pair_region_open(&r, &p.b, &p.a, LEN, WRITE);
        pair_put(&p.a, src, LEN, pair_remote(&r, 0, LEN), "behind", 6, &op);
        if (round > 0)
            pair_until(&p, r.bytes[round * 100000] == 0xbb);
        assert_int_equal(pair_ops->region_deregister(r.region), 0);
        r.region = NULL;
        memcpy(copy, r.bytes, LEN);
        const bool landed = copy[LEN - 1] == 0xbb; /* it was faster */
        pair_until(&p, op.calls == 1 && (landed || p.a.closed));
        pair_settle(&p);
        assert_memory_equal(r.bytes, copy, LEN);
        assert_true(landed || (op.status != 0 && p.b.messages == 0));
        pair_region_close(&r);
        pair_close(&p);
    }
    free(src);
    free(copy);
}

static void deregister_in_the_middle_of_a_get_ends_access(void **state)
{
    enum { LEN = 16 << 20, OLD = 0x11, NEW = 0x22, NONE = 0xbb };
    struct pair *p = *state;
    uint8_t *dst = malloc(LEN);
    struct pair_region r;
    struct pair_op op;

    assert_non_null(dst);
    memset(dst, NONE, LEN);
    pair_region_open(&r, &p->b, &p->a, LEN, READ);
    memset(r.bytes, OLD, LEN);
    pair_get(&p->a, dst, LEN, pair_remote(&r, 0, LEN), &op);
    pair_until(p, dst[100000] == OLD);
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    memset(r.bytes, NEW, LEN);
    pair_until(p, op.calls == 1);
    assert_null(memchr(dst, NEW, LEN));
    if (op.status == 0)
        assert_null(memchr(dst, NONE, LEN));
    pair_region_close(&r);
    free(dst);
}

/* Memory given back while the peer is being sent from it: the transport must say so, or be done with it. */
static void deregister_during_a_get_waits_for_what_is_half_sent(void **state)
{
    enum { LEN = 24 << 20 };
    struct pair *p = *state;
    uint8_t *dst = malloc(LEN), *want = malloc(LEN);
    struct pair_region r;
    struct pair_op op;

    assert_true(dst && want);
    pair_region_open(&r, &p->b, &p->a, LEN, READ);
    pair_pattern(r.bytes, LEN, 5);
    memcpy(want, r.bytes, LEN);
    pair_get(&p->a, dst, LEN, pair_remote(&r, 0, LEN), &op);
    for (int i = 0; i < 3; i++)
        pair_ops->progress(p->a.domain); /* the request leaves */
    int rc = 0, busy = 0;
    uint64_t end_ns = pair_now_ns() + PAIR_DEADLINE_NS;
    for (int i = 0; i < 3; i++)
        pair_ops->progress(p->b.domain); /* the answer is half out: a does not read */
    while ((rc = pair_ops->region_deregister(r.region)) == -EBUSY) {
        busy++;
        pair_progress(p);
        assert_true(pair_now_ns() < end_ns);
    }
    assert_int_equal(rc, 0);
    r.region = NULL;
    memset(r.bytes, 0, LEN); /* ours again */
    pair_until(p, op.calls == 1);
    if (op.status == 0)
        assert_memory_equal(dst, want, LEN);
    else
        assert_int_equal(op.status, -EACCES);
    assert_int_equal(p->a.closed + p->b.closed, 0);
    pair_region_close(&r);
    free(dst);
    free(want);
    (void)busy;
}

static void an_answer_that_has_not_begun_becomes_a_refusal(void **state)
{
    enum { LEN = 24 << 20 };
    struct pair *p = *state;
    uint8_t *dst = malloc(LEN);
    uint8_t small[100];
    struct pair_region large_region, small_region;
    struct pair_op large, little;

    assert_non_null(dst);
    pair_region_open(&large_region, &p->b, &p->a, LEN, READ);
    pair_region_open(&small_region, &p->b, &p->a, 100, READ);
    pair_get(&p->a, dst, LEN, pair_remote(&large_region, 0, LEN), &large);
    pair_get(&p->a, small, 100, pair_remote(&small_region, 0, 100), &little);
    for (int i = 0; i < 3; i++)
        pair_ops->progress(p->a.domain);
    for (int i = 0; i < 3; i++)
        pair_ops->progress(
            p->b.domain); /* the first answer fills the pipe, the second waits behind it */
    assert_int_equal(pair_ops->region_deregister(small_region.region), 0);
    small_region.region = NULL;
    memset(small_region.bytes, PAIR_FILL, 100);
    pair_until(p, large.calls == 1 && little.calls == 1);
    assert_int_equal(large.status, 0);
    assert_int_equal(little.status, -EACCES);
    pair_region_close(&large_region);
    pair_region_close(&small_region);
    free(dst);
}

static void abort_frees_a_region_that_is_half_sent(void **state)
{
    enum { LEN = 24 << 20 };
    struct pair *p = *state;
    uint8_t *dst = malloc(LEN);
    struct pair_region r;
    struct pair_op op;

    assert_non_null(dst);
    pair_region_open(&r, &p->b, &p->a, LEN, READ);
    pair_get(&p->a, dst, LEN, pair_remote(&r, 0, LEN), &op);
    for (int i = 0; i < 3; i++)
        pair_ops->progress(p->a.domain);
    for (int i = 0; i < 3; i++)
        pair_ops->progress(p->b.domain);
    pair_ops->ep_abort(p->b.ep);
    p->b.ep = NULL;
    assert_int_equal(pair_ops->region_deregister(r.region), 0);
    r.region = NULL;
    pair_until(p, p->a.closed && op.calls == 1);
    /* ucx+tcp sends copies: the answer may be complete. */
    assert_true(op.status == -ECONNRESET || op.status == -EPIPE ||
                (pair_is("ucx+tcp") && op.status == 0));
    pair_region_close(&r);
    free(dst);
}

int main(void)
{
#define CASE(name)           cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
#define CASE_IF(flags, name) PAIR_CASE_IF(pair_has(flags), CASE(name))
#define TOKENS_REVOKED       (ROS2_TRANSPORT_TOKENS | ROS2_TRANSPORT_REVOKES)
    struct CMUnitTest tests[] = {
        CASE(bad_arguments_are_refused),
        CASE(a_key_fits_its_buffer_or_is_refused),
        CASE(a_packed_key_reaches_its_region),
        CASE(a_damaged_key_is_refused_or_reaches_nothing),
        CASE_IF(ROS2_TRANSPORT_TOKENS, tokens_are_never_used_again),
        CASE(thousands_of_regions_are_kept_apart),
        CASE_IF(ROS2_TRANSPORT_TOKENS, a_put_to_a_region_that_is_gone_lands_nowhere),
        PAIR_CASE_IF(!pair_has(ROS2_TRANSPORT_TOKENS),
                     CASE(a_put_by_the_key_of_a_region_that_is_gone_lands_nowhere)),
        PAIR_CASE_IF(!pair_has(ROS2_TRANSPORT_TOKENS),
                     CASE(a_get_by_the_key_of_a_region_that_is_gone_reads_nothing)),
        CASE_IF(TOKENS_REVOKED, deregister_in_the_middle_of_a_put_discards_its_rest),
        CASE_IF(TOKENS_REVOKED, deregister_during_a_get_waits_for_what_is_half_sent),
        CASE_IF(TOKENS_REVOKED, an_answer_that_has_not_begun_becomes_a_refusal),
        PAIR_CASE_IF(!pair_has(ROS2_TRANSPORT_TOKENS) && pair_has(ROS2_TRANSPORT_REVOKES),
                     cmocka_unit_test(deregister_in_the_middle_of_a_put_ends_access)),
        PAIR_CASE_IF(!pair_has(ROS2_TRANSPORT_TOKENS) && pair_has(ROS2_TRANSPORT_REVOKES),
                     CASE(deregister_in_the_middle_of_a_get_ends_access)),
        CASE(abort_frees_a_region_that_is_half_sent),
    };

    return PAIR_RUN("transport_regions", tests);
}
