/* SPDX-License-Identifier: Apache-2.0 */
/* ros2d's configuration: a YAML file read by libcyaml against a schema; every value is checked, errors name line, key
 * and remedy. Fixed after load. Sizes in bytes, times in milliseconds. */
#ifndef ROS2D_CONFIG_H
#define ROS2D_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROS2D_TRANSPORTS_MAX     4
#define ROS2D_TRANSPORT_NAME_MAX 32 /* as in struct ros2i_endpoint */

struct ros2d_token_config {
    char *name;
    char *file;    /* holds the token; not open to every user */
    char *rights;  /* "ro" or "rw" */
    char *expires; /* "2027-01-31T00:00:00Z" or NULL: never */
};

struct ros2d_config {
    struct {
        char *listen;                                /* "127.0.0.1:7720"; port 0 picks one */
        uint32_t threads;                            /* 2 */
        bool plaintext;                              /* false; only with a loopback address */
        char *cert_file, *key_file, *client_ca_file; /* TLS; client_ca_file turns on mutual TLS */
        uint32_t call_timeout_ms; /* ceiling for calls without a deadline: 60000 */
    } control;
    struct {
        char *listen;           /* "127.0.0.1:7721": thread i listens on port + i; port 0 picks */
        char *advertise;        /* host that clients are told; NULL: that of the control plane */
        char *transport;        /* "tcp"; several by preference: "shm,tcp" */
        char *shm_dir;          /* absolute; where shm's sockets go; NULL: shm is not listed */
        bool trusted_network;   /* false: transports that expose ros2d to their peers are refused */
        uint32_t threads;       /* 1 */
        uint32_t spin_us;       /* 20 */
        uint32_t credits;       /* 64 */
        uint32_t inline_limit;  /* 4096 */
        uint32_t max_io;        /* 1 MiB */
        uint32_t chunk;         /* 1 MiB */
        uint32_t bounce_memory; /* per thread: 64 MiB */
        bool checksum;          /* true */
        uint32_t handshake_timeout_ms; /* 10000 */
        uint32_t stall_timeout_ms;     /* 10000 */
        uint32_t max_channels;         /* 4096 */
    } data;
    struct {
        char *name;         /* "posix" */
        char *root;         /* directory */
        char *config;       /* engine's own "key=value,..." or NULL */
        char *layers;       /* NULL, or names from the bottom up: "forward,fault" */
        char *layer_config; /* for the layers; NULL: none */
    } engine;
    struct ros2d_token_config *tokens;
    uint32_t tokens_count;
    struct {
        uint32_t sessions, open_files, regions; /* 1024, 65536, 65536; per tenant */
        uint64_t registered_bytes;              /* 64 GiB */
    } limits;
    uint64_t session_lifetime_ms; /* 3600000 */
    char *log_level;              /* "info" */
};

/* Defaults in place of what the file leaves out. -ENOENT, -EINVAL ...: the text names file, line, key, remedy. */
int ros2d_config_load(const char *path, struct ros2d_config **config_p);
/* All defaults, no tokens, no TLS: what --ephemeral fills in. */
int ros2d_config_defaults(struct ros2d_config **config_p);
/* The checks that need the file system (files exist, modes, directories), for --check-config and start. config: made by
 * one of the two above. */
int ros2d_config_check(const struct ros2d_config *config);
/* The transport at place index of data.transport; false: there are no more. */
bool ros2d_config_transport(const struct ros2d_config *config, unsigned index,
                            char name[ROS2D_TRANSPORT_NAME_MAX]);
/* Does it listen on a socket in data.shm_dir, not at data.listen? */
bool ros2d_config_is_local(const char *transport);
/* The socket of a data thread. -EINVAL: longer than the system takes. */
int ros2d_config_socket(const struct ros2d_config *config, unsigned thread, char *buf, size_t len);
/* Nanoseconds since 1970 UTC of "2027-01-31T00:00:00Z"; NULL: INT64_MAX, never. -EINVAL. */
int ros2d_config_expiry(const char *text, int64_t *expiry_ns_p);
void ros2d_config_free(struct ros2d_config *config);

#endif
