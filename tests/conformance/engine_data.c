/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes: what was written is read, at every kind of offset, and nothing else changes. */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RW_CREATE (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE)

static void write_then_read_gives_the_same(void **state)
{
    struct world *w = *state;
    static const size_t lens[] = {1, 511, 4096, 4097, 65536, 1 << 20, (4 << 20) + 3};
    uint64_t seed = 1;

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        size_t len = lens[i];
        unsigned char *out = malloc(len), *in = calloc(1, len + 1);
        for (size_t k = 0; k < len; k++)
            out[k] = (unsigned char)world_random(&seed);
        struct ros2_node *node = world_node(w, "f", RW_CREATE | ROS2_OPEN_TRUNCATE);
        assert_int_equal(world_write(w, node, out, len, 0), len);
        assert_int_equal(world_read(w, node, in, len + 1, 0), len);
        assert_memory_equal(in, out, len);
        w->ops->close(node);
        assert_int_equal(world_size(w, "f"), len);
        free(out);
        free(in);
    }
}

static void reads_are_short_only_at_the_end(void **state)
{
    struct world *w = *state;
    char buf[16];

    world_create(w, "f", "0123456789");
    struct ros2_node *node = world_node(w, "f", ROS2_OPEN_READ);
    assert_int_equal(world_read(w, node, buf, 4, 3), 4);
    assert_memory_equal(buf, "3456", 4);
    assert_int_equal(world_read(w, node, buf, 16, 3), 7);
    assert_memory_equal(buf, "3456789", 7);
    assert_int_equal(world_read(w, node, buf, 1, 9), 1);
    assert_int_equal(world_read(w, node, buf, 16, 10), 0);
    assert_int_equal(world_read(w, node, buf, 16, 11), 0);
    assert_int_equal(world_read(w, node, buf, 16, 1ull << 40), 0);
    assert_int_equal(world_read(w, node, buf, 0, 3), 0);
    w->ops->close(node);
}

static void a_read_changes_nothing_behind_what_it_read(void **state)
{
    struct world *w = *state;
    char buf[8] = "########";

    world_create(w, "f", "abc");
    struct ros2_node *node = world_node(w, "f", ROS2_OPEN_READ);
    assert_int_equal(world_read(w, node, buf, 8, 0), 3);
    assert_memory_equal(buf, "abc#####", 8);
    assert_int_equal(world_read(w, node, buf, 8, 3), 0);
    assert_memory_equal(buf, "abc#####", 8);
    w->ops->close(node);
}

/* Whole blocks into whole pages, which an engine may carry out in a way of its own. */
static void aligned_reads_are_as_good_as_others(void **state)
{
    struct world *w = *state;
    enum { BLOCK = 4096, BLOCKS = 6, LEN = 4 * BLOCK + 100 };
    unsigned char *out = malloc(LEN), *in = aligned_alloc(BLOCK, BLOCKS * BLOCK);
    uint64_t seed = 5;

    for (size_t k = 0; k < LEN; k++)
        out[k] = (unsigned char)world_random(&seed);
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(world_write(w, node, out, LEN, 0), LEN); /* still in the page cache, or not */
    for (int synced = 0; synced < 2; synced++) {
        for (size_t offset = 0; offset <= LEN + BLOCK; offset += BLOCK)
            for (size_t len = BLOCK / 2; len <= BLOCKS * BLOCK; len += BLOCK / 2) {
                size_t there = offset < LEN ? LEN - offset : 0, want = len < there ? len : there;
                memset(in, '#', BLOCKS * BLOCK);
                assert_int_equal(world_read(w, node, in, len, offset), want);
                assert_memory_equal(in, out + (offset < LEN ? offset : 0), want);
                for (size_t k = want; k < BLOCKS * BLOCK; k++)
                    assert_int_equal(in[k], '#');
            }
        assert_int_equal(world_fsync(w, node, 0), 0);
    }
    w->ops->close(node);
    free(out);
    free(in);
}

