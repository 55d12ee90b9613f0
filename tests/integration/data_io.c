/* SPDX-License-Identifier: Apache-2.0 */
/* READ, WRITE and FSYNC do to the file and to the client's memory what they say. */
#include "config.h"

#include "tests/integration/data_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/protocol/checksum.h"

#define RW    (ROS2I_RIGHT_READ | ROS2I_RIGHT_WRITE)
#define MIB   (1u << 20)
#define BLOCK (1u << 18)

struct fixture {
    struct rig rig;
    struct ros2d_session *session;
    struct peer peer;
    uint64_t sequence;
    uint8_t *memory; /* 1 MiB of the client, and one byte behind it */
    uint8_t *wanted;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    rig_start(&f->rig, NULL, NULL);
    f->session = rig_session(&f->rig);
    peer_join(&f->peer, &f->rig, f->session, 0, 1);
    f->memory = peer_alloc(MIB + 1);
    f->wanted = peer_alloc(MIB + 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    peer_disconnect(&f->peer);
    rig_stop(&f->rig);
    peer_free(f->memory, MIB + 1);
    peer_free(f->wanted, MIB + 1);
    free(f);
    return 0;
}

static uint64_t next_id(struct fixture *f)
{
    return request_id(++f->sequence, 0);
}

/* -- reads -- */

static void check_inline_read(struct fixture *f, uint64_t handle, uint64_t offset, uint32_t len,
                              uint32_t expect)
{
    struct ros2i_msg msg;

    fill_read(&msg, next_id(f), handle, offset, len);
    const struct ros2i_reply *reply = peer_call(&f->peer, &msg);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, expect);
    assert_int_equal(reply->payload_len, expect);
    if (expect > 0)
        assert_memory_equal(reply->payload, f->wanted + offset, expect);
    assert_int_equal(reply->crc, ros2i_crc32c(0, f->wanted + offset, expect));
}

static void inline_reads_stop_at_the_end_of_file(void **state)
{
    struct fixture *f = *state;
    uint64_t handle;

    rig_write_file(&f->rig, "a", 5000, 1);
    pattern(f->wanted, 5000, 1);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    check_inline_read(f, handle, 0, 4096, 4096);
    check_inline_read(f, handle, 4096, 4096, 904);
    check_inline_read(f, handle, 4999, 1, 1);
    check_inline_read(f, handle, 5000, 10, 0);
    check_inline_read(f, handle, 9999, 10, 0);
    check_inline_read(f, handle, 17, 0, 0);
}

static void check_large_read(struct fixture *f, uint64_t handle, uint64_t offset,
                             const uint32_t *lens, uint32_t expect)
{
    struct ros2_region *region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);
    struct ros2i_msg msg;
    uint32_t len = 0;

    for (const uint32_t *at = lens; *at; at++)
        len += *at;
    memset(f->memory, 0xee, MIB + 1);
    fill_read(&msg, next_id(f), handle, offset, len);
    use_region(&f->peer, &msg, region, lens);
    const struct ros2i_reply *reply = peer_call(&f->peer, &msg);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, expect);
    assert_int_equal(reply->payload_len, 0);
    if (expect > 0)
        assert_memory_equal(f->memory, f->wanted + offset, expect);
    for (uint32_t i = expect; i <= MIB; i++)
        assert_int_equal(f->memory[i], 0xee);
    assert_int_equal(reply->crc, ros2i_crc32c(0, f->memory, expect));
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}

static void large_reads_land_in_the_client_s_memory(void **state)
{
    struct fixture *f = *state;
    uint64_t handle;

    rig_write_file(&f->rig, "a", MIB, 2);
    pattern(f->wanted, MIB, 2);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    check_large_read(f, handle, 0, (const uint32_t[]){MIB, 0}, MIB);
    check_large_read(f, handle, 0, (const uint32_t[]){BLOCK, 0}, BLOCK);
    check_large_read(f, handle, 1, (const uint32_t[]){BLOCK + 1, 0}, BLOCK + 1);
    check_large_read(f, handle, 100, (const uint32_t[]){10, 0}, 10);
    /* Segments that end within chunks, and chunks that end within segments. */
    check_large_read(f, handle, 3, (const uint32_t[]){1, BLOCK, 5, BLOCK - 7, 2 * BLOCK - 3, 0},
                     4 * BLOCK - 4);
}

static void large_reads_stop_at_the_end_of_file(void **state)
{
    struct fixture *f = *state;
    const uint32_t size = 2 * BLOCK + 77;
    uint64_t handle;

    rig_write_file(&f->rig, "a", size, 3);
    pattern(f->wanted, size, 3);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    check_large_read(f, handle, 0, (const uint32_t[]){MIB, 0}, size);
    check_large_read(f, handle, 77, (const uint32_t[]){MIB, 0},
                     2 * BLOCK); /* at a chunk's border */
    check_large_read(f, handle, BLOCK, (const uint32_t[]){BLOCK, MIB - BLOCK, 0}, BLOCK + 77);
    check_large_read(f, handle, size, (const uint32_t[]){MIB, 0}, 0);
    check_large_read(f, handle, size + 5, (const uint32_t[]){MIB, 0}, 0);
}

