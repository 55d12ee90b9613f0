/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "daemon/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"

static char dir[] = "/tmp/ros2-config-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void put_file(const char *name, mode_t mode, const char *text)
{
    FILE *stream = fopen(path_of(name), "w");

    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static int load_text(const char *text, struct ros2d_config **config_p)
{
    put_file("ros2d.yaml", 0644, text);
    return ros2d_config_load(path_of("ros2d.yaml"), config_p);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"ros2d.yaml", "server.pem", "server.key", "token"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        unlink(path_of(names[i]));
    return rmdir(dir);
}

#define PLAIN  "control:\n  plaintext: true\n"
#define ENGINE "engine:\n  root: /srv\n"

static void a_small_file_leaves_the_defaults(void **state)
{
    struct ros2d_config *config;

    (void)state;
    assert_int_equal(load_text(PLAIN ENGINE, &config), 0);
    assert_string_equal(config->control.listen, "127.0.0.1:7720");
    assert_int_equal(config->control.threads, 2);
    assert_true(config->control.plaintext);
    assert_null(config->control.cert_file);
    assert_string_equal(config->data.transport, "tcp");
    assert_int_equal(config->data.max_io, 1 << 20);
    assert_int_equal(config->data.chunk, 1 << 20);
    assert_true(config->data.checksum);
    assert_string_equal(config->engine.name, "posix");
    assert_string_equal(config->engine.root, "/srv");
    assert_null(config->engine.layers);
    assert_int_equal(config->tokens_count, 0);
    assert_int_equal(config->limits.registered_bytes, 64ull << 30);
    assert_int_equal(config->session_lifetime_ms, 3600000);
    assert_string_equal(config->log_level, "info");
    ros2d_config_free(config);
}

static void every_key_is_taken(void **state)
{
    struct ros2d_config *config;

    (void)state;
    assert_int_equal(
        load_text(
            "control: {listen: '[::1]:1', threads: 3, plaintext: no, cert_file: c, key_file: k,\n"
            "  client_ca_file: a, call_timeout_ms: 5000}\n"
            "data:\n  listen: 0.0.0.0:2\n  advertise: 10.0.0.1\n  transport: shm,tcp\n"
            "  shm_dir: /run/ros2\n  threads: 4\n"
            "  spin_us: 0\n  credits: 1\n  inline_limit: 0\n  max_io: 2 MiB\n  chunk: 64KiB\n"
            "  bounce_memory: 1 GiB\n  checksum: off\n  handshake_timeout_ms: 100\n"
            "  stall_timeout_ms: 200\n  max_channels: 7\n"
            "engine:\n  name: dfs\n  root: pool/cont\n  config: a=b,c=d\n  layers: forward,fault\n"
            "  layer_config: rule\n"
            "tokens:\n  - name: a\n    file: f\n    rights: rw\n    expires: 2027-01-31T00:00:00Z\n"
            "  - {name: b, file: g, rights: ro}\n"
            "limits:\n  sessions: 1\n  open_files: 2\n  regions: 3\n  registered_bytes: 4\n"
            "session_lifetime_ms: 1000\nlog_level: debug\n",
            &config),
        0);
    assert_string_equal(config->control.listen, "[::1]:1");
    assert_int_equal(config->control.call_timeout_ms, 5000);
    assert_string_equal(config->control.client_ca_file, "a");
    assert_string_equal(config->data.advertise, "10.0.0.1");
    assert_string_equal(config->data.transport, "shm,tcp");
    assert_string_equal(config->data.shm_dir, "/run/ros2");
    assert_int_equal(config->data.max_io, 2 << 20);
    assert_int_equal(config->data.chunk, 64 << 10);
    assert_int_equal(config->data.bounce_memory, 1 << 30);
    assert_false(config->data.checksum);
    assert_int_equal(config->data.stall_timeout_ms, 200);
    assert_string_equal(config->engine.config, "a=b,c=d");
    assert_string_equal(config->engine.layer_config, "rule");
    assert_int_equal(config->tokens_count, 2);
    assert_string_equal(config->tokens[0].expires, "2027-01-31T00:00:00Z");
    assert_string_equal(config->tokens[1].file, "g");
    assert_null(config->tokens[1].expires);
    assert_int_equal(config->limits.registered_bytes, 4);
    ros2d_config_free(config);
}

#define A47 \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* "/", 2 of them and "/data-0.sock" are 107 bytes */

/* Each names the line, the key, and what to do. */
static const struct bad {
    const char *text;
    const char *expect[3];
} bad_files[] = {
    {"", {"empty", "docs/ros2d.yaml"}},
    {"control:\n  plaintext: true\n  thread: 3\n" ENGINE, {":3:", "\"thread\"", "docs/ros2d.yaml"}},
    {PLAIN "tenants:\n  - a\n" ENGINE, {":3:", "\"tenants\""}},
    {"control:\n  plaintext: flase\n" ENGINE, {":2: control.plaintext", "flase", "true or false"}},
    {PLAIN "  plaintext: true\n" ENGINE, {":2:", "\"plaintext\"", "twice"}},
    {"control:\n\tplaintext: true\n", {"not YAML", "spaces"}},
    {"control: 3\n", {":1: control", "key: value"}},
    {"- a\n", {"key: value"}},
    {PLAIN ENGINE "tokens: 3\n", {":5: tokens", "list"}},
    {PLAIN ENGINE "log_level: [a]\n", {":5: log_level", "one value"}},
    {PLAIN "  listen: 0.0.0.0:1\n" ENGINE, {":2: control.plaintext", "loopback", "cert_file"}},
    {PLAIN "  listen: localhost:1\n" ENGINE, {":3: control.listen", "localhost:1", "HOST:PORT"}},
    {PLAIN "  listen: ::1:1\n" ENGINE, {":3: control.listen", "[V6]:PORT"}},
    {PLAIN "  listen: 127.0.0.1\n" ENGINE, {":3: control.listen"}},
    {PLAIN "  listen: 127.0.0.1:65536\n" ENGINE, {":3: control.listen"}},
    {PLAIN "  threads: 0\n" ENGINE, {":3: control.threads", "1 to 64"}},
    {PLAIN "  threads: 3 3\n" ENGINE, {":3: control.threads", "3 3", "number"}},
    {PLAIN "  threads: -1\n" ENGINE, {":3: control.threads", "-1"}},
    {ENGINE, {"control.cert_file", "ros2ctl tls init"}},
    {"control:\n  cert_file: a\n" ENGINE, {"control.key_file"}},
    {"control:\n  cert_file: a\n  key_file: b\n" ENGINE, {"tokens", "client_ca_file"}},
    {PLAIN "data:\n  chunk: 100000\n" ENGINE, {":4: data.chunk", "power of two"}},
    {PLAIN "data:\n  chunk: 32 KiB\n" ENGINE, {":4: data.chunk", "out of range"}},
    {PLAIN "data:\n  max_io: 16 MiB\n  chunk: 64 KiB\n  bounce_memory: 64 MiB\n" ENGINE,
     {":5: data.chunk", "larger chunk"}},
    {PLAIN "data:\n  max_io: 17 MiB\n" ENGINE, {":4: data.max_io", "out of range"}},
    {PLAIN "data:\n  max_io: 99999999999999 GiB\n" ENGINE, {":4: data.max_io", "not a number"}},
    {PLAIN "data:\n  max_io: 1 MB\n" ENGINE, {":4: data.max_io", "1 MB", "MiB"}},
    {PLAIN "data:\n  max_io: 16 MiB\n  bounce_memory: 16 MiB\n" ENGINE,
     {"data.bounce_memory", "33554432"}},
    {PLAIN "data:\n  max_io: 4096\n  inline_limit: 8192\n" ENGINE,
     {":5: data.inline_limit", "4096"}},
    {PLAIN "data:\n  credits: 1025\n" ENGINE, {":4: data.credits", "1 to 1024"}},
    {PLAIN "data:\n  inline_limit: 32769\n" ENGINE, {":4: data.inline_limit"}},
    {PLAIN "data:\n  listen: 127.0.0.1:65535\n  threads: 2\n" ENGINE,
     {":4: data.listen", "lower port"}},
    {PLAIN "data:\n  listen: 127.0.0.1:65533\n  threads: 2\n  transport: tcp,ofi+tcp\n" ENGINE,
     {":4: data.listen", "4 ports from 65533", "lower port"}},
    {PLAIN "data:\n  transport: ofi+\n" ENGINE, {":4: data.transport", "commas"}},
    {PLAIN "data:\n  advertise: storage:1\n" ENGINE, {":4: data.advertise", "numeric"}},
    {PLAIN "data:\n  transport: ../tcp\n" ENGINE, {":4: data.transport"}},
    {PLAIN "data:\n  transport: tcp,\n" ENGINE, {":4: data.transport", "commas"}},
    {PLAIN "data:\n  transport: tcp,ucx,tcp\n" ENGINE,
     {":4: data.transport", "tcp is there twice"}},
    {PLAIN "data:\n  transport: a,b,c,d,e\n" ENGINE,
     {":4: data.transport", "5 names", "at most 4"}},
    {PLAIN "data:\n  transport: a,b\n  threads: 17\n" ENGINE, {":5: data.threads", "fewer"}},
    {PLAIN "data:\n  transport: shm,tcp\n" ENGINE, {":4: data.transport", "data.shm_dir", "/run/"}},
    {PLAIN "data:\n  shm_dir: /run\n" ENGINE, {":4: data.shm_dir", "transport: shm,tcp"}},
    {PLAIN "data:\n  transport: shm\n  shm_dir: run\n" ENGINE, {":5: data.shm_dir", "whole path"}},
    {PLAIN "data:\n  transport: shm\n  shm_dir: /a" A47 A47 "\n" ENGINE,
     {":5: data.shm_dir", "107", "shorter"}},
    {PLAIN "engine:\n  name: posix\n", {"engine.root", "missing"}},
    {PLAIN ENGINE "  name: a/b\n", {":5: engine.name"}},
    {PLAIN ENGINE "  layers: forward,,fault\n", {":5: engine.layers", "commas"}},
    {PLAIN ENGINE "tokens:\n  - name: a\n    file: f\n    rights: ro\n  - name: a\n    file: g\n   "
                  " rights: ro\n",
     {":9: tokens.1.name", "twice"}},
    {PLAIN ENGINE "tokens:\n- name: a\n  file: f\n  rights: all\n",
     {":8: tokens.0.rights", "ro or rw"}},
    {PLAIN ENGINE "tokens:\n- name: a\n  rights: ro\n", {":6: tokens.0.file", "openssl rand"}},
    {PLAIN ENGINE "tokens:\n- name: a\n  file: f\n  rights: ro\n  expires: tomorrow\n",
     {":9: tokens.0.expires", "2027-01-31T00:00:00Z"}},
    {PLAIN ENGINE "tokens:\n- name: a\n  secret: f\n", {":7:", "\"secret\""}},
    {PLAIN ENGINE "log_level: loud\n", {":5: log_level", "debug"}},
};

static void bad_files_are_refused_with_line_key_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(*bad_files); i++) {
        struct ros2d_config *config = NULL;
        int rc = load_text(bad_files[i].text, &config);

        if (rc != -EINVAL)
            fail_msg("rc %d of:\n%s", rc, bad_files[i].text);
        assert_null(config);
        for (int j = 0; j < 3 && bad_files[i].expect[j]; j++)
            if (!strstr(ros2i_error(), bad_files[i].expect[j]))
                fail_msg("\"%s\" is not in: %s", bad_files[i].expect[j], ros2i_error());
        assert_non_null(strstr(ros2i_error(), "ros2d.yaml"));
    }
}

