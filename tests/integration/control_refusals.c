/* SPDX-License-Identifier: Apache-2.0 */
/* Who is not let in, and what does not connect: the errno, and that the text names the cause. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/control/call.h"
#include "lib/tls/issue.h"
#include "ros2/v1/session.pb-c.h"
#include "tests/integration/control_world.h"

static struct daemon with_tokens, with_certificates, plain;

#define TLS_LINES(d, more)                                                     \
    "  cert_file: %s\n  key_file: %s\n" more, world_path(d, "tls/server.pem"), \
        world_path(d, "tls/server.key")

static int start(void **state)
{
    static const char *const hosts[] = {"127.0.0.1"};
    char lines[1024];

    (void)state;
    if (daemon_prepare(&with_tokens) < 0 || daemon_prepare(&with_certificates) < 0 ||
        daemon_prepare(&plain) < 0)
        return -1;
    snprintf(lines, sizeof lines, TLS_LINES(&with_tokens, ""));
    world_write_config(&with_tokens, lines, "", 1);
    world_start_config(&with_tokens, 1);
    snprintf(lines, sizeof lines, TLS_LINES(&with_certificates, "  client_ca_file: %s\n"),
             world_path(&with_certificates, "tls/ca.pem"));
    world_write_config(&with_certificates, lines, "", 0);
    world_start_config(&with_certificates, 0);
    world_write_config(&plain, "  plaintext: true\n", "limits:\n  open_files: 2\n", 1);
    world_start_config(&plain, 1);
    plain.ca_file[0] = '\0';
    /* A CA that nobody trusts. */
    world_assert_ok(ros2i_issue_ca(world_path(&with_tokens, "rogue"), "rogue CA", 1));
    world_assert_ok(ros2i_issue_leaf(world_path(&with_tokens, "rogue"), "client", ROS2I_LEAF_CLIENT,
                                     hosts, 1, 1));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    int status = daemon_stop(&with_tokens) | daemon_stop(&with_certificates) | daemon_stop(&plain);
    daemon_free(&with_tokens);
    daemon_free(&with_certificates);
    daemon_free(&plain);
    return status;
}

static int try(const struct ros2i_control_options *options)
{
    struct ros2i_control *control;
    struct ros2i_session session;
    int rc = ros2i_control_create(options, &control);

    if (rc < 0)
        return rc;
    rc = ros2i_control_open_session(control, world_nonce, world_deadline(), &session);
    ros2i_control_destroy(control);
    return rc;
}

/* --- tokens ---------------------------------------------------------------------------------------------- */

static void a_good_token_is_let_in(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    world_assert_ok(try(&options));
    options.server_name = "localhost"; /* the certificate has both names */
    world_assert_ok(try(&options));
}

static void a_wrong_token_is_refused(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.token = "rw-0123456789abcdeX";
    world_assert_failed(try(&options), EACCES, "token");
    assert_null(strstr(ros2i_error(), options.token));
    options.token = "x";
    world_assert_failed(try(&options), EACCES, "token");
}

static void an_expired_token_is_refused(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.token = WORLD_TOKEN_EXPIRED;
    world_assert_failed(try(&options), EKEYEXPIRED, "expired");
    assert_null(strstr(ros2i_error(), options.token));
}

static void no_token_is_refused(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.token = NULL;
    world_assert_failed(try(&options), EACCES, "no credentials");
    options = world_options(&plain);
    options.token = NULL;
    options.plaintext = true;
    world_assert_failed(try(&options), EACCES, "no credentials");
}

