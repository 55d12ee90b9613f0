/* SPDX-License-Identifier: Apache-2.0 */
/* No path leads out of the root: neither by "..", nor by links, nor while others rename what is being walked. */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RACES 3000

/* base/data and base/outside/data must never be seen; root/data and root/in/data may. */
static void populate(struct world *w)
{
    world_write_file(w->base, "data", "secret");
    world_write_file(w->outside, "data", "secret");
    world_create(w, "data", "inside");
    assert_int_equal(w->ops->mkdir(w->root, "in", 0755), 0);
    world_create(w, "in/data", "inside");
}

static int try_open(struct world *w, const char *path, unsigned flags)
{
    struct ros2_node *node;
    int rc = w->ops->open(w->root, path, flags, 0644, &node, NULL);
    if (rc == 0)
        w->ops->close(node);
    return rc;
}

/* What every call makes of a path that leads out through its directory part, and through its last link. */
static void assert_leads_out(struct world *w, const char *dir)
{
    char path[512];
    struct ros2_attr attr;

    snprintf(path, sizeof(path), "%s/data", dir);
    assert_int_equal(try_open(w, path, ROS2_OPEN_READ), -EXDEV);
    assert_int_equal(try_open(w, path, ROS2_OPEN_READ | ROS2_OPEN_NOFOLLOW), -EXDEV);
    assert_int_equal(try_open(w, path, ROS2_OPEN_WRITE | ROS2_OPEN_TRUNCATE), -EXDEV);
    assert_int_equal(w->ops->stat(w->root, path, 1, &attr), -EXDEV);
    assert_int_equal(w->ops->stat(w->root, path, 0, &attr), -EXDEV);
    assert_int_equal(w->ops->unlink(w->root, path), -EXDEV);
    assert_int_equal(w->ops->rename(w->root, path, "stolen"), -EXDEV);
    assert_int_equal(w->ops->rename(w->root, "data", path), -EXDEV);
    snprintf(path, sizeof(path), "%s/new", dir);
    assert_int_equal(try_open(w, path, ROS2_OPEN_WRITE | ROS2_OPEN_CREATE), -EXDEV);
    assert_int_equal(w->ops->mkdir(w->root, path, 0755), -EXDEV);
    assert_int_equal(w->ops->rmdir(w->root, path), -EXDEV);
}

static void assert_secret_is_untouched(struct world *w)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof(path), "%s/data", w->outside);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, strlen("secret"));
    snprintf(path, sizeof(path), "%s/new", w->outside);
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof(path), "%s/new", w->base);
    assert_int_equal(access(path, F_OK), -1);
}

static void dotdot_above_the_root_is_refused(void **state)
{
    struct world *w = *state;
    static const char *const ways[] = {"..",   "../outside",   "in/../..", "in/../../root/..",
                                       "./..", ".//../outside"};
    struct ros2_attr attr;

    populate(w);
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        assert_leads_out(w, ways[i]);
    assert_int_equal(w->ops->stat(w->root, "..", 1, &attr), -EXDEV);
    assert_int_equal(w->ops->stat(w->root, "in/../..", 0, &attr), -EXDEV);
    assert_int_equal(w->ops->stat(w->root, "../root/data", 1, &attr),
                     -EXDEV); /* even when it comes back */
    assert_secret_is_untouched(w);
}

