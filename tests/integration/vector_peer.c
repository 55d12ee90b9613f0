/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/integration/vector_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/protocol/checksum.h"

#define SEED(i) (100 + (i))

uint32_t vector_file_size(unsigned i)
{
    static const uint32_t sizes[] = {0, 1, 100, 4096, 5000, 70000, 300000, 17, 65536, 2048};
    return sizes[i % 10] + i / 10;
}

static void make_files(struct fixture *f)
{
    char name[32];

    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        rig_write_file(&f->rig, name, vector_file_size(i), SEED(i));
        f->handle[i] = rig_open(&f->rig, f->session, name, ROS2I_RIGHT_READ);
    }
}

int vector_setup_with(void **state, const char *rules)
{
    struct fixture *f = calloc(1, sizeof(*f));

    rig_start(&f->rig, rules, NULL);
    f->session = rig_session(&f->rig);
    make_files(f);
    peer_join(&f->peer, &f->rig, f->session, 0, 1);
    f->memory = peer_alloc(MIB + 4096);
    f->file = malloc(MIB);
    *state = f;
    return 0;
}

int vector_teardown(void **state)
{
    struct fixture *f = *state;

    peer_disconnect(&f->peer);
    rig_stop(&f->rig);
    peer_free(f->memory, MIB + 4096);
    free(f->file);
    free(f);
    return 0;
}

void vector_hang_up(struct peer *peer, struct ros2_region *region)
{
    peer->ops->ep_abort(peer->ep);
    peer->ep = NULL;
    assert_int_equal(peer->ops->region_deregister(region), 0);
    peer_disconnect(peer);
}

/* -- making one -- */

struct ros2i_vector_request *vector_begin(struct fixture *f)
{
    f->msg = (struct ros2i_msg){.type = ROS2I_MSG_READV,
                                .flags = ROS2I_MSG_CHECKSUM,
                                .request_id = request_id(++f->sequence, 0)};
    f->msg.u.vector.extents = f->raw;
    return &f->msg.u.vector;
}

void vector_add_raw(struct fixture *f, uint64_t handle, uint64_t offset, uint32_t len,
                    uint32_t status, uint32_t bytes)
{
    struct ros2i_vector_request *v = &f->msg.u.vector;
    unsigned i = v->extent_count++;

    f->extent[i] = (struct ros2i_extent){handle, offset, len};
    ros2i_extent_put(f->raw, i, &f->extent[i]);
    f->status[i] = status;
    f->bytes[i] = bytes;
    v->length += len;
}

void vector_add(struct fixture *f, unsigned file, uint64_t offset, uint32_t len)
{
    uint64_t left = offset < vector_file_size(file) ? vector_file_size(file) - offset : 0;

    vector_add_raw(f, f->handle[file], offset, len, 0, left < len ? (uint32_t)left : len);
}

void vector_use_segments(struct fixture *f, struct ros2_region *region, const uint32_t *lens)
{
    struct ros2i_vector_request *v = &f->msg.u.vector;
    uint64_t at = 0;

    for (; *lens; lens++) {
        v->segment[v->segment_count++] = (struct ros2i_segment){f->peer.ops->region_token(region),
                                                                at, *lens, ROS2I_SEGMENT_TOKEN};
        at += *lens;
    }
    assert_int_equal(at, v->length);
}

static unsigned file_of(const struct fixture *f, uint64_t handle)
{
    for (unsigned i = 0; i < FILES; i++)
        if (f->handle[i] == handle)
            return i;
    return 0;
}

void vector_check(struct fixture *f, const struct ros2i_reply *reply, const uint8_t *data,
                  bool streamed)
{
    const struct ros2i_vector_request *v = &f->msg.u.vector;
    uint32_t crc = 0, sum = 0;

    assert_int_equal(reply->status, 0);
    for (unsigned i = 0; i < v->extent_count; i++) {
        struct ros2i_extent_result r = ros2i_result_get(reply->payload, i);

        if (r.status != f->status[i] || r.bytes != f->bytes[i])
            fail_msg("extent %u: status %u bytes %u, not %u and %u", i, r.status, r.bytes,
                     f->status[i], f->bytes[i]);
        unsigned file = file_of(f, f->extent[i].handle);
        pattern(f->file, vector_file_size(file), SEED(file));
        if (r.bytes > 0)
            assert_memory_equal(data, f->file + f->extent[i].offset, r.bytes);
        crc = ros2i_crc32c(crc, data, r.bytes);
        sum += r.bytes;
        data += r.bytes;
        for (uint32_t gap = r.bytes; streamed && gap < f->extent[i].len; gap++, data++)
            if (*data != 0 && *data != UNSET)
                fail_msg("extent %u: byte %u behind its end is 0x%02x", i, gap, *data);
    }
    assert_int_equal(reply->bytes, sum);
    assert_int_equal(reply->crc, crc);
}

void vector_call_inline(struct fixture *f)
{
    const struct ros2i_vector_request *v = &f->msg.u.vector;
    const struct ros2i_reply *reply = peer_call(&f->peer, &f->msg);
    uint32_t results = v->extent_count * ROS2I_WIRE_RESULT_LEN;

    assert_int_equal(reply->payload_len, results + reply->bytes);
    vector_check(f, reply, (const uint8_t *)reply->payload + results, false);
}

void vector_call_region(struct fixture *f, const uint32_t *lens)
{
    struct ros2_region *region = peer_region(&f->peer, f->memory, MIB, ROS2_REGION_REMOTE_WRITE);
    const struct ros2i_vector_request *v = &f->msg.u.vector;

    memset(f->memory, UNSET, MIB + 1);
    vector_use_segments(f, region, lens);
    const struct ros2i_reply *reply = peer_call(&f->peer, &f->msg);
    assert_int_equal(reply->payload_len, v->extent_count * ROS2I_WIRE_RESULT_LEN);
    vector_check(f, reply, f->memory, true);
    for (uint32_t i = v->length; i <= MIB; i++)
        assert_int_equal(f->memory[i], UNSET);
    assert_int_equal(f->peer.ops->region_deregister(region), 0);
}