static void a_read_only_token_changes_nothing(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);
    struct ros2i_control *control;
    struct ros2i_session session;
    struct ros2_attr attr;

    (void)state;
    daemon_write_file(&with_tokens, "store/ro", 0644, "text");
    options.token = WORLD_TOKEN_RO;
    world_assert_ok(ros2i_control_create(&options, &control));
    world_assert_ok(ros2i_control_open_session(control, world_nonce, world_deadline(), &session));
    struct ros2i_open_item item[4] = {
        {.path = "/ro", .open_flags = ROS2_OPEN_READ},
        {.path = "/ro", .open_flags = ROS2_OPEN_READ | ROS2_OPEN_WRITE},
        {.path = "/ro", .open_flags = ROS2_OPEN_WRITE | ROS2_OPEN_TRUNCATE},
        {.path = "/ro2", .open_flags = ROS2_OPEN_READ | ROS2_OPEN_CREATE},
    };
    world_assert_ok(ros2i_control_open_many(control, item, 4, world_deadline()));
    assert_int_equal(item[0].err, 0);
    assert_int_equal(item[0].capability.rights, ROS2I_RIGHT_READ);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(item[i].err, -EACCES);
        assert_non_null(strstr(item[i].error_text, "read-only"));
    }
    world_assert_failed(ros2i_control_mkdir(control, "/d", 0755, world_deadline()), EACCES,
                        "read-only");
    world_assert_failed(ros2i_control_unlink(control, "/ro", false, world_deadline()), EACCES,
                        "read-only");
    world_assert_failed(ros2i_control_rename(control, "/ro", "/rw", world_deadline()), EACCES,
                        "read-only");
    world_assert_ok(ros2i_control_stat(control, "/ro", false, world_deadline(), &attr));
    assert_int_equal(attr.size, 4);
    ros2i_control_destroy(control);
}

/* Neither made nor cut to nothing: the engine is not asked. */
static void a_refused_open_changes_no_file(void **state)
{
    struct ros2i_control_options options = world_options(&plain);
    struct ros2i_open_item item[] = {
        {.path = "/kept", .open_flags = ROS2_OPEN_READ},
        {.path = "/kept", .open_flags = ROS2_OPEN_READ},
        {.path = "/kept", .open_flags = ROS2_OPEN_WRITE | ROS2_OPEN_TRUNCATE},
        {.path = "/made", .open_flags = ROS2_OPEN_WRITE | ROS2_OPEN_CREATE, .mode = 0600},
    };
    struct ros2i_control *control;
    struct ros2i_session session;
    struct ros2_attr attr;

    (void)state;
    options.plaintext = true;
    assert_int_equal(daemon_write_file(&plain, "store/kept", 0644, "all of it"), 0);
    world_assert_ok(ros2i_control_create(&options, &control));
    world_assert_ok(ros2i_control_open_session(control, world_nonce, world_deadline(), &session));
    world_assert_ok(ros2i_control_open_many(control, item, 4, world_deadline()));
    assert_int_equal(item[0].err | item[1].err, 0);
    assert_int_equal(item[2].err, -EDQUOT);
    assert_int_equal(item[3].err, -EDQUOT);
    assert_non_null(strstr(item[3].error_text, "limits.open_files"));
    world_assert_ok(ros2i_control_stat(control, "/kept", false, world_deadline(), &attr));
    assert_int_equal(attr.size, 9);
    assert_int_equal(ros2i_control_stat(control, "/made", false, world_deadline(), &attr), -ENOENT);
    world_assert_ok(ros2i_control_close_session(control, world_deadline()));
    ros2i_control_destroy(control);
}

static void anothers_session_is_unknown(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);
    struct ros2i_control *mine = world_connect(&with_tokens), *theirs;
    struct ros2_attr attr;

    (void)state;
    options.token = WORLD_TOKEN_OTHER;
    world_assert_ok(ros2i_control_create(&options, &theirs));
    memcpy(theirs->session_id, mine->session_id, sizeof mine->session_id);
    theirs->has_session = true;
    world_assert_failed(ros2i_control_stat(theirs, "/", false, world_deadline(), &attr), ENOKEY,
                        "session");
    theirs->has_session = false;
    world_assert_failed(ros2i_control_stat(theirs, "/", false, world_deadline(), &attr), EINVAL,
                        "session");
    world_assert_ok(ros2i_control_stat(mine, "/", false, world_deadline(), &attr));
    ros2i_control_destroy(theirs);
    ros2i_control_destroy(mine);
}

/* --- TLS ------------------------------------------------------------------------------------------------- */

static void a_daemon_of_another_ca_is_not_trusted(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.ca_file = world_path(&with_tokens, "rogue/ca.pem");
    world_assert_failed(try(&options), EPROTO, "CA file");
    options.ca_file = NULL; /* the system's */
    world_assert_failed(try(&options), EPROTO, "CA file");
}

