/* SPDX-License-Identifier: Apache-2.0 */
/* Transport tcp against peers that speak it wrongly, byte by byte through a plain socket. Beside each of them a good
 * connection of the same domain has to go on, and registered memory has to stay as it is. */
#include "config.h"

#include "tests/unit/tcp_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"

/* A greeting, a put of 5 bytes with a message, and a message. */
static void good_stream(struct hostile *h, struct bytes *b)
{
    b->len = 0;
    bytes_add(b, tcp_preamble, TCP_PREAMBLE_LEN);
    bytes_add_header(b, (struct tcp_header){
                            .type = TCP_PUT, .segment_count = 2, .message_len = 4, .data_len = 5});
    bytes_add_segment(b, h->region.token, 10, 3);
    bytes_add_segment(b, h->region.token, 20, 2);
    bytes_add(b, "12345done", 9);
    bytes_add_header(b, (struct tcp_header){.type = TCP_MSG, .message_len = 3});
    bytes_add(b, "msg", 3);
}

static void check_good_stream(struct hostile *h)
{
    assert_memory_equal(h->region.bytes + 10, "123", 3);
    assert_memory_equal(h->region.bytes + 20, "45", 2);
    memset(h->region.bytes + 10, PAIR_FILL, 3);
    memset(h->region.bytes + 20, PAIR_FILL, 2);
    pair_region_check(&h->region, 0, 0);
    assert_memory_equal(h->victim.last, "msg", 3);
}

/* -- the cases -- */

static void a_stream_that_trickles_in_byte_by_byte_is_understood(void **state)
{
    struct hostile *h = *state;
    struct bytes b;
    const int fd = hostile_dial(h);

    good_stream(h, &b);
    for (size_t i = 0; i < b.len; i++) {
        hostile_say(fd, b.at + i, 1);
        for (int turn = 0; turn < 4; turn++)
            pair_progress(&h->pair);
    }
    pair_until(&h->pair, h->victim.messages == 2);
    check_good_stream(h);
    shutdown(fd, SHUT_WR);
    pair_until(&h->pair, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPIPE);
    hostile_leave(h, fd);
}

static void a_stranger_is_refused_at_once(void **state)
{
    static const char *const greeting[] = {
        "GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        "\x16\x03\x01\x02\x01",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "R",
        "ROS2TCP\x02",
        "ROS2TCQ\x01",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\n",
    };
    struct hostile *h = *state;

    for (size_t i = 0; i < sizeof greeting / sizeof greeting[0]; i++) {
        const int fd = hostile_dial(h);
        const bool waits = strcmp(greeting[i], "R") == 0; /* could still become one of ours */
        hostile_say(fd, greeting[i], strlen(greeting[i]));
        if (waits)
            pair_settle(&h->pair);
        else
            pair_until(&h->pair, h->victim.closed);
        assert_int_equal(h->victim.closed, waits ? 0 : 1);
        assert_true(waits || h->victim.closed_err == -EPROTO);
        assert_int_equal(h->victim.messages, 0);
        hostile_others_go_on(h);
        hostile_leave(h, fd);
    }
}

static void each_flipped_bit_does_no_harm(void **state)
{
    struct hostile *h = *state;
    struct bytes b;

    good_stream(h, &b);
    for (size_t i = 0; i < b.len * 8; i++) {
        const int fd = hostile_dial(h);
        b.at[i / 8] ^= (uint8_t)(1 << i % 8);
        hostile_say(fd, b.at, b.len);
        shutdown(fd, SHUT_WR);
        pair_until(&h->pair, h->victim.closed);
        b.at[i / 8] ^= (uint8_t)(1 << i % 8);
        /* It landed somewhere in the region, where the flipped offset says, or not at all. */
        pair_region_check(&h->region, 0, h->region.len);
        memset(h->region.bytes, PAIR_FILL, h->region.len);
        hostile_others_go_on(h);
        hostile_leave(h, fd);
    }
}

static void a_stream_broken_off_anywhere_is_told(void **state)
{
    struct hostile *h = *state;
    struct bytes b;

    good_stream(h, &b);
    const size_t put_end = b.len - TCP_HEADER_LEN - 3;
    for (size_t len = 0; len <= b.len; len++) {
        const int fd = hostile_dial(h);
        const bool orderly = len == 0 || len == TCP_PREAMBLE_LEN || len == put_end || len == b.len;
        hostile_say(fd, b.at, len);
        shutdown(fd, SHUT_WR);
        pair_until(&h->pair, h->victim.closed);
        assert_int_equal(h->victim.closed_err, orderly ? -EPIPE : -ECONNRESET);
        assert_int_equal(h->victim.messages, (len >= put_end) + (len == b.len));
        hostile_leave(h, fd);
    }
    hostile_others_go_on(h);
}

