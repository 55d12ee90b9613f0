/* SPDX-License-Identifier: Apache-2.0 */
/* Where a client's settings come from, and what is refused. */
#include "config.h"

#include "lib/core/settings.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/error.h"

static const char *const variables[] = {
    "ROS2_URL",         "ROS2_TOKEN_FILE", "ROS2_CA_FILE",   "ROS2_CERT_FILE", "ROS2_KEY_FILE",
    "ROS2_SERVER_NAME", "ROS2_CONFIG",     "ROS2_TRANSPORT", "ROS2_SHM_DIR",   "ROS2_NETWORKS"};
static char dir[] = "/tmp/ros2-settings-XXXXXX";
static char path[200];

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof(command), "rm -r '%s'", dir);
    return system(command);
}

/* Every case starts without environment and without files. */
static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    setenv("HOME", dir, 1);
    setenv("XDG_CONFIG_HOME", dir, 1);
    char command[200];
    snprintf(command, sizeof(command), "rm -rf '%s'/* '%s'/.config", dir, dir);
    return system(command);
}

static const char *write_file(const char *name, const char *text, mode_t mode)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
    return path;
}

static struct ros2_connect_options options_of(const char *config_file)
{
    return (struct ros2_connect_options){.size = sizeof(struct ros2_connect_options),
                                         .config_file = config_file};
}

static void each_setting_comes_from_the_first_source_that_has_it(void **state)
{
    (void)state;
    struct ros2i_settings s;
    write_file("token", "from-file\n", 0600);
    struct ros2_connect_options options = options_of(write_file(
        "c.yaml",
        "url: ros2://file:1\nca_file: /file/ca\nserver_name: "
        "file\ntimeout_ms: 1500\nchecksum: off\ntransport: shm,tcp\nshm_dir: /file/shm\n",
        0644));
    assert_int_equal(ros2i_settings_load(NULL, &options, &s), 0);
    assert_string_equal(s.url.host, "file");
    assert_string_equal(s.ca_file, "/file/ca");
    assert_string_equal(s.server_name, "file");
    assert_int_equal(s.timeout_ns, 1500000000);
    assert_int_equal(s.checksum, -1);
    assert_string_equal(s.transport, "shm,tcp");
    assert_string_equal(s.shm_dir, "/file/shm");
    ros2i_settings_fini(&s);

    setenv("ROS2_URL", "ros2://env:2", 1);
    setenv("ROS2_CA_FILE", "/env/ca", 1);
    setenv("ROS2_TRANSPORT", "tcp", 1);
    setenv("ROS2_SHM_DIR", "/env/shm", 1);
    assert_int_equal(ros2i_settings_load(NULL, &options, &s), 0);
    assert_string_equal(s.url.host, "env");
    assert_string_equal(s.ca_file, "/env/ca");
    assert_string_equal(s.transport, "tcp");
    assert_string_equal(s.shm_dir, "/env/shm");
    assert_string_equal(s.server_name, "file");
    ros2i_settings_fini(&s);

    setenv("ROS2_NETWORKS", "10.0.0.0/33", 1);
    assert_int_equal(ros2i_settings_load(NULL, &options, &s), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "10.0.0.0/33"));
    setenv("ROS2_NETWORKS", "10.0.0.0/8,eth0", 1);

    options.ca_file = "/option/ca";
    options.timeout_ns = 7;
    options.checksum = 1;
    options.transport = "";
    options.shm_dir = "/option/shm";
    assert_int_equal(ros2i_settings_load("ros2://arg:3", &options, &s), 0);
    assert_string_equal(s.url.host, "arg");
    assert_int_equal(s.url.port, 3);
    assert_string_equal(s.ca_file, "/option/ca");
    assert_int_equal(s.timeout_ns, 7);
    assert_int_equal(s.checksum, 1);
    assert_null(s.transport); /* set to nothing: as the daemon prefers */
    assert_string_equal(s.shm_dir, "/option/shm");
    assert_string_equal(s.networks, "10.0.0.0/8,eth0");
    ros2i_settings_fini(&s);
}

/* "name value source" lines. */
static void add_line(void *arg, const char *name, const char *value, const char *source)
{
    char *lines = arg;

    snprintf(lines + strlen(lines), 2000 - strlen(lines), "%s %s %s\n", name, value, source);
}

static void each_setting_is_told_with_its_source(void **state)
{
    (void)state;
    char lines[2000] = "", expected[2000];
    struct ros2_connect_options options =
        options_of(write_file("c.yaml",
                              "url: ros2://file\nca_file: /file/ca\n"
                              "token_file: /file/token\nserver_name: file\n",
                              0644));
    setenv("ROS2_CA_FILE", "/env/ca", 1);
    setenv("ROS2_TRANSPORT", "", 1);
    options.server_name = "option";
    options.shm_dir = "";
    snprintf(expected, sizeof(expected),
             "url ros2://file %s\ntoken_file /file/token %s\nca_file /env/ca ROS2_CA_FILE\n"
             "server_name option option\n",
             path, path);
    assert_int_equal(ros2_settings(NULL, &options, add_line, lines), 0);
    assert_string_equal(lines, expected);

    options.token = "itself";
    lines[0] = '\0';
    assert_int_equal(ros2_settings("not://checked", &options, add_line, lines), 0);
    assert_non_null(strstr(lines, "url not://checked option\n"));
    assert_null(strstr(lines, "token"));

    options.config_file = "/nowhere/client.yaml";
    lines[0] = '\0';
    assert_int_equal(ros2_settings(NULL, &options, add_line, lines), -ENOENT);
    assert_string_equal(lines, "");
}