static void files_that_are_no_text_are_refused(void **state)
{
    struct ros2d_config *config;
    int fd;

    (void)state;
    assert_int_equal(ros2d_config_load(path_of("nowhere"), &config), -ENOENT);
    assert_non_null(strstr(ros2i_error(), "--config"));
    assert_int_equal(ros2d_config_load(dir, &config), -EISDIR);
    put_file("ros2d.yaml", 0644, PLAIN ENGINE);
    assert_int_equal(truncate(path_of("ros2d.yaml"), 200), 0);
    assert_int_equal(ros2d_config_load(path_of("ros2d.yaml"), &config), -EINVAL);
    assert_non_null(strstr(ros2i_error(), "NUL"));
    fd = open(path_of("ros2d.yaml"), O_WRONLY | O_TRUNC);
    for (int i = 0; i < 1025; i++) {
        char line[1024];
        memset(line, '#', sizeof(line));
        line[1023] = '\n';
        assert_int_equal(write(fd, line, sizeof(line)), sizeof(line));
    }
    close(fd);
    assert_int_equal(ros2d_config_load(path_of("ros2d.yaml"), &config), -EFBIG);
}

static struct ros2d_config *full(const char *token_mode)
{
    struct ros2d_config *config;
    char text[2048];

    put_file("server.pem", 0644, "x");
    put_file("server.key", 0600, "x");
    put_file("token", (mode_t)strtoul(token_mode, NULL, 8), "0123456789abcdef\n");
    snprintf(
        text, sizeof(text),
        "control:\n  cert_file: %s/server.pem\n  key_file: %s/server.key\nengine:\n  root: %s\n"
        "tokens:\n  - name: a\n    file: %s/token\n    rights: ro\n",
        dir, dir, dir, dir);
    assert_int_equal(load_text(text, &config), 0);
    return config;
}

