/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/integration/client_daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

uint64_t real_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void pattern(uint8_t *buf, size_t len, uint32_t seed)
{
    uint64_t x = seed * 2654435761u + 88172645463325252ull;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        buf[i] = (uint8_t)x;
    }
}

/* -- starting -- */

static void write_text(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail_msg("%s: %s", path, strerror(errno));
    close(fd);
}

const char *test_transport(void)
{
    const char *name = getenv("ROS2_TEST_TRANSPORT");
    return name ? name : "tcp";
}

static void write_config(struct daemon *d, const char *path, const char *faults, const char *more)
{
    char rules[1000] = "", text[4000];
    bool local = strcmp(test_transport(), "shm") == 0;
    const char *host = getenv("ROS2_TEST_HOST");

    if (!host)
        host = "127.0.0.1";
    for (const char *at = faults; *at;) {
        const char *next = strncmp(at, "HOLD", 4) == 0 ? d->hold : NULL;
        size_t used = strlen(rules);
        snprintf(rules + used, sizeof(rules) - used, next ? "%s" : "%.1s", next ? next : at);
        at += next ? 4 : 1;
    }
    snprintf(
        text, sizeof(text),
        "control:\n  listen: 127.0.0.1:0\n  plaintext: true\n"
        "data:\n  listen: %s:0\n  advertise: %s\n  transport: %s\n  trusted_network: %s\n%s%s\n"
        "engine:\n  name: posix\n  root: %s\n  layers: fault\n  layer_config: \"%s\"\n"
        "tokens:\n  - name: rw\n    file: %s\n    rights: rw\n  - name: ro\n    file: %s\n    "
        "rights: ro\n%s",
        host, host, test_transport(), strstr(test_transport(), "ucx") ? "true" : "false",
        local ? "  shm_dir: " : "", local ? d->dir : "", d->store, rules, d->token_file,
        d->ro_token_file, more);
    write_text(path, text, 0600);
}

static void take_export(struct daemon *d, const char *line)
{
    static const char *const names[] = {"ROS2_URL=", "ROS2_TOKEN_FILE=", "ROS2_CA_FILE="};
    char *const targets[] = {d->url, d->token_file, d->ca_file};
    const size_t sizes[] = {sizeof(d->url), sizeof(d->token_file), sizeof(d->ca_file)};
    for (size_t i = 0; i < 3; i++) {
        if (strncmp(line, names[i], strlen(names[i])) != 0)
            continue;
        const char *value = line + strlen(names[i]);
        size_t len = strcspn(value, "\n");
        if (len >= 2 && (*value == '\'' || *value == '"')) {
            value++;
            len -= 2;
        }
        snprintf(targets[i], sizes[i], "%.*s", (int)len, value);
    }
}

