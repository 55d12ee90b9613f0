/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/tenant_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/protocol/capability.h"

static uint64_t open_one(struct tables *t, struct ros2d_session *session)
{
    uint64_t handle;

    assert_int_equal(ros2d_handles_open(t->handles, session, fixture_node(), 3, false, &handle), 0);
    return handle;
}

static void an_open_handle_gives_what_was_put_in(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct ros2_node *node = fixture_node();
    uint64_t handle;

    assert_int_equal(ros2d_handles_open(t->handles, session, node, ROS2I_RIGHT_READ, true, &handle),
                     0);
    assert_int_equal(ros2d_handles_count(t->handles), 1);
    struct ros2d_handle *h = ros2d_handles_get(t->handles, session, handle);
    assert_non_null(h);
    assert_ptr_equal(h->node, node);
    assert_ptr_equal(h->tenant, &t->tenant);
    assert_int_equal(h->rights, ROS2I_RIGHT_READ);
    assert_true(h->directory);
    ros2d_handles_put(t->handles, h);
    assert_int_equal(ros2d_handles_close(t->handles, session, handle), 0);
    assert_int_equal(nodes_closed, 1);
    ros2d_session_put(session);
}

static void a_closed_handle_is_refused_also_when_its_slot_is_used_again(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    uint64_t old = open_one(t, session);

    assert_int_equal(ros2d_handles_close(t->handles, session, old), 0);
    assert_null(ros2d_handles_get(t->handles, session, old));
    assert_int_equal(ros2d_handles_close(t->handles, session, old), -EBADF);
    uint64_t again = open_one(t, session);
    assert_int_equal(ros2i_handle_index(again), ros2i_handle_index(old));
    assert_null(ros2d_handles_get(t->handles, session, old));
    assert_int_equal(nodes_closed, 1);
    ros2d_session_put(session);
}

static void another_session_s_handle_is_refused(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *mine = tables_session(t), *other = tables_session(t);
    uint64_t handle = open_one(t, mine);

    assert_null(ros2d_handles_get(t->handles, other, handle));
    assert_int_equal(ros2d_handles_close(t->handles, other, handle), -EBADF);
    assert_int_equal(nodes_closed, 0);
    ros2d_session_put(mine);
    ros2d_session_put(other);
}

static void forged_handles_are_refused(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    uint64_t handle = open_one(t, session);
    uint64_t forged[] = {0,
                         1,
                         UINT64_MAX,
                         handle + 1,
                         handle + (1ull << 32),
                         handle + (2ull << 32),
                         ros2i_handle_make(64, 1),
                         ros2i_handle_make(63, 1),
                         ros2i_handle_make(63, 0)};

    for (size_t i = 0; i < sizeof(forged) / sizeof(*forged); i++) {
        assert_null(ros2d_handles_get(t->handles, session, forged[i]));
        assert_int_equal(ros2d_handles_close(t->handles, session, forged[i]), -EBADF);
    }
    ros2d_session_put(session);
}

static void a_node_in_use_is_closed_by_the_reaper(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    uint64_t handle = open_one(t, session);
    struct ros2d_handle *h = ros2d_handles_get(t->handles, session, handle);

    assert_int_equal(ros2d_handles_close(t->handles, session, handle), 0);
    assert_int_equal(ros2d_handles_count(t->handles), 0);
    assert_int_equal(nodes_closed, 0);
    assert_int_equal(h->node->open, 1);
    ros2d_handles_put(t->handles, h);
    assert_int_equal(nodes_closed, 0); /* a data thread never closes */
    ros2d_handles_reap(t->handles);
    assert_int_equal(nodes_closed, 1);
    ros2d_session_put(session);
}

