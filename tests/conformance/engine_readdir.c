/* SPDX-License-Identifier: Apache-2.0 */
/* readdir: every name that was there throughout is given once, in any number of parts, whatever else comes and goes. */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MANY = 10000 };

/* Counts names "kNNNNN" and others; takes at most `part` names a call (0: all). */
struct listing {
    unsigned char *seen; /* MANY, or NULL */
    int kept, others, part, in_part;
    uint64_t cookie;
    int bad; /* a name that cannot be, or attributes that are not the file's */
    bool with_attr;
};

static int take(void *arg, const char *name, size_t name_len, const struct ros2_attr *attr,
                uint64_t cookie)
{
    struct listing *l = arg;

    l->bad += strlen(name) != name_len || cookie == 0 || strcmp(name, ".") == 0 ||
              strcmp(name, "..") == 0;
    l->bad += l->with_attr != (attr != NULL);
    if (attr)
        l->bad += (attr->mode & S_IFMT) != S_IFREG;
    if (name[0] == 'k') {
        int number = atoi(name + 1);
        l->kept++;
        if (l->seen && number < MANY)
            l->seen[number]++;
    } else {
        l->others++;
    }
    l->cookie = cookie;
    return l->part && ++l->in_part == l->part;
}

/* Lists all, in parts. */
static void list(struct world *w, struct ros2_node *directory, struct listing *l)
{
    int before;
    l->cookie = 0;
    do {
        before = l->kept + l->others;
        l->in_part = 0;
        assert_int_equal(w->ops->readdir(directory, l->cookie, l->with_attr, take, l), 0);
    } while (l->part && l->kept + l->others > before);
    assert_int_equal(l->bad, 0);
}

static void make_files(struct world *w, int count)
{
    char name[32];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "k%05d", i);
        w->ops->close(world_node(w, name, ROS2_OPEN_WRITE | ROS2_OPEN_CREATE));
    }
}

static void an_empty_directory_has_no_names(void **state)
{
    struct world *w = *state;
    struct listing l = {0};
    struct ros2_node *directory = world_node(w, "", ROS2_OPEN_DIRECTORY);
    list(w, directory, &l);
    assert_int_equal(l.kept + l.others, 0);
    w->ops->close(directory);
}

static void parts_add_up_to_the_whole(void **state)
{
    struct world *w = *state;
    static const int parts[] = {0, 1, 7, 100};

    make_files(w, 250);
    struct ros2_node *directory = world_node(w, "", ROS2_OPEN_DIRECTORY);
    for (size_t p = 0; p < 4; p++) {
        for (int with_attr = 0; with_attr < 2; with_attr++) {
            struct listing l = {.seen = calloc(1, MANY), .part = parts[p], .with_attr = with_attr};
            list(w, directory, &l);
            assert_int_equal(l.kept, 250);
            for (int i = 0; i < 250; i++)
                assert_int_equal(l.seen[i], 1);
            free(l.seen);
        }
    }
    w->ops->close(directory);
}

static void readers_of_one_node_do_not_disturb_each_other(void **state)
{
    struct world *w = *state;
    make_files(w, 100);
    struct ros2_node *directory = world_node(w, "", ROS2_OPEN_DIRECTORY);
    struct listing first = {.part = 10}, whole = {0};
    assert_int_equal(w->ops->readdir(directory, 0, 0, take, &first), 0);
    while (first.kept < 100) {
        whole = (struct listing){0};
        list(w, directory, &whole);
        assert_int_equal(whole.kept, 100);
        first.in_part = 0;
        assert_int_equal(w->ops->readdir(directory, first.cookie, 0, take, &first), 0);
    }
    w->ops->close(directory);
}

struct changer {
    struct world *w;
    atomic_bool stop;
    int failed;
};

/* Other names come and go. No cmocka here: its asserts belong to the main thread. */
static void *change(void *arg)
{
    struct changer *c = arg;
    char name[32];
    for (int i = 0; !atomic_load(&c->stop); i = (i + 1) % 500) {
        struct ros2_node *node;
        snprintf(name, sizeof(name), "x%d", i);
        if (c->w->ops->open(c->w->root, name, ROS2_OPEN_WRITE | ROS2_OPEN_CREATE, 0644, &node,
                            NULL) < 0)
            c->failed = 1;
        else
            c->w->ops->close(node);
        snprintf(name, sizeof(name), "x%d", (i + 250) % 500);
        c->w->ops->unlink(c->w->root, name);
    }
    return NULL;
}

static void names_that_stay_are_given_once_while_others_change(void **state)
{
    struct world *w = *state;
    struct changer changer = {.w = w};
    pthread_t thread;

    make_files(w, MANY);
    struct ros2_node *directory = world_node(w, "", ROS2_OPEN_DIRECTORY);
    assert_int_equal(pthread_create(&thread, NULL, change, &changer), 0);
    struct listing l = {.seen = calloc(2, MANY), .part = 300};
    for (int round = 0; round < 2; round++) {
        l.with_attr = round;
        list(w, directory, &l);
    }
    atomic_store(&changer.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(changer.failed, 0);
    assert_int_equal(l.kept, 2 * MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(l.seen[i], 2);
    free(l.seen);
    w->ops->close(directory);
}

static void readdir_answers_errors(void **state)
{
    struct world *w = *state;
    struct listing l = {0};
    world_create(w, "file", "");
    struct ros2_node *file = world_node(w, "file", ROS2_OPEN_READ);
    assert_int_equal(w->ops->readdir(file, 0, 0, take, &l), -ENOTDIR);
    w->ops->close(file);

    /* Cookies come from clients: any number must do no harm. */
    make_files(w, 10);
    static const uint64_t cookies[] = {1, 12345, 1ull << 40, INT64_MAX, 1ull << 63, UINT64_MAX};
    struct ros2_node *directory = world_node(w, "", ROS2_OPEN_DIRECTORY);
    for (size_t i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        l = (struct listing){0};
        int rc = w->ops->readdir(directory, cookies[i], 0, take, &l);
        assert_true(rc == 0 || rc == -EINVAL);
        assert_true(l.kept <= 10 && l.others <= 1);
    }
    w->ops->close(directory);
}

static const struct CMUnitTest tests[] = {
    world_test(an_empty_directory_has_no_names),
    world_test(parts_add_up_to_the_whole),
    world_test(readers_of_one_node_do_not_disturb_each_other),
    world_test(names_that_stay_are_given_once_while_others_change),
    world_test(readdir_answers_errors),
};

const struct topic engine_readdir = topic(tests);
