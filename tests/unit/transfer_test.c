/* SPDX-License-Identifier: Apache-2.0 */
/* Operations to requests and answers to results, over a channel to a peer that can be made to lie. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "tests/unit/data_peer.h"

static uint8_t *buffer(size_t len)
{
    uint8_t *buf = malloc(len + 1);
    assert_non_null(buf);
    memset(buf, 0xee, len + 1);
    return buf;
}

static void read_returns_the_files_bytes_at_any_size(void **state)
{
    struct world *w = *state;
    static const size_t sizes[] = {
        1, 100, 4095, 4096, 4097, 65536, 256 << 10, (256 << 10) + 1, 1000003, 2 << 20};
    struct ros2i_op op;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *buf = buffer(sizes[i]);
        assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, sizes[i], 12345), sizes[i]);
        assert_memory_equal(buf, w->peer.file + 12345, sizes[i]);
        assert_int_equal(buf[sizes[i]], 0xee);
        free(buf);
    }
    assert_int_equal(w->channel->active, 0);
    assert_int_equal(w->peer.connections, 1);
}

static void write_carries_the_bytes_and_their_checksums(void **state)
{
    struct world *w = *state;
    static const size_t sizes[] = {1, 4096, 4097, 70000, 256 << 10, 600000};
    struct ros2i_op op;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *buf = buffer(sizes[i]);
        for (size_t j = 0; j < sizes[i]; j++)
            buf[j] = (uint8_t)(j * 31 + i);
        assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, buf, sizes[i], 777), sizes[i]);
        assert_memory_equal(buf, w->peer.file + 777, sizes[i]);
        assert_true(op.epoch_known && !op.epoch_changed && op.durability_epoch == PEER_EPOCH);
        free(buf);
    }
}

static void read_is_short_only_at_the_end_of_the_file(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t *buf = buffer(2 << 20);
    w->peer.file_len = 1000000;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 2 << 20, 0), 1000000);
    assert_memory_equal(buf, w->peer.file, 1000000);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 2 << 20, 999999), 1);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 2 << 20, 1000000), 0);
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 100, 5000000), 0);
    free(buf);
}

static void an_operation_larger_than_all_credits_keeps_within_them(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t *buf = buffer(2 << 20);
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_READ, buf, 2 << 20, 0, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 4);
    for (int i = 0; i < 200; i++)
        world_turn(w);
    assert_int_equal(w->peer.seen_count, 4);
    w->peer.hold = false;
    for (unsigned i = 0; i < 4; i++)
        peer_answer(&w->peer, i);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, 2 << 20);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_READ), 8);
    free(buf);
}

static void appends_go_out_one_piece_at_a_time(void **state)
{
    struct world *w = *state;
    struct ros2i_op op, other;
    uint8_t *buf = buffer(600000);
    uint8_t byte;
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_WRITE, buf, 600000, 0, ROS2I_OP_APPEND, 30 * ROS2I_NS_PER_S);
    world_submit(w, &other, ROS2I_OP_READ, &byte, 1, 0, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    for (int i = 0; i < 200; i++)
        world_turn(w);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_WRITE), 1);
    assert_int_equal(peer_count(&w->peer, ROS2I_MSG_READ),
                     1); /* it does not wait behind the append */
    w->peer.hold = false;
    peer_answer(&w->peer, 0);
    peer_answer(&w->peer, 1);
    world_run_until(w, 1000, w->done == 2);
    assert_int_equal(op.result, 600000);
    free(buf);
}

static void errors_of_the_daemon_come_back_as_they_are(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t *buf = buffer(300000);
    w->peer.status = EACCES;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 300000, 0), -EACCES);
    w->peer.status = ENOSPC;
    assert_int_equal(world_do(w, &op, ROS2I_OP_WRITE, buf, 10, 0), -ENOSPC);
    w->peer.status = EINTR;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 10, 0), -EIO); /* never surfaces */
    w->peer.status = 512;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 10, 0), -EIO);
    w->peer.status = EIO;
    assert_int_equal(world_do(w, &op, ROS2I_OP_FSYNC, NULL, 0, 0), -EIO);
    free(buf);
}

static void a_wrong_checksum_is_read_again_once_then_reported(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t *buf = buffer(100000);
    static const size_t sizes[] = {100, 100000};
    for (size_t i = 0; i < 2; i++) {
        unsigned before = peer_count(&w->peer, ROS2I_MSG_READ);
        w->peer.bad_crcs = 1;
        assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, sizes[i], 5), sizes[i]);
        assert_memory_equal(buf, w->peer.file + 5, sizes[i]);
        assert_int_equal(peer_count(&w->peer, ROS2I_MSG_READ) - before, 2);
        assert_int_equal(w->peer.seen[w->peer.seen_count - 1].flags & ROS2I_MSG_REPLAY, 0);
        assert_int_not_equal(w->peer.seen[w->peer.seen_count - 1].id,
                             w->peer.seen[w->peer.seen_count - 2].id);
        w->peer.bad_crcs = 2;
        assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, sizes[i], 5), -EIO);
        assert_non_null(strstr(op.text, "CRC-32C"));
    }
    assert_int_equal(w->peer.connections, 1);
    free(buf);
}

