/* SPDX-License-Identifier: Apache-2.0 */
/* READV reads what it says into the client's memory, extent by extent. */
#include "config.h"

#include "tests/integration/vector_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    return vector_setup_with(state, NULL);
}

/* f11 fails, f12 waits. */
static int setup_faults(void **state)
{
    return vector_setup_with(state, "read:path=f11:errno=EIO,read:path=f12:while=@/hold");
}

/* -- reading -- */

static void inline_data_is_packed_behind_the_results(void **state)
{
    struct fixture *f = *state;

    vector_begin(f);
    vector_add(f, 2, 0, 100);
    vector_call_inline(f);
    vector_begin(f);
    vector_add(f, 2, 90, 100); /* 10 */
    vector_add(f, 0, 0, 5);    /* none */
    vector_add(f, 4, 4990, 100);
    vector_add(f, 3, 0, 0);
    vector_add(f, 3, 4000, 96);
    vector_add(f, 7, 1000, 100); /* past its end */
    vector_add(f, 1, 0, 50);
    vector_call_inline(f);
    vector_begin(f);
    vector_add(f, 3, 0, 4096 - 8); /* as much as there may be */
    vector_call_inline(f);
    vector_begin(f);
    for (unsigned i = 0; i < ROS2I_WIRE_EXTENTS_MAX; i++)
        vector_add(f, i % FILES, i, 0); /* results only */
    vector_call_inline(f);
    vector_begin(f);
    for (unsigned i = 0; i < 256; i++)
        vector_add(f, i % FILES, i, 8);
    vector_call_inline(f);
}

static void extents_land_in_their_places(void **state)
{
    struct fixture *f = *state;
    uint32_t lens[17] = {0};

    vector_begin(f);
    for (unsigned i = 0; i < 1000; i++)
        vector_add(f, 8, 13 * i, 1000);
    lens[0] = 1000000;
    vector_call_region(f, lens);
    /* Extents that end within windows and segments, and windows and segments that end within extents. */
    vector_begin(f);
    vector_add(f, 6, 0, 300000);
    vector_add(f, 5, 1, 69999);
    vector_add(f, 16, 0, 300001);
    vector_add(f, 26, 2, 300000);
    for (unsigned i = 0; i < 15; i++)
        lens[i] = 1 + 4096 * i;
    lens[15] = 970000 - 15 - 4096 * 105;
    vector_call_region(f, lens);
}

static void what_an_extent_lacks_is_not_written_or_zero(void **state)
{
    struct fixture *f = *state;

    /* Gaps of a byte and of many pages, at the start, at the end and in all windows. */
    vector_begin(f);
    vector_add(f, 0, 0, 5000);
    vector_add(f, 5, 0, 70001);
    vector_add(f, 2, 0, 4096);
    vector_add(f, 1, 0, 2);
    vector_add(f, 6, 0, 500000); /* ends in the second window, its place in the third */
    vector_add(f, 3, 0, 4096);
    vector_add(f, 6, 299999, 100000);
    vector_call_region(f, (const uint32_t[]){683195, 0});
    /* More runs than one put has room for. */
    vector_begin(f);
    for (unsigned i = 0; i < 250; i++)
        vector_add(f, 2, i % 100, 1000);
    vector_call_region(f, (const uint32_t[]){100000, 50000, 100000, 0});
    vector_begin(f); /* nothing at all */
    vector_add(f, 0, 0, 100000);
    vector_call_region(f, (const uint32_t[]){100000, 0});
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void any_cut_of_any_files_comes_out_right(void **state)
{
    struct fixture *f = *state;
    uint64_t random = 88172645463325252ull;

    for (unsigned round = 0; round < 60; round++) {
        uint32_t lens[17] = {0}, left, segments = 1 + (uint32_t)(next_random(&random) % 16);
        struct ros2i_vector_request *v = vector_begin(f);

        for (unsigned count = 1 + (unsigned)(next_random(&random) % 60); count > 0; count--) {
            uint32_t most = MIB - v->length < 60000 ? MIB - v->length : 60000;
            unsigned file = (unsigned)(next_random(&random) % FILES);
            vector_add(f, file, next_random(&random) % (vector_file_size(file) + 10),
                       (uint32_t)(next_random(&random) % (most + 1)) >> next_random(&random) % 12);
        }
        left = v->length;
        if (left <= segments)
            continue;
        for (unsigned i = 0; i + 1 < segments; i++) {
            lens[i] = 1 + (uint32_t)(next_random(&random) % (left / (segments - i)));
            left -= lens[i];
        }
        lens[segments - 1] = left;
        vector_call_region(f, lens);
    }
}

/* -- one extent's failure is its own -- */

static void bad_handles_fail_alone(void **state)
{
    struct fixture *f = *state;
    struct ros2d_session *other = rig_session(&f->rig);
    struct ros2d_tenant *tenant = f->rig.state.tenant;
    uint64_t foreign = rig_open(&f->rig, other, "f2", RW), directory;
    uint64_t wo = rig_open(&f->rig, f->session, "f2", ROS2I_RIGHT_WRITE);
    uint64_t closed = rig_open(&f->rig, f->session, "f2", ROS2I_RIGHT_READ);
    struct ros2_node *node;

    assert_int_equal(ros2d_handles_close(f->rig.state.handles, f->session, closed), 0);
    MUST(tenant->engine_ops->open(tenant->root, "", ROS2_OPEN_READ | ROS2_OPEN_DIRECTORY, 0, &node,
                                  NULL));
    MUST(ros2d_handles_open(f->rig.state.handles, f->session, node, RW, true, &directory));
    for (int large = 0; large < 2; large++) {
        uint32_t len = large ? 5000 : 100;
        vector_begin(f);
        vector_add(f, 4, 0, len);
        vector_add_raw(f, foreign, 0, len, EBADF, 0);
        vector_add_raw(f, closed, 0, len, EBADF, 0);
        vector_add_raw(f, wo, 0, 0, EBADF, 0);
        vector_add_raw(f, UINT64_MAX, 0, len, EBADF, 0);
        vector_add(f, 4, 1, 50);
        vector_add_raw(f, 0, 0, len, EBADF, 0);
        vector_add_raw(f, directory, 0, len, EISDIR, 0);
        vector_add(f, 4, 2, len);
        if (large)
            vector_call_region(f, (const uint32_t[]){35050, 0});
        else
            vector_call_inline(f);
    }
}

static void an_engine_error_concerns_its_extent(void **state)
{
    struct fixture *f = *state;

    vector_begin(f);
    vector_add(f, 4, 0, 100);
    vector_add_raw(f, f->handle[11], 0, 2, EIO, 0);
    vector_add(f, 4, 100, 100);
    vector_call_inline(f);
    vector_begin(f);
    vector_add(f, 6, 0, 200000);
    vector_add_raw(f, f->handle[11], 0, 100000, EIO, 0); /* it lies in two windows */
    vector_add(f, 6, 100000, 150000);
    vector_call_region(f, (const uint32_t[]){450000, 0});
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, setup, vector_teardown)
#define FAULTY(name) cmocka_unit_test_setup_teardown(name, setup_faults, vector_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(inline_data_is_packed_behind_the_results),
        TEST(extents_land_in_their_places),
        TEST(what_an_extent_lacks_is_not_written_or_zero),
        TEST(any_cut_of_any_files_comes_out_right),
        TEST(bad_handles_fail_alone),
        FAULTY(an_engine_error_concerns_its_extent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