static void the_users_file_is_found_where_xdg_and_home_say(void **state)
{
    (void)state;
    struct ros2i_settings s;
    char sub[200];
    snprintf(sub, sizeof(sub), "%s/ros2", dir);
    mkdir(sub, 0755);
    write_file("ros2/client.yaml", "url: ros2://xdg\n", 0644);
    assert_int_equal(ros2i_settings_load(NULL, NULL, &s), 0);
    assert_string_equal(s.url.host, "xdg");
    ros2i_settings_fini(&s);

    unsetenv("XDG_CONFIG_HOME");
    snprintf(sub, sizeof(sub),
             "mkdir -p %s/.config/ros2 && echo 'url: ros2://home' > %s/.config/ros2/client.yaml",
             dir, dir);
    assert_int_equal(system(sub), 0);
    assert_int_equal(ros2i_settings_load(NULL, NULL, &s), 0);
    assert_string_equal(s.url.host, "home");
    ros2i_settings_fini(&s);
}

static void without_any_file_the_defaults_hold(void **state)
{
    (void)state;
    struct ros2i_settings s;
    assert_int_equal(ros2i_settings_load("ros2://h", NULL, &s), 0);
    assert_int_equal(s.timeout_ns, 30000000000ull);
    assert_int_equal(s.checksum, 0);
    assert_null(s.token);
    assert_non_null(s.client_name);
    ros2i_settings_fini(&s);
    assert_int_equal(ros2i_settings_load(NULL, NULL, &s), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "ROS2_URL"));
}

static void an_unknown_key_is_refused_with_file_and_line(void **state)
{
    (void)state;
    struct ros2i_settings s;
    struct ros2_connect_options options =
        options_of(write_file("c.yaml", "url: ros2://h\ntimeout: 5\n", 0644));
    assert_int_equal(ros2i_settings_load(NULL, &options, &s), -EINVAL);
    print_message("%s\n", ros2i_error());
    assert_non_null(strstr(ros2i_error(), path));
    assert_non_null(strstr(ros2i_error(), "line: 2"));
    assert_non_null(strstr(ros2i_error(), "timeout"));
}

static void a_named_file_must_exist_and_hold_sense(void **state)
{
    (void)state;
    struct ros2i_settings s;
    struct ros2_connect_options options = options_of("/nonexistent/client.yaml");
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -ENOENT);
    static const char *const bad[] = {"timeout_ms: 0\n",    "timeout_ms: 86400001\n",
                                      "timeout_ms: soon\n", "checksum: maybe\n",
                                      "url: [1, 2]\n",      "- url\n",
                                      "url: http://h\n",    "{"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options.config_file = write_file("c.yaml", bad[i], 0644);
        int rc = ros2i_settings_load(NULL, &options, &s);
        if (rc != -EINVAL)
            fail_msg("%s: %d %s", bad[i], rc, ros2i_error());
    }
}

static void a_token_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct ros2i_settings s;
    struct ros2_connect_options options = options_of(NULL);
    options.token_file = write_file("token", "0123456789abcdef\nrest\n", 0644);
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EACCES);
    chmod(path, 0600);
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), 0);
    assert_string_equal(s.token, "0123456789abcdef");
    ros2i_settings_fini(&s);
}

static void options_of_a_newer_program_are_refused_only_when_used(void **state)
{
    (void)state;
    struct {
        struct ros2_connect_options options;
        uint64_t more;
    } newer = {.options = options_of(NULL)};
    struct ros2i_settings s;
    newer.options.size = sizeof(newer);
    assert_int_equal(ros2i_settings_load("ros2://h", &newer.options, &s), 0);
    ros2i_settings_fini(&s);
    newer.more = 1;
    assert_int_equal(ros2i_settings_load("ros2://h", &newer.options, &s), -EINVAL);
}

static void senseless_options_are_refused(void **state)
{
    (void)state;
    struct ros2i_settings s;
    struct ros2_connect_options options = options_of(NULL);
    options.size = 0;
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    options = options_of(NULL);
    options.flags = 0x80;
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    options = options_of(NULL);
    options.checksum = 2;
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    options = options_of(NULL);
    options.timeout_ns = 86400000000001ull;
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    options = options_of(NULL);
    options.cert_file = "/c";
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "key_file"));
    options = options_of(NULL);
    options.transport = "shm,,tcp";
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "shm,,tcp"));
    options.transport = NULL;
    options.shm_dir = "run/ros2";
    assert_int_equal(ros2i_settings_load("ros2://h", &options, &s), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "run/ros2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_setting_comes_from_the_first_source_that_has_it, clean),
        cmocka_unit_test_setup(each_setting_is_told_with_its_source, clean),
        cmocka_unit_test_setup(the_users_file_is_found_where_xdg_and_home_say, clean),
        cmocka_unit_test_setup(without_any_file_the_defaults_hold, clean),
        cmocka_unit_test_setup(an_unknown_key_is_refused_with_file_and_line, clean),
        cmocka_unit_test_setup(a_named_file_must_exist_and_hold_sense, clean),
        cmocka_unit_test_setup(a_token_file_that_others_can_read_is_refused, clean),
        cmocka_unit_test_setup(options_of_a_newer_program_are_refused_only_when_used, clean),
        cmocka_unit_test_setup(senseless_options_are_refused, clean),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