/* Wherever the stream stands when the region goes. */
static void the_rest_of_a_put_lands_nowhere_once_its_region_is_gone(void **state)
{
    enum { LEN = 60 };
    struct hostile *h = *state;
    struct bytes b = {.len = 0};
    uint8_t data[LEN];

    memset(data, 'd', sizeof data);
    bytes_add(&b, tcp_preamble, TCP_PREAMBLE_LEN);
    bytes_add_header(&b,
                     (struct tcp_header){
                         .type = TCP_PUT, .segment_count = 1, .message_len = 4, .data_len = LEN});
    const size_t segment_at = b.len, data_at = b.len + TCP_SEGMENT_LEN;
    for (size_t landed = 1; landed < LEN; landed++) {
        struct pair_region region;
        const int fd = hostile_dial(h);
        pair_region_open(&region, &h->pair.b, &h->pair.a, LEN, ROS2_REGION_REMOTE_WRITE);
        b.len = segment_at;
        bytes_add_segment(&b, region.token, 0, LEN);
        bytes_add(&b, data, LEN);
        bytes_add(&b, "done", 4);
        hostile_say(fd, b.at, data_at + landed);
        pair_until(&h->pair, region.bytes[landed - 1] == 'd');
        assert_int_equal(pair_ops->region_deregister(region.region), 0);
        region.region = NULL;
        hostile_say(fd, b.at + data_at + landed, b.len - data_at - landed);
        pair_until(&h->pair, h->victim.messages == 1);
        pair_region_check(&region, 0, landed);
        pair_region_close(&region);
        hostile_leave(h, fd);
    }
    hostile_others_go_on(h);
}

/* Sends a greeting and what was added; expects the connection to end with -EPROTO, and the region unchanged. */
static void is_refused(struct hostile *h, const struct bytes *b)
{
    const int fd = hostile_dial(h);

    hostile_say(fd, tcp_preamble, TCP_PREAMBLE_LEN);
    hostile_say(fd, b->at, b->len);
    pair_until(&h->pair, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPROTO);
    assert_int_equal(h->victim.messages, 0);
    pair_region_check(&h->region, 0, 0);
    hostile_others_go_on(h);
    hostile_leave(h, fd);
}

static void frames_that_break_a_rule_are_refused(void **state)
{
    struct hostile *h = *state;
    const struct tcp_header header[] = {
        {.type = 0},
        {.type = 6},
        {.type = 255},
        {.type = TCP_MSG, .message_len = 4097},
        {.type = TCP_MSG, .message_len = UINT32_MAX},
        {.type = TCP_MSG, .segment_count = 1},
        {.type = TCP_MSG, .data_len = 1},
        {.type = TCP_MSG, .id = 1},
        {.type = TCP_MSG, .status = 1},
        {.type = TCP_PUT, .segment_count = 65},
        {.type = TCP_PUT, .segment_count = 255},
        {.type = TCP_PUT, .data_len = 1},
        {.type = TCP_PUT, .message_len = 4097},
        {.type = TCP_PUT, .id = 1},
        {.type = TCP_GET},
        {.type = TCP_GET, .id = 1, .segment_count = 65},
        {.type = TCP_GET, .id = 1, .message_len = 1},
        {.type = TCP_GET_DATA, .id = 1},
        {.type = TCP_GET_DATA, .id = 64, .data_len = UINT64_MAX},
        {.type = TCP_GET_DATA},
        {.type = TCP_GET_ERROR, .id = 1, .status = EACCES},
        {.type = TCP_GET_ERROR, .id = 1},
        {.type = TCP_GET_ERROR, .id = 1, .status = EIO},
        {.type = TCP_GET_ERROR, .id = 1, .data_len = 1},
    };

    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) {
        struct bytes b = {.len = 0};
        bytes_add_header(&b, header[i]);
        is_refused(h, &b);
    }
    static const uint8_t reserved[] = {2, 3, 28, 29, 30, 31};
    for (size_t i = 0; i < sizeof reserved; i++) {
        struct bytes b = {.len = 0};
        bytes_add_header(&b, (struct tcp_header){.type = TCP_MSG, .message_len = 1});
        b.at[reserved[i]] = 1;
        is_refused(h, &b);
    }
}

static void segments_that_break_a_rule_are_refused(void **state)
{
    struct hostile *h = *state;
    const uint64_t token = h->region.token;
    const struct {
        uint64_t data_len;
        struct tcp_segment segment[2];
    } put[] = {
        {10, {{token, 0, 5}, {token, 0, 4}}},                /* shorter than the data */
        {10, {{token, 0, 5}, {token, 0, 6}}},                /* longer */
        {0, {{token, 0, UINT64_MAX}, {token, 0, 1}}},        /* adds up to 0 by wrapping */
        {4, {{token, 0, UINT64_MAX - 1}, {token, 0, 6}}},    /* ... to 4 */
        {10, {{token, 60, 5}, {token, 0, 5}}},               /* past the end */
        {10, {{token, 0, 5}, {token, 65, 5}}},               /* behind it */
        {10, {{token, UINT64_MAX - 2, 5}, {token, 0, 5}}},   /* wraps */
        {10, {{token, 0, 5}, {0, 0, 5}}},                    /* no token */
        {10, {{token, 0, 5}, {token ^ 1, 0, 5}}},            /* another slot's */
        {10, {{token, 0, 5}, {token + (1ull << 24), 0, 5}}}, /* the next one of this slot */
        {10, {{token, 0, 5}, {token & 0xffffff, 0, 5}}},     /* older than the first of this slot */
        {0, {{token, 65, 0}, {token, 0, 0}}},                /* empty, but behind the end */
    };

    for (size_t i = 0; i < sizeof put / sizeof put[0]; i++) {
        struct bytes b = {.len = 0};
        bytes_add_header(&b, (struct tcp_header){.type = TCP_PUT,
                                                 .segment_count = 2,
                                                 .data_len = put[i].data_len,
                                                 .message_len = 1});
        for (int j = 0; j < 2; j++)
            bytes_add_segment(&b, put[i].segment[j].token, put[i].segment[j].offset,
                              put[i].segment[j].len);
        bytes_add(&b, "0123456789m", 11);
        is_refused(h, &b);
    }
}

