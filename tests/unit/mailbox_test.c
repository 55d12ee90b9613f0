/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "daemon/data/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sched.h>
#include <stdlib.h>

static bool is_readable(const struct ros2d_mailbox *box)
{
    struct pollfd fd = {.fd = box->fd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static void letters_come_in_order_and_wake_the_owner(void **state)
{
    struct ros2d_mailbox box;
    struct ros2d_letter *letter, *next;

    (void)state;
    assert_int_equal(ros2d_mailbox_init(&box), 0);
    assert_null(ros2d_mailbox_take(&box));
    assert_false(is_readable(&box));
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(ros2d_mailbox_post(&box, ROS2D_LETTER_DRAIN, NULL, i), 0);
    assert_true(is_readable(&box));
    letter = ros2d_mailbox_take(&box);
    for (uint64_t i = 0; i < 3; i++, letter = next) {
        assert_int_equal(letter->deadline_ns, i);
        next = letter->next;
        ros2d_letter_free(letter);
    }
    assert_null(letter);
    assert_false(is_readable(&box));
    ros2d_mailbox_fini(&box);
}

/* A session made by hand: what counts is its references. */
static struct ros2d_session *session(void)
{
    struct ros2d_session *session = calloc(1, sizeof(*session));

    assert_non_null(session);
    atomic_init(&session->refs, 1);
    return session;
}

static void a_letter_holds_its_session_until_it_is_freed_or_dropped(void **state)
{
    struct ros2d_session *a = session();
    struct ros2d_mailbox box;
    struct ros2d_letter *letter;

    (void)state;
    assert_int_equal(ros2d_mailbox_init(&box), 0);
    assert_int_equal(ros2d_mailbox_post(&box, ROS2D_LETTER_SESSION_CLOSED, a, 0), 0);
    assert_int_equal(a->refs, 2);
    letter = ros2d_mailbox_take(&box);
    assert_ptr_equal(letter->session, a);
    ros2d_letter_free(letter);
    assert_int_equal(a->refs, 1);
    assert_int_equal(ros2d_mailbox_post(&box, ROS2D_LETTER_SESSION_CLOSED, a, 0), 0);
    ros2d_mailbox_fini(&box);
    assert_int_equal(a->refs, 1);
    ros2d_session_put(a);
}

#define POSTS 2000

static void *post(void *arg)
{
    for (int i = 0; i < POSTS; i++)
        if (ros2d_mailbox_post(arg, ROS2D_LETTER_DRAIN, NULL, 0) < 0)
            return arg;
    return NULL;
}

static void no_letter_is_lost_between_threads(void **state)
{
    struct ros2d_mailbox box;
    pthread_t thread[3];
    int count = 0;

    (void)state;
    assert_int_equal(ros2d_mailbox_init(&box), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, post, &box), 0);
    while (count < 3 * POSTS) {
        struct ros2d_letter *letter = ros2d_mailbox_take(&box), *next;
        struct pollfd fd = {.fd = box.fd, .events = POLLIN};
        /* Sleeps as a data thread would: without a letter the descriptor has to tell of the next. */
        if (!letter)
            assert_int_equal(poll(&fd, 1, 60000), 1);
        for (; letter; letter = next, count++) {
            next = letter->next;
            ros2d_letter_free(letter);
        }
    }
    for (int i = 0; i < 3; i++) {
        void *bad;
        pthread_join(thread[i], &bad);
        assert_null(bad);
    }
    ros2d_mailbox_fini(&box);
}

struct turns {
    struct ros2d_mailbox box;
    _Atomic int asked, posted;
};

static void *post_when_asked(void *arg)
{
    struct turns *turns = arg;

    for (int i = 1; i <= POSTS; i++) {
        while (atomic_load(&turns->asked) < i)
            sched_yield();
        if (ros2d_mailbox_post(&turns->box, ROS2D_LETTER_DRAIN, NULL, 0) < 0)
            return arg;
        atomic_store(&turns->posted, i);
    }
    return NULL;
}

/* The owner looks while a letter is being posted. A descriptor that stayed readable would never let it sleep again. */
static void the_descriptor_is_quiet_once_all_is_taken(void **state)
{
    struct turns turns = {.asked = 0};
    struct ros2d_letter *letter;
    pthread_t thread;
    void *bad;

    (void)state;
    assert_int_equal(ros2d_mailbox_init(&turns.box), 0);
    assert_int_equal(pthread_create(&thread, NULL, post_when_asked, &turns), 0);
    for (int i = 1; i <= POSTS; i++) {
        atomic_store(&turns.asked, i);
        while (!(letter = ros2d_mailbox_take(&turns.box)))
            ;
        ros2d_letter_free(letter);
        while (atomic_load(&turns.posted) < i)
            sched_yield();
        assert_false(is_readable(&turns.box));
    }
    pthread_join(thread, &bad);
    assert_null(bad);
    ros2d_mailbox_fini(&turns.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_come_in_order_and_wake_the_owner),
        cmocka_unit_test(a_letter_holds_its_session_until_it_is_freed_or_dropped),
        cmocka_unit_test(no_letter_is_lost_between_threads),
        cmocka_unit_test(the_descriptor_is_quiet_once_all_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
