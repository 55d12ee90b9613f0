/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: one table says what each key is, its range and its default; what keys mean together is judged in
 * config_check.c. Owner: main; fixed after load. */
#include "config.h"

#include "daemon/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config_file.h"
#include "lib/base/error.h"
#include "lib/protocol/session.h"
#include "lib/protocol/wire.h"

#define FILE_MAX (1u << 20)
#define KIB      1024ull
#define MIB      (1024 * KIB)
#define GIB      (1024 * MIB)

enum type { TEXT, U32, U64, SWITCH };

struct key {
    const char *name;
    size_t from; /* in struct ros2d_config_text */
    size_t to;   /* in struct ros2d_config */
    enum type type;
    const char *text; /* default of TEXT, or NULL */
    uint64_t number;  /* default of the others */
    uint64_t min, max;
};

#define BOTH(member) \
#member, offsetof(struct ros2d_config_text, member), offsetof(struct ros2d_config, member)

static const struct key keys[] = {
    {BOTH(control.listen), TEXT, "127.0.0.1:7720", 0, 0, 0},
    {BOTH(control.threads), U32, NULL, 2, 1, 64},
    {BOTH(control.plaintext), SWITCH, NULL, false, 0, 0},
    {BOTH(control.cert_file), TEXT, NULL, 0, 0, 0},
    {BOTH(control.key_file), TEXT, NULL, 0, 0, 0},
    {BOTH(control.client_ca_file), TEXT, NULL, 0, 0, 0},
    {BOTH(control.call_timeout_ms), U32, NULL, 60000, 100, 3600000},
    {BOTH(data.listen), TEXT, "127.0.0.1:7721", 0, 0, 0},
    {BOTH(data.advertise), TEXT, NULL, 0, 0, 0},
    {BOTH(data.transport), TEXT, "tcp", 0, 0, 0},
    {BOTH(data.shm_dir), TEXT, NULL, 0, 0, 0},
    {BOTH(data.trusted_network), SWITCH, NULL, false, 0, 0},
    {BOTH(data.threads), U32, NULL, 1, 1, ROS2I_ENDPOINTS_MAX},
    {BOTH(data.spin_us), U32, NULL, 20, 0, 1000000},
    {BOTH(data.credits), U32, NULL, 64, 1, ROS2I_WIRE_CREDITS_MAX},
    {BOTH(data.inline_limit), U32, NULL, 4096, 0, ROS2I_WIRE_INLINE_MAX},
    {BOTH(data.max_io), U32, NULL, 1 * MIB, 4096, ROS2I_WIRE_IO_MAX},
    {BOTH(data.chunk), U32, NULL, 1 * MIB, 64 * KIB, 4 * MIB},
    {BOTH(data.bounce_memory), U32, NULL, 64 * MIB, 1 * MIB, 2 * GIB},
    {BOTH(data.checksum), SWITCH, NULL, true, 0, 0},
    {BOTH(data.handshake_timeout_ms), U32, NULL, 10000, 100, 600000},
    {BOTH(data.stall_timeout_ms), U32, NULL, 10000, 100, 600000},
    {BOTH(data.max_channels), U32, NULL, 4096, 1, 1000000},
    {BOTH(engine.name), TEXT, "posix", 0, 0, 0},
    {BOTH(engine.root), TEXT, NULL, 0, 0, 0},
    {BOTH(engine.config), TEXT, NULL, 0, 0, 0},
    {BOTH(engine.layers), TEXT, NULL, 0, 0, 0},
    {BOTH(engine.layer_config), TEXT, NULL, 0, 0, 0},
    {BOTH(limits.sessions), U32, NULL, 1024, 1, 1000000},
    {BOTH(limits.open_files), U32, NULL, 65536, 1, 10000000},
    {BOTH(limits.regions), U32, NULL, 65536, 1, 10000000},
    {BOTH(limits.registered_bytes), U64, NULL, 64 * GIB, 1, UINT64_MAX},
    {BOTH(session_lifetime_ms), U64, NULL, 3600000, 1000, 365ull * 24 * 3600 * 1000},
    {BOTH(log_level), TEXT, "info", 0, 0, 0},
};
#define KEYS (sizeof(keys) / sizeof(*keys))

/* -- values -- */

static char **text_at(struct ros2d_config *config, const struct key *key)
{
    return (char **)((char *)config + key->to);
}

static void store(struct ros2d_config *config, const struct key *key, uint64_t value)
{
    void *to = (char *)config + key->to;

    if (key->type == U32)
        *(uint32_t *)to = (uint32_t)value; /* the range was checked */
    else if (key->type == U64)
        *(uint64_t *)to = value;
    else
        *(bool *)to = value != 0;
}

/* "1048576", "1 MiB", "64KiB". */
static bool parse_number(const char *text, uint64_t *value_p)
{
    static const struct {
        const char *suffix;
        uint64_t unit;
    } units[] = {{"", 1}, {"KiB", KIB}, {"MiB", MIB}, {"GiB", GIB}};
    char *end;
    uint64_t value;

    if (!isdigit((unsigned char)text[0])) /* strtoull takes signs and blanks */
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    end += strspn(end, " ");
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(end, units[i].suffix) != 0)
            continue;
        if (value > UINT64_MAX / units[i].unit)
            return false;
        *value_p = value * units[i].unit;
        return true;
    }
    return false;
}