static void check_looks_at_the_files(void **state)
{
    struct ros2d_config *config = full("600");

    (void)state;
    assert_int_equal(ros2d_config_check(config), 0);
    assert_int_equal(chmod(path_of("server.key"), 0604), 0);
    assert_int_equal(ros2d_config_check(config), -EACCES);
    assert_non_null(strstr(ros2i_error(), ":3: control.key_file"));
    assert_non_null(strstr(ros2i_error(), "chmod 600"));
    assert_int_equal(chmod(path_of("server.key"), 0640), 0);
    assert_int_equal(ros2d_config_check(config), 0);
    assert_int_equal(unlink(path_of("server.pem")), 0);
    assert_int_equal(ros2d_config_check(config), -ENOENT);
    assert_non_null(strstr(ros2i_error(), ":2: control.cert_file"));
    ros2d_config_free(config);

    config = full("644");
    assert_int_equal(ros2d_config_check(config), -EACCES);
    assert_non_null(strstr(ros2i_error(), ":8: tokens.0.file"));
    put_file("token", 0600, "short\n");
    assert_int_equal(ros2d_config_check(config), -EINVAL);
    assert_null(strstr(ros2i_error(), "\"short\""));
    ros2d_config_free(config);

    config = full("600");
    free(config->engine.root);
    config->engine.root = strdup(path_of("nowhere"));
    assert_int_equal(ros2d_config_check(config), -ENOENT);
    assert_non_null(strstr(ros2i_error(), ":5: engine.root"));
    ros2d_config_free(config);
}

