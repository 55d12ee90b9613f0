/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake's proofs bind secret, role and every byte of both messages. */
#include "config.h"

#include "tests/unit/unit.h"

#include "lib/protocol/hmac.h"
#include "lib/protocol/proof.h"

static uint8_t secret[ROS2I_SECRET_LEN], hello[112], challenge[72];

static int setup(void **state)
{
    uint64_t seed = 8;

    (void)state;
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)unit_next(&seed);
    for (size_t i = 0; i < sizeof hello; i++)
        hello[i] = (uint8_t)unit_next(&seed);
    for (size_t i = 0; i < sizeof challenge; i++)
        challenge[i] = (uint8_t)unit_next(&seed);
    return 0;
}

static void prove(enum ros2i_proof_role role, uint8_t proof[ROS2I_PROOF_LEN])
{
    assert_int_equal(
        ros2i_proof(secret, role, hello, sizeof hello, challenge, sizeof challenge, proof), 0);
}

/* docs/PROTOCOL.md, "Proofs", put together by hand. */
static void a_proof_is_the_hmac_of_label_and_length_prefixed_messages(void **state)
{
    uint8_t input[20 + 4 + sizeof hello + 4 + sizeof challenge] = "ROS2 v1 proof client";
    uint8_t expected[ROS2I_HMAC_LEN], proof[ROS2I_PROOF_LEN];
    struct iovec part = {input, sizeof input};

    (void)state;
    input[20] = sizeof hello;
    memcpy(input + 24, hello, sizeof hello);
    input[24 + sizeof hello] = sizeof challenge;
    memcpy(input + 28 + sizeof hello, challenge, sizeof challenge);
    assert_int_equal(ros2i_hmac_sha256(secret, sizeof secret, &part, 1, expected), 0);
    prove(ROS2I_PROOF_CLIENT, proof);
    assert_memory_equal(proof, expected, sizeof proof);

    memcpy(input + 14, "server", 6);
    assert_int_equal(ros2i_hmac_sha256(secret, sizeof secret, &part, 1, expected), 0);
    prove(ROS2I_PROOF_SERVER, proof);
    assert_memory_equal(proof, expected, sizeof proof);
}

static void the_two_roles_prove_differently_and_repeatably(void **state)
{
    uint8_t client[ROS2I_PROOF_LEN], server[ROS2I_PROOF_LEN], again[ROS2I_PROOF_LEN];

    (void)state;
    prove(ROS2I_PROOF_CLIENT, client);
    prove(ROS2I_PROOF_SERVER, server);
    prove(ROS2I_PROOF_CLIENT, again);
    assert_memory_not_equal(client, server, sizeof client);
    assert_memory_equal(client, again, sizeof client);
}

static void assert_every_byte_counts(uint8_t *bytes, size_t len)
{
    uint8_t before[ROS2I_PROOF_LEN], after[ROS2I_PROOF_LEN];

    prove(ROS2I_PROOF_CLIENT, before);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 1;
        prove(ROS2I_PROOF_CLIENT, after);
        assert_memory_not_equal(before, after, sizeof before);
        bytes[i] ^= 1;
    }
}

static void a_changed_byte_anywhere_changes_the_proof(void **state)
{
    (void)state;
    assert_every_byte_counts(secret, sizeof secret);
    assert_every_byte_counts(hello, sizeof hello);
    assert_every_byte_counts(challenge, sizeof challenge);
}

/* Without the length prefixes bytes could move from one message to the other. */
static void the_border_between_the_messages_counts(void **state)
{
    uint8_t both[sizeof hello + sizeof challenge], a[ROS2I_PROOF_LEN], b[ROS2I_PROOF_LEN];

    (void)state;
    memcpy(both, hello, sizeof hello);
    memcpy(both + sizeof hello, challenge, sizeof challenge);
    assert_int_equal(ros2i_proof(secret, ROS2I_PROOF_CLIENT, both, 112, both + 112, 72, a), 0);
    assert_int_equal(ros2i_proof(secret, ROS2I_PROOF_CLIENT, both, 111, both + 111, 73, b), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_is_the_hmac_of_label_and_length_prefixed_messages),
        cmocka_unit_test(the_two_roles_prove_differently_and_repeatably),
        cmocka_unit_test(a_changed_byte_anywhere_changes_the_proof),
        cmocka_unit_test(the_border_between_the_messages_counts),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
