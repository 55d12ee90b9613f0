/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/control/replay.c: answers are given once, again, and forgotten in order. */
#include "config.h"

#include "daemon/control/replay.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"

static uint64_t soon(void)
{
    return ros2i_now_ns() + 60 * ROS2I_NS_PER_S;
}

static struct ros2d_replay_key key_of(uint64_t session, uint64_t sequence)
{
    struct ros2d_replay_key key = {.session_serial = session, .sequence = sequence};

    memset(key.process_nonce, 7, sizeof key.process_nonce);
    return key;
}

/* Runs it when it is new, with that answer; whether it ran. */
static bool run(struct ros2d_replay *replay, uint64_t session, uint64_t sequence, const char *body)
{
    struct ros2d_replay_key key = key_of(session, sequence);
    struct ros2d_replay_entry *entry;
    const struct ros2d_answer *answer;
    int rc = ros2d_replay_begin(replay, &key, 1, soon(), &entry, &answer);

    assert_in_range(rc, 0, 1);
    if (rc == 1) {
        ros2d_replay_finish(replay, entry, 0, NULL, body, strlen(body));
        return true;
    }
    assert_int_equal(answer->len, strlen(body));
    assert_memory_equal(answer->body, body, answer->len);
    ros2d_replay_release(replay, entry);
    return false;
}

static struct ros2d_replay *make(uint32_t answers, size_t bytes)
{
    struct ros2d_replay *replay;

    assert_int_equal(ros2d_replay_create(answers, bytes, &replay), 0);
    return replay;
}

static void a_second_call_gets_the_first_answer(void **state)
{
    struct ros2d_replay *replay = make(100, 1 << 20);

    (void)state;
    assert_true(run(replay, 1, 1, "first"));
    assert_false(run(replay, 1, 1, "first"));
    assert_true(run(replay, 1, 2, "second"));
    assert_true(run(replay, 2, 1, "another session's"));
    assert_false(run(replay, 1, 1, "first"));
    assert_true(run(replay, 1, 3, ""));
    assert_false(run(replay, 1, 3, ""));
    ros2d_replay_destroy(replay);
}

static void errors_are_answers_too(void **state)
{
    struct ros2d_replay *replay = make(100, 1 << 20);
    struct ros2d_replay_key key = key_of(1, 1);
    struct ros2d_replay_entry *entry;
    const struct ros2d_answer *answer;

    (void)state;
    assert_int_equal(ros2d_replay_begin(replay, &key, 1, soon(), &entry, &answer), 1);
    ros2d_replay_finish(replay, entry, ENOENT, "a: not there", NULL, 0);
    assert_int_equal(ros2d_replay_begin(replay, &key, 1, soon(), &entry, &answer), 0);
    assert_int_equal(answer->err, ENOENT);
    assert_string_equal(answer->text, "a: not there");
    ros2d_replay_release(replay, entry);
    assert_int_equal(ros2d_replay_begin(replay, &key, 2, soon(), &entry, &answer), -EINVAL);
    ros2d_replay_destroy(replay);
}

static void the_least_recently_used_is_forgotten(void **state)
{
    struct ros2d_replay *replay = make(3, 1 << 20);

    (void)state;
    assert_true(run(replay, 1, 1, "1"));
    assert_true(run(replay, 1, 2, "2"));
    assert_true(run(replay, 1, 3, "3"));
    assert_false(run(replay, 1, 1, "1"));
    assert_true(run(replay, 1, 4, "4"));
    assert_false(run(replay, 1, 1, "1"));
    assert_false(run(replay, 1, 3, "3"));
    assert_true(run(replay, 1, 2, "2"));
    ros2d_replay_destroy(replay);
}

static void a_session_s_own_answers_go_first(void **state)
{
    struct ros2d_replay *replay = make(3, 1 << 20);

    (void)state;
    assert_true(run(replay, 1, 1, "1"));
    assert_true(run(replay, 1, 2, "2"));
    for (uint64_t i = 1; i < 10; i++)
        assert_true(run(replay, 2, i, "x"));
    assert_false(run(replay, 2, 9, "x"));
    assert_false(run(replay, 1, 1, "1"));
    assert_false(run(replay, 1, 2, "2"));
    assert_true(run(replay, 3, 1, "y")); /* has none of its own to give: the longest unused goes */
    assert_true(run(replay, 2, 9, "x"));
    ros2d_replay_destroy(replay);
}