static void holes_read_as_zeros(void **state)
{
    struct world *w = *state;
    char *buf = malloc(3 << 20), *zeros = calloc(1, 3 << 20);

    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(world_write(w, node, "x", 1, 0), 1);
    assert_int_equal(world_write(w, node, "y", 1, (3 << 20) - 1), 1);
    memset(buf, '#', 3 << 20);
    assert_int_equal(world_read(w, node, buf, 3 << 20, 0), 3 << 20);
    assert_int_equal(buf[0], 'x');
    assert_int_equal(buf[(3 << 20) - 1], 'y');
    assert_memory_equal(buf + 1, zeros, (3 << 20) - 2);
    w->ops->close(node);
    free(buf);
    free(zeros);
}

static void a_write_of_nothing_changes_nothing(void **state)
{
    struct world *w = *state;
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    assert_int_equal(world_write(w, node, "", 0, 100), 0);
    assert_int_equal(world_size(w, "f"), 0);
    w->ops->close(node);
}

static void offsets_beyond_32_bits_work(void **state)
{
    struct world *w = *state;
    static const uint64_t offsets[] = {(1ull << 31) - 2, (1ull << 32) - 2, (1ull << 32) + 5,
                                       (1ull << 40) + 1};
    char buf[4];

    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(world_write(w, node, "wxyz", 4, offsets[i]), 4);
        assert_int_equal(world_size(w, "f"), offsets[i] + 4);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(world_read(w, node, buf, 4, offsets[i]), 4);
        assert_memory_equal(buf, "wxyz", 4);
    }
    assert_int_equal(world_read(w, node, buf, 4, 1), 4);
    assert_memory_equal(buf, "\0\0\0\0", 4);
    w->ops->close(node);
}

static void offsets_no_file_can_have_are_errors(void **state)
{
    struct world *w = *state;
    char buf[4];

    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    int64_t rc = world_write(w, node, "wxyz", 4, INT64_MAX - 4); /* tmpfs has room for it */
    assert_true(rc == -EFBIG || rc == -EINVAL || rc == 4);
    if (rc == 4)
        assert_int_equal(w->ops->truncate(node, 0), 0);
    assert_int_equal(world_write(w, node, "wxyz", 4, INT64_MAX - 3), -EINVAL);
    assert_int_equal(world_write(w, node, "wxyz", 4, INT64_MAX), -EINVAL);
    assert_int_equal(world_write(w, node, "wxyz", 4, 1ull << 63), -EINVAL);
    assert_int_equal(world_write(w, node, "wxyz", 4, UINT64_MAX - 1), -EINVAL);
    rc = world_read(w, node, buf, 4, INT64_MAX - 4);
    assert_true(rc == 0 || rc == -EINVAL);
    assert_int_equal(world_read(w, node, buf, 4, INT64_MAX - 3), -EINVAL);
    assert_int_equal(world_read(w, node, buf, 4, 1ull << 63), -EINVAL);
    assert_int_equal(world_read(w, node, buf, 4, UINT64_MAX - 1), -EINVAL);
    assert_int_equal(world_read(w, node, buf, (1ull << 30) + 1, 0), -EINVAL);
    assert_int_equal(world_size(w, "f"), 0);
    w->ops->close(node);
}

static void rights_of_the_open_bind_the_io(void **state)
{
    struct world *w = *state;
    char buf[4];
    uint64_t offset;

    world_create(w, "f", "keep");
    struct ros2_node *reader = world_node(w, "f", ROS2_OPEN_READ);
    assert_int_equal(world_write(w, reader, "x", 1, 0), -EBADF);
    assert_int_equal(world_append(w, reader, "x", 1, &offset), -EBADF);
    w->ops->close(reader);
    struct ros2_node *writer = world_node(w, "f", ROS2_OPEN_WRITE);
    assert_int_equal(world_read(w, writer, buf, 4, 0), -EBADF);
    w->ops->close(writer);
    struct ros2_node *directory = world_node(w, "", ROS2_OPEN_READ);
    assert_int_equal(world_read(w, directory, buf, 4, 0), -EISDIR);
    assert_int_equal(world_write(w, directory, "x", 1, 0), -EBADF);
    w->ops->close(directory);
    assert_int_equal(world_content(w, "f", (char[8]){0}, 8), 0);
    assert_int_equal(world_size(w, "f"), 4);
}

