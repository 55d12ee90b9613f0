/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/tls/issue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"

static char dir[] = "/tmp/ros2-issue-XXXXXX";
static const char *const hosts[] = {"localhost", "127.0.0.1", "::1"};

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static X509 *load(const char *name)
{
    FILE *stream = fopen(path_of(name), "r");
    X509 *certificate;

    assert_non_null(stream);
    certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_non_null(certificate);
    return certificate;
}

static unsigned mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_mode & 07777;
}

static int verify(X509 *leaf, X509 *ca, int purpose)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();

    X509_STORE_add_cert(store, ca);
    X509_STORE_CTX_init(ctx, store, leaf, NULL);
    X509_STORE_CTX_set_purpose(ctx, purpose);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
    int ok = X509_verify_cert(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return ok;
}

static int setup(void **state)
{
    (void)state;
    umask(0);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ros2i_issue_ca(dir, "test CA", 10), 0);
    assert_int_equal(ros2i_issue_leaf(dir, "server", ROS2I_LEAF_SERVER, hosts, 3, 30), 0);
    assert_int_equal(ros2i_issue_leaf(dir, "client", ROS2I_LEAF_CLIENT, NULL, 0, 5), 0);
    return 0;
}

static int teardown(void **state)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    (void)state;
    while ((entry = readdir(d)))
        unlinkat(dirfd(d), entry->d_name, 0);
    closedir(d);
    return rmdir(dir);
}

static void keys_are_private_also_under_umask_0(void **state)
{
    (void)state;
    assert_int_equal(mode_of("ca.key"), 0600);
    assert_int_equal(mode_of("server.key"), 0600);
    assert_int_equal(mode_of("client.key"), 0600);
    assert_int_equal(mode_of("ca.pem"), 0644);
    assert_int_equal(mode_of("server.pem"), 0644);
}

static void leaves_verify_for_their_purpose_only(void **state)
{
    X509 *ca = load("ca.pem"), *server = load("server.pem"), *client = load("client.pem");

    (void)state;
    assert_int_equal(verify(server, ca, X509_PURPOSE_SSL_SERVER), 1);
    assert_int_not_equal(verify(server, ca, X509_PURPOSE_SSL_CLIENT), 1);
    assert_int_equal(verify(client, ca, X509_PURPOSE_SSL_CLIENT), 1);
    assert_int_not_equal(verify(client, ca, X509_PURPOSE_SSL_SERVER), 1);
    X509_free(ca);
    X509_free(server);
    X509_free(client);
}

static void a_server_certificate_names_its_hosts(void **state)
{
    X509 *server = load("server.pem");

    (void)state;
    assert_int_equal(X509_check_host(server, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(server, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(server, "::1", 0), 1);
    assert_int_equal(X509_check_host(server, "example.org", 0, 0, NULL), 0);
    X509_free(server);
}

static void a_leaf_does_not_outlive_its_ca_and_serials_differ(void **state)
{
    X509 *ca = load("ca.pem"), *server = load("server.pem"), *client = load("client.pem");

    (void)state;
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(server), X509_get0_notAfter(ca)), 0);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(client), X509_get0_notAfter(ca)), -1);
    assert_int_not_equal(
        ASN1_INTEGER_cmp(X509_get0_serialNumber(server), X509_get0_serialNumber(client)), 0);
    X509_free(ca);
    X509_free(server);
    X509_free(client);
}

static void nothing_is_overwritten(void **state)
{
    (void)state;
    assert_int_equal(ros2i_issue_ca(dir, "other CA", 10), -EEXIST);
    assert_non_null(strstr(ros2i_error(), "ca.key"));
    assert_int_equal(ros2i_issue_leaf(dir, "server", ROS2I_LEAF_SERVER, hosts, 3, 30), -EEXIST);
    /* The key is written first: it goes again when the certificate is in the way. */
    FILE *stream = fopen(path_of("half.pem"), "w");
    fclose(stream);
    assert_int_equal(ros2i_issue_leaf(dir, "half", ROS2I_LEAF_CLIENT, NULL, 0, 1), -EEXIST);
    assert_int_equal(access(path_of("half.key"), F_OK), -1);
}

static void bad_arguments_are_refused(void **state)
{
    const char *const strange[] = {"a,DNS:evil.example"}, *const empty[] = {""};

    (void)state;
    assert_int_equal(ros2i_issue_leaf(dir, "x", ROS2I_LEAF_SERVER, strange, 1, 1), -EINVAL);
    assert_int_equal(ros2i_issue_leaf(dir, "x", ROS2I_LEAF_SERVER, empty, 1, 1), -EINVAL);
    assert_int_equal(ros2i_issue_leaf(dir, "x", ROS2I_LEAF_SERVER, NULL, 0, 1), -EINVAL);
    assert_int_equal(ros2i_issue_leaf(dir, "../x", ROS2I_LEAF_CLIENT, NULL, 0, 1), -EINVAL);
    assert_int_equal(ros2i_issue_leaf(dir, "x", ROS2I_LEAF_CLIENT, NULL, 0, 0), -EINVAL);
    assert_int_equal(ros2i_issue_leaf("/nowhere/at/all", "x", ROS2I_LEAF_CLIENT, NULL, 0, 1),
                     -ENOENT);
    assert_int_equal(access(path_of("x.pem"), F_OK), -1);
    assert_int_equal(access(path_of("x.key"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_private_also_under_umask_0),
        cmocka_unit_test(leaves_verify_for_their_purpose_only),
        cmocka_unit_test(a_server_certificate_names_its_hosts),
        cmocka_unit_test(a_leaf_does_not_outlive_its_ca_and_serials_differ),
        cmocka_unit_test(nothing_is_overwritten),
        cmocka_unit_test(bad_arguments_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
