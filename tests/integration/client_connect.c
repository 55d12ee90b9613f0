/* SPDX-License-Identifier: Apache-2.0 */
/* ros2_connect() and ros2_disconnect(): what they accept, what they refuse, and what the text says. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

static struct daemon *d;

static int setup(void **state)
{
    daemon_group_setup(state);
    d = *state;
    return 0;
}

/* A socket that is bound to a port of 127.0.0.1; url names it. */
static int bound_socket(char url[80])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    snprintf(url, 80, "ros2://127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

/* -- fork before anything was connected -- */

static bool connects_well(void)
{
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    int rc = ros2_connect(d->url, &options, &client);
    if (rc == 0) {
        rc = ros2_ping(client, NULL);
        ros2_disconnect(client);
    }
    if (rc < 0)
        fprintf(stderr, "# pid %d: %s\n", (int)getpid(), ros2_error());
    return rc == 0;
}

static pid_t fork_that_connects(void)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* one that hangs fails the test */
        _exit(connects_well() ? 0 : 1);
    }
    return child;
}

static void wait_for(pid_t child)
{
    int status = -1;
    waitpid(child, &status, 0);
    if (status != 0)
        fail_msg("child: wait status 0x%x", status);
}

static void *connect_in_vain(void *arg)
{
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    options.timeout_ns = 2000000000ull;
    return (void *)(intptr_t)ros2_connect(arg, &options, &client);
}

static void a_fork_may_come_during_the_first_connect(void **state)
{
    (void)state;
    char url[80];
    pthread_t thread;
    void *result;
    int fd = bound_socket(url);
    listen(fd, 5); /* accepts, says nothing */
    pthread_create(&thread, NULL, connect_in_vain, url);
    struct pollfd incoming = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&incoming, 1, 60000), 1);
    wait_for(fork_that_connects());
    pthread_join(thread, &result);
    assert_true((intptr_t)result < 0);
    close(fd);
}

static void a_fork_may_come_after_a_failed_first_connect(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    char url[80];
    int fd = bound_socket(url);
    assert_error(ros2_connect(url, &options, &client), ECONNREFUSED);
    pid_t child = fork_that_connects();
    assert_true(connects_well());
    wait_for(child);
    assert_true(connects_well());
    close(fd);
}

static void environment_alone_is_enough(void **state)
{
    (void)state;
    struct ros2_client *client;
    setenv("HOME", d->dir, 1);
    setenv("ROS2_URL", d->url, 1);
    setenv("ROS2_TOKEN_FILE", d->token_file, 1);
    setenv("ROS2_CA_FILE", d->ca_file, 1);
    assert_ok(ros2_connect(NULL, NULL, &client));
    assert_ok(ros2_ping(client, NULL));
    ros2_disconnect(client);
    unsetenv("ROS2_URL");
    unsetenv("ROS2_TOKEN_FILE");
    unsetenv("ROS2_CA_FILE");
}

static void a_wrong_token_is_refused(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client = NULL;
    options.token_file = NULL;
    options.token = "not-the-token-0123456789";
    assert_error(ros2_connect(d->url, &options, &client), EACCES);
    assert_null(client);
    assert_null(strstr(ros2_error(), options.token));
    assert_non_null(strstr(ros2_error(), "connect ros2://"));
    options.token = NULL;
    assert_error(ros2_connect(d->url, &options, &client), EACCES);
}

static void an_unknown_issuer_is_refused(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    options.ca_file = NULL;
    int rc = ros2_connect(d->url, &options, &client);
    assert_true(rc == -EPROTO || rc == -EACCES);
    options.ca_file = "/nonexistent/ca.pem";
    assert_error(ros2_connect(d->url, &options, &client), ENOENT);
    assert_non_null(strstr(ros2_error(), "/nonexistent/ca.pem"));
}

static void nobody_there_is_told_apart_from_not_a_ros2d(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    char url[80];
    int fd = bound_socket(url);
    options.timeout_ns = 3000000000ull;
    assert_error(ros2_connect(url, &options, &client), ECONNREFUSED);
    listen(fd, 5); /* accepts, says nothing */
    uint64_t begin = real_ns();
    int rc = ros2_connect(url, &options, &client);
    assert_true(rc == -ETIMEDOUT || rc == -EPROTO);
    assert_true(real_ns() - begin < 8000000000ull);
    close(fd);
    options.timeout_ns = 10000000000ull;
    assert_error(ros2_connect("ros2://no-such-host.invalid", &options, &client), EHOSTUNREACH);
}

