/* SPDX-License-Identifier: Apache-2.0 */
/* Controls to a ros2d, for the control_*.c tests. */
#include "config.h"

#include "tests/integration/control_world.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/tls/issue.h"

const uint8_t world_nonce[ROS2I_NONCE_LEN] = {1, 2,  3,  4,  5,  6,  7,  8,
                                              9, 10, 11, 12, 13, 14, 15, 16};

uint64_t world_deadline_ms(uint64_t ms)
{
    return ros2i_now_ns() + ms * ROS2I_NS_PER_MS;
}

uint64_t world_deadline(void)
{
    return world_deadline_ms(60000);
}

struct ros2i_control_options world_options(const struct daemon *d)
{
    return (struct ros2i_control_options){
        .host = "127.0.0.1",
        .port = d->port,
        .token = d->token[0] ? d->token : NULL,
        .ca_file = d->ca_file[0] ? d->ca_file : NULL,
    };
}

struct ros2i_control *world_connect(const struct daemon *d)
{
    struct ros2i_control_options options = world_options(d);
    struct ros2i_control *control = NULL;
    struct ros2i_session session;

    world_assert_ok(ros2i_control_create(&options, &control));
    world_assert_ok(ros2i_control_open_session(control, world_nonce, world_deadline(), &session));
    return control;
}

const char *world_path(const struct daemon *d, const char *name)
{
    static char path[8][256];
    static unsigned next;
    char *p = path[next++ % 8];

    snprintf(p, sizeof path[0], "%s/%s", d->dir, name);
    return p;
}

static void write_tokens(const struct daemon *d, char *yaml, size_t len)
{
    static const struct {
        const char *name, *token, *rights, *expires;
    } list[] = {
        {"rw", WORLD_TOKEN_RW, "rw", NULL},
        {"other", WORLD_TOKEN_OTHER, "rw", NULL},
        {"ro", WORLD_TOKEN_RO, "ro", NULL},
        {"expired", WORLD_TOKEN_EXPIRED, "rw", "2020-01-01T00:00:00Z"},
    };
    size_t used = (size_t)snprintf(yaml, len, "tokens:\n");

    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        char name[32];

        snprintf(name, sizeof name, "token.%s", list[i].name);
        assert_int_equal(daemon_write_file(d, name, 0600, list[i].token), 0);
        used += (size_t)snprintf(yaml + used, len - used,
                                 "  - name: %s\n    file: %s\n    rights: %s\n", list[i].name,
                                 world_path(d, name), list[i].rights);
        if (list[i].expires)
            used +=
                (size_t)snprintf(yaml + used, len - used, "    expires: \"%s\"\n", list[i].expires);
    }
    assert_true(used < len);
}

void world_write_config(struct daemon *d, const char *control_lines, const char *engine_lines,
                        int tokens)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    char yaml[8192], token_yaml[4096] = "";
    const char *tls = world_path(d, "tls");

    world_assert_ok(ros2i_issue_ca(tls, "test CA", 1));
    world_assert_ok(ros2i_issue_leaf(tls, "server", ROS2I_LEAF_SERVER, hosts, 2, 1));
    world_assert_ok(ros2i_issue_leaf(tls, "client", ROS2I_LEAF_CLIENT, NULL, 0, 1));
    if (tokens)
        write_tokens(d, token_yaml, sizeof token_yaml);
    int len = snprintf(yaml, sizeof yaml,
                       "control:\n  listen: 127.0.0.1:0\n  threads: 4\n%s"
                       "data:\n  listen: 127.0.0.1:0\n"
                       "engine:\n  name: posix\n  root: %s\n%s%s",
                       control_lines, d->store, engine_lines, token_yaml);
    assert_true(len > 0 && (size_t)len < sizeof yaml);
    assert_int_equal(daemon_write_file(d, "ros2d.yaml", 0644, yaml), 0);
}

void world_start_config(struct daemon *d, int tokens)
{
    assert_int_equal(daemon_start_config(d), 0);
    assert_true(d->port != 0);
    snprintf(d->token, sizeof d->token, "%s", tokens ? WORLD_TOKEN_RW : "");
    snprintf(d->ca_file, sizeof d->ca_file, "%s", world_path(d, "tls/ca.pem"));
}

void world_assert_ok(int rc)
{
    if (rc != 0)
        fprintf(stderr, "failed with %d: %s\n", rc, ros2i_error());
    assert_int_equal(rc, 0);
}

void world_assert_failed(int rc, int err, const char *phrase)
{
    if (rc != -err || !strstr(ros2i_error(), phrase))
        fprintf(stderr, "returned %d (%d expected): %s\n", rc, -err, ros2i_error());
    assert_int_equal(rc, -err);
    assert_non_null(strstr(ros2i_error(), phrase));
}

void world_wait(int (*condition)(void *arg), void *arg)
{
    uint64_t deadline_ns = world_deadline();

    while (!condition(arg)) {
        assert_true(ros2i_now_ns() < deadline_ns);
        poll(NULL, 0, 2);
    }
}