static void a_handle_closed_later_is_refused_at_once_and_closed_by_the_reaper(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t), *other = tables_session(t);
    uint64_t handle = open_one(t, session), used = open_one(t, session);
    struct ros2d_handle *h = ros2d_handles_get(t->handles, session, used);

    ros2d_handles_close_later(t->handles, other, handle);
    ros2d_handles_close_later(t->handles, session, handle + (2ull << 32));
    assert_int_equal(ros2d_handles_count(t->handles), 2);
    ros2d_handles_close_later(t->handles, session, handle);
    ros2d_handles_close_later(t->handles, session, handle);
    ros2d_handles_close_later(t->handles, session, used);
    assert_int_equal(ros2d_handles_count(t->handles), 0);
    assert_null(ros2d_handles_get(t->handles, session, handle));
    assert_int_equal(ros2d_handles_close(t->handles, session, used), -EBADF);
    assert_int_equal(nodes_closed, 0);
    ros2d_handles_reap(t->handles);
    assert_int_equal(nodes_closed, 1);
    ros2d_handles_put(t->handles, h);
    ros2d_handles_reap(t->handles);
    assert_int_equal(nodes_closed, 2);
    assert_int_equal(t->tenant.limits.open_files.used, 0);
    ros2d_session_put(session);
    ros2d_session_put(other);
}

static void a_session_s_end_closes_all_its_handles_only(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *mine = tables_session(t), *other = tables_session(t);
    uint64_t a = open_one(t, mine), b = open_one(t, other), c = open_one(t, mine);

    ros2d_sessions_close(t->sessions, mine);
    assert_null(ros2d_handles_get(t->handles, mine, a));
    assert_null(ros2d_handles_get(t->handles, mine, c));
    struct ros2d_handle *h = ros2d_handles_get(t->handles, other, b);
    assert_non_null(h);
    ros2d_handles_put(t->handles, h);
    assert_int_equal(nodes_closed, 2);
    struct ros2_node *late = fixture_node();
    uint64_t handle;
    assert_int_equal(ros2d_handles_open(t->handles, mine, late, 1, false, &handle), -ESHUTDOWN);
    fixture_node_close(late);
    ros2d_session_put(mine);
    ros2d_session_put(other);
}

static void a_full_table_and_a_used_up_quota_are_told_apart(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct ros2_node *node = fixture_node();
    uint64_t handle, last = 0;

    for (int i = 0; i < 64; i++)
        last = open_one(t, session);
    assert_int_equal(ros2d_handles_open(t->handles, session, node, 1, false, &handle), -EMFILE);
    assert_int_equal(t->tenant.limits.open_files.used, 64);
    assert_int_equal(ros2d_handles_close(t->handles, session, last), 0);
    t->tenant.limits.open_files.max = 63;
    assert_int_equal(ros2d_handles_open(t->handles, session, node, 1, false, &handle), -EDQUOT);
    assert_non_null(strstr(ros2i_error(), "limits.open_files"));
    fixture_node_close(node);
    ros2d_session_put(session);
}

static void a_reservation_counts_as_an_open_file_until_it_is_given_up(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    struct ros2_node *node = fixture_node();
    uint32_t reserved, more;
    uint64_t handle;

    t->tenant.limits.open_files.max = 1;
    assert_int_equal(ros2d_handles_reserve(t->handles, session, &reserved), 0);
    assert_int_equal(ros2d_handles_reserve(t->handles, session, &more), -EDQUOT);
    assert_int_equal(ros2d_handles_count(t->handles), 0);
    ros2d_handles_abort(t->handles, session, reserved);
    assert_int_equal(t->tenant.limits.open_files.used, 0);
    assert_int_equal(ros2d_handles_reserve(t->handles, session, &reserved), 0);
    ros2d_sessions_close(t->sessions, session);
    assert_int_equal(ros2d_handles_commit(t->handles, session, reserved, node, 1, false, &handle),
                     -ESHUTDOWN);
    assert_int_equal(t->tenant.limits.open_files.used, 0);
    assert_int_equal(ros2d_handles_reserve(t->handles, session, &reserved), -ESHUTDOWN);
    fixture_node_close(node);
    ros2d_session_put(session);
}

