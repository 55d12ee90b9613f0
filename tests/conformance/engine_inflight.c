/* SPDX-License-Identifier: Apache-2.0 */
/* Many operations at once: each ends once, in the owner's poll(), and the depth is a limit that comes free again. */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RW_CREATE (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE)

enum { BLOCK = 16 * 1024 };

/* Polls until all n of ios that began with 0 have ended; returns how many poll() said ended. */
static int drain(const struct ros2_engine_ops *ops, struct ros2_io_context *context, int begun)
{
    int ended = ops->poll(context);
    while (ended < begun) {
        struct pollfd p = {.fd = ops->context_fd(context), .events = POLLIN};
        assert_int_equal(poll(&p, 1, WORLD_WAIT_MS), 1);
        ended += ops->poll(context);
    }
    return ended;
}

static void each_operation_ends_exactly_once(void **state)
{
    struct world *w = *state;
    enum { ROUNDS = 20 };
    struct counted_io ios[WORLD_DEPTH];
    int begin[WORLD_DEPTH];
    char *buf = calloc(WORLD_DEPTH, BLOCK);
    struct ros2_node *node = world_node(w, "f", RW_CREATE);

    for (int round = 0; round < ROUNDS; round++) {
        int begun = 0;
        for (unsigned i = 0; i < WORLD_DEPTH; i++) {
            char *block = buf + (size_t)i * BLOCK;
            uint64_t offset = (uint64_t)(i / 4) * BLOCK; /* reads of what earlier rounds wrote */
            counted_io_init(&ios[i]);
            if (i % 4 == 0)
                begin[i] = w->ops->fsync(w->context, node, 0, &ios[i].io);
            else if (i % 4 == 1)
                begin[i] = w->ops->write(w->context, node, block, BLOCK, offset, 0, &ios[i].io);
            else
                begin[i] = w->ops->read(w->context, node, block, BLOCK, offset, &ios[i].io);
            assert_true(begin[i] == 0 || begin[i] == 1);
            assert_int_equal(ios[i].done, 0); /* never from within the call */
            begun += begin[i] == 0;
        }
        assert_int_equal(drain(w->ops, w->context, begun), begun);
        assert_int_equal(w->ops->poll(w->context), 0);
        for (unsigned i = 0; i < WORLD_DEPTH; i++) {
            assert_int_equal(ios[i].done, begin[i] == 0);
            assert_true(i % 4 == 0 ? ios[i].io.result == 0
                                   : ios[i].io.result == BLOCK || (i % 4 > 1 && round == 0));
        }
    }
    w->ops->close(node);
    free(buf);
}

static void parallel_reads_and_writes_keep_apart(void **state)
{
    struct world *w = *state;
    struct counted_io ios[WORLD_DEPTH];
    unsigned char *buf = malloc((size_t)WORLD_DEPTH * BLOCK);
    struct ros2_node *node = world_node(w, "f", RW_CREATE);

    for (int pass = 0; pass < 2; pass++) { /* write all, read all backwards */
        int begun = 0;
        for (unsigned i = 0; i < WORLD_DEPTH; i++) {
            unsigned at = pass ? WORLD_DEPTH - 1 - i : i;
            unsigned char *block = buf + (size_t)at * BLOCK;
            memset(block, pass ? 0 : (int)(at + 1), BLOCK);
            counted_io_init(&ios[at]);
            int rc = pass ? w->ops->read(w->context, node, block, BLOCK, (uint64_t)at * BLOCK,
                                         &ios[at].io)
                          : w->ops->write(w->context, node, block, BLOCK, (uint64_t)at * BLOCK, 0,
                                          &ios[at].io);
            assert_true(rc >= 0);
            begun += rc == 0;
        }
        drain(w->ops, w->context, begun);
        for (unsigned i = 0; i < WORLD_DEPTH; i++) {
            assert_int_equal(ios[i].io.result, BLOCK);
            assert_int_equal(buf[(size_t)i * BLOCK], i + 1);
            assert_int_equal(buf[(size_t)(i + 1) * BLOCK - 1], i + 1);
        }
    }
    w->ops->close(node);
    free(buf);
}

static void depth_is_a_limit_that_comes_free_again(void **state)
{
    struct world *w = *state;
    struct ros2_io_context *context;
    struct counted_io ios[3];

    assert_int_equal(w->ops->context_open(w->engine, 2, &context), 0);
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++)
            counted_io_init(&ios[i]);
        int first = w->ops->fsync(context, node, 0, &ios[0].io);
        int second = w->ops->fsync(context, node, 0, &ios[1].io);
        if (first == 1 || second == 1) { /* nothing is in flight: no limit to see */
            drain(w->ops, context, (first == 0) + (second == 0));
            break;
        }
        assert_int_equal(w->ops->fsync(context, node, 0, &ios[2].io), -EAGAIN);
        assert_int_equal(drain(w->ops, context, 2), 2);
        assert_int_equal(ios[0].done + ios[1].done, 2);
        assert_int_equal(ios[2].done, 0);
    }
    w->ops->close(node);
    w->ops->context_close(context);
}

struct chained_io {
    struct ros2_io io;
    struct world *w;
    struct ros2_io_context *context;
    struct ros2_node *node;
    int left, refused;
};