static void links_that_lead_out_are_refused(void **state)
{
    struct world *w = *state;
    char target[256];
    struct ros2_attr attr;

    populate(w);
    world_symlink(w, "../outside", "relative");
    world_symlink(w, w->outside, "absolute");
    world_symlink(w, w->dir,
                  "absolute_inside"); /* where an absolute path leads is not ours to say */
    world_symlink(w, "/", "slash");
    world_symlink(w, "relative", "chain1");
    world_symlink(w, "in/../chain1", "chain2");
    world_symlink(w, "../..", "in/up");
    assert_leads_out(w, "relative");
    assert_leads_out(w, "absolute");
    assert_leads_out(w, "absolute_inside");
    assert_leads_out(w, "slash");
    assert_leads_out(w, "chain2");
    assert_leads_out(w, "in/up");
    assert_leads_out(w, "in/up/outside");

    /* As the last component: followed by open and stat, taken as it is by the others. */
    snprintf(target, sizeof(target), "%s/data", w->outside);
    world_symlink(w, target, "last");
    world_symlink(w, "../outside/new", "last_new");
    assert_int_equal(try_open(w, "last", ROS2_OPEN_READ), -EXDEV);
    assert_int_equal(try_open(w, "last", ROS2_OPEN_READ | ROS2_OPEN_NOFOLLOW), -ELOOP);
    assert_int_equal(try_open(w, "last", ROS2_OPEN_WRITE | ROS2_OPEN_TRUNCATE), -EXDEV);
    assert_int_equal(try_open(w, "last_new", ROS2_OPEN_WRITE | ROS2_OPEN_CREATE), -EXDEV);
    assert_int_equal(w->ops->stat(w->root, "last", 1, &attr), -EXDEV);
    assert_int_equal(w->ops->stat(w->root, "last", 0, &attr), 0);
    assert_int_equal(w->ops->rename(w->root, "last", "renamed"), 0);
    assert_int_equal(w->ops->unlink(w->root, "renamed"), 0);
    assert_secret_is_untouched(w);
}

static void links_that_stay_inside_work(void **state)
{
    struct world *w = *state;
    char content[16];
    static const char *const paths[] = {"a",          "b",        "in/back", "in/self/in/data",
                                        "trail/data", "dots/data"};

    populate(w);
    world_symlink(w, "in/data", "a");
    world_symlink(w, "in/../a", "b");
    world_symlink(w, "../data", "in/back");
    world_symlink(w, "..", "in/self");
    world_symlink(w, "in//", "trail");
    world_symlink(w, "./in/./.", "dots");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(world_content(w, paths[i], content, sizeof(content)), 0);
        assert_string_equal(content, "inside");
    }
}

static void chains_of_40_links_work_and_of_41_do_not(void **state)
{
    struct world *w = *state;
    char from[16], to[16];
    struct ros2_attr attr;

    populate(w);
    world_symlink(w, "data", "l1");
    world_symlink(w, "in", "d1");
    for (int i = 2; i <= 41; i++) {
        snprintf(from, sizeof(from), "l%d", i - 1);
        snprintf(to, sizeof(to), "l%d", i);
        world_symlink(w, from, to);
        from[0] = to[0] = 'd';
        world_symlink(w, from, to);
    }
    assert_int_equal(w->ops->stat(w->root, "l40", 1, &attr), 0);
    assert_int_equal(w->ops->stat(w->root, "l41", 1, &attr), -ELOOP);
    assert_int_equal(w->ops->stat(w->root, "l41", 0, &attr), 0);
    assert_int_equal(w->ops->stat(w->root, "d40/data", 1, &attr), 0);
    assert_int_equal(w->ops->stat(w->root, "d41/data", 1, &attr), -ELOOP);
    assert_int_equal(w->ops->stat(w->root, "d20/../d20/data", 1, &attr), 0);
    assert_int_equal(w->ops->stat(w->root, "d20/../d21/data", 1, &attr), -ELOOP);
}

/* -- races: a thread that changes the tree as fast as it can, until told to stop -- */

struct race {
    struct world *w;
    atomic_bool stop;
    char a[256], b[256], target[256];
};

/* a is now a link to inside, now a link to outside: by rename, so that it always exists. */
static void *swap_link(void *arg)
{
    struct race *race = arg;
    for (unsigned i = 0; !atomic_load(&race->stop); i++) {
        if (symlink(i % 2 ? race->target : "in", race->b) == 0)
            rename(race->b, race->a);
    }
    return NULL;
}

/* The directory moves out of the root and back. */
static void *move_directory(void *arg)
{
    struct race *race = arg;
    while (!atomic_load(&race->stop)) {
        rename(race->a, race->b);
        rename(race->b, race->a);
    }
    return NULL;
}