static void a_daemon_of_another_name_is_not_trusted(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.server_name = "elsewhere.example";
    world_assert_failed(try(&options), EPROTO, "another name");
}

static void plaintext_to_a_tls_port_is_explained(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.plaintext = true;
    options.ca_file = NULL;
    world_assert_failed(try(&options), EPROTO, "expects TLS");
}

static void tls_to_a_plaintext_port_is_explained(void **state)
{
    struct ros2i_control_options options = world_options(&plain);

    (void)state;
    options.ca_file = with_tokens.ca_file;
    world_assert_failed(try(&options), EPROTO, "not speak TLS");
}

static void plaintext_on_loopback_works(void **state)
{
    struct ros2i_control_options options = world_options(&plain);

    (void)state;
    options.plaintext = true;
    world_assert_ok(try(&options));
}

static void a_client_certificate_is_let_in(void **state)
{
    struct ros2i_control_options options = world_options(&with_certificates);

    (void)state;
    options.cert_file = world_path(&with_certificates, "tls/client.pem");
    options.key_file = world_path(&with_certificates, "tls/client.key");
    world_assert_ok(try(&options));
}

static void a_missing_client_certificate_is_explained(void **state)
{
    struct ros2i_control_options options = world_options(&with_certificates);

    (void)state;
    int rc = try(&options);
    assert_true(rc == -EPROTO || rc == -EACCES);
    world_assert_failed(rc, -rc, "client certificate");
}

static void a_foreign_client_certificate_is_refused(void **state)
{
    struct ros2i_control_options options = world_options(&with_certificates);

    (void)state;
    options.cert_file = world_path(&with_tokens, "rogue/client.pem");
    options.key_file = world_path(&with_tokens, "rogue/client.key");
    int rc = try(&options);
    assert_true(rc == -EPROTO || rc == -EACCES);
    world_assert_failed(rc, -rc, "client certificate");
}

/* --- no daemon there ------------------------------------------------------------------------------------- */

/* A socket on a port of 127.0.0.1 that the system picks. */
static int listener(int backlog, uint16_t *port_p)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    if (backlog)
        assert_int_equal(listen(fd, backlog), 0);
    *port_p = ntohs(address.sin_port);
    return fd;
}

static void a_port_where_nothing_listens_is_said_so(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);
    int fd = listener(0, &options.port);

    (void)state;
    world_assert_failed(try(&options), ECONNREFUSED, "nothing listens");
    close(fd);
}

static void a_name_that_does_not_exist_is_said_so(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);

    (void)state;
    options.host = "no-such-host.invalid";
    world_assert_failed(try(&options), EHOSTUNREACH, "no-such-host.invalid");
}

static void *answer_in_http1(void *arg)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    int fd = accept(*(int *)arg, NULL, NULL);
    ssize_t n = write(fd, answer, sizeof answer - 1);

    (void)n;
    shutdown(fd, SHUT_WR);
    while (read(fd, &(char[512]){0}, 512) > 0)
        ;
    close(fd);
    return NULL;
}

static void another_service_is_no_ros2d(void **state)
{
    struct ros2i_control_options options = world_options(&plain);
    pthread_t thread;
    int fd = listener(4, &options.port);

    (void)state;
    options.plaintext = true;
    assert_int_equal(pthread_create(&thread, NULL, answer_in_http1, &fd), 0);
    world_assert_failed(try(&options), EPROTO, "another service");
    pthread_join(thread, NULL);
    close(fd);
}

static void a_silent_port_ends_with_the_deadline(void **state)
{
    struct ros2i_control_options options = world_options(&with_tokens);
    struct ros2i_control *control;
    struct ros2i_session session;
    int fd = listener(4, &options.port);

    (void)state;
    world_assert_ok(ros2i_control_create(&options, &control));
    uint64_t start_ns = ros2i_now_ns();
    world_assert_failed(
        ros2i_control_open_session(control, world_nonce, world_deadline_ms(200), &session),
        ETIMEDOUT, "no answer within");
    assert_true(ros2i_now_ns() - start_ns < 5 * ROS2I_NS_PER_S);
    ros2i_control_destroy(control);
    close(fd);
}

