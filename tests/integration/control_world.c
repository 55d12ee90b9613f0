/* SPDX-License-Identifier: Apache-2.0 */
/* Controls to a ros2d, for the control_*.c tests. */
#include "config.h"

#include "tests/integration/control_world.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

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
