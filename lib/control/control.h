/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC client as lib/core sees it: plain structs in and out, no gRPC type leaves lib/control.
 *
 * Threads: any, many at once. Every call blocks up to its deadline (monotonic ns), sets the error text on failure and
 * returns 0 or -errno: the daemon's own errno, -ETIMEDOUT (deadline), -EHOSTUNREACH / -ECONNREFUSED (no daemon there),
 * -EACCES (credentials), -EPROTO (it answers, but not ros2), -ENOKEY (session unknown to the daemon: it restarted or the
 * session expired). Calls that change the namespace carry a request id and are retried inside the deadline when the
 * connection breaks, so they take effect once. When it is not known whether they did, the text ends in ROS2I_IN_DOUBT.
 *
 * gRPC is started on the first call, shut down after 5 s without one and before fork(). */
#ifndef ROS2I_CONTROL_H
#define ROS2I_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/protocol/capability.h"
#include "lib/protocol/session.h"
#include "ros2/engine.h" /* struct ros2_attr, enum ros2_open_flag: the wire's values */

#define ROS2I_IN_DOUBT "; whether it took effect is not known"

struct ros2i_control;

struct ros2i_control_options {
    const char *host; /* name or numeric address, no brackets */
    uint16_t port;
    bool plaintext;                   /* the caller has checked that host is loopback */
    const char *server_name;          /* expected in the certificate; NULL: host */
    const char *ca_file;              /* PEM; NULL: the system's */
    const char *cert_file, *key_file; /* PEM; NULL: no client certificate */
    const char *token;                /* copied, wiped in destroy; NULL: none */
    const char *client_name;          /* for the daemon's log; NULL: the program's name */
};

/* Reads the files, makes no connection. Strings are copied. -ENOENT, -EACCES, -EINVAL. */
int ros2i_control_create(const struct ros2i_control_options *options,
                         struct ros2i_control **control_p);
void ros2i_control_destroy(struct ros2i_control *control);

/* Session.Open; the session is remembered for all later calls. *session gets a copy. */
int ros2i_control_open_session(struct ros2i_control *control, const uint8_t nonce[ROS2I_NONCE_LEN],
                               uint64_t deadline_ns, struct ros2i_session *session);
int ros2i_control_attach(struct ros2i_control *control, const uint8_t nonce[ROS2I_NONCE_LEN],
                         uint64_t deadline_ns);
int ros2i_control_renew(struct ros2i_control *control, uint64_t deadline_ns);
int ros2i_control_close_session(struct ros2i_control *control, uint64_t deadline_ns);
/* grpc.health.v1 Check of "": 0 when SERVING, -EAGAIN when not. */
int ros2i_control_health(struct ros2i_control *control, uint64_t deadline_ns);

struct ros2i_open_item {
    const char *path;
    unsigned open_flags;
    uint32_t mode;
    /* Results: */
    int err; /* 0 or -errno */
    char error_text[256];
    struct ros2i_capability capability;
    struct ros2_attr attr;
};
/* 0 when the call worked; each item has its own err. count 1..4096. */
int ros2i_control_open_many(struct ros2i_control *control, struct ros2i_open_item *items,
                            size_t count, uint64_t deadline_ns);
/* errs (may be NULL): count results. */
int ros2i_control_close_many(struct ros2i_control *control, const uint64_t *handles, size_t count,
                             int *errs, uint64_t deadline_ns);
int ros2i_control_stat(struct ros2i_control *control, const char *path, bool nofollow,
                       uint64_t deadline_ns, struct ros2_attr *attr);
int ros2i_control_fstat(struct ros2i_control *control, uint64_t handle, uint64_t deadline_ns,
                        struct ros2_attr *attr);
int ros2i_control_mkdir(struct ros2i_control *control, const char *path, uint32_t mode,
                        uint64_t deadline_ns);
int ros2i_control_unlink(struct ros2i_control *control, const char *path, bool directory,
                         uint64_t deadline_ns);
int ros2i_control_rename(struct ros2i_control *control, const char *from, const char *to,
                         uint64_t deadline_ns);
/* One page of a directory: fn for each entry behind cookie until it returns 1 or the directory ends (*end_p = true).
 * attr is NULL unless with_attributes. */
int ros2i_control_list(struct ros2i_control *control, const char *path, uint64_t cookie,
                       bool with_attributes, ros2_readdir_fn *fn, void *arg, uint64_t deadline_ns,
                       bool *end_p);

int ros2i_control_register(struct ros2i_control *control, const uint8_t nonce[ROS2I_NONCE_LEN],
                           uint32_t queue, uint64_t len, uint32_t kind, uint32_t rights,
                           const char *transport, const void *key, size_t key_len,
                           uint64_t deadline_ns, uint64_t *region_id_p);
int ros2i_control_unregister(struct ros2i_control *control, uint64_t region_id,
                             uint64_t deadline_ns);

/* Around fork(): prepare ends all calls (they are retried) and shuts gRPC down; resume lets calls start again, in
 * parent and child. Installed by lib/core/fork.c with pthread_atfork. */
void ros2i_control_fork_prepare(void);
void ros2i_control_fork_parent(void);
void ros2i_control_fork_child(void);

#endif