static void holes_read_as_zeros(void **state)
{
    struct fixture *f = *state;
    char path[256];
    uint64_t handle;

    rig_write_file(&f->rig, "a", 10, 1);
    memset(f->wanted, 0, MIB);
    pattern(f->wanted, 10, 1);
    snprintf(path, sizeof(path), "%s/a", f->rig.root);
    assert_int_equal(truncate(path, 700000), 0);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    check_large_read(f, handle, 0, (const uint32_t[]){MIB, 0}, 700000);
    check_inline_read(f, handle, 5, 4000, 4000);
}

/* -- writes -- */

static const struct ros2i_reply *write_large(struct fixture *f, struct ros2i_msg *msg,
                                             uint64_t handle, uint64_t offset, const uint32_t *lens,
                                             unsigned bad_block)
{
    struct ros2_region *region = peer_region(&f->peer, f->wanted, MIB, ROS2_REGION_REMOTE_READ);
    uint32_t len = 0;

    for (const uint32_t *at = lens; *at; at++)
        len += *at;
    fill_write(msg, next_id(f), handle, offset, NULL, 0);
    msg->u.io.length = len;
    use_region(&f->peer, msg, region, lens);
    fill_crcs(&f->peer, msg, f->wanted);
    if (bad_block < msg->u.io.crc_count)
        msg->u.io.crc[bad_block] ^= 1;
    const struct ros2i_reply *reply = peer_call(&f->peer, msg);
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
    return reply;
}

static void inline_writes_reach_the_file(void **state)
{
    struct fixture *f = *state;
    uint64_t handle = rig_open(&f->rig, f->session, "a", RW);
    struct ros2i_msg msg;

    pattern(f->wanted, 4196, 4);
    fill_write(&msg, next_id(f), handle, 0, f->wanted, 4096);
    const struct ros2i_reply *reply = peer_call(&f->peer, &msg);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, 4096);
    assert_int_equal(reply->durability_epoch, f->rig.state.tenant->durability_epoch);
    fill_write(&msg, next_id(f), handle, 4096, f->wanted + 4096, 100);
    assert_int_equal(peer_call(&f->peer, &msg)->bytes, 100);
    fill_write(&msg, next_id(f), handle, 9000, f->wanted, 0);
    assert_int_equal(peer_call(&f->peer, &msg)->status, 0);
    rig_assert_file(&f->rig, "a", f->wanted, 4196);
}

static void large_writes_reach_the_file(void **state)
{
    struct fixture *f = *state;
    uint64_t handle = rig_open(&f->rig, f->session, "a", RW);
    struct ros2i_msg msg;

    pattern(f->wanted, MIB, 5);
    const struct ros2i_reply *reply =
        write_large(f, &msg, handle, 0, (const uint32_t[]){MIB, 0}, 99);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, MIB);
    rig_assert_file(&f->rig, "a", f->wanted, MIB);
    handle = rig_open(&f->rig, f->session, "b", RW);
    reply = write_large(f, &msg, handle, 0,
                        (const uint32_t[]){1, BLOCK, 5, BLOCK - 7, BLOCK + 4, 0}, 99);
    assert_int_equal(reply->bytes, 3 * BLOCK + 3);
    rig_assert_file(&f->rig, "b", f->wanted, 3 * BLOCK + 3);
}

static void a_wrong_checksum_changes_nothing(void **state)
{
    struct fixture *f = *state;
    uint64_t handle;
    struct ros2i_msg msg;

    rig_write_file(&f->rig, "a", 2 * BLOCK, 6);
    handle = rig_open(&f->rig, f->session, "a", RW);
    pattern(f->wanted, MIB, 7);
    fill_write(&msg, next_id(f), handle, 0, f->wanted, 100);
    msg.u.io.crc[0] ^= 0x80000000;
    assert_int_equal(peer_call(&f->peer, &msg)->status, EBADMSG);
    assert_int_equal(write_large(f, &msg, handle, 0, (const uint32_t[]){BLOCK, 0}, 0)->status,
                     EBADMSG);
    pattern(f->wanted, 2 * BLOCK, 6);
    rig_assert_file(&f->rig, "a", f->wanted, 2 * BLOCK);
    /* The block itself never reaches the file, whatever happens to those before it. */
    memset(f->wanted + BLOCK, 0xdd, BLOCK);
    const struct ros2i_reply *reply =
        write_large(f, &msg, handle, 0, (const uint32_t[]){2 * BLOCK, 0}, 1);
    assert_int_equal(reply->status, EBADMSG);
    assert_true(reply->bytes <= BLOCK);
    pattern(f->wanted, 2 * BLOCK, 6);
    rig_assert_file(&f->rig, "a", f->wanted, 2 * BLOCK);
}

