/* SPDX-License-Identifier: Apache-2.0 */
/* The engine suite: topics, each a file of cases, which one program runs. A case gets a fresh world. */
#ifndef TESTS_CONFORMANCE_ENGINE_SUITE_H
#define TESTS_CONFORMANCE_ENGINE_SUITE_H

#include "tests/conformance/engine_world.h"

struct topic {
    const struct CMUnitTest *tests;
    size_t count;
};

#define world_test(function) cmocka_unit_test_setup_teardown(function, world_setup, world_teardown)
#define topic(tests)                            \
    {                                           \
        tests, sizeof(tests) / sizeof(tests[0]) \
    }

extern const struct topic engine_append;
extern const struct topic engine_confinement;
extern const struct topic engine_data;
extern const struct topic engine_inflight;
extern const struct topic engine_namespace;
extern const struct topic engine_readdir;

#endif