static void fsync_ends_well_on_files_and_directories(void **state)
{
    struct world *w = *state;
    world_create(w, "f", "data");
    struct ros2_node *node = world_node(w, "f", ROS2_OPEN_READ | ROS2_OPEN_WRITE);
    assert_int_equal(world_fsync(w, node, 0), 0);
    assert_int_equal(world_fsync(w, node, ROS2_IO_DATASYNC), 0);
    w->ops->close(node);
    node = world_node(w, "f", ROS2_OPEN_READ);
    assert_int_equal(world_fsync(w, node, 0), 0);
    w->ops->close(node);
    node = world_node(w, "", ROS2_OPEN_DIRECTORY);
    assert_int_equal(world_fsync(w, node, 0), 0);
    w->ops->close(node);
}

/* -- random operations against a copy in memory -- */

enum { SPACE = 1 << 20, STEP = 96 * 1024, STEPS = 600 };

struct shadow {
    unsigned char *file, *buf;
    size_t size;
    uint64_t seed;
};

static void random_write(struct world *w, struct ros2_node *node, struct shadow *s)
{
    size_t len = 1 + world_random(&s->seed) % STEP;
    size_t offset = world_random(&s->seed) % (SPACE - len);
    for (size_t i = 0; i < len; i++)
        s->buf[i] = (unsigned char)world_random(&s->seed);
    assert_int_equal(world_write(w, node, s->buf, len, offset), len);
    memcpy(s->file + offset, s->buf, len);
    if (offset + len > s->size)
        s->size = offset + len;
}

static void random_read(struct world *w, struct ros2_node *node, struct shadow *s)
{
    size_t len = 1 + world_random(&s->seed) % STEP;
    size_t offset = world_random(&s->seed) % SPACE;
    size_t want = offset >= s->size ? 0 : s->size - offset < len ? s->size - offset : len;
    memset(s->buf, 0xee, len);
    assert_int_equal(world_read(w, node, s->buf, len, offset), want);
    assert_memory_equal(s->buf, s->file + offset, want);
}

static void random_truncate(struct world *w, struct ros2_node *node, struct shadow *s)
{
    size_t size = world_random(&s->seed) % SPACE;
    assert_int_equal(w->ops->truncate(node, size), 0);
    if (size < s->size)
        memset(s->file + size, 0, s->size - size);
    s->size = size;
}

static void random_operations_match_a_copy_in_memory(void **state)
{
    struct world *w = *state;
    struct shadow s = {.file = calloc(1, SPACE), .buf = malloc(SPACE), .seed = 42};
    struct ros2_node *node = world_node(w, "f", RW_CREATE);
    struct ros2_node *second = world_node(w, "f", RW_CREATE);

    for (int i = 0; i < STEPS; i++) {
        uint32_t which = world_random(&s.seed) % 16;
        struct ros2_node *one = i % 2 ? node : second;
        if (which == 0)
            random_truncate(w, one, &s);
        else if (which == 1)
            assert_int_equal(world_fsync(w, one, 0), 0);
        else if (which < 8)
            random_write(w, one, &s);
        else
            random_read(w, one, &s);
    }
    assert_int_equal(world_size(w, "f"), s.size);
    assert_int_equal(world_read(w, node, s.buf, SPACE, 0), s.size);
    assert_memory_equal(s.buf, s.file, s.size);
    w->ops->close(node);
    w->ops->close(second);
    free(s.file);
    free(s.buf);
}

static const struct CMUnitTest tests[] = {
    world_test(write_then_read_gives_the_same),
    world_test(reads_are_short_only_at_the_end),
    world_test(a_read_changes_nothing_behind_what_it_read),
    world_test(aligned_reads_are_as_good_as_others),
    world_test(holes_read_as_zeros),
    world_test(a_write_of_nothing_changes_nothing),
    world_test(offsets_beyond_32_bits_work),
    world_test(offsets_no_file_can_have_are_errors),
    world_test(rights_of_the_open_bind_the_io),
    world_test(fsync_ends_well_on_files_and_directories),
    world_test(random_operations_match_a_copy_in_memory),
};

const struct topic engine_data = topic(tests);
