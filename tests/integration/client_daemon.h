/* SPDX-License-Identifier: Apache-2.0 */
/* A real ros2d for the client_*.c tests: over a fresh directory, on ports that the system picks. Clients use the transport
 * $ROS2_TEST_TRANSPORT (tcp without it), at $ROS2_TEST_HOST (127.0.0.1). */
#ifndef TESTS_CLIENT_DAEMON_H
#define TESTS_CLIENT_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ros2/ros2.h>

struct daemon {
    pid_t pid; /* 0: not running */
    char dir[256];
    char store[300]; /* what it serves */
    char hold[300];  /* while this file exists, what the fault rules hold stays held */
    char url[128];
    char token_file[300], ro_token_file[300], ca_file[300];
    bool plaintext;
};

/* faults: rules of the fault layer ("HOLD" in it becomes the path of hold), which makes it a plaintext daemon with a config
 * file; NULL: --ephemeral, with TLS. Fails the test when it does not come up. */
void daemon_start(struct daemon *d, const char *faults);
/* more: lines for the end of the config file. */
void daemon_start_with(struct daemon *d, const char *faults, const char *more);
void daemon_stop(struct daemon *d); /* SIGTERM, waits, removes its directory */
void daemon_kill(struct daemon *d); /* SIGKILL, waits; the directory stays until daemon_stop() */
void daemon_hold(struct daemon *d);
void daemon_release(struct daemon *d);

const char *test_transport(void);
/* Options that reach it. */
struct ros2_connect_options daemon_options(const struct daemon *d);
struct ros2_client *daemon_connect(const struct daemon *d);
struct ros2_client *daemon_connect_with(const struct daemon *d,
                                        const struct ros2_connect_options *options);

/* cmocka group setup and teardown of one --ephemeral daemon, in *state. */
int daemon_group_setup(void **state);
int daemon_group_teardown(void **state);

/* Ends the data channels of this process: every TCP connection but that to the control port of d, and those to sockets of
 * shm. Returns how many. */
int daemon_cut_channels(const struct daemon *d);

/* A path below the store, made of a format; static buffers, 8 in turn. */
const char *store_path(const struct daemon *d, const char *name);
void store_write(const struct daemon *d, const char *name, const void *data, size_t len);
void *store_read(const struct daemon *d, const char *name, size_t *len_p);

struct ros2_file *must_open(struct ros2_client *client, const char *path, int flags);
uint64_t real_ns(void);
/* Bytes that differ by place and seed. */
void pattern(uint8_t *buf, size_t len, uint32_t seed);

/* With AddressSanitizer, a child that was forked while another thread allocated may wait forever in its first free(): nothing
 * sees to the locks of that allocator (seen: the quarantine's, in gcc 12). Threads beside a fork must not allocate then. */
#ifdef __SANITIZE_ADDRESS__
#define ALLOCATOR_SURVIVES_FORK false
#else
#define ALLOCATOR_SURVIVES_FORK true
#endif

#define assert_ok(call)                                                             \
    do {                                                                            \
        int64_t assert_ok_rc = (int64_t)(call);                                     \
        if (assert_ok_rc < 0)                                                       \
            fail_msg("%s: %lld, %s", #call, (long long)assert_ok_rc, ros2_error()); \
    } while (0)
#define assert_error(call, errno_)                                                        \
    do {                                                                                  \
        int64_t assert_error_rc = (int64_t)(call);                                        \
        if (assert_error_rc != -(errno_))                                                 \
            fail_msg("%s: %lld, not -%s; %s", #call, (long long)assert_error_rc, #errno_, \
                     ros2_error());                                                       \
    } while (0)

#endif
