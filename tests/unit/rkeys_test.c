/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection remembers of regions. The transport is a stand-in that counts imported keys. */
#include "config.h"

#include "tests/unit/tenant_fixture.h"

#include <errno.h>
#include <string.h>

#include "daemon/data/rkeys.h"
#include "lib/protocol/capability.h"

static int imported; /* keys that were not released */

static int import(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p)
{
    (void)ep;
    if (len != 3 || memcmp(key, "key", 3) != 0)
        return -EINVAL;
    imported++;
    *rkey_p = (struct ros2_rkey *)(void *)&imported;
    return 0;
}

static void release(struct ros2_rkey *rkey)
{
    assert_ptr_equal(rkey, &imported);
    imported--;
}

static const struct ros2_transport_ops stand_in = {
    .name = "stand-in", .rkey_import = import, .rkey_release = release};

static int add(struct ros2d_rkeys *rkeys, uint64_t id, struct ros2d_rkey **key_p)
{
    struct ros2d_region region = {.id = id, .len = id * 2, .rights = 1, .key_len = 3};

    memcpy(region.key, "key", 3);
    return ros2d_rkeys_add(rkeys, &stand_in, NULL, &region, key_p);
}

static uint64_t id_of(uint32_t index)
{
    return ros2i_handle_make(index, 1);
}

static void what_is_remembered_is_found(void **state)
{
    struct ros2d_rkeys rkeys = {0};
    struct ros2d_rkey *key, *first = NULL;

    (void)state;
    assert_null(ros2d_rkeys_find(&rkeys, id_of(0)));
    /* Far apart in the table of regions, and so in the same place of a small one. */
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(add(&rkeys, id_of(i * 4096), &key), 0);
        if (i == 0)
            first = key;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        key = ros2d_rkeys_find(&rkeys, id_of(i * 4096));
        assert_non_null(key);
        assert_int_equal(key->region_id, id_of(i * 4096));
        assert_int_equal(key->len, 2 * key->region_id);
        assert_null(ros2d_rkeys_find(&rkeys, id_of(i * 4096 + 1)));
        assert_null(ros2d_rkeys_find(&rkeys, ros2i_handle_make(i * 4096, 2)));
    }
    assert_ptr_equal(ros2d_rkeys_find(&rkeys, id_of(0)), first);
    assert_int_equal(imported, 1000);
    ros2d_rkeys_fini(&rkeys, &stand_in);
    assert_int_equal(imported, 0);
}

static void a_key_that_is_none_is_refused(void **state)
{
    struct ros2d_rkeys rkeys = {0};
    struct ros2d_region region = {.id = 5, .len = 1, .rights = 1, .key_len = 2};
    struct ros2d_rkey *key;

    (void)state;
    assert_int_equal(ros2d_rkeys_add(&rkeys, &stand_in, NULL, &region, &key), -EINVAL);
    assert_null(ros2d_rkeys_find(&rkeys, 5));
    ros2d_rkeys_fini(&rkeys, &stand_in);
}

static void what_is_in_use_stays_when_room_is_short(void **state)
{
    struct ros2d_rkeys rkeys = {0};
    struct ros2d_rkey *key, *used[2];

    (void)state;
    for (uint32_t i = 0; i < ROS2D_RKEYS_MAX; i++) {
        assert_int_equal(add(&rkeys, id_of(i), &key), 0);
        key->users = i % 1000 == 7;
        if (i == 7 || i == 1007)
            used[i == 1007] = key;
    }
    assert_int_equal(imported, ROS2D_RKEYS_MAX);
    assert_int_equal(add(&rkeys, id_of(ROS2D_RKEYS_MAX), &key), 0);
    assert_int_equal(imported, 4 + 1); /* 7, 1007, 2007, 3007 */
    assert_ptr_equal(ros2d_rkeys_find(&rkeys, id_of(7)), used[0]);
    assert_ptr_equal(ros2d_rkeys_find(&rkeys, id_of(1007)), used[1]);
    assert_null(ros2d_rkeys_find(&rkeys, id_of(8)));
    /* All in use: no more, and nothing is lost. */
    key->users = 1;
    for (uint32_t i = 5; i < ROS2D_RKEYS_MAX; i++) {
        assert_int_equal(add(&rkeys, id_of(10000 + i), &key), 0);
        key->users = 1;
    }
    assert_int_equal(add(&rkeys, id_of(9999), &key), -ENOBUFS);
    assert_int_equal(imported, ROS2D_RKEYS_MAX);
    assert_ptr_equal(ros2d_rkeys_find(&rkeys, id_of(7)), used[0]);
    ros2d_rkeys_fini(&rkeys, &stand_in);
    assert_int_equal(imported, 0);
}

static void what_was_revoked_is_forgotten(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct ros2d_rkeys rkeys = {0};
    struct ros2d_rkey *key;
    uint64_t id[3];

    for (int i = 0; i < 3; i++) {
        struct ros2d_region region = {
            .len = 1, .rights = ROS2_REGION_REMOTE_WRITE, .transport = "stand-in", .key_len = 3};
        assert_int_equal(ros2d_regions_register(t->regions, session, &region, &id[i]), 0);
        assert_int_equal(add(&rkeys, id[i], &key), 0);
        key->users = i == 2;
    }
    for (int i = 0; i < 10; i++)
        ros2d_rkeys_renew(&rkeys, &stand_in, t->regions);
    assert_int_equal(imported, 3);
    for (int i = 1; i < 3; i++)
        assert_int_equal(ros2d_regions_revoke(t->regions, session, id[i]), 0);
    for (int i = 0; i < 10; i++)
        ros2d_rkeys_renew(&rkeys, &stand_in, t->regions);
    assert_int_equal(imported, 2);
    assert_non_null(ros2d_rkeys_find(&rkeys, id[0]));
    assert_null(ros2d_rkeys_find(&rkeys, id[1]));
    assert_ptr_equal(ros2d_rkeys_find(&rkeys, id[2]), key); /* in use */
    ros2d_rkeys_fini(&rkeys, &stand_in);
    ros2d_session_put(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tables_setup, tables_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_remembered_is_found),
        TEST(a_key_that_is_none_is_refused),
        TEST(what_is_in_use_stays_when_room_is_short),
        TEST(what_was_revoked_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