static void appends_go_behind_one_another(void **state)
{
    struct fixture *f = *state;
    uint64_t handle;
    struct ros2i_msg msg;

    rig_write_file(&f->rig, "a", 100, 1);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND);
    pattern(f->wanted, MIB, 8);
    fill_write(&msg, next_id(f), handle, 0, f->wanted, 50);
    const struct ros2i_reply *reply = peer_call(&f->peer, &msg);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->offset, 100);
    reply = write_large(f, &msg, handle, 5, (const uint32_t[]){2 * BLOCK + 9, 0}, 99);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->bytes, 2 * BLOCK + 9);
    assert_int_equal(reply->offset, 150);
    /* One bad block: nothing of the append is there. */
    assert_int_equal(write_large(f, &msg, handle, 0, (const uint32_t[]){2 * BLOCK, 0}, 1)->status,
                     EBADMSG);
    memmove(f->wanted + 150, f->wanted, 2 * BLOCK + 9);
    memcpy(f->wanted + 100, f->wanted + 150, 50);
    pattern(f->wanted, 100, 1);
    rig_assert_file(&f->rig, "a", f->wanted, 159 + 2 * BLOCK);
}

static void fsync_answers(void **state)
{
    struct fixture *f = *state;
    struct ros2i_msg msg = {.type = ROS2I_MSG_FSYNC};
    const struct ros2i_reply *reply;

    msg.u.handle = rig_open(&f->rig, f->session, "a", RW);
    msg.request_id = next_id(f);
    reply = peer_call(&f->peer, &msg);
    assert_int_equal(reply->status, 0);
    assert_int_equal(reply->durability_epoch, f->rig.state.tenant->durability_epoch);
    msg.request_id = next_id(f);
    msg.flags = ROS2I_MSG_DATASYNC;
    assert_int_equal(peer_call(&f->peer, &msg)->status, 0);
}

static void all_slots_work_at_once(void **state)
{
    struct fixture *f = *state;
    uint32_t credits = f->peer.challenge.credits;
    struct ros2_region *region;
    uint64_t handle;
    bool seen[64] = {false};

    rig_write_file(&f->rig, "a", MIB, 9);
    pattern(f->wanted, MIB, 9);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);
    for (uint64_t round = 1; round <= 20; round++) {
        memset(f->memory, 0, MIB);
        for (uint16_t slot = 0; slot < credits; slot++) {
            struct ros2i_msg msg;
            uint32_t len = MIB / credits;
            fill_read(&msg, request_id(round, slot), handle, (uint64_t)slot * len, len);
            msg.u.io.segment_count = 1;
            msg.u.io.segment[0] = (struct ros2i_segment){.id = f->peer.ops->region_token(region),
                                                         .offset = (uint64_t)slot * len,
                                                         .len = len,
                                                         .kind = ROS2I_SEGMENT_TOKEN};
            peer_send(&f->peer, &msg);
        }
        memset(seen, 0, sizeof(seen));
        for (uint32_t i = 0; i < credits; i++) {
            const struct letter *letter = peer_next(&f->peer);
            assert_non_null(letter);
            assert_int_equal(letter->msg.u.reply.status, 0);
            uint16_t slot = ros2i_request_slot(letter->msg.request_id);
            assert_false(seen[slot]);
            seen[slot] = true;
        }
        assert_memory_equal(f->memory, f->wanted, MIB);
    }
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}

/* Its next request is there before the daemon's transport has told that the last reply is out. */
static void a_fast_client_with_one_credit_is_served(void **state)
{
    struct fixture *f = *state;
    struct ros2_region *region;
    struct peer peer;
    uint64_t handle;

    rig_write_file(&f->rig, "a", BLOCK, 4);
    handle = rig_open(&f->rig, f->session, "a", ROS2I_RIGHT_READ);
    peer_connect(&peer, &f->rig, f->session);
    peer.hello.queue = 5;
    peer.hello.credits = 1;
    assert_int_equal(peer_handshake(&peer), 0);
    region = peer_region(&peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);
    for (uint64_t i = 1; i <= 500; i++) {
        struct ros2i_msg msg;
        fill_read(&msg, request_id(i, 0), handle, 0, BLOCK);
        use_region(&peer, &msg, region, (const uint32_t[]){BLOCK, 0});
        assert_int_equal(peer_call(&peer, &msg)->bytes, BLOCK);
    }
    assert_int_equal(peer.ops->region_deregister(region), 0);
    peer_disconnect(&peer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inline_reads_stop_at_the_end_of_file),
        TEST(large_reads_land_in_the_client_s_memory),
        TEST(large_reads_stop_at_the_end_of_file),
        TEST(holes_read_as_zeros),
        TEST(inline_writes_reach_the_file),
        TEST(large_writes_reach_the_file),
        TEST(a_wrong_checksum_changes_nothing),
        TEST(appends_go_behind_one_another),
        TEST(fsync_answers),
        TEST(all_slots_work_at_once),
        TEST(a_fast_client_with_one_credit_is_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
