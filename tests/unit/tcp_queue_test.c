/* SPDX-License-Identifier: Apache-2.0 */
/* transports/tcp/queue.c against a plain list, over many random steps. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "transports/tcp/queue.h"

enum { MODEL = 512 };

struct model {
    size_t byte_count[MODEL];
    int iov_count[MODEL];
    uint8_t fill[MODEL];
    unsigned first, count;
};

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void append(struct tcp_queue *queue, struct model *m, uint32_t *seed)
{
    unsigned at = (m->first + m->count++) % MODEL;
    struct tcp_record *record;

    m->byte_count[at] = next(seed) % 50 == 0 ? next(seed) % 70000 : next(seed) % 200;
    m->iov_count[at] = (int)(next(seed) % 5);
    m->fill[at] = (uint8_t)next(seed);
    assert_int_equal(tcp_queue_append(queue, m->byte_count[at], m->iov_count[at], 0,
                                      m->byte_count[at] + 1, &record),
                     0);
    memset(tcp_record_bytes(record), m->fill[at], m->byte_count[at]);
    for (int i = 0; i < m->iov_count[at]; i++)
        tcp_record_iov(record)[i] = (struct iovec){NULL, at};
}

static void check(struct tcp_queue *queue, struct model *m)
{
    struct tcp_record *record = tcp_queue_head(queue);
    uint64_t wire = 0;
    size_t used = 0;

    for (unsigned n = 0; n < m->count; n++, record = tcp_queue_next(queue, record)) {
        unsigned at = (m->first + n) % MODEL;
        assert_non_null(record);
        assert_int_equal(record->byte_count, m->byte_count[at]);
        assert_int_equal(record->iov_count, m->iov_count[at]);
        for (size_t i = 0; i < m->byte_count[at]; i += 97)
            assert_int_equal(tcp_record_bytes(record)[i], m->fill[at]);
        for (int i = 0; i < m->iov_count[at]; i++)
            assert_int_equal(tcp_record_iov(record)[i].iov_len, at);
        wire += record->wire_len;
        used += record->size;
    }
    assert_null(record);
    assert_int_equal(queue->count, m->count);
    assert_int_equal(queue->used, used);
    assert_int_equal(queue->wire_left, wire);
}

static void records_keep_their_order_and_bytes(void **state)
{
    struct tcp_queue queue = {0};
    struct model m = {.count = 0};
    uint32_t seed = 42;

    (void)state;
    for (int step = 0; step < 30000; step++) {
        /* Phases of filling and of draining. */
        bool fill = next(&seed) % 10 < (step / 500 % 2 ? 7u : 3u);
        if (fill && m.count < 200) {
            append(&queue, &m, &seed);
        } else if (m.count > 0) {
            tcp_queue_pop(&queue);
            m.first = (m.first + 1) % MODEL;
            m.count--;
        }
        if (step % 7 == 0)
            check(&queue, &m);
    }
    tcp_queue_fini(&queue);
}

static void a_cut_forgets_the_rest_only(void **state)
{
    struct tcp_queue queue = {0};
    struct model m = {.count = 0};
    uint32_t seed = 43;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        while (m.count < 40)
            append(&queue, &m, &seed);
        for (unsigned n = next(&seed) % 30; n > 0; n--, m.count--, m.first = (m.first + 1) % MODEL)
            tcp_queue_pop(&queue);
        unsigned keep = round % 5 == 0 ? 0 : next(&seed) % m.count;
        struct tcp_record *record = tcp_queue_head(&queue);
        if (keep == 0) { /* the head may be half out */
            queue.sent = 1;
            queue.wire_left--;
        }
        for (unsigned i = 0; i < keep; i++)
            record = tcp_queue_next(&queue, record);
        tcp_queue_cut(&queue, record);
        m.count = keep;
        check(&queue, &m);
    }
    tcp_queue_fini(&queue);
}

/* The first record behind the wrap goes: what is left ends at the ring's end, and grows from there. */
static void a_cut_behind_the_wrap_ends_at_the_wrap(void **state)
{
    const size_t len = 1000 - sizeof(struct tcp_record);
    struct tcp_queue queue = {0};
    struct tcp_record *record;

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(tcp_queue_append(&queue, len, 0, 0, 10 + i, &record), 0);
    assert_int_equal(queue.cap, 4096);
    tcp_queue_pop(&queue);
    tcp_queue_pop(&queue);
    assert_int_equal(tcp_queue_append(&queue, len, 0, 0, 14, &record), 0);
    assert_ptr_equal((uint8_t *)record, queue.ring);
    tcp_queue_cut(&queue, record);
    assert_int_equal(queue.count, 2);
    assert_int_equal(queue.wire_left, 12 + 13);
    record = tcp_queue_head(&queue);
    assert_int_equal(record->wire_len, 12);
    record = tcp_queue_next(&queue, record);
    assert_int_equal(record->wire_len, 13);
    assert_null(tcp_queue_next(&queue, record));
    assert_int_equal(tcp_queue_append(&queue, len, 0, 0, 15, &record), 0);
    tcp_queue_pop(&queue);
    tcp_queue_pop(&queue);
    assert_int_equal(tcp_queue_head(&queue)->wire_len, 15);
    assert_null(tcp_queue_next(&queue, tcp_queue_head(&queue)));
    tcp_queue_fini(&queue);
}

static void steady_traffic_does_not_grow_the_ring(void **state)
{
    struct tcp_queue queue = {0};
    struct tcp_record *record;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(tcp_queue_append(&queue, 200, 2, 0, 1, &record), 0);
        if (i >= 5)
            tcp_queue_pop(&queue);
    }
    assert_true(queue.cap <= 4096);
    tcp_queue_fini(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_keep_their_order_and_bytes),
        cmocka_unit_test(a_cut_forgets_the_rest_only),
        cmocka_unit_test(a_cut_behind_the_wrap_ends_at_the_wrap),
        cmocka_unit_test(steady_traffic_does_not_grow_the_ring),
    };

    return cmocka_run_group_tests_name("tcp_queue", tests, NULL, NULL);
}
