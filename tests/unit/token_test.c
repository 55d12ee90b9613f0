/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/tenant_fixture.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

#define SECRET_A "0123456789abcdef-a"
#define SECRET_B "0123456789abcdef-b"

static int64_t fake_wall = 1000;

static int64_t read_fake(void)
{
    return fake_wall;
}

static struct ros2d_tokens *two_tokens(void)
{
    struct ros2d_tokens *tokens;

    ros2i_clock_inject(NULL, read_fake);
    assert_int_equal(ros2d_tokens_create(&tokens), 0);
    assert_int_equal(ros2d_tokens_add(tokens, "a", SECRET_A, NULL, 1, INT64_MAX), 0);
    assert_int_equal(ros2d_tokens_add(tokens, "b", SECRET_B, NULL, 3, 2000), 0);
    return tokens;
}

static void a_token_names_its_principal(void **state)
{
    struct ros2d_tokens *tokens = two_tokens();
    struct ros2d_principal principal;

    (void)state;
    assert_int_equal(ros2d_tokens_check(tokens, SECRET_B, strlen(SECRET_B), &principal), 0);
    assert_string_equal(principal.name, "b");
    assert_int_equal(principal.rights, 3);
    assert_int_equal(principal.expiry_ns, 2000);
    ros2d_tokens_destroy(tokens);
}

static void unknown_tokens_are_refused_without_repeating_them(void **state)
{
    struct ros2d_tokens *tokens = two_tokens();
    struct ros2d_principal principal;

    (void)state;
    assert_int_equal(ros2d_tokens_check(tokens, "no-such-secret!!", 16, &principal), -EACCES);
    assert_null(strstr(ros2i_error(), "no-such-secret"));
    assert_int_equal(ros2d_tokens_check(tokens, SECRET_A, strlen(SECRET_A) - 1, &principal),
                     -EACCES);
    assert_int_equal(ros2d_tokens_check(tokens, "", 0, &principal), -EACCES);
    ros2d_tokens_destroy(tokens);
}

static void an_expired_token_says_since_when(void **state)
{
    struct ros2d_tokens *tokens = two_tokens();
    struct ros2d_principal principal;

    (void)state;
    fake_wall = 2000;
    assert_int_equal(ros2d_tokens_check(tokens, SECRET_B, strlen(SECRET_B), &principal),
                     -EKEYEXPIRED);
    assert_non_null(strstr(ros2i_error(), "1970-01-01T00:00:00Z"));
    assert_int_equal(ros2d_tokens_check(tokens, SECRET_A, strlen(SECRET_A), &principal), 0);
    fake_wall = 1000;
    ros2d_tokens_destroy(tokens);
}

static void short_tokens_and_names_used_twice_are_refused(void **state)
{
    struct ros2d_tokens *tokens = two_tokens();

    (void)state;
    assert_int_equal(ros2d_tokens_add(tokens, "c", "0123456789abcde", NULL, 1, INT64_MAX), -EINVAL);
    assert_null(strstr(ros2i_error(), "0123456789"));
    assert_int_equal(ros2d_tokens_add(tokens, "a", "0123456789abcdef", NULL, 1, INT64_MAX),
                     -EEXIST);
    ros2d_tokens_destroy(tokens);
}

static void a_limit_is_exact(void **state)
{
    struct ros2d_limit limit = {.max = 10}, endless = {0};

    (void)state;
    assert_int_equal(ros2d_limit_take(&limit, 10, "things", "limits.things"), 0);
    assert_int_equal(ros2d_limit_take(&limit, 1, "things", "limits.things"), -EDQUOT);
    assert_non_null(strstr(ros2i_error(), "things"));
    assert_non_null(strstr(ros2i_error(), "10"));
    assert_non_null(strstr(ros2i_error(), "limits.things"));
    ros2d_limit_give(&limit, 4);
    assert_int_equal(ros2d_limit_take(&limit, UINT64_MAX, "things", "limits.things"), -EDQUOT);
    assert_int_equal(ros2d_limit_take(&limit, 4, "things", "limits.things"), 0);
    assert_int_equal(ros2d_limit_take(&endless, UINT64_MAX, "things", "limits.things"), 0);
    assert_int_equal(ros2d_limit_take(&endless, 1, "things", "limits.things"), -EDQUOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_names_its_principal),
        cmocka_unit_test(unknown_tokens_are_refused_without_repeating_them),
        cmocka_unit_test(an_expired_token_says_since_when),
        cmocka_unit_test(short_tokens_and_names_used_twice_are_refused),
        cmocka_unit_test(a_limit_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
