/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin loader: finds, checks, keeps, and leaves the process's signals alone. */
#include "config.h"

#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"

static char folder[256]; /* of this test, in ROS2_PLUGIN_PATH */

/* Puts a copy of a variant of plugin_sample.c into the folder: another file is another plugin. */
static void place(const char *variant, const char *file)
{
    const char *build = getenv("abs_top_builddir");
    char from[4300], to[400], bytes[65536];
    size_t n;

    snprintf(from, sizeof from, "%.4000s/tests/unit/.libs/%s", build ? build : ".", variant);
    snprintf(to, sizeof to, "%s/%s", folder, file);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static int make_folder(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(folder, sizeof folder, "%.200s/ros2-plugin.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    return setenv("ROS2_PLUGIN_PATH", folder, 1);
}

static int remove_folder(void **state)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[600];

    (void)state;
    while (dir && (entry = readdir(dir))) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (dir)
        closedir(dir);
    return rmdir(folder);
}

static void refuse_transport(const char *name, int err, const char *part)
{
    const struct ros2_transport_ops untouched, *ops = &untouched;

    assert_int_equal(ros2i_plugin_transport(name, &ops), -err);
    assert_ptr_equal(ops, &untouched);
    assert_text_has(ros2i_error(), part);
}

static void a_missing_plugin_names_file_folders_and_way_out(void **state)
{
    (void)state;
    refuse_transport("absent", ENOENT, "ros2_transport_absent.so");
    assert_text_has(ros2i_error(), folder);
    assert_text_has(ros2i_error(), "Debian");
    assert_text_has(ros2i_error(), "ROS2_PLUGIN_PATH");
}

static void names_that_could_leave_the_folder_are_refused(void **state)
{
    static const char *const bad[] = {
        "",       "../tcp",    "a/b",     "tcp.so",   "t cp",
        "t\ncp",  "t\xc3\xbc", "-",       ":",        "name_of_over_thirty_two_characters",
        "+tcp",   "ofi+",      "ofi+a/b", "ofi+..\n", "a/b+tcp",
        "ofi+a+b"};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        refuse_transport(bad[i], EINVAL, "a name");
}

static void what_is_no_plugin_is_refused(void **state)
{
    char path[600];

    (void)state;
    place("ros2_transport_hollow.so", "ros2_transport_hollow.so");
    refuse_transport("hollow", ELIBACC, "ros2_transport_plugin");
    place("ros2_engine_sample.so", "ros2_transport_engine.so");
    refuse_transport("engine", ELIBACC, "ros2_transport_plugin");

    snprintf(path, sizeof path, "%s/ros2_transport_text.so", folder);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fputs("this is no library\n", stream);
    fclose(stream);
    refuse_transport("text", ELIBACC, path);
}

static void another_abi_is_refused(void **state)
{
    (void)state;
    place("ros2_transport_otherabi.so", "ros2_transport_otherabi.so");
    place("ros2_transport_shortops.so", "ros2_transport_shortops.so");
    refuse_transport("otherabi", EPROTONOSUPPORT, "ABI 7");
    refuse_transport("shortops", EPROTONOSUPPORT, "lacks operations");
}

static void a_plugin_is_loaded_once_and_kept(void **state)
{
    const struct ros2_transport_ops *first, *second;

    (void)state;
    place("ros2_transport_sample.so", "ros2_transport_once.so");
    assert_int_equal(ros2i_plugin_transport("once", &first), 0);
    assert_string_equal(first->name, "sample");
    setenv("ROS2_PLUGIN_PATH", "/nowhere", 1);
    assert_int_equal(ros2i_plugin_transport("once", &second), 0);
    assert_ptr_equal(first, second);
}

static void engines_and_transports_of_one_name_are_apart(void **state)
{
    const struct ros2_engine_ops *engine;
    const struct ros2_transport_ops *transport;

    (void)state;
    place("ros2_transport_sample.so", "ros2_transport_sample.so");
    place("ros2_engine_sample.so", "ros2_engine_sample.so");
    assert_int_equal(ros2i_plugin_engine("sample", &engine), 0);
    assert_int_equal(ros2i_plugin_transport("sample", &transport), 0);
    assert_ptr_not_equal((const void *)engine, (const void *)transport);
}

static void later_folders_are_searched_and_empty_entries_skipped(void **state)
{
    const struct ros2_transport_ops *ops;
    char path[600];

    (void)state;
    place("ros2_transport_sample.so", "ros2_transport_second.so");
    snprintf(path, sizeof path, ":/nowhere::%s:", folder);
    setenv("ROS2_PLUGIN_PATH", path, 1);
    assert_int_equal(ros2i_plugin_transport("second", &ops), 0);
    unsetenv("ROS2_PLUGIN_PATH");
    refuse_transport("absent", ENOENT, "no file ros2_transport_absent.so in /");
}

static void own_handler(int sig)
{
    (void)sig;
}

static void assert_same_actions(struct sigaction before[65])
{
    struct sigaction now;

    for (int sig = 1; sig <= 64; sig++) {
        memset(&now, 0, sizeof now);
        sigaction(sig, NULL, &now);
        assert_ptr_equal((void *)(uintptr_t)now.sa_handler,
                         (void *)(uintptr_t)before[sig].sa_handler);
        assert_int_equal(now.sa_flags, before[sig].sa_flags);
        for (int other = 1; other <= 64; other++)
            assert_int_equal(sigismember(&now.sa_mask, other),
                             sigismember(&before[sig].sa_mask, other));
    }
}

static void all_signal_dispositions_are_the_same_after_a_load(void **state)
{
    struct sigaction own = {.sa_handler = own_handler, .sa_flags = SA_NODEFER}, before[65];
    const struct ros2_transport_ops *ops;

    (void)state;
    place("ros2_transport_sample.so", "ros2_transport_signals.so");
    place("ros2_transport_otherabi.so", "ros2_transport_signalsabi.so");
    memset(before, 0, sizeof before);
    sigaction(SIGTERM, &own, NULL);
    signal(SIGHUP, SIG_IGN);
    for (int sig = 1; sig <= 64; sig++)
        sigaction(sig, NULL, &before[sig]);
    assert_int_equal(ros2i_plugin_transport("signals", &ops),
                     0); /* its constructor takes over all of them */
    assert_same_actions(before);
    refuse_transport("signalsabi", EPROTONOSUPPORT, "ABI"); /* also when the load fails */
    assert_same_actions(before);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
}

static void *load_second(void *arg)
{
    const struct ros2_transport_ops *ops = NULL;

    (void)arg;
    if (ros2i_plugin_transport("threads", &ops) < 0)
        return NULL;
    union {
        const void *in;
        void *out;
    } result = {.in = ops};
    return result.out;
}

static void threads_that_load_at_once_get_the_same_plugin(void **state)
{
    pthread_t threads[4];
    void *first, *result;

    (void)state;
    place("ros2_transport_sample.so", "ros2_transport_threads.so");
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_second, NULL), 0);
    pthread_join(threads[0], &first);
    assert_non_null(first);
    for (int i = 1; i < 4; i++) {
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, first);
    }
}