static void check_looks_at_the_folder_of_sockets(void **state)
{
    struct ros2d_config *config = full("600");

    (void)state;
    config->data.shm_dir = strdup(dir);
    assert_int_equal(ros2d_config_check(config), 0);
    free(config->data.shm_dir);
    config->data.shm_dir = strdup(path_of("nowhere"));
    assert_int_equal(ros2d_config_check(config), -ENOENT);
    assert_non_null(strstr(ros2i_error(), "data.shm_dir"));
    assert_non_null(strstr(ros2i_error(), "make it"));
    free(config->data.shm_dir);
    config->data.shm_dir = strdup(path_of("token"));
    assert_int_equal(ros2d_config_check(config), -ENOTDIR);
    ros2d_config_free(config);
}

static void transports_are_told_in_their_order(void **state)
{
    struct ros2d_config config = {
        .data = {.transport = (char[]){"shm,tcp"}, .shm_dir = (char[]){"/d"}}};
    char name[ROS2D_TRANSPORT_NAME_MAX], path[128];

    (void)state;
    assert_true(ros2d_config_transport(&config, 0, name));
    assert_string_equal(name, "shm");
    assert_true(ros2d_config_transport(&config, 1, name));
    assert_string_equal(name, "tcp");
    assert_false(ros2d_config_transport(&config, 2, name));
    assert_int_equal(ros2d_config_socket(&config, 3, path, sizeof(path)), 0);
    assert_string_equal(path, "/d/data-3.sock");
}