static void bytes_are_bounded(void **state)
{
    struct ros2d_replay *replay = make(1000, 64 << 10);
    static char body[20 << 10];

    (void)state;
    memset(body, 'b', sizeof body - 1);
    assert_true(run(replay, 1, 1, body));
    assert_true(run(replay, 1, 2, body));
    assert_true(run(replay, 1, 3, body));
    assert_true(run(replay, 1, 4, body));
    assert_false(run(replay, 1, 4, body));
    assert_true(run(replay, 1, 1, body)); /* forgotten */
    ros2d_replay_destroy(replay);
}

static void what_still_runs_is_never_forgotten(void **state)
{
    struct ros2d_replay *replay = make(2, 1 << 20);
    struct ros2d_replay_key key = key_of(1, 1);
    struct ros2d_replay_entry *entry, *again;
    const struct ros2d_answer *answer;

    (void)state;
    assert_int_equal(ros2d_replay_begin(replay, &key, 1, soon(), &entry, &answer), 1);
    for (uint64_t i = 2; i < 10; i++)
        assert_true(run(replay, 1, i, "x"));
    assert_int_equal(ros2d_replay_begin(replay, &key, 1, ros2i_now_ns(), &again, &answer),
                     -ETIMEDOUT);
    ros2d_replay_finish(replay, entry, 0, NULL, "done", 4);
    ros2d_replay_destroy(replay);
}

struct waiter {
    struct ros2d_replay *replay;
    int runs, rc;
};

/* Repeats a call that somebody else has begun. */
static void *repeat(void *arg)
{
    struct waiter *waiter = arg;
    struct ros2d_replay_key key = key_of(1, 1);
    struct ros2d_replay_entry *entry;
    const struct ros2d_answer *answer;

    waiter->rc = ros2d_replay_begin(waiter->replay, &key, 1, soon(), &entry, &answer);
    if (waiter->rc == 1)
        ros2d_replay_finish(waiter->replay, entry, 0, NULL, "anew", 4);
    return NULL;
}

static void what_ends_without_an_outcome_runs_anew(void **state)
{
    struct ros2d_replay *replay = make(100, 1 << 20);
    struct waiter waiter = {.replay = replay};
    struct ros2d_replay_key key = key_of(1, 1);
    struct ros2d_replay_entry *entry;
    const struct ros2d_answer *answer;
    pthread_t thread;

    (void)state;
    assert_int_equal(ros2d_replay_begin(replay, &key, 1, soon(), &entry, &answer), 1);
    assert_int_equal(pthread_create(&thread, NULL, repeat, &waiter), 0);
    ros2d_replay_forget(replay, entry);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.rc, 1);
    assert_false(run(replay, 1, 1, "anew"));
    ros2d_replay_destroy(replay);
}

static void nobody_waits_once_it_is_stopped(void **state)
{
    struct ros2d_replay *replay = make(100, 1 << 20);
    struct waiter waiter = {.replay = replay};
    struct ros2d_replay_key key = key_of(1, 1);
    struct ros2d_replay_entry *entry;
    const struct ros2d_answer *answer;
    pthread_t thread;

    (void)state;
    assert_int_equal(ros2d_replay_begin(replay, &key, 1, soon(), &entry, &answer), 1);
    assert_int_equal(pthread_create(&thread, NULL, repeat, &waiter), 0);
    ros2d_replay_stop(replay);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.rc, -EAGAIN);
    ros2d_replay_finish(replay, entry, 0, NULL, "done", 4);
    assert_false(run(replay, 1, 1, "done"));
    ros2d_replay_destroy(replay);
}

static void *run_same(void *arg)
{
    struct waiter *waiter = arg;

    for (uint64_t i = 1; i <= 1000; i++)
        waiter->runs += run(waiter->replay, 1, i, "same");
    return NULL;
}

static void many_threads_run_each_call_once(void **state)
{
    struct ros2d_replay *replay = make(2000, 1 << 20);
    struct waiter waiter[4];
    pthread_t thread[4];
    int runs = 0;

    (void)state;
    for (int i = 0; i < 4; i++) {
        waiter[i] = (struct waiter){.replay = replay};
        assert_int_equal(pthread_create(&thread[i], NULL, run_same, &waiter[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
        runs += waiter[i].runs;
    }
    assert_int_equal(runs, 1000);
    ros2d_replay_destroy(replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_call_gets_the_first_answer),
        cmocka_unit_test(errors_are_answers_too),
        cmocka_unit_test(the_least_recently_used_is_forgotten),
        cmocka_unit_test(a_session_s_own_answers_go_first),
        cmocka_unit_test(bytes_are_bounded),
        cmocka_unit_test(what_still_runs_is_never_forgotten),
        cmocka_unit_test(what_ends_without_an_outcome_runs_anew),
        cmocka_unit_test(nobody_waits_once_it_is_stopped),
        cmocka_unit_test(many_threads_run_each_call_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