static void more_gets_than_allowed_are_refused(void **state)
{
    enum { LEN = 24 << 20 };
    struct hostile *h = *state;
    struct bytes b = {.len = 0};
    struct pair_region big;
    const int fd = hostile_dial(h);

    /* The first answer does not fit the pipe, and we read nothing. */
    pair_region_open(&big, &h->pair.b, &h->pair.a, LEN, ROS2_REGION_REMOTE_READ);
    hostile_say(fd, tcp_preamble, TCP_PREAMBLE_LEN);
    for (uint64_t i = 0; i < TCP_GETS_MAX; i++) {
        bytes_add_header(
            &b,
            (struct tcp_header){.type = TCP_GET, .segment_count = 1, .data_len = LEN, .id = i + 1});
        bytes_add_segment(&b, big.token, 0, LEN);
    }
    hostile_say(fd, b.at, b.len);
    pair_settle(&h->pair);
    assert_int_equal(h->victim.closed, 0);
    hostile_say(fd, b.at, TCP_HEADER_LEN + TCP_SEGMENT_LEN);
    pair_until(&h->pair, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPROTO);
    hostile_others_go_on(h);
    hostile_leave(h, fd);
    pair_region_close(&big);
}

static void silent_connections_cost_little(void **state)
{
    enum { COUNT = 400 };
    struct hostile *h = *state;
    int fd[COUNT];
    const size_t before = mallinfo2().uordblks;
    struct ros2_ep *ep[COUNT];

    for (int i = 0; i < COUNT; i++) {
        fd[i] = hostile_dial(h);
        hostile_say(fd[i], tcp_preamble, (size_t)i % TCP_PREAMBLE_LEN);
        ep[i] = h->victim.ep;
        h->victim.ep = NULL;
    }
    pair_settle(&h->pair);
    assert_true(mallinfo2().uordblks - before < COUNT * 2048u);
    hostile_others_go_on(h);
    for (int i = 0; i < COUNT; i++) {
        pair_ops->ep_abort(ep[i]);
        close(fd[i]);
    }
}

static int log_lines;

static void count_lines(void *arg, enum ros2_log_level level, const char *outlet, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
    log_lines += strcmp(outlet, "transport/tcp") == 0;
}

/* The lowest descriptor number that is free. */
static rlim_t next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    close(fd);
    return (rlim_t)fd;
}

static void accepting_rests_while_descriptors_are_out(void **state)
{
    struct hostile *h = *state;
    struct rlimit limit, none;
    int fd[3];

    log_lines = 0;
    ros2i_log_sink(count_lines, NULL, ROS2_LOG_WARN);
    for (int i = 0; i < 3; i++)
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = next_fd();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 3; i++)
        hostile_dial_socket(h, fd[i]);
    hostile_others_go_on(h);
    pair_settle(&h->pair);
    /* It does not keep its owner awake, but wakes it when it is time to try again. */
    struct pollfd sleep = {.fd = pair_ops->domain_fd(h->pair.b.domain), .events = POLLIN};
    for (int i = 0; i < 3; i++) {
        while (pair_ops->domain_arm(h->pair.b.domain) == -EAGAIN)
            pair_ops->progress(h->pair.b.domain);
        assert_int_equal(poll(&sleep, 1, 10000), 1);
        pair_settle(&h->pair);
    }
    assert_int_equal(h->accepted, 0);
    assert_int_equal(log_lines, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    pair_until(&h->pair, h->accepted == 3);
    hostile_others_go_on(h);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    ros2i_log_sink(NULL, NULL, ROS2_LOG_ERROR);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, hostile_setup, hostile_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_stream_that_trickles_in_byte_by_byte_is_understood),
        CASE(a_stranger_is_refused_at_once),
        CASE(each_flipped_bit_does_no_harm),
        CASE(a_stream_broken_off_anywhere_is_told),
        CASE(the_rest_of_a_put_lands_nowhere_once_its_region_is_gone),
        CASE(frames_that_break_a_rule_are_refused),
        CASE(segments_that_break_a_rule_are_refused),
        CASE(more_gets_than_allowed_are_refused),
        CASE(silent_connections_cost_little),
        CASE(accepting_rests_while_descriptors_are_out),
    };

    setenv("ROS2_TEST_TRANSPORT", "tcp", 1);
    return cmocka_run_group_tests_name("tcp_hostile", tests, pair_group_setup, NULL);
}
