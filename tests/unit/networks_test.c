/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses setting networks lets through, and what it refuses to be. */
#include "config.h"

#include "lib/core/networks.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/error.h"

static void addresses_are_in_subnets_or_not(void **state)
{
    static const struct {
        const char *networks, *address;
        bool allowed;
    } row[] = {
        {"10.0.0.0/8", "10.255.1.2:7720", true},
        {"10.0.0.0/8", "11.0.0.1:7720", false},
        {"10.1.2.3/8", "10.9.9.9:1", true}, /* the rest of the address does not count */
        {"192.168.4.0/22", "192.168.7.255:1", true},
        {"192.168.4.0/22", "192.168.8.0:1", false},
        {"192.168.4.128/25", "192.168.4.127:1", false},
        {"192.168.4.7", "192.168.4.7:1", true},
        {"192.168.4.7", "192.168.4.6:1", false},
        {"0.0.0.0/0", "203.0.113.1:1", true},
        {"0.0.0.0/0", "[2001:db8::1]:1", false},
        {"::/0", "[2001:db8::1]:1", true},
        {"fd00::/8", "[fd12:3456::1]:7720", true},
        {"fd00::/8", "[fe80::1%eth0]:7720", false},
        {"fe80::/10", "[fe80::1%eth0]:7720", true},
        {"2001:db8::/127", "[2001:db8::1]:1", true},
        {"2001:db8::/127", "[2001:db8::2]:1", false},
        {"10.0.0.0/8,192.168.0.0/16,fd00::/8", "192.168.1.1:1", true},
        {"lo", "127.0.0.1:7720", true},
        {"lo", "127.8.8.8:7720", true}, /* its subnet is 127.0.0.0/8 */
        {"lo", "10.0.0.1:7720", false},
        {"no-such-if", "127.0.0.1:7720", false},
        {"no-such-if,lo", "127.0.0.1:7720", true},
        {"0.0.0.0/0", "/run/ros2/socket", false},
        {"0.0.0.0/0", "", false},
        {"0.0.0.0/0", "host.example:1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        assert_int_equal(ros2i_networks_check(row[i].networks), 0);
        if (ros2i_networks_allow(row[i].networks, row[i].address) != row[i].allowed)
            fail_msg("%s in %s: not %d", row[i].address, row[i].networks, row[i].allowed);
    }
}

static void what_is_no_network_is_refused_by_name(void **state)
{
    static const char *const broken[][2] = {
        {"", "\"\""},
        {",", "\"\""},
        {"10.0.0.0/8,", "comma"},
        {"10.0.0.0/8,,lo", "\"\""},
        {"10.0.0.0/33", "10.0.0.0/33"},
        {"10.0.0.0/-1", "10.0.0.0/-1"},
        {"10.0.0.0/", "10.0.0.0/"},
        {"10.0.0.0/8x", "10.0.0.0/8x"},
        {"10.0.0/8", "10.0.0/8"},
        {"fd00::/129", "fd00::/129"},
        {"eth0/8", "eth0/8"},
        {"a name", "a name"},
        {"an-interface-of-too-many-letters", "an-interface-of-too-many-letters"},
        {"lo,0123456789012345678901234567890123456789012345678901234567890123456789", "0123456789"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        if (ros2i_networks_check(broken[i][0]) != -EINVAL)
            fail_msg("%s is taken", broken[i][0]);
        if (!strstr(ros2i_error(), broken[i][1]) || !strstr(ros2i_error(), "networks"))
            fail_msg("%s: %s", broken[i][0], ros2i_error());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_in_subnets_or_not),
        cmocka_unit_test(what_is_no_network_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