static void plaintext_is_for_loopback_only(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    options.flags = ROS2_CONNECT_PLAINTEXT;
    assert_error(ros2_connect("ros2://192.0.2.1:7720", &options, &client), EINVAL);
    assert_non_null(strstr(ros2_error(), "loopback"));
    assert_error(ros2_connect("ros2://[2001:db8::1]:7720", &options, &client), EINVAL);
}

static void bad_arguments_are_refused_with_the_part_that_is_wrong(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    assert_error(ros2_connect("http://localhost", &options, &client), EINVAL);
    assert_non_null(strstr(ros2_error(), "scheme"));
    assert_error(ros2_connect(d->url, &options, NULL), EINVAL);
    options.config_file = "/nonexistent.yaml";
    assert_error(ros2_connect(d->url, &options, &client), ENOENT);
    options = daemon_options(d);
    options.size = 1;
    assert_error(ros2_connect(d->url, &options, &client), EINVAL);
}

static int connect_on(const char *transport, const char *shm_dir, char used[16])
{
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    options.transport = transport;
    options.shm_dir = shm_dir;
    int rc = ros2_connect(d->url, &options, &client);
    if (rc < 0)
        return rc;
    rc = ros2_ping(client, NULL);
    snprintf(used, 16, "%s", ros2_transport(client));
    ros2_disconnect(client);
    return rc;
}

static void the_first_transport_that_works_is_taken(void **state)
{
    char used[16];
    (void)state;
    assert_ok(connect_on("tcp", NULL, used));
    assert_string_equal(used, "tcp");
    assert_ok(connect_on("nowhere,tcp", NULL, used));
    assert_string_equal(used, "tcp");
    assert_error(connect_on("nowhere", NULL, used), EPROTONOSUPPORT);
    assert_non_null(strstr(ros2_error(), "transport nowhere"));
    assert_non_null(strstr(ros2_error(), "data.transport"));
    assert_non_null(strstr(ros2_error(), "ROS2_TRANSPORT"));
    assert_error(connect_on("tcp,", NULL, used), EINVAL);
    assert_error(connect_on("tcp", "run", used), EINVAL);
    setenv("ROS2_TRANSPORT", "nowhere", 1);
    assert_error(connect_on(NULL, NULL, used), EPROTONOSUPPORT);
    assert_ok(connect_on("tcp", NULL, used));
    unsetenv("ROS2_TRANSPORT");
    assert_ok(connect_on(NULL, NULL, used));
}

static void transports_are_told_with_the_reason_for_the_choice(void **state)
{
    struct ros2_connect_options options = daemon_options(d);
    struct ros2_client *client;
    struct ros2_transport_state list[36];
    bool tcp = false, nowhere = false, shm = false;
    (void)state;
    options.transport = "nowhere,tcp";
    assert_ok(ros2_connect(d->url, &options, &client));
    size_t count = ros2_transports(client, NULL, 0);
    assert_in_range(count, 3, 36);
    assert_int_equal(ros2_transports(client, list, 36), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(list[i].usable || list[i].why[0]);
        assert_int_equal(list[i].chosen, strcmp(list[i].name, "tcp") == 0);
        if (list[i].chosen)
            tcp = list[i].offered && list[i].usable;
        if (strcmp(list[i].name, "nowhere") == 0)
            nowhere = !list[i].offered && !list[i].usable && strstr(list[i].why, "data.transport");
        if (strcmp(list[i].name, "shm") == 0)
            shm = list[i].usable;
    }
    assert_true(tcp && nowhere && shm);
    ros2_disconnect(client);
}

/* What lies at the path may be nothing, nobody's, or another daemon's: then it is not taken, and the next one is. */
static void assert_not_taken(const char *shm_dir, int error)
{
    char used[16];
    assert_error(connect_on("shm", shm_dir, used), error);
    assert_non_null(strstr(ros2_error(), "transport shm"));
    assert_non_null(strstr(ros2_error(), "ROS2_SHM_DIR"));
    assert_ok(connect_on("shm,tcp", shm_dir, used));
    assert_string_equal(used, "tcp");
    assert_ok(connect_on("", shm_dir, used));
    assert_string_equal(used, "tcp");
}

