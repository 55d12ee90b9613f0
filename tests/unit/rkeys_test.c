/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection remembers of regions. The transport is a stand-in that counts imported keys. */
#include "config.h"

#include "tests/unit/tenant_fixture.h"

#include <errno.h>
#include <string.h>

#include "daemon/data/rkeys.h"

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

/* Regions of one session, all live at first. */
enum { REGIONS = 2 * ROS2D_RKEYS_MAX };

struct fixture {
    struct tables *tables;
    struct ros2d_session *session;
    struct ros2d_regions *regions;
    struct ros2d_rkeys rkeys;
    uint64_t id[REGIONS];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct ros2d_region region = {.rights = ROS2_REGION_REMOTE_WRITE, .key_len = 3};

    assert_non_null(f);
    tables_setup(state);
    f->tables = *state;
    f->session = tables_session(f->tables);
    assert_int_equal(ros2d_regions_create(REGIONS, &f->regions), 0);
    memcpy(region.key, "key", 3);
    for (uint64_t i = 0; i < REGIONS; i++) {
        region.len = i + 1;
        assert_int_equal(ros2d_regions_register(f->regions, f->session, &region, &f->id[i]), 0);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    ros2d_rkeys_fini(&f->rkeys, &stand_in);
    assert_int_equal(imported, 0);
    ros2d_regions_close_session(f->regions, f->session);
    ros2d_regions_destroy(f->regions);
    ros2d_session_put(f->session);
    *state = f->tables;
    free(f);
    return tables_teardown(state);
}

static int add(struct fixture *f, uint32_t i, struct ros2d_rkey **key_p)
{
    struct ros2d_region region;

    assert_int_equal(ros2d_regions_acquire(f->regions, f->session, f->id[i], &region), 0);
    ros2d_regions_release(f->regions, f->id[i]);
    return ros2d_rkeys_add(&f->rkeys, &stand_in, NULL, f->regions, &region, key_p);
}

static void revoke(struct fixture *f, uint32_t i)
{
    assert_int_equal(ros2d_regions_revoke(f->regions, f->session, f->id[i]), 0);
}

static void what_is_remembered_is_found(void **state)
{
    struct fixture *f = *state;
    struct ros2d_rkey *key, *first = NULL;

    assert_null(ros2d_rkeys_find(&f->rkeys, f->id[0]));
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(add(f, i, &key), 0);
        if (i == 0)
            first = key;
    }
    for (uint32_t i = 0; i < 1000; i++) {
        key = ros2d_rkeys_find(&f->rkeys, f->id[i]);
        assert_non_null(key);
        assert_int_equal(key->region_id, f->id[i]);
        assert_int_equal(key->len, i + 1);
        assert_null(ros2d_rkeys_find(&f->rkeys, f->id[i] + (1ull << 32))); /* of its place's next */
    }
    assert_null(ros2d_rkeys_find(&f->rkeys, f->id[1000]));
    assert_ptr_equal(ros2d_rkeys_find(&f->rkeys, f->id[0]), first);
    assert_int_equal(imported, 1000);
}

static void a_key_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    struct ros2d_region region = {.id = 5, .len = 1, .rights = 1, .key_len = 2};
    struct ros2d_rkey *key;

    assert_int_equal(ros2d_rkeys_add(&f->rkeys, &stand_in, NULL, f->regions, &region, &key),
                     -EINVAL);
    assert_null(ros2d_rkeys_find(&f->rkeys, 5));
}

static void what_is_in_use_stays_when_room_is_short(void **state)
{
    struct fixture *f = *state;
    struct ros2d_rkey *key, *used[2];

    for (uint32_t i = 0; i < ROS2D_RKEYS_MAX; i++) {
        assert_int_equal(add(f, i, &key), 0);
        key->users = i % 1000 == 7;
        if (i == 7 || i == 1007)
            used[i == 1007] = key;
    }
    assert_int_equal(imported, ROS2D_RKEYS_MAX);
    assert_int_equal(add(f, ROS2D_RKEYS_MAX, &key), 0);
    assert_int_equal(imported, 4 + 1); /* 7, 1007, 2007, 3007 */
    assert_ptr_equal(ros2d_rkeys_find(&f->rkeys, f->id[7]), used[0]);
    assert_ptr_equal(ros2d_rkeys_find(&f->rkeys, f->id[1007]), used[1]);
    assert_null(ros2d_rkeys_find(&f->rkeys, f->id[8]));
    /* All in use: no more, and nothing is lost. */
    key->users = 1;
    for (uint32_t i = 5; i < ROS2D_RKEYS_MAX; i++) {
        assert_int_equal(add(f, ROS2D_RKEYS_MAX + i, &key), 0);
        key->users = 1;
    }
    assert_int_equal(add(f, 9, &key), -ENOBUFS);
    assert_int_equal(imported, ROS2D_RKEYS_MAX);
    assert_ptr_equal(ros2d_rkeys_find(&f->rkeys, f->id[7]), used[0]);
}

static void what_was_revoked_is_forgotten(void **state)
{
    struct fixture *f = *state;
    struct ros2d_rkey *key;

    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(add(f, i, &key), 0);
        key->users = i == 2;
    }
    for (int i = 0; i < 100; i++)
        ros2d_rkeys_renew(&f->rkeys, &stand_in, f->regions);
    assert_int_equal(imported, 3);
    revoke(f, 1);
    revoke(f, 2);
    for (int i = 0; i < 100; i++)
        ros2d_rkeys_renew(&f->rkeys, &stand_in, f->regions);
    assert_int_equal(imported, 2);
    assert_non_null(ros2d_rkeys_find(&f->rkeys, f->id[0]));
    assert_null(ros2d_rkeys_find(&f->rkeys, f->id[1]));
    assert_ptr_equal(ros2d_rkeys_find(&f->rkeys, f->id[2]), key); /* in use */
}

/* A client that registers memory for each request, beside some that stays. */
static void what_is_gone_makes_room_for_what_comes(void **state)
{
    struct fixture *f = *state;
    struct ros2d_rkey *key, *kept;

    assert_int_equal(add(f, 0, &kept), 0);
    for (uint32_t i = 1; i < REGIONS; i++) {
        ros2d_rkeys_renew(&f->rkeys, &stand_in, f->regions);
        assert_int_equal(add(f, i, &key), 0);
        revoke(f, i);
        assert_in_range(imported, 1, 32);
    }
    assert_ptr_equal(ros2d_rkeys_find(&f->rkeys, f->id[0]), kept);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_remembered_is_found),
        TEST(a_key_that_is_none_is_refused),
        TEST(what_is_in_use_stays_when_room_is_short),
        TEST(what_was_revoked_is_forgotten),
        TEST(what_is_gone_makes_room_for_what_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
