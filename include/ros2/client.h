/* SPDX-License-Identifier: Apache-2.0 */
/** Clients: connecting to a ros2d, settings, errors, log.
 *
 * No call is a cancellation point: a thread that pthread_cancel() hits in one is ended after it has returned.
 *
 * Errors: calls return 0 or a count, or a negative errno; ros2_error() then gives the calling thread's text, which says
 * what failed, on what and why. */
#ifndef ROS2_CLIENT_H
#define ROS2_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ros2_client;

/** Log levels are those of plugin.h: 0 error, 1 warn, 2 info, 3 debug. */
typedef void ros2_log_fn(void *arg, int level, const char *outlet, const char *line);

#define ROS2_CONNECT_PLAINTEXT 1u /* no TLS; only to a loopback address */

/** How to connect. Zero it, set size, then what is needed: zero means the default, so the struct can grow. */
struct ros2_connect_options {
    size_t size;             /* sizeof(struct ros2_connect_options) */
    unsigned flags;          /* ROS2_CONNECT_* */
    int checksum;            /* 0: as the daemon asks; 1: CRC-32C on every payload; -1: off */
    uint64_t timeout_ns;     /* deadline of every call; 0: 30 s; at most one day */
    const char *token;       /* bearer token itself; else token_file */
    const char *token_file;  /* first line is the token; not readable by others */
    const char *ca_file;     /* PEM; whom to trust as the daemon's issuer */
    const char *cert_file;   /* PEM; client certificate, for mutual TLS */
    const char *key_file;    /* PEM; not readable by others */
    const char *server_name; /* expected in the daemon's certificate; default: the URL's host */
    const char *config_file; /* read instead of the default ones */
    const char *client_name; /* for the daemon's log; default: the program's name */
    const char *
        transport; /* for file data: "shm", "tcp", or several by preference, "shm,tcp"; NULL: as the daemon
                                prefers, the first that works from here */
    const char *
        shm_dir; /* folder in which this process sees the daemon's data.shm_dir; NULL: the same path */
    const char *
        networks; /* over which file data may go: subnets, addresses and interfaces (for the subnets of their addresses), with
                     commas between, "10.0.0.0/8,eth0"; NULL: any. Shared memory and the control plane do not ask */
};

/** Connects to a ros2d: opens a session and returns a client that any thread may use.
 * url       "ros2://HOST[:PORT]" (port 7720 when left out), "[V6]" in brackets; NULL: settings decide.
 *           Each setting is taken from the first that has it: url and options; the environment (ROS2_URL,
 *           ROS2_TOKEN_FILE, ROS2_CA_FILE, ROS2_CERT_FILE, ROS2_KEY_FILE, ROS2_SERVER_NAME, ROS2_TRANSPORT,
 *           ROS2_SHM_DIR, ROS2_NETWORKS); the config file
 *           (options.config_file, else ROS2_CONFIG, else $XDG_CONFIG_HOME/ros2/client.yaml or ~/.config/ros2/client.yaml, else
 *           /etc/ros2/client.yaml). Environment is ignored in set-uid programs.
 * options   borrowed until return; NULL: defaults.    client_p  set on success; end with ros2_disconnect().
 * Threads: any. Blocks: up to timeout_ns, but for the resolver's time where the host is a name. A fork() in another thread
 * while a connection is being made may wait up to 6 s for it, and calls of all threads with it.
 * Returns 0 or -EINVAL (url, option, config), -ENOENT, -EACCES (token or certificate refused, or a secret file that others
 * can read), -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT, -EPROTO (not a ros2d, or TLS fails), -EPROTONOSUPPORT (version),
 * -EDQUOT (tenant's sessions), -ENOMEM; when no transport can be used, the last one's cause. */
int ros2_connect(const char *url, const struct ros2_connect_options *options,
                 struct ros2_client **client_p);

/** One setting: "url", "token_file", "ca_file", "cert_file", "key_file", "server_name", "transport", "shm_dir" or "networks"; its value; and where
 * that is from: "option", the name of an environment variable, or the path of a config file. All borrowed for the call. */
