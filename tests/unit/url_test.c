/* SPDX-License-Identifier: Apache-2.0 */
/* What ros2_connect() takes as a URL. */
#include "config.h"

#include "lib/core/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/error.h"

static void check(const char *text, const char *host, unsigned port, bool v6)
{
    struct ros2i_url url;
    assert_int_equal(ros2i_url_parse(text, &url), 0);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_int_equal(url.v6, v6);
}

static void host_and_port_are_taken_apart(void **state)
{
    (void)state;
    check("ros2://storage.example:7001", "storage.example", 7001, false);
    check("ros2://storage.example", "storage.example", 7720, false);
    check("ros2://127.0.0.1:1", "127.0.0.1", 1, false);
    check("ros2://a-b_c:65535", "a-b_c", 65535, false);
}

static void ipv6_goes_in_brackets_and_keeps_its_scope(void **state)
{
    (void)state;
    check("ros2://[::1]", "::1", 7720, true);
    check("ros2://[fe80::1%eth0]:99", "fe80::1%eth0", 99, true);
    check("ros2://[::ffff:10.0.0.1]:99", "::ffff:10.0.0.1", 99, true);
}

static void what_is_no_url_is_refused_with_the_part_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "ros2://"},
        {"localhost", "ros2://"},
        {"http://h", "scheme \"http\""},
        {"ros2://", "host is missing"},
        {"ros2://:7720", "host is missing"},
        {"ros2://h:", "port \"\""},
        {"ros2://h:0", "port \"0\""},
        {"ros2://h:65536", "port \"65536\""},
        {"ros2://h:99999999999999999999", "port"},
        {"ros2://h:12x", "port \"12x\""},
        {"ros2://h:-1", "port \"-1\""},
        {"ros2://h/", "\"/\" follows the host"},
        {"ros2://h:1/dir", "\"/dir\" follows the port"},
        {"ros2://h?x=1", "follows the host"},
        {"ros2://user:secret@h", "\"@\" is not allowed"},
        {"ros2://h h", "characters"},
        {"ros2://::1", "in brackets"},
        {"ros2://fe80::1:7720", "in brackets"},
        {"ros2://[::1", "without \"]\""},
        {"ros2://[]", "no IPv6 address"},
        {"ros2://[127.0.0.1]", "no IPv6 address"},
        {"ros2://[host]", "no IPv6 address"},
        {"ros2://[::1%]", "scope id"},
        {"ros2://[::1%a/b]", "scope id"},
        {"ros2://[::1]x", "\"x\" follows the host"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ros2i_url url = {.port = 77};
        int rc = ros2i_url_parse(bad[i].text, &url);
        if (rc != -EINVAL || !strstr(ros2i_error(), bad[i].says))
            fail_msg("\"%s\": %d, \"%s\" lacks \"%s\"", bad[i].text, rc, ros2i_error(),
                     bad[i].says);
        assert_int_equal(url.port, 77);
    }
}

static void a_secret_in_a_url_is_not_repeated(void **state)
{
    (void)state;
    struct ros2i_url url;
    assert_int_equal(ros2i_url_parse("ros2://user:hunter2@h", &url), -EINVAL);
    assert_null(strstr(ros2i_error(), "hunter2"));
}

static void a_host_name_longer_than_dns_allows_is_refused(void **state)
{
    (void)state;
    char text[400];
    struct ros2i_url url;
    memset(text, 'a', sizeof(text));
    memcpy(text, "ros2://", 7);
    text[7 + ROS2I_HOST_MAX] = '\0';
    assert_int_equal(ros2i_url_parse(text, &url), -EINVAL);
    text[7 + ROS2I_HOST_MAX - 1] = '\0';
    assert_int_equal(ros2i_url_parse(text, &url), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_port_are_taken_apart),
        cmocka_unit_test(ipv6_goes_in_brackets_and_keeps_its_scope),
        cmocka_unit_test(what_is_no_url_is_refused_with_the_part_that_is_wrong),
        cmocka_unit_test(a_secret_in_a_url_is_not_repeated),
        cmocka_unit_test(a_host_name_longer_than_dns_allows_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