static void reservations_fill_the_table_and_give_their_slots_back(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);
    uint32_t reserved[64], more;

    for (int i = 0; i < 64; i++)
        assert_int_equal(ros2d_handles_reserve(t->handles, session, &reserved[i]), 0);
    assert_int_equal(ros2d_handles_reserve(t->handles, session, &more), -EMFILE);
    assert_int_equal(t->tenant.limits.open_files.used, 64);
    for (int i = 0; i < 64; i++)
        ros2d_handles_abort(t->handles, session, reserved[i]);
    open_one(t, session);
    ros2d_session_put(session);
}

/* -- many threads -- */

#define ROUNDS 4000
#define SHARED 8

struct race {
    struct tables *t;
    struct ros2d_session *session;
    _Atomic uint64_t handle[SHARED];
    _Atomic bool stop;
    _Atomic int opened;
};

static void *use(void *arg)
{
    struct race *race = arg;
    uint64_t hits = 0;

    for (unsigned i = 0; !atomic_load(&race->stop); i++) {
        uint64_t handle = atomic_load(&race->handle[i % SHARED]);
        struct ros2d_handle *h = ros2d_handles_get(race->t->handles, race->session, handle);
        if (!h)
            continue;
        hits += (uint64_t)atomic_load(
            &h->node->open); /* a closed node is freed: the sanitizers would tell */
        ros2d_handles_put(race->t->handles, h);
    }
    return (void *)(uintptr_t)hits;
}

static void *open_and_close(void *arg)
{
    struct race *race = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t handle, old;
        struct ros2_node *node = fixture_node();
        if (ros2d_handles_open(race->t->handles, race->session, node, 1, false, &handle) < 0) {
            free(node);
            ros2d_handles_reap(race->t->handles);
            continue;
        }
        atomic_fetch_add(&race->opened, 1);
        old = atomic_exchange(&race->handle[i % SHARED], handle);
        if (old && i % 2)
            ros2d_handles_close_later(race->t->handles, race->session, old);
        if (old && i % 3)
            ros2d_handles_close(race->t->handles, race->session, old);
        ros2d_handles_close_later(race->t->handles, race->session,
                                  atomic_load(&race->handle[(i + 1) % SHARED]));
        if (i % 16 == 0)
            ros2d_handles_reap(race->t->handles);
    }
    return NULL;
}

static void get_put_and_close_race_and_each_node_is_closed_once(void **state)
{
    struct race race = {.t = *state};
    pthread_t user[3], closer[2];

    race.session = tables_session(race.t);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&user[i], NULL, use, &race), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&closer[i], NULL, open_and_close, &race), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(closer[i], NULL);
    atomic_store(&race.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(user[i], NULL);
    ros2d_sessions_close(race.t->sessions, race.session);
    ros2d_handles_reap(race.t->handles);
    assert_int_equal(nodes_closed, race.opened);
    assert_int_equal(ros2d_handles_count(race.t->handles), 0);
    assert_int_equal(race.t->tenant.limits.open_files.used, 0);
    ros2d_session_put(race.session);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tables_setup, tables_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_handle_gives_what_was_put_in),
        TEST(a_closed_handle_is_refused_also_when_its_slot_is_used_again),
        TEST(another_session_s_handle_is_refused),
        TEST(forged_handles_are_refused),
        TEST(a_node_in_use_is_closed_by_the_reaper),
        TEST(a_handle_closed_later_is_refused_at_once_and_closed_by_the_reaper),
        TEST(a_session_s_end_closes_all_its_handles_only),
        TEST(a_full_table_and_a_used_up_quota_are_told_apart),
        TEST(a_reservation_counts_as_an_open_file_until_it_is_given_up),
        TEST(reservations_fill_the_table_and_give_their_slots_back),
        TEST(get_put_and_close_race_and_each_node_is_closed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