typedef void ros2_setting_fn(void *arg, const char *name, const char *value, const char *source);

/** Tells which settings ros2_connect() would use with these arguments, and where they are from, without using them.
 * url, options  as of ros2_connect(), borrowed.    fn  is called for each setting that has a value, with arg, before this
 *               returns; it must not call this function.
 * Threads: any. Blocks: reads the config file.
 * Returns 0 or -EINVAL (option, config file), -ENOENT, -EACCES (of a config file that was named), -ENOMEM. */
int ros2_settings(const char *url, const struct ros2_connect_options *options, ros2_setting_fn *fn,
                  void *arg);

/** Closes the session and frees the client. Files and directories of it must have been closed, and queues destroyed; no
 * other thread may be in a call on it, nor call with it later. In a forked child it ends the child's part only: the session is the parent's.
 * client  may be NULL; freed.
 * Threads: any. Blocks: up to 5 s, to tell the daemon, up to 2 s more when gRPC is slow to stop, and up to the deadline of
 * an open, stat or close that a destroyed queue had in flight. Cannot fail: a daemon that is not reached lets the session expire. */
void ros2_disconnect(struct ros2_client *client);

/** The transport that carries this client's file data, chosen by ros2_connect() for the client's life: "shm", "tcp", ...
 * Only a forked child that cannot use a device of its parent changes to the next one of the list.
 * Threads: any. Does not block. Never NULL; a constant. */
const char *ros2_transport(const struct ros2_client *client);

/** A transport as ros2_transports() tells of it. */
struct ros2_transport_state {
    char name[32];
    int offered;   /* 1: the daemon lists it in data.transport */
    int usable;    /* 1: this process can use it, as far as can be seen without a connection */
    int chosen;    /* 1: carries this client's file data */
    char why[480]; /* cause and way out where it is not usable; else "" */
};

/** All transports that the daemon offers, by its preference, then the others that libros2 comes with and those
 * that setting transport names.
 * client  borrowed until return.    list  room for capacity entries, the caller's; may be NULL with capacity 0.
 * Returns how many there are, which may be more than capacity; 36 at most. Threads: any, at once. Blocks: reads plugins from
 * disk. Cannot fail. */
size_t ros2_transports(const struct ros2_client *client, struct ros2_transport_state *list,
                       size_t capacity);

/** Round trip of one empty message on the data plane, over the calling thread's channel, which is connected when it is
 * not yet: so it tells whether the data plane can be reached.
 * client  borrowed until return.    rtt_ns_p  nanoseconds, connecting included; untouched on failure; may be NULL.
 * Threads: any, at once. Blocks: up to timeout_ns.
 * Returns 0 or -ETIMEDOUT (no answer, or no connection: the text names the last cause), -ESTALE (the session is gone:
 * connect again), -EACCES, -EPROTONOSUPPORT, -ENOMEM, -EMFILE (descriptors of this process). */
int ros2_ping(struct ros2_client *client, uint64_t *rtt_ns_p);

/** The calling thread's text for its last failed call: what failed, on what, why, and the way out. "" before the first.
 * Returns a string that is valid until this thread's next failing call or its end; never NULL. Does not block. */
const char *ros2_error(void);

/** Sends log lines of all clients of this process to fn; NULL: silent (the default, unless ROS2_LOG names a level: error,
 * warn, info or debug, which writes to stderr).
 * fn     may be called from any thread, also from gRPC's, many at once; it must not call libros2. line has no newline and
 *        is borrowed until fn returns.    arg  passed to fn; must live as long as the process or until the next call of this.
 * level  lines above it are dropped: 0 error, 1 warn, 2 info, 3 debug; beyond: the nearest.
 * Threads: call it before the first connect. Does not block. */
void ros2_log_callback(ros2_log_fn *fn, void *arg, int level);

#ifdef __cplusplus
}
#endif
#endif