/* Opens each path many times: it may fail, but what opens is never the secret. Returns how often one opened. */
static int open_while(struct race *race, void *(*change)(void *), const char *const paths[],
                      size_t paths_count)
{
    char content[16];
    pthread_t thread;
    int opened = 0;

    assert_int_equal(pthread_create(&thread, NULL, change, race), 0);
    int bad = 0;
    /* On a busy machine all of RACES may fall between two changes; then as many more as it takes. */
    for (size_t i = 0; (i < RACES || (opened == 0 && i < 1000 * RACES)) && !bad; i++) {
        if (i >= RACES)
            sched_yield();
        int rc = world_content(race->w, paths[i % paths_count], content, sizeof(content));
        bad = rc == 0 && strcmp(content, "inside") != 0;
        opened += rc == 0;
    }
    atomic_store(&race->stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(bad, 0);
    return opened;
}

static void a_link_swapped_while_opening_never_leads_out(void **state)
{
    struct world *w = *state;
    static const char *const paths[] = {"link/data", "link/../in/data", "link/../data",
                                        "link/../link/data"};
    struct race race = {.w = w};

    populate(w);
    snprintf(race.a, sizeof(race.a), "%s/link", w->dir);
    snprintf(race.b, sizeof(race.b), "%s/link.new", w->dir);
    snprintf(race.target, sizeof(race.target), "../outside");
    world_symlink(w, "in", "link");
    assert_true(open_while(&race, swap_link, paths, 4) > 0);
}

static void a_directory_moved_out_while_walking_never_leads_out(void **state)
{
    struct world *w = *state;
    static const char *const paths[] = {"p/q/../../data", "p/q/../data", "p/q/r/../../../data",
                                        "p/q/r/../../data"};
    struct race race = {.w = w};

    populate(w);
    assert_int_equal(w->ops->mkdir(w->root, "p", 0755), 0);
    assert_int_equal(w->ops->mkdir(w->root, "p/q", 0755), 0);
    assert_int_equal(w->ops->mkdir(w->root, "p/q/r", 0755), 0);
    world_create(w, "p/data", "inside");
    snprintf(race.a, sizeof(race.a), "%s/p/q", w->dir);
    snprintf(race.b, sizeof(race.b), "%s/q", w->outside);
    assert_true(open_while(&race, move_directory, paths, 4) > 0);
}

static void a_link_swapped_while_creating_never_creates_outside(void **state)
{
    struct world *w = *state;
    struct race race = {.w = w};
    pthread_t thread;

    populate(w);
    snprintf(race.a, sizeof(race.a), "%s/link", w->dir);
    snprintf(race.b, sizeof(race.b), "%s/link.new", w->dir);
    snprintf(race.target, sizeof(race.target), "../outside");
    world_symlink(w, "in", "link");
    assert_int_equal(pthread_create(&thread, NULL, swap_link, &race), 0);
    for (int i = 0; i < RACES / 4; i++) {
        try_open(w, "link/new", ROS2_OPEN_WRITE | ROS2_OPEN_CREATE | ROS2_OPEN_TRUNCATE);
        w->ops->unlink(w->root, "link/new");
        w->ops->mkdir(w->root, "link/new", 0755);
        w->ops->rmdir(w->root, "link/new");
        w->ops->rename(w->root, "link/data", "link/new");
        w->ops->rename(w->root, "link/new", "link/data");
    }
    atomic_store(&race.stop, true);
    pthread_join(thread, NULL);
    assert_secret_is_untouched(w);
}

static const struct CMUnitTest tests[] = {
    world_test(dotdot_above_the_root_is_refused),
    world_test(links_that_lead_out_are_refused),
    world_test(links_that_stay_inside_work),
    world_test(chains_of_40_links_work_and_of_41_do_not),
    world_test(a_link_swapped_while_opening_never_leads_out),
    world_test(a_directory_moved_out_while_walking_never_leads_out),
    world_test(a_link_swapped_while_creating_never_creates_outside),
};

const struct topic engine_confinement = topic(tests);
