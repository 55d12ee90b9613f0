/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/tenant_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "lib/base/clock.h"

static uint64_t register_one(struct tables *t, struct ros2d_session *session, uint64_t len)
{
    struct ros2d_region region = {
        .len = len, .rights = ROS2_REGION_REMOTE_WRITE, .transport = "tcp", .key_len = 3};
    uint64_t id;

    memcpy(region.key, "key", 3);
    assert_int_equal(ros2d_regions_register(t->regions, session, &region, &id), 0);
    return id;
}

static void an_acquired_region_is_what_was_registered(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t), *other = tables_session(t);
    uint64_t id = register_one(t, session, 4096);
    struct ros2d_region region;

    assert_int_equal(ros2d_regions_acquire(t->regions, session, id, &region), 0);
    assert_int_equal(region.id, id);
    assert_int_equal(region.len, 4096);
    assert_int_equal(region.session_serial, session->serial);
    assert_memory_equal(region.key, "key", 3);
    ros2d_regions_release(t->regions, id);
    assert_int_equal(ros2d_regions_acquire(t->regions, other, id, &region), -ENOENT);
    assert_int_equal(ros2d_regions_acquire(t->regions, session, id + 1, &region), -ENOENT);
    assert_int_equal(ros2d_regions_acquire(t->regions, session, id + (1ull << 32), &region),
                     -ENOENT);
    ros2d_session_put(session);
    ros2d_session_put(other);
}

static void bad_regions_are_refused(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct ros2d_region good = {.len = 1, .rights = 1}, bad;
    uint64_t id;

    bad = good, bad.len = 0;
    assert_int_equal(ros2d_regions_register(t->regions, session, &bad, &id), -EINVAL);
    bad = good, bad.rights = 0;
    assert_int_equal(ros2d_regions_register(t->regions, session, &bad, &id), -EINVAL);
    bad = good, bad.rights = 4;
    assert_int_equal(ros2d_regions_register(t->regions, session, &bad, &id), -EINVAL);
    bad = good, bad.key_len = ROS2_TRANSPORT_KEY_MAX + 1;
    assert_int_equal(ros2d_regions_register(t->regions, session, &bad, &id), -EINVAL);
    ros2d_session_put(session);
}

static void revoking_changes_the_revision_and_waits_for_users(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t), *other = tables_session(t);
    uint64_t id = register_one(t, session, 10), revision = ros2d_regions_revision(t->regions);
    struct ros2d_region region;

    assert_int_equal(ros2d_regions_acquire(t->regions, session, id, &region), 0);
    assert_int_equal(ros2d_regions_revoke(t->regions, other, id), -ENOENT);
    assert_int_equal(ros2d_regions_revision(t->regions), revision);
    assert_int_equal(ros2d_regions_revoke(t->regions, session, id), 0);
    assert_int_not_equal(ros2d_regions_revision(t->regions), revision);
    assert_int_equal(ros2d_regions_acquire(t->regions, session, id, &region), -ENOENT);
    assert_int_equal(ros2d_regions_wait_unused(t->regions, id, ros2i_now_ns()), -ETIMEDOUT);
    /* Whoever has waited in vain may ask again; nobody else may. */
    revision = ros2d_regions_revision(t->regions);
    assert_int_equal(ros2d_regions_revoke(t->regions, session, id), 0);
    assert_int_equal(ros2d_regions_revoke(t->regions, other, id), -ENOENT);
    assert_int_equal(ros2d_regions_revision(t->regions), revision);
    assert_int_equal(ros2d_regions_wait_unused(t->regions, id, 0), -ETIMEDOUT);
    ros2d_regions_release(t->regions, id);
    assert_int_equal(ros2d_regions_wait_unused(t->regions, id, ros2i_now_ns()), 0);
    assert_int_equal(ros2d_regions_revoke(t->regions, session, id), -ENOENT);
    assert_int_equal(t->tenant.limits.regions.used, 0);
    ros2d_session_put(session);
    ros2d_session_put(other);
}

struct waiter {
    struct tables *t;
    uint64_t id;
    int rc;
};

static void *wait_for(void *arg)
{
    struct waiter *w = arg;

    w->rc = ros2d_regions_wait_unused(w->t->regions, w->id, ros2i_now_ns() + 60 * ROS2I_NS_PER_S);
    return NULL;
}

static void a_waiter_wakes_when_the_last_user_lets_go(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct waiter w = {.t = t, .id = register_one(t, session, 10), .rc = 1};
    struct ros2d_region region;
    pthread_t thread;

    assert_int_equal(ros2d_regions_acquire(t->regions, session, w.id, &region), 0);
    assert_int_equal(ros2d_regions_acquire(t->regions, session, w.id, &region), 0);
    assert_int_equal(ros2d_regions_revoke(t->regions, session, w.id), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &w), 0);
    ros2d_regions_release(t->regions, w.id);
    ros2d_regions_release(t->regions, w.id);
    pthread_join(thread, NULL);
    assert_int_equal(w.rc, 0);
    ros2d_session_put(session);
}

static void nobody_waits_once_waits_are_stopped(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct waiter w = {.t = t, .id = register_one(t, session, 10), .rc = 1};
    struct ros2d_region region;
    pthread_t thread;

    assert_int_equal(ros2d_regions_acquire(t->regions, session, w.id, &region), 0);
    assert_int_equal(ros2d_regions_revoke(t->regions, session, w.id), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &w), 0);
    ros2d_regions_stop_waits(t->regions);
    pthread_join(thread, NULL);
    assert_int_equal(w.rc, -EAGAIN);
    ros2d_regions_release(t->regions, w.id);
    assert_int_equal(ros2d_regions_wait_unused(t->regions, w.id, 0), 0);
    ros2d_session_put(session);
}

