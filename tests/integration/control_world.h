/* SPDX-License-Identifier: Apache-2.0 */
/* What the control_*.c tests share: controls to a ros2d, deadlines, and assertions on errors. */
#ifndef ROS2_TEST_CONTROL_WORLD_H
#define ROS2_TEST_CONTROL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/control/control.h"
#include "tests/integration/daemon.h"

extern const uint8_t world_nonce[ROS2I_NONCE_LEN];

/* Whom daemon_start's ros2d trusts. Change what the case is about. */
struct ros2i_control_options world_options(const struct daemon *d);
/* Asserts success; a control with a session. */
struct ros2i_control *world_connect(const struct daemon *d);
/* Far enough for a loaded machine. */
uint64_t world_deadline(void);
uint64_t world_deadline_ms(uint64_t ms);

/* Writes d's ros2d.yaml: a TLS certificate of a CA of its own (tls/ca.pem, tls/server.*; client.* for client certificates),
 * the tokens below, and the given lines in the sections control and engine ("" for none; indented by two blanks, with
 * newlines). tokens: whether there are any. */
void world_write_config(struct daemon *d, const char *control_lines, const char *engine_lines,
                        int tokens);
/* daemon_start_config(), then d->token and d->ca_file are set for world_options(). */
void world_start_config(struct daemon *d, int tokens);
#define WORLD_TOKEN_RW      "rw-0123456789abcdef"
#define WORLD_TOKEN_OTHER   "other-0123456789abcdef"
#define WORLD_TOKEN_RO      "ro-0123456789abcdef"
#define WORLD_TOKEN_EXPIRED "expired-0123456789abcdef"
/* dir/NAME, in one of a few static buffers. */
const char *world_path(const struct daemon *d, const char *name);

/* The call failed with that errno, and its text holds the phrase. */
void world_assert_failed(int rc, int err, const char *phrase);
/* It did not; prints the text otherwise. */
void world_assert_ok(int rc);
/* Polls until condition(arg) holds; fails the test after a minute. */
void world_wait(int (*condition)(void *arg), void *arg);

#endif