static void a_forked_child_can_load(void **state)
{
    const struct ros2_transport_ops *ops;
    int status;

    (void)state;
    place("ros2_transport_sample.so", "ros2_transport_parent.so");
    place("ros2_transport_sample.so", "ros2_transport_forked.so");
    assert_int_equal(ros2i_plugin_transport("parent", &ops), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(ros2i_plugin_transport("forked", &ops) == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void the_host_gives_this_programs_services(void **state)
{
    (void)state;
    assert_int_equal(ros2i_host.size, sizeof(struct ros2_host));
    assert_int_equal((ros2i_host.fail)(EIO, "by %s", "host"), -EIO); /* cmocka has a macro fail() */
    assert_string_equal(ros2i_error(), "by host");
    assert_true(ros2i_host.now_ns() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_missing_plugin_names_file_folders_and_way_out,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(names_that_could_leave_the_folder_are_refused, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_no_plugin_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(another_abi_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_plugin_is_loaded_once_and_kept, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(engines_and_transports_of_one_name_are_apart, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(later_folders_are_searched_and_empty_entries_skipped,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(all_signal_dispositions_are_the_same_after_a_load,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(threads_that_load_at_once_get_the_same_plugin, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_forked_child_can_load, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_host_gives_this_programs_services, make_folder,
                                        remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