/* --- what is wrong before any connection ------------------------------------------------------------------- */

static void wrong_options_are_refused_at_once(void **state)
{
    const struct ros2i_control_options good = world_options(&with_tokens);
    struct ros2i_control_options bad = good;
    struct ros2i_control *control = NULL;

    (void)state;
    bad.ca_file = world_path(&with_tokens, "gone.pem");
    world_assert_failed(ros2i_control_create(&bad, &control), ENOENT, "gone.pem");
    bad.ca_file = world_path(&with_tokens, "ros2d.yaml");
    world_assert_failed(ros2i_control_create(&bad, &control), EINVAL, "PEM");
    bad = good;
    bad.cert_file = world_path(&with_tokens, "tls/client.pem");
    world_assert_failed(ros2i_control_create(&bad, &control), EINVAL, "key is missing");
    bad.key_file = world_path(&with_tokens, "tls/server.key");
    world_assert_failed(ros2i_control_create(&bad, &control), EINVAL, "does not belong");
    bad.key_file = world_path(&with_tokens, "tls/client.key");
    assert_int_equal(chmod(bad.key_file, 0604), 0);
    world_assert_failed(ros2i_control_create(&bad, &control), EACCES, "client.key has mode 0604");
    assert_int_equal(chmod(bad.key_file, 0640), 0);
    world_assert_ok(ros2i_control_create(&bad, &control));
    ros2i_control_destroy(control);
    control = NULL;
    bad = good;
    bad.token = "two words";
    world_assert_failed(ros2i_control_create(&bad, &control), EINVAL, "token");
    assert_null(strstr(ros2i_error(), "two"));
    bad = good;
    bad.plaintext = true;
    bad.ca_file = NULL;
    bad.host = "192.0.2.1";
    world_assert_failed(ros2i_control_create(&bad, &control), EINVAL, "loopback");
    bad = good;
    bad.port = 0;
    world_assert_failed(ros2i_control_create(&bad, &control), EINVAL, "port 0");
    assert_null(control);
}

static void unknown_methods_are_answered(void **state)
{
    struct ros2i_control *control = world_connect(&with_tokens);
    Ros2__V1__RenewRequest request;
    struct ros2i_call call = {.method = "/ros2.v1.Namespace/Nope",
                              .request = &request.base,
                              .reply_type = &ros2__v1__renew_response__descriptor,
                              .deadline_ns = world_deadline()};

    (void)state;
    ros2__v1__renew_request__init(&request);
    world_assert_failed(ros2i_call_run(control, &call), ENOSYS, "/ros2.v1.Namespace/Nope");
    ros2i_control_destroy(control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_token_is_let_in),
        cmocka_unit_test(a_wrong_token_is_refused),
        cmocka_unit_test(an_expired_token_is_refused),
        cmocka_unit_test(no_token_is_refused),
        cmocka_unit_test(a_read_only_token_changes_nothing),
        cmocka_unit_test(a_refused_open_changes_no_file),
        cmocka_unit_test(anothers_session_is_unknown),
        cmocka_unit_test(a_daemon_of_another_ca_is_not_trusted),
        cmocka_unit_test(a_daemon_of_another_name_is_not_trusted),
        cmocka_unit_test(plaintext_to_a_tls_port_is_explained),
        cmocka_unit_test(tls_to_a_plaintext_port_is_explained),
        cmocka_unit_test(plaintext_on_loopback_works),
        cmocka_unit_test(a_client_certificate_is_let_in),
        cmocka_unit_test(a_missing_client_certificate_is_explained),
        cmocka_unit_test(a_foreign_client_certificate_is_refused),
        cmocka_unit_test(a_port_where_nothing_listens_is_said_so),
        cmocka_unit_test(a_name_that_does_not_exist_is_said_so),
        cmocka_unit_test(another_service_is_no_ros2d),
        cmocka_unit_test(a_silent_port_ends_with_the_deadline),
        cmocka_unit_test(wrong_options_are_refused_at_once),
        cmocka_unit_test(unknown_methods_are_answered),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