static void the_example_loads(void **state)
{
    const char *top = getenv("abs_top_srcdir");
    struct ros2d_config *config, *defaults;
    char path[PATH_MAX];

    (void)state;
    snprintf(path, sizeof(path), "%s/docs/ros2d.yaml", top ? top : ".");
    assert_int_equal(ros2d_config_load(path, &config), 0);
    assert_int_equal(ros2d_config_defaults(&defaults), 0);
    assert_int_equal(config->tokens_count, 2);
    /* It says that it shows the defaults. */
    assert_string_equal(config->control.listen, defaults->control.listen);
    assert_string_equal(config->data.listen, defaults->data.listen);
    assert_int_equal(config->control.threads, defaults->control.threads);
    assert_int_equal(config->control.call_timeout_ms, defaults->control.call_timeout_ms);
    assert_int_equal(config->data.spin_us, defaults->data.spin_us);
    assert_int_equal(config->data.credits, defaults->data.credits);
    assert_int_equal(config->data.inline_limit, defaults->data.inline_limit);
    assert_int_equal(config->data.max_io, defaults->data.max_io);
    assert_int_equal(config->data.chunk, defaults->data.chunk);
    assert_int_equal(config->data.bounce_memory, defaults->data.bounce_memory);
    assert_int_equal(config->data.handshake_timeout_ms, defaults->data.handshake_timeout_ms);
    assert_int_equal(config->data.stall_timeout_ms, defaults->data.stall_timeout_ms);
    assert_int_equal(config->data.max_channels, defaults->data.max_channels);
    assert_memory_equal(&config->limits, &defaults->limits, sizeof(config->limits));
    assert_int_equal(config->session_lifetime_ms, defaults->session_lifetime_ms);
    ros2d_config_free(config);
    ros2d_config_free(defaults);
}

static void expiry_times_are_read_as_utc(void **state)
{
    int64_t ns;

    (void)state;
    assert_int_equal(ros2d_config_expiry("1970-01-02T00:00:01Z", &ns), 0);
    assert_int_equal(ns, 86401ll * 1000000000);
    assert_int_equal(ros2d_config_expiry(NULL, &ns), 0);
    assert_true(ns == INT64_MAX);
    assert_int_equal(ros2d_config_expiry("2027-01-31", &ns), -EINVAL);
    assert_int_equal(ros2d_config_expiry("2027-01-31T00:00:00Zx", &ns), -EINVAL);
    assert_int_equal(ros2d_config_expiry("9999-01-31T00:00:00Z", &ns), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_leaves_the_defaults),
        cmocka_unit_test(every_key_is_taken),
        cmocka_unit_test(bad_files_are_refused_with_line_key_and_remedy),
        cmocka_unit_test(files_that_are_no_text_are_refused),
        cmocka_unit_test(check_looks_at_the_files),
        cmocka_unit_test(check_looks_at_the_folder_of_sockets),
        cmocka_unit_test(transports_are_told_in_their_order),
        cmocka_unit_test(the_example_loads),
        cmocka_unit_test(expiry_times_are_read_as_utc),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