static void leave_socket(const char *dir)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/data-0.sock", dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void shared_memory_is_taken_from_the_sessions_own_daemon_only(void **state)
{
    struct daemon other;
    char used[16], dir[300];
    (void)state;
    assert_ok(connect_on("", NULL, used));
    assert_string_equal(used, "shm");
    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(d->token_file, '/') - d->token_file),
             d->token_file);
    assert_ok(connect_on("shm", dir, used)); /* the same folder, as a container would name it */
    assert_not_taken("/nowhere", ENOENT);
    leave_socket(d->dir);
    assert_not_taken(d->dir, ECONNREFUSED);
    daemon_start(&other, NULL);
    snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(other.token_file, '/') - other.token_file),
             other.token_file);
    assert_not_taken(dir, EACCES);
    daemon_stop(&other);
}

static void the_daemons_log_has_the_clients_name(void **state)
{
    (void)state;
    struct ros2_connect_options options = daemon_options(d);
    char path[300], line[2000];
    bool found = false;
    options.client_name = "night-watch";
    ros2_disconnect(daemon_connect_with(d, &options));
    snprintf(path, sizeof(path), "%s/log", d->dir);
    FILE *log = fopen(path, "re");
    assert_non_null(log);
    while (fgets(line, sizeof(line), log))
        found = found || strstr(line, "client night-watch");
    fclose(log);
    assert_true(found);
}

static void two_clients_in_one_process_do_not_know_of_each_other(void **state)
{
    (void)state;
    struct ros2_client *a = daemon_connect(d), *b = daemon_connect(d);
    store_write(d, "two", "x", 1);
    struct ros2_file *file = must_open(b, "/two", O_RDONLY);
    char byte;
    assert_ok(ros2_ping(a, NULL));
    ros2_disconnect(a);
    assert_int_equal(ros2_pread(file, &byte, 1, 0), 1);
    ros2_close(file);
    ros2_disconnect(b);
}

static void nothing_is_left_open_after_many_connections(void **state)
{
    (void)state;
    int before = 0, after = 0;
    for (int i = 0; i < 20; i++) {
        struct ros2_client *client = daemon_connect(d);
        assert_ok(ros2_ping(client, NULL));
        ros2_disconnect(client);
        if (i != 3 && i != 19)
            continue;
        int count = 0;
        for (int fd = 0; fd < 1024; fd++)
            count += fcntl(fd, F_GETFD) >= 0;
        *(i == 3 ? &before : &after) = count;
    }
    assert_true(after <= before);
}

/* -- log -- */

static _Atomic int lines, newlines;

static void on_line(void *arg, int level, const char *outlet, const char *line)
{
    assert_ptr_equal(arg, &lines);
    (void)outlet;
    if (level <= 3)
        atomic_fetch_add(&lines, 1);
    if (strchr(line, '\n'))
        atomic_fetch_add(&newlines, 1);
}

static void log_lines_go_to_the_callback(void **state)
{
    (void)state;
    ros2_log_callback(on_line, &lines, 3);
    struct ros2_client *client = daemon_connect(d);
    assert_ok(ros2_ping(client, NULL));
    ros2_disconnect(client);
    int seen = atomic_load(&lines);
    assert_true(seen > 0);
    assert_int_equal(atomic_load(&newlines), 0);
    ros2_log_callback(NULL, NULL, 3);
    client = daemon_connect(d);
    assert_ok(ros2_ping(client, NULL));
    ros2_disconnect(client);
    assert_int_equal(atomic_load(&lines), seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: no connect of this process has succeeded before. */
        cmocka_unit_test(a_fork_may_come_during_the_first_connect),
        cmocka_unit_test(a_fork_may_come_after_a_failed_first_connect),
        cmocka_unit_test(environment_alone_is_enough),
        cmocka_unit_test(a_wrong_token_is_refused),
        cmocka_unit_test(an_unknown_issuer_is_refused),
        cmocka_unit_test(nobody_there_is_told_apart_from_not_a_ros2d),
        cmocka_unit_test(plaintext_is_for_loopback_only),
        cmocka_unit_test(bad_arguments_are_refused_with_the_part_that_is_wrong),
        cmocka_unit_test(the_first_transport_that_works_is_taken),
        cmocka_unit_test(transports_are_told_with_the_reason_for_the_choice),
        cmocka_unit_test(shared_memory_is_taken_from_the_sessions_own_daemon_only),
        cmocka_unit_test(the_daemons_log_has_the_clients_name),
        cmocka_unit_test(two_clients_in_one_process_do_not_know_of_each_other),
        cmocka_unit_test(nothing_is_left_open_after_many_connections),
        cmocka_unit_test(log_lines_go_to_the_callback),
    };
    return cmocka_run_group_tests(tests, setup, daemon_group_teardown);
}
