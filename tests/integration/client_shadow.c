/* SPDX-License-Identifier: Apache-2.0 */
/* Files behave like memory: random reads and writes against a copy, by one client and by two, with checksums and without. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define FILE_MAX (5u << 20)
#define STEPS    400

struct shadow {
    uint8_t *data; /* what the file must hold */
    size_t len;
    uint8_t *buf;
    unsigned seed;
};

static size_t random_below(struct shadow *s, size_t n)
{
    return n == 0 ? 0 : (((size_t)rand_r(&s->seed) << 31) ^ (size_t)rand_r(&s->seed)) % n;
}

/* Half of the lengths are small, some at the limits where the way of a transfer changes. */
static size_t random_len(struct shadow *s)
{
    static const size_t edges[] = {0,      1,      4095,   4096,    4097,    65536,
                                   262143, 262144, 262145, 1048575, 1048576, 1048577};
    switch (random_below(s, 4)) {
    case 0:
        return edges[random_below(s, sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return random_below(s, 5000);
    case 2:
        return random_below(s, 300000);
    default:
        return random_below(s, 3u << 20);
    }
}

static void step_write(struct shadow *s, struct ros2_file *file)
{
    size_t len = random_len(s), offset = random_below(s, FILE_MAX - len);
    pattern(s->buf, len, (uint32_t)s->seed);
    assert_int_equal(ros2_pwrite(file, s->buf, len, offset), len);
    if (len == 0)
        return;
    if (offset > s->len)
        memset(s->data + s->len, 0, offset - s->len);
    memcpy(s->data + offset, s->buf, len);
    if (offset + len > s->len)
        s->len = offset + len;
}

static void step_read(struct shadow *s, struct ros2_file *file)
{
    size_t len = random_len(s), offset = random_below(s, FILE_MAX - len);
    size_t left = offset < s->len ? s->len - offset : 0, expected = len < left ? len : left;
    memset(s->buf, 0xa5, len + 1);
    ssize_t n = ros2_pread(file, s->buf, len, offset);
    if (n != (ssize_t)expected)
        fail_msg("pread of %zu at %zu of %zu: %zd, %s", len, offset, s->len, n,
                 n < 0 ? ros2_error() : "");
    if (memcmp(s->buf, s->data + offset, expected) != 0)
        fail_msg("pread of %zu at %zu: other bytes", len, offset);
    assert_int_equal(s->buf[len], 0xa5);
}

static void run(struct ros2_client *a, struct ros2_client *b, unsigned seed)
{
    struct shadow s = {.data = calloc(1, FILE_MAX), .buf = malloc(FILE_MAX + 1), .seed = seed};
    assert_true(s.data && s.buf);
    struct ros2_file *file[2] = {must_open(a, "/shadow", O_RDWR | O_CREAT | O_TRUNC),
                                 must_open(b, "/shadow", O_RDWR)};
    for (int i = 0; i < STEPS; i++) {
        struct ros2_file *one = file[random_below(&s, 2)];
        switch (random_below(&s, 20)) {
        case 0:
            ros2_close(must_open(a, "/shadow", O_WRONLY | O_TRUNC));
            s.len = 0;
            break;
        case 1:
            assert_ok(ros2_fsync(one));
            break;
        default:
            if (random_below(&s, 2))
                step_write(&s, one);
            else
                step_read(&s, one);
        }
    }
    ros2_close(file[0]);
    ros2_close(file[1]);
    free(s.data);
    free(s.buf);
}

static void one_client(void **state)
{
    struct daemon *d = *state;
    struct ros2_client *client = daemon_connect(d);
    run(client, client, 1);
    ros2_disconnect(client);
}

static void two_clients_see_each_others_writes(void **state)
{
    struct daemon *d = *state;
    struct ros2_client *a = daemon_connect(d), *b = daemon_connect(d);
    run(a, b, 2);
    ros2_disconnect(a);
    ros2_disconnect(b);
}

static void with_checksums(void **state)
{
    struct daemon *d = *state;
    struct ros2_connect_options options = daemon_options(d);
    options.checksum = 1;
    struct ros2_client *client = daemon_connect_with(d, &options);
    run(client, client, 3);
    ros2_disconnect(client);
}

static void without_checksums(void **state)
{
    struct daemon *d = *state;
    struct ros2_connect_options options = daemon_options(d);
    options.checksum = -1;
    struct ros2_client *client = daemon_connect_with(d, &options);
    run(client, client, 4);
    ros2_disconnect(client);
}

static void sixty_four_mebibytes_in_one_call(void **state)
{
    struct daemon *d = *state;
    size_t len = (64u << 20) + 7;
    uint8_t *out = malloc(len), *in = malloc(len + 1);
    assert_true(out && in);
    struct ros2_client *client = daemon_connect(d);
    struct ros2_file *file = must_open(client, "/big", O_RDWR | O_CREAT);
    pattern(out, len, 9);
    assert_int_equal(ros2_pwrite(file, out, len, 3), len);
    assert_int_equal(ros2_pread(file, in, len + 1, 3), len);
    assert_memory_equal(in, out, len);
    ros2_close(file);
    assert_ok(ros2_unlink(client, "/big"));
    ros2_disconnect(client);
    free(out);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_client),
        cmocka_unit_test(two_clients_see_each_others_writes),
        cmocka_unit_test(with_checksums),
        cmocka_unit_test(without_checksums),
        cmocka_unit_test(sixty_four_mebibytes_in_one_call),
    };
    return cmocka_run_group_tests(tests, daemon_group_setup, daemon_group_teardown);
}
