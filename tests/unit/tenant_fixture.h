/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant whose engine only counts closes, and the tables over it: what the tests of daemon/tenant start from. */
#ifndef TESTS_UNIT_TENANT_FIXTURE_H
#define TESTS_UNIT_TENANT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/tenant/handles.h"
#include "daemon/tenant/regions.h"
#include "daemon/tenant/sessions.h"

struct ros2_node {
    _Atomic int open; /* 1 until close */
};

static _Atomic int nodes_closed;

static inline void fixture_node_close(struct ros2_node *node)
{
    assert_int_equal(atomic_exchange(&node->open, 0), 1);
    atomic_fetch_add(&nodes_closed, 1);
    free(node);
}

static const struct ros2_engine_ops fixture_ops = {.name = "counting", .close = fixture_node_close};

static inline struct ros2_node *fixture_node(void)
{
    struct ros2_node *node = calloc(1, sizeof(*node));

    assert_non_null(node);
    atomic_store(&node->open, 1);
    return node;
}

struct tables {
    struct ros2d_tenant tenant;
    struct ros2d_principal principal;
    struct ros2d_handles *handles;
    struct ros2d_regions *regions;
    struct ros2d_sessions *sessions;
};

static inline int tables_setup(void **state)
{
    struct tables *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    atomic_store(&nodes_closed, 0);
    t->tenant.engine_ops = &fixture_ops;
    t->principal = (struct ros2d_principal){
        .name = "test", .tenant = &t->tenant, .rights = 7, .expiry_ns = INT64_MAX};
    assert_int_equal(ros2d_handles_create(64, &t->handles), 0);
    assert_int_equal(ros2d_regions_create(64, &t->regions), 0);
    assert_int_equal(ros2d_sessions_create(1000000000, t->handles, t->regions, &t->sessions), 0);
    *state = t;
    return 0;
}

static inline int tables_teardown(void **state)
{
    struct tables *t = *state;

    ros2d_sessions_destroy(t->sessions);
    ros2d_regions_destroy(t->regions);
    ros2d_handles_destroy(t->handles);
    assert_int_equal(t->tenant.limits.sessions.used, 0);
    assert_int_equal(t->tenant.limits.open_files.used, 0);
    assert_int_equal(t->tenant.limits.regions.used, 0);
    assert_int_equal(t->tenant.limits.registered_bytes.used, 0);
    free(t);
    return 0;
}

static inline struct ros2d_session *tables_session(struct tables *t)
{
    struct ros2d_session *session;

    assert_int_equal(ros2d_sessions_open(t->sessions, &t->principal, &session), 0);
    return session;
}

#endif
