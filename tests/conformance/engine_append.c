/* SPDX-License-Identifier: Apache-2.0 */
/* Appends: each goes to the end as it is then, tells where, and never lies over another. */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define APPEND_CREATE (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_APPEND)

static void an_append_tells_where_it_went(void **state)
{
    struct world *w = *state;
    char content[16];
    uint64_t offset;

    struct ros2_node *node =
        world_node(w, "f", ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE);
    assert_int_equal(world_append(w, node, "abc", 3, &offset), 3);
    assert_int_equal(offset, 0);
    assert_int_equal(world_write(w, node, "Z", 1, 5), 1);
    assert_int_equal(world_append(w, node, "def", 3, &offset), 3);
    assert_int_equal(offset, 6);
    assert_int_equal(w->ops->truncate(node, 4), 0);
    assert_int_equal(world_append(w, node, "g", 1, &offset), 1);
    assert_int_equal(offset, 4);
    w->ops->close(node);
    assert_int_equal(world_content(w, "f", content, sizeof(content)), 0);
    assert_int_equal(world_size(w, "f"), 5);
    assert_memory_equal(content, "abc\0g", 5);
}

static void a_node_opened_for_appending_appends_every_write(void **state)
{
    struct world *w = *state;
    char content[16];
    world_create(w, "f", "start");
    struct ros2_node *node = world_node(w, "f", APPEND_CREATE);
    assert_int_equal(world_write(w, node, "XY", 2, 0), 2);
    w->ops->close(node);
    assert_int_equal(world_content(w, "f", content, sizeof(content)), 0);
    assert_string_equal(content, "startXY");
}

/* -- several threads, each with a context and an open of its own -- */

enum { WORKERS = 4, RECORDS = 200, RECORD_MAX = 60000, AT_ONCE = 16 };

struct record {
    uint64_t offset;
    size_t len;
    unsigned char mark;
};

struct worker {
    struct world *w;
    struct ros2_node *node;
    pthread_t thread;
    unsigned number;
    int failed;
    struct record records[RECORDS];
};

/* No cmocka here: its asserts belong to the main thread. */
static void *append_records(void *arg)
{
    struct worker *me = arg;
    const struct ros2_engine_ops *ops = me->w->ops;
    struct ros2_io_context *context;
    struct counted_io ios[AT_ONCE];
    unsigned char *buf = malloc((size_t)AT_ONCE * RECORD_MAX);
    uint64_t seed = me->number;

    if (!buf || ops->context_open(me->w->engine, AT_ONCE, &context) < 0) {
        me->failed = 1;
        free(buf);
        return NULL;
    }
    for (int first = 0; first < RECORDS; first += AT_ONCE) {
        int count = RECORDS - first < AT_ONCE ? RECORDS - first : AT_ONCE;
        int begun = 0, ended = 0;
        for (int i = 0; i < count; i++) {
            struct record *record = &me->records[first + i];
            record->len = 1 + world_random(&seed) % RECORD_MAX;
            record->mark = (unsigned char)(me->number * RECORDS + (unsigned)(first + i));
            memset(buf + (size_t)i * RECORD_MAX, record->mark, record->len);
            counted_io_init(&ios[i]);
            int rc = ops->write(context, me->node, buf + (size_t)i * RECORD_MAX, record->len, 0,
                                ROS2_IO_APPEND, &ios[i].io);
            me->failed |= rc < 0;
            begun += rc == 0;
        }
        while (ended < begun)
            ended += ops->poll(context);
        for (int i = 0; i < count; i++) {
            me->records[first + i].offset = ios[i].io.offset;
            me->failed |= ios[i].io.result != (int64_t)me->records[first + i].len;
        }
    }
    ops->context_close(context);
    free(buf);
    return NULL;
}

static int by_offset(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void assert_record_is_whole(struct world *w, struct ros2_node *node,
                                   const struct record *record)
{
    unsigned char *buf = malloc(record->len);
    size_t same = 0;
    assert_int_equal(world_read(w, node, buf, record->len, record->offset), record->len);
    while (same < record->len && buf[same] == record->mark)
        same++;
    assert_int_equal(same, record->len);
    free(buf);
}

static void concurrent_appends_never_overlap(void **state)
{
    struct world *w = *state;
    struct worker *workers = calloc(WORKERS, sizeof(*workers));
    struct record *all = calloc((size_t)WORKERS * RECORDS, sizeof(*all));

    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].w = w;
        workers[i].number = i;
        workers[i].node = world_node(w, "log", APPEND_CREATE);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, append_records, &workers[i]), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(workers[i].failed, 0);
        memcpy(all + i * RECORDS, workers[i].records, sizeof(workers[i].records));
    }
    qsort(all, (size_t)WORKERS * RECORDS, sizeof(*all), by_offset);
    uint64_t end = 0;
    for (size_t i = 0; i < (size_t)WORKERS * RECORDS; i++) {
        assert_int_equal(all[i].offset, end);
        assert_record_is_whole(w, workers[0].node, &all[i]);
        end += all[i].len;
    }
    assert_int_equal(world_size(w, "log"), end);
    for (unsigned i = 0; i < WORKERS; i++)
        w->ops->close(workers[i].node);
    free(workers);
    free(all);
}

static const struct CMUnitTest tests[] = {
    world_test(an_append_tells_where_it_went),
    world_test(a_node_opened_for_appending_appends_every_write),
    world_test(concurrent_appends_never_overlap),
};

const struct topic engine_append = topic(tests);