static void run(struct daemon *d, char *const argv[])
{
    int out[2];
    char log[400];
    snprintf(log, sizeof(log), "%s/log", d->dir);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    d->pid = fork();
    if (d->pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 1);
        dup2(fd, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    close(out[1]);
    FILE *from = fdopen(out[0], "r");
    char line[600];
    bool ready = false;
    while (!ready && fgets(line, sizeof(line), from)) {
        if (strncmp(line, "export ", 7) == 0)
            take_export(d, line + 7);
        ready = strncmp(line, "ready", 5) == 0;
        if (ready && line[5] == ' ') /* "ready ADDRESS", of a daemon with a config file */
            snprintf(d->url, sizeof(d->url), "ros2://%.*s", (int)strcspn(line + 6, "\n"), line + 6);
    }
    fclose(from);
    if (!ready) {
        char command[700];
        snprintf(command, sizeof(command), "sed 's/^/# ros2d: /' '%s'", log);
        (void)!system(command);
        fail_msg("ros2d did not start");
    }
}

void daemon_start(struct daemon *d, const char *faults)
{
    daemon_start_with(d, faults, "");
}

void daemon_start_with(struct daemon *d, const char *faults, const char *more)
{
    const char *program = getenv("ROS2D"), *tmp = getenv("TMPDIR");
    char config[300];
    *d = (struct daemon){0};
    assert_non_null(program);
    snprintf(d->dir, sizeof(d->dir), "%s/ros2-client-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->store, sizeof(d->store), "%s/store", d->dir);
    snprintf(d->hold, sizeof(d->hold), "%s/hold", d->dir);
    mkdir(d->store, 0755);
    if (!faults) {
        char option[] = "--ephemeral",
             *argv[] = {(char *)(uintptr_t)program, option, d->store, NULL};
        run(d, argv);
        return;
    }
    d->plaintext = true;
    snprintf(d->token_file, sizeof(d->token_file), "%s/rw.token", d->dir);
    snprintf(d->ro_token_file, sizeof(d->ro_token_file), "%s/ro.token", d->dir);
    write_text(d->token_file, "read-and-write-0123456789\n", 0600);
    write_text(d->ro_token_file, "only-to-read-0123456789\n", 0600);
    snprintf(config, sizeof(config), "%s/ros2d.yaml", d->dir);
    write_config(d, config, faults, more);
    char option[] = "--config", *argv[] = {(char *)(uintptr_t)program, option, config, NULL};
    run(d, argv);
}

void daemon_kill(struct daemon *d)
{
    if (d->pid == 0)
        return;
    kill(d->pid, SIGKILL);
    waitpid(d->pid, NULL, 0);
    d->pid = 0;
}

void daemon_stop(struct daemon *d)
{
    int status = 0;
    char command[700];
    if (d->pid != 0) {
        daemon_release(d);
        kill(d->pid, SIGTERM);
        waitpid(d->pid, &status, 0);
        d->pid = 0;
    }
    if (status != 0) {
        snprintf(command, sizeof(command), "tail -60 '%s/log' | sed 's/^/# ros2d: /'", d->dir);
        (void)!system(command);
    }
    snprintf(command, sizeof(command), "chmod -R u+rwx '%s'; rm -rf '%s'", d->dir, d->dir);
    (void)!system(command);
    if (status != 0)
        fail_msg("ros2d ended with wait status 0x%x", status);
}

void daemon_hold(struct daemon *d)
{
    write_text(d->hold, "", 0600);
}

void daemon_release(struct daemon *d)
{
    unlink(d->hold);
}

int daemon_group_setup(void **state)
{
    static struct daemon d;
    /* An ephemeral daemon serves what libros2 comes with. */
    bool offered = strcmp(test_transport(), "tcp") == 0 || strcmp(test_transport(), "shm") == 0;
    daemon_start(&d, offered ? NULL : "");
    *state = &d;
    return 0;
}

int daemon_group_teardown(void **state)
{
    daemon_stop(*state);
    return 0;
}

/* -- connecting -- */

struct ros2_connect_options daemon_options(const struct daemon *d)
{
    return (struct ros2_connect_options){
        .size = sizeof(struct ros2_connect_options),
        .flags = d->plaintext ? ROS2_CONNECT_PLAINTEXT : 0,
        .token_file = d->token_file,
        .ca_file = d->ca_file[0] ? d->ca_file : NULL,
        .config_file = "/dev/null",
        .timeout_ns = 60000000000ull,
        .transport = test_transport(),
    };
}

struct ros2_client *daemon_connect_with(const struct daemon *d,
                                        const struct ros2_connect_options *options)
{
    struct ros2_client *client = NULL;
    assert_ok(ros2_connect(d->url, options, &client));
    return client;
}

struct ros2_client *daemon_connect(const struct daemon *d)
{
    struct ros2_connect_options options = daemon_options(d);
    return daemon_connect_with(d, &options);
}

static bool is_channel(int fd, int control)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } address = {.un = {.sun_path = ""}};
    socklen_t len = sizeof(address);
    if (getpeername(fd, &address.any, &len) != 0)
        return false;
    if (address.any.sa_family == AF_UNIX)
        return strstr(address.un.sun_path, "/data-") != NULL;
    return address.any.sa_family == AF_INET && ntohs(address.in.sin_port) != control;
}

int daemon_cut_channels(const struct daemon *d)
{
    int control = atoi(strrchr(d->url, ':') + 1), cut = 0;
    for (int fd = 3; fd < 1024; fd++)
        if (is_channel(fd, control) && shutdown(fd, SHUT_RDWR) == 0)
            cut++;
    return cut;
}

/* -- files -- */

const char *store_path(const struct daemon *d, const char *name)
{
    static char paths[8][700];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", d->store, name);
    return path;
}

void store_write(const struct daemon *d, const char *name, const void *data, size_t len)
{
    FILE *file = fopen(store_path(d, name), "we");
    if (!file || fwrite(data, 1, len, file) != len || fclose(file) != 0)
        fail_msg("%s: %s", store_path(d, name), strerror(errno));
}

void *store_read(const struct daemon *d, const char *name, size_t *len_p)
{
    struct stat st;
    FILE *file = fopen(store_path(d, name), "re");
    if (!file || fstat(fileno(file), &st) != 0)
        fail_msg("%s: %s", store_path(d, name), strerror(errno));
    char *data = malloc((size_t)st.st_size + 1);
    assert_non_null(data);
    *len_p = fread(data, 1, (size_t)st.st_size, file);
    fclose(file);
    return data;
}

struct ros2_file *must_open(struct ros2_client *client, const char *path, int flags)
{
    struct ros2_file *file = NULL;
    assert_ok(ros2_open(client, path, flags, 0644, &file));
    return file;
}