static void limits_hold(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct ros2d_region region = {.len = 100, .rights = 1};
    uint64_t id;

    t->tenant.limits.regions.max = 2;
    t->tenant.limits.registered_bytes.max = 150;
    register_one(t, session, 100);
    assert_int_equal(ros2d_regions_register(t->regions, session, &region, &id), -EDQUOT);
    assert_int_equal(t->tenant.limits.regions.used, 1);
    register_one(t, session, 50);
    region.len = 1;
    t->tenant.limits.registered_bytes.max = 0;
    assert_int_equal(ros2d_regions_register(t->regions, session, &region, &id), -EDQUOT);
    assert_int_equal(t->tenant.limits.registered_bytes.used, 150);
    ros2d_session_put(session);
}

static void a_session_s_end_revokes_its_regions_only(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t), *other = tables_session(t);
    uint64_t mine = register_one(t, session, 10), theirs = register_one(t, other, 10);
    struct ros2d_region region = {.len = 1, .rights = 1};

    ros2d_sessions_close(t->sessions, session);
    assert_int_equal(ros2d_regions_acquire(t->regions, session, mine, &region), -ENOENT);
    assert_int_equal(ros2d_regions_acquire(t->regions, other, theirs, &region), 0);
    ros2d_regions_release(t->regions, theirs);
    assert_int_equal(ros2d_regions_register(t->regions, session, &region, &mine), -ESHUTDOWN);
    ros2d_session_put(session);
    ros2d_session_put(other);
}

static void a_known_region_is_acquired_without_a_look_at_it(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    uint64_t id = register_one(t, session, 10), next;
    struct ros2d_region region;

    assert_int_equal(ros2d_regions_acquire(t->regions, session, id, &region), 0);
    ros2d_regions_release(t->regions, id);
    assert_true(ros2d_regions_is_live(t->regions, id));
    assert_int_equal(ros2d_regions_reacquire(t->regions, id), 0);
    assert_int_equal(ros2d_regions_revoke(t->regions, session, id), 0);
    assert_false(ros2d_regions_is_live(t->regions, id));
    assert_int_equal(ros2d_regions_reacquire(t->regions, id), -ENOENT);
    assert_int_equal(ros2d_regions_wait_unused(t->regions, id, 0), -ETIMEDOUT);
    ros2d_regions_release(t->regions, id);
    assert_int_equal(ros2d_regions_wait_unused(t->regions, id, 0), 0);
    assert_int_equal(ros2d_regions_reacquire(t->regions, id), -ENOENT);
    assert_int_equal(t->tenant.limits.regions.used, 0);
    /* Another one takes its place in the table. */
    next = register_one(t, session, 10);
    assert_int_equal(ros2d_regions_reacquire(t->regions, id), -ENOENT);
    assert_int_equal(ros2d_regions_reacquire(t->regions, next), 0);
    ros2d_regions_release(t->regions, next);
    ros2d_session_put(session);
}

struct race {
    struct tables *t;
    _Atomic uint64_t id; /* 0: no more */
    pthread_barrier_t barrier;
};

static void *use_until_revoked(void *arg)
{
    struct race *r = arg;
    uint64_t id;

    for (;;) {
        pthread_barrier_wait(&r->barrier);
        id = atomic_load(&r->id);
        if (!id)
            return NULL;
        while (ros2d_regions_reacquire(r->t->regions, id) == 0)
            ros2d_regions_release(r->t->regions, id);
        pthread_barrier_wait(&r->barrier);
    }
}

/* Whoever lets go last frees it, once, whatever revoking comes between. */
static void a_race_between_use_and_revoke_frees_it_once(void **state)
{
    enum { ROUNDS = 2000, USERS = 2 };
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct race r = {.t = t};
    struct ros2d_region region;
    pthread_t thread[USERS];

    pthread_barrier_init(&r.barrier, NULL, USERS + 1);
    for (int i = 0; i < USERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_until_revoked, &r), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t id = register_one(t, session, 10);
        assert_int_equal(ros2d_regions_acquire(t->regions, session, id, &region), 0);
        atomic_store(&r.id, id);
        pthread_barrier_wait(&r.barrier);
        ros2d_regions_release(t->regions, id);
        assert_int_equal(ros2d_regions_revoke(t->regions, session, id), 0);
        pthread_barrier_wait(&r.barrier);
        assert_int_equal(ros2d_regions_wait_unused(t->regions, id, 0), 0);
        assert_int_equal(t->tenant.limits.regions.used, 0);
    }
    atomic_store(&r.id, 0);
    pthread_barrier_wait(&r.barrier);
    for (int i = 0; i < USERS; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&r.barrier);
    ros2d_session_put(session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tables_setup, tables_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_acquired_region_is_what_was_registered),
        TEST(bad_regions_are_refused),
        TEST(revoking_changes_the_revision_and_waits_for_users),
        TEST(a_waiter_wakes_when_the_last_user_lets_go),
        TEST(nobody_waits_once_waits_are_stopped),
        TEST(limits_hold),
        TEST(a_session_s_end_revokes_its_regions_only),
        TEST(a_known_region_is_acquired_without_a_look_at_it),
        TEST(a_race_between_use_and_revoke_frees_it_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
