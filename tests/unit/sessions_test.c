/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/tenant_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/clock.h"

static uint64_t fake_now;

static uint64_t read_fake(void)
{
    return fake_now;
}

static int64_t fake_wall;

static int64_t read_fake_wall(void)
{
    return fake_wall;
}

static int setup(void **state)
{
    fake_now = 5;
    fake_wall = 1000;
    ros2i_clock_inject(read_fake, read_fake_wall);
    return tables_setup(state);
}

static int teardown(void **state)
{
    int rc = tables_teardown(state);

    ros2i_clock_inject(NULL, NULL);
    return rc;
}

static struct ros2d_session *last_closed;
static int closed_count;

static void remember(void *arg, struct ros2d_session *session)
{
    assert_ptr_equal(arg, &closed_count);
    assert_true(session->closed);
    last_closed = session;
    closed_count++;
}

static void an_open_session_is_found_by_its_id(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *a = tables_session(t), *b = tables_session(t), *found;
    uint8_t unknown[ROS2I_SESSION_ID_LEN] = {1};

    assert_int_not_equal(a->serial, b->serial);
    assert_int_not_equal(a->serial, 0);
    assert_memory_not_equal(a->id, b->id, sizeof(a->id));
    assert_memory_not_equal(a->secret, b->secret, sizeof(a->secret));
    found = ros2d_sessions_get(t->sessions, b->id);
    assert_ptr_equal(found, b);
    ros2d_session_put(found);
    assert_null(ros2d_sessions_get(t->sessions, unknown));
    ros2d_session_put(a);
    ros2d_session_put(b);
}

static void closing_is_told_once_and_ends_the_session(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);

    closed_count = 0;
    ros2d_sessions_on_close(t->sessions, remember, &closed_count);
    ros2d_sessions_close(t->sessions, session);
    ros2d_sessions_close(t->sessions, session);
    assert_int_equal(closed_count, 1);
    assert_ptr_equal(last_closed, session);
    assert_null(ros2d_sessions_get(t->sessions, session->id));
    assert_int_equal(t->tenant.limits.sessions.used, 0);
    ros2d_session_put(session);
}

static void a_session_expires_without_calls_and_channels_only(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session = tables_session(t);

    fake_now += 999999999;
    assert_int_equal(ros2d_sessions_expire(t->sessions, fake_now), 0);
    ros2d_sessions_touch(t->sessions, session);
    fake_now += 999999999;
    assert_int_equal(ros2d_sessions_expire(t->sessions, fake_now), 0);
    atomic_store(&session->channels, 1);
    fake_now += 10;
    assert_int_equal(ros2d_sessions_expire(t->sessions, fake_now), 0);
    atomic_store(&session->channels, 0);
    assert_null(ros2d_sessions_get(t->sessions, session->id));
    assert_int_equal(ros2d_sessions_expire(t->sessions, fake_now), 1);
    assert_true(session->closed);
    ros2d_session_put(session);
}

static void a_session_ends_with_its_token_whatever_it_does(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *forever = tables_session(t), *session, *found;

    t->principal.expiry_ns = 2000;
    session = tables_session(t);
    atomic_store(&session->channels, 1);
    fake_wall = 1999;
    assert_int_equal(ros2d_sessions_expire(t->sessions, fake_now), 0);
    found = ros2d_sessions_get(t->sessions, session->id);
    assert_ptr_equal(found, session);
    ros2d_session_put(found);
    fake_wall = 2000;
    assert_null(ros2d_sessions_get(t->sessions, session->id));
    assert_int_equal(ros2d_sessions_expire(t->sessions, fake_now), 1);
    assert_true(session->closed);
    assert_false(forever->closed);
    ros2d_session_put(session);
    ros2d_session_put(forever);
}

static void the_limit_of_sessions_holds(void **state)
{
    struct tables *t = *state;
    struct ros2d_session *session, *more;

    t->tenant.limits.sessions.max = 1;
    session = tables_session(t);
    assert_int_equal(ros2d_sessions_open(t->sessions, &t->principal, &more), -EDQUOT);
    ros2d_sessions_close(t->sessions, session);
    assert_int_equal(ros2d_sessions_open(t->sessions, &t->principal, &more), 0);
    ros2d_session_put(session);
    ros2d_session_put(more);
}

#define ROUNDS 300

static void *churn(void *arg)
{
    struct tables *t = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct ros2d_session *session, *again;
        if (ros2d_sessions_open(t->sessions, &t->principal, &session) < 0)
            return arg;
        again = ros2d_sessions_get(t->sessions, session->id);
        ros2d_sessions_close(t->sessions, session);
        ros2d_session_put(session);
        if (again)
            ros2d_session_put(again);
    }
    return NULL;
}

static void *expire(void *arg)
{
    struct tables *t = arg;

    for (int i = 0; i < ROUNDS; i++)
        ros2d_sessions_expire(t->sessions, UINT64_MAX);
    return NULL;
}

static void open_get_close_and_expire_race(void **state)
{
    pthread_t thread[3];
    void *bad;

    assert_int_equal(pthread_create(&thread[0], NULL, churn, *state), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, churn, *state), 0);
    assert_int_equal(pthread_create(&thread[2], NULL, expire, *state), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], &bad);
        assert_null(bad);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_session_is_found_by_its_id),
        TEST(closing_is_told_once_and_ends_the_session),
        TEST(a_session_expires_without_calls_and_channels_only),
        TEST(a_session_ends_with_its_token_whatever_it_does),
        TEST(the_limit_of_sessions_holds),
        TEST(open_get_close_and_expire_race),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