static int take_number(struct ros2d_config_file *file, const struct key *key, const char *text)
{
    uint64_t value;

    if (!parse_number(text, &value))
        return ros2d_config_fail(file, key->name, EINVAL,
                                 "\"%s\" is not a number; give %" PRIu64 " to %" PRIu64
                                 " (KiB, MiB, GiB may follow)",
                                 text, key->min, key->max);
    if (value < key->min || value > key->max)
        return ros2d_config_fail(file, key->name, EINVAL,
                                 "%s is out of range; give %" PRIu64 " to %" PRIu64, text, key->min,
                                 key->max);
    store(&file->config, key, value);
    return 0;
}

static int take_switch(struct ros2d_config_file *file, const struct key *key, const char *text)
{
    bool on = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "on") == 0;

    if (!on && strcmp(text, "false") != 0 && strcmp(text, "no") != 0 && strcmp(text, "off") != 0)
        return ros2d_config_fail(file, key->name, EINVAL,
                                 "\"%s\" is not a switch; give true or false", text);
    store(&file->config, key, on);
    return 0;
}

/* Moves text's strings over. */
static int take_values(struct ros2d_config_file *file, struct ros2d_config_text *text)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = &keys[i];
        char **from = (char **)((char *)text + key->from);
        int rc = 0;

        if (!*from)
            continue;
        if (key->type == TEXT) {
            char **to = text_at(&file->config, key);
            free(*to);
            *to = *from;
            *from = NULL;
        } else {
            rc =
                key->type == SWITCH ? take_switch(file, key, *from) : take_number(file, key, *from);
        }
        if (rc < 0)
            return rc;
    }
    file->config.tokens = text->tokens;
    file->config.tokens_count = text->tokens_count;
    text->tokens = NULL;
    text->tokens_count = 0;
    return 0;
}

/* -- files -- */

/* Up to FILE_MAX bytes of text, NUL-terminated. */
static int read_text(int fd, const char *path, char **text_p)
{
    size_t have = 0, room = 0;
    char *text = NULL;
    int rc;

    for (;;) {
        if (have + 1 >= room) {
            room = room ? 2 * room : 4096;
            char *more = realloc(text, room);
            if (!more) {
                rc = ros2i_fail(ENOMEM, "%s: out of memory", path);
                goto free_text;
            }
            text = more;
        }
        ssize_t n = read(fd, text + have, room - have - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            rc = ros2i_fail(errno, "%s: read: %s", path, ros2i_strerror(errno));
            goto free_text;
        }
        if (n == 0)
            break;
        have += (size_t)n;
        if (have > FILE_MAX) {
            rc = ros2i_fail(EFBIG, "%s: larger than %u bytes, which no configuration is", path,
                            FILE_MAX);
            goto free_text;
        }
    }
    text[have] = '\0';
    if (strlen(text) != have) {
        rc = ros2i_fail(EINVAL, "%s: holds a NUL byte; it must be text", path);
        goto free_text;
    }
    *text_p = text;
    return 0;
free_text:
    free(text);
    return rc;
}

static int open_text(const char *path, char **text_p)
{
    struct stat st;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return ros2i_fail(errno, "%s: %s; name the configuration with --config", path,
                          ros2i_strerror(errno));
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        rc = ros2i_fail(EISDIR, "%s: is a directory; name a file", path);
    else
        rc = read_text(fd, path, text_p);
    close(fd);
    return rc;
}

/* -- interface -- */

int ros2d_config_defaults(struct ros2d_config **config_p)
{
    struct ros2d_config_file *file = calloc(1, sizeof(*file));

    if (!file)
        return ros2i_fail(ENOMEM, "configuration: out of memory");
    for (size_t i = 0; i < KEYS; i++) {
        const struct key *key = &keys[i];

        if (key->type != TEXT) {
            store(&file->config, key, key->number);
        } else if (key->text) {
            char *copy = strdup(key->text);
            if (!copy) {
                ros2d_config_free(&file->config);
                return ros2i_fail(ENOMEM, "configuration: out of memory");
            }
            *text_at(&file->config, key) = copy;
        }
    }
    *config_p = &file->config;
    return 0;
}

static int fill(struct ros2d_config_file *file, const char *path)
{
    struct ros2d_config_text *text;
    int rc;

    file->path = strdup(path);
    if (!file->path)
        return ros2i_fail(ENOMEM, "%s: out of memory", path);
    rc = open_text(path, &file->text);
    if (rc == 0)
        rc = ros2d_config_text_load(path, file->text, &text);
    if (rc < 0)
        return rc;
    rc = take_values(file, text);
    ros2d_config_text_free(text);
    return rc < 0 ? rc : ros2d_config_judge(file);
}

int ros2d_config_load(const char *path, struct ros2d_config **config_p)
{
    struct ros2d_config *config;
    int rc = ros2d_config_defaults(&config);

    if (rc < 0)
        return rc;
    rc = fill((struct ros2d_config_file *)config, path);
    if (rc < 0) {
        ros2d_config_free(config);
        return rc;
    }
    *config_p = config;
    return 0;
}

void ros2d_config_free(struct ros2d_config *config)
{
    struct ros2d_config_file *file = (struct ros2d_config_file *)config;

    if (!config)
        return;
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].type == TEXT)
            free(*text_at(config, &keys[i]));
    for (uint32_t i = 0; i < config->tokens_count; i++) {
        free(config->tokens[i].name);
        free(config->tokens[i].file);
        free(config->tokens[i].rights);
        free(config->tokens[i].expires);
    }
    free(config->tokens);
    free(file->path);
    free(file->text);
    free(file);
}