/* -- a peer that lies -- */

static void too_many_bytes(struct peer *peer, struct ros2i_msg *reply)
{
    (void)peer;
    reply->u.reply.bytes += 1;
    if (reply->u.reply.payload_len)
        reply->u.reply.payload_len = 0;
}

static void too_few_bytes(struct peer *peer, struct ros2i_msg *reply)
{
    (void)peer;
    reply->u.reply.bytes -= 1;
}

static void no_checksum(struct peer *peer, struct ros2i_msg *reply)
{
    (void)peer;
    reply->flags = 0;
    reply->u.reply.crc = 0;
}

static void as_pong(struct peer *peer, struct ros2i_msg *reply)
{
    (void)peer;
    *reply = (struct ros2i_msg){.type = ROS2I_MSG_PONG, .request_id = reply->request_id};
}

static void once(struct world *w, void (*spoil)(struct peer *, struct ros2i_msg *),
                 enum ros2i_op_kind kind, size_t len)
{
    struct ros2i_op op;
    uint8_t *buf = buffer(len);
    unsigned connections = w->peer.connections;
    w->peer.spoil = spoil;
    world_submit(w, &op, kind, buf, len, 0, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000000, w->peer.connections > connections);
    w->peer.spoil = NULL;
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, len); /* after a new connection, by the same request again */
    assert_true(w->peer.seen[w->peer.seen_count - 1].flags & ROS2I_MSG_REPLAY);
    free(buf);
}

static void replies_that_do_not_fit_their_request_end_the_connection(void **state)
{
    struct world *w = *state;
    uint8_t byte;
    struct ros2i_op op;
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, &byte, 1, 0), 1);
    once(w, too_many_bytes, ROS2I_OP_READ, 100000);
    once(w, no_checksum, ROS2I_OP_READ, 100000);
    once(w, as_pong, ROS2I_OP_READ, 100000);
    once(w, too_many_bytes, ROS2I_OP_WRITE, 100000);
    once(w, too_few_bytes, ROS2I_OP_WRITE, 100000);
    once(w, too_few_bytes, ROS2I_OP_WRITE, 10);
    once(w, as_pong, ROS2I_OP_WRITE, 10);
}

static void replies_to_nobody_change_nothing(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t buf[10] = {0};
    assert_int_equal(world_do(w, &op, ROS2I_OP_READ, buf, 10, 0), 10);
    uint64_t last = w->peer.seen[0].id;
    const uint64_t ids[] = {last, last + (1 << 16), last | 0xffff, 1, UINT64_MAX};
    w->peer.hold = true;
    memset(buf, 0xee, sizeof(buf));
    world_submit(w, &op, ROS2I_OP_READ, buf, 10, 0, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 2);
    uint64_t now_out = w->peer.seen[1].id;
    for (size_t i = 0; i < 5; i++) {
        struct ros2i_msg reply = {.type = ROS2I_MSG_REPLY, .request_id = ids[i]};
        if (ids[i] == now_out)
            continue;
        reply.u.reply.bytes = reply.u.reply.payload_len = 10;
        reply.u.reply.payload = "0123456789";
        peer_send(&w->peer, &reply, "0123456789", 10);
    }
    for (int i = 0; i < 200; i++)
        world_turn(w);
    assert_int_equal(op.phase, ROS2I_OP_ACTIVE);
    assert_int_equal(buf[0], 0xee);
    peer_answer(&w->peer, 1);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    assert_int_equal(op.result, 10);
    assert_int_equal(w->peer.connections, 1);
}

static void memory_is_exposed_only_while_its_request_is_out(void **state)
{
    struct world *w = *state;
    struct ros2i_op op;
    uint8_t *buf = buffer(100000);
    w->peer.hold = true;
    world_submit(w, &op, ROS2I_OP_READ, buf, 100000, 0, 0, 30 * ROS2I_NS_PER_S);
    world_run_until(w, 1000, w->peer.seen_count == 1);
    peer_answer(&w->peer, 0);
    world_run_until(w, 1000, op.phase == ROS2I_OP_DONE);
    memset(buf, 0xee, 100000);
    peer_answer(&w->peer, 0); /* the same put again */
    for (int i = 0; i < 500; i++)
        world_turn(w);
    for (size_t i = 0; i < 100000; i++)
        assert_int_equal(buf[i], 0xee);
    free(buf);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(read_returns_the_files_bytes_at_any_size),
        CASE(write_carries_the_bytes_and_their_checksums),
        CASE(read_is_short_only_at_the_end_of_the_file),
        CASE(an_operation_larger_than_all_credits_keeps_within_them),
        CASE(appends_go_out_one_piece_at_a_time),
        CASE(errors_of_the_daemon_come_back_as_they_are),
        CASE(a_wrong_checksum_is_read_again_once_then_reported),
        CASE(replies_that_do_not_fit_their_request_end_the_connection),
        CASE(replies_to_nobody_change_nothing),
        CASE(memory_is_exposed_only_while_its_request_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