/* An owner may go on from done(): the slot is free by then. */
static void begin_next(struct ros2_io *io)
{
    struct chained_io *chain = (struct chained_io *)io;
    while (chain->left > 0) {
        chain->left--;
        int rc = chain->w->ops->fsync(chain->context, chain->node, 0, io);
        if (rc < 0)
            chain->refused++;
        if (rc == 0)
            return;
    }
}

static void done_may_begin_the_next_operation(void **state)
{
    struct world *w = *state;
    struct chained_io chain = {.io.done = begin_next, .w = w, .left = 20};

    assert_int_equal(w->ops->context_open(w->engine, 1, &chain.context), 0);
    chain.node = world_node(w, "f", RW_CREATE);
    begin_next(&chain.io);
    int ended = 0;
    while (ended < 20 && !chain.refused) {
        struct pollfd p = {.fd = w->ops->context_fd(chain.context), .events = POLLIN};
        int now = w->ops->poll(chain.context);
        ended += now;
        if (now == 0)
            assert_int_equal(poll(&p, 1, WORLD_WAIT_MS), 1);
    }
    assert_int_equal(chain.refused, 0);
    w->ops->close(chain.node);
    w->ops->context_close(chain.context);
}

static void an_idle_context_sleeps(void **state)
{
    struct world *w = *state;
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    struct pollfd p = {.fd = w->ops->context_fd(w->context), .events = POLLIN};

    assert_int_equal(poll(&p, 1, 0), 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(world_fsync(w, node, 0), 0);
        assert_int_equal(world_write(w, node, "x", 1, 0), 1);
    }
    /* One wakeup for nothing may be left (a signal that came after its result); not more. */
    w->ops->poll(w->context);
    struct pollfd again = p;
    for (int i = 0; i < 10 && poll(&again, 1, 20) != 0; i++)
        w->ops->poll(w->context);
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(w->ops->poll(w->context), 0);
    w->ops->close(node);
}

/* Results that arrive while the owner collects others are the ones that a wakeup gets lost for. */
static void a_sleeping_owner_is_woken_for_every_result(void **state)
{
    struct world *w = *state;
    enum { FILES = 6, TIMES = 1500 };
    static const char *const names[FILES] = {"a", "b", "c", "d", "e", "f"};
    struct ros2_node *nodes[FILES];
    struct counted_io ios[FILES];

    for (int i = 0; i < FILES; i++)
        nodes[i] = world_node(w, names[i], RW_CREATE);
    for (int time = 0; time < TIMES; time++) {
        int begun = 0;
        for (int i = 0; i < FILES; i++) {
            counted_io_init(&ios[i]);
            begun += w->ops->write(w->context, nodes[i], "x", 1, 0, 0, &ios[i].io) == 0;
        }
        assert_int_equal(drain(w->ops, w->context, begun), begun);
    }
    for (int i = 0; i < FILES; i++)
        w->ops->close(nodes[i]);
}

static void depth_zero_is_refused(void **state)
{
    struct world *w = *state;
    struct ros2_io_context *context = NULL;
    assert_int_equal(w->ops->context_open(w->engine, 0, &context), -EINVAL);
    assert_null(context);
}

/* -- one node, several contexts -- */

struct worker {
    struct world *w;
    struct ros2_node *node;
    pthread_t thread;
    unsigned number;
    int failed;
};

enum { WORKERS = 4, ROUNDS = 60 };

/* Writes and reads blocks of its own in the shared file. No cmocka here: its asserts belong to the main thread. */
static void *work_on_own_blocks(void *arg)
{
    struct worker *me = arg;
    const struct ros2_engine_ops *ops = me->w->ops;
    struct ros2_io_context *context;
    unsigned char *buf = malloc(BLOCK);

    me->failed = !buf || ops->context_open(me->w->engine, 4, &context) < 0;
    for (unsigned i = 0; i < ROUNDS && !me->failed; i++) {
        uint64_t offset = ((uint64_t)i * WORKERS + me->number) * BLOCK;
        for (int pass = 0; pass < 2; pass++) {
            struct counted_io io;
            counted_io_init(&io);
            memset(buf, pass ? 0 : (int)(me->number * ROUNDS + i + 1), BLOCK);
            int rc = pass ? ops->read(context, me->node, buf, BLOCK, offset, &io.io)
                          : ops->write(context, me->node, buf, BLOCK, offset, 0, &io.io);
            if (rc == 0)
                while (!io.done)
                    ops->poll(context);
            me->failed |= io.io.result != BLOCK ||
                          buf[BLOCK / 2] != (unsigned char)(me->number * ROUNDS + i + 1);
        }
    }
    if (buf)
        ops->context_close(context);
    free(buf);
    return NULL;
}

static void contexts_share_a_node(void **state)
{
    struct world *w = *state;
    struct worker workers[WORKERS];
    struct ros2_node *node = world_node(w, "f", RW_CREATE);

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.w = w, .node = node, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work_on_own_blocks, &workers[i]),
                         0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(workers[i].failed, 0);
    w->ops->close(node);
}

static const struct CMUnitTest tests[] = {
    world_test(each_operation_ends_exactly_once),
    world_test(parallel_reads_and_writes_keep_apart),
    world_test(depth_is_a_limit_that_comes_free_again),
    world_test(done_may_begin_the_next_operation),
    world_test(an_idle_context_sleeps),
    world_test(a_sleeping_owner_is_woken_for_every_result),
    world_test(depth_zero_is_refused),
    world_test(contexts_share_a_node),
};

const struct topic engine_inflight = topic(tests);
