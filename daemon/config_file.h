/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of config.c: a configuration together with the file that it was read from, so that every complaint can name
 * the line. */
#ifndef ROS2D_CONFIG_FILE_H
#define ROS2D_CONFIG_FILE_H

#include <stddef.h>

#include "daemon/config.h"
#include "ros2/plugin.h"

struct ros2d_config_file {
    struct ros2d_config config; /* first: what config.h hands out */
    char *path;                 /* NULL: made by ros2d_config_defaults() */
    char *text;                 /* the file, NUL-terminated */
};

/* What the YAML parser gave: text of every key, NULL where there is none. Numbers and switches stay text, because
 * the parser's own readings are too lenient ("1 MiB" is 1, "flase" is true). */
struct ros2d_config_text {
    struct {
        char *listen, *threads, *plaintext, *cert_file, *key_file, *client_ca_file,
            *call_timeout_ms;
    } control;
    struct {
        char *listen, *advertise, *transport, *shm_dir, *trusted_network, *threads, *spin_us,
            *credits, *inline_limit, *max_io, *chunk, *bounce_memory, *checksum,
            *handshake_timeout_ms, *stall_timeout_ms, *max_channels;
    } data;
    struct {
        char *name, *root, *config, *layers, *layer_config;
    } engine;
    struct ros2d_token_config *tokens;
    uint32_t tokens_count;
    struct {
        char *sessions, *open_files, *regions, *registered_bytes;
    } limits;
    char *session_lifetime_ms, *log_level;
};

/* -EINVAL: not YAML, an unknown key, ...; the text names path and line. Free with ros2d_config_text_free. */
int ros2d_config_text_load(const char *path, const char *yaml, struct ros2d_config_text **text_p);
void ros2d_config_text_free(struct ros2d_config_text *text);

/* The line of a key like "data.threads" or "tokens.1.file" (counted from 0), or of the innermost part that is there;
 * 0: none is. */
unsigned ros2d_config_line(const char *yaml, const char *key);
/* "PATH:LINE: KEY: text"; returns -err. */
int ros2d_config_fail(const struct ros2d_config_file *file, const char *key, int err,
                      const char *fmt, ...) ROS2_PRINTF(4, 5);

/* What can be judged without the file system. */
int ros2d_config_judge(const struct ros2d_config_file *file);
/* Is it "HOST:PORT" or "[V6]:PORT", numeric? 0 or -EINVAL without a text. */
int ros2d_config_address(const char *address, bool *loopback_p, uint16_t *port_p);

#endif
