/* SPDX-License-Identifier: Apache-2.0 */
/* YAML to text per key, by libcyaml and the schema below. What libcyaml logs when it refuses a file is caught and becomes
 * one error text. Any thread. */
#include "config.h"

#include "daemon/config_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/error.h"

#define TEXT_MAX   4096
#define TOKENS_MAX 1024

#define TEXT(key, structure, member)                                                          \
    CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER_NULL_STR | CYAML_FLAG_OPTIONAL, structure, \
                           member, 0, TEXT_MAX)
#define IN(section, key) TEXT(#key, struct ros2d_config_text, section.key)
#define TOKEN(key)       TEXT(#key, struct ros2d_token_config, key)

/* A section lies in the whole struct at offset 0, so that its fields have the offsets of `section.key`. */
#define SECTION(name)                                            \
    {                                                            \
        .key = #name,                                            \
        .value = {.type = CYAML_MAPPING,                         \
                  .flags = CYAML_FLAG_OPTIONAL,                  \
                  .data_size = sizeof(struct ros2d_config_text), \
                  .mapping = {.fields = name##_fields}},         \
    }

static const cyaml_schema_field_t control_fields[] = {
    IN(control, listen),          IN(control, threads),  IN(control, plaintext),
    IN(control, cert_file),       IN(control, key_file), IN(control, client_ca_file),
    IN(control, call_timeout_ms), CYAML_FIELD_END,
};

static const cyaml_schema_field_t data_fields[] = {
    IN(data, listen),
    IN(data, advertise),
    IN(data, transport),
    IN(data, shm_dir),
    IN(data, trusted_network),
    IN(data, threads),
    IN(data, spin_us),
    IN(data, credits),
    IN(data, inline_limit),
    IN(data, max_io),
    IN(data, chunk),
    IN(data, bounce_memory),
    IN(data, checksum),
    IN(data, handshake_timeout_ms),
    IN(data, stall_timeout_ms),
    IN(data, max_channels),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t engine_fields[] = {
    IN(engine, name),   IN(engine, root),         IN(engine, config),
    IN(engine, layers), IN(engine, layer_config), CYAML_FIELD_END,
};

static const cyaml_schema_field_t limits_fields[] = {
    IN(limits, sessions),         IN(limits, open_files), IN(limits, regions),
    IN(limits, registered_bytes), CYAML_FIELD_END,
};

static const cyaml_schema_field_t token_fields[] = {
    TOKEN(name), TOKEN(file), TOKEN(rights), TOKEN(expires), CYAML_FIELD_END,
};

static const cyaml_schema_value_t token_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ros2d_token_config, token_fields),
};

static const cyaml_schema_field_t top_fields[] = {
    SECTION(control),
    SECTION(data),
    SECTION(engine),
    SECTION(limits),
    CYAML_FIELD_SEQUENCE("tokens", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct ros2d_config_text, tokens, &token_value, 0, TOKENS_MAX),
    TEXT("session_lifetime_ms", struct ros2d_config_text, session_lifetime_ms),
    TEXT("log_level", struct ros2d_config_text, log_level),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t top = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ros2d_config_text, top_fields),
};

/* -- what libcyaml says -- */

/* Its lines: the cause, then a backtrace from the inside out, "in mapping field 'data' (line: 2, column: 3)". */
struct complaint {
    char cause[512];
    char key[256]; /* "data.threads" */
    unsigned line;
};

static void add_outer(struct complaint *complaint, const char *name)
{
    char inner[sizeof(complaint->key)];

    memcpy(inner, complaint->key, sizeof(inner));
    snprintf(complaint->key, sizeof(complaint->key), "%.60s%s%.190s", name, inner[0] ? "." : "",
             inner);
}

static void add_frame(struct complaint *complaint, const char *text)
{
    const char *quote = strchr(text, '\''), *end = quote ? strchr(quote + 1, '\'') : NULL;
    const char *line = strstr(text, "(line: ");
    char name[61];

    if (line && complaint->line == 0)
        sscanf(line, "(line: %u", &complaint->line);
    if (!end)
        return;
    snprintf(name, sizeof(name), "%.*s", (int)(end - quote - 1), quote + 1);
    if (strstr(text, "sequence entry")) { /* counted from 1 there, from 0 in our keys */
        unsigned index = 0;
        sscanf(name, "%u", &index);
        snprintf(name, sizeof(name), "%u", index ? index - 1 : 0);
    }
    add_outer(complaint, name);
}

static void listen_to(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
    ROS2_PRINTF(3, 0);
static void listen_to(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    static const char head[] = "Load: ";
    struct complaint *complaint = ctx;
    char text[512];

    if (level < CYAML_LOG_ERROR || vsnprintf(text, sizeof(text), fmt, args) < 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, head, sizeof(head) - 1) != 0)
        add_frame(complaint, text);
    else if (!complaint->cause[0])
        snprintf(complaint->cause, sizeof(complaint->cause), "%s", text + sizeof(head) - 1);
}

/* Its own words, or clearer ones where we have them. */
static void explain(const struct complaint *complaint, char *text, size_t len)
{
    static const char unexpected[] = "Unexpected key: ", expecting[] = "Expecting ",
                      twice[] = "Mapping field already seen: ", yaml[] = "libyaml: ";
    const char *cause = complaint->cause;

    if (strncmp(cause, unexpected, sizeof(unexpected) - 1) == 0)
        snprintf(text, len, "unknown key \"%s\"; docs/ros2d.yaml shows the keys that there are",
                 cause + sizeof(unexpected) - 1);
    else if (strncmp(cause, twice, sizeof(twice) - 1) == 0)
        snprintf(text, len, "key \"%s\" is there twice; remove one", cause + sizeof(twice) - 1);
    else if (strncmp(cause, "Expecting MAPPING", sizeof("Expecting MAPPING") - 1) == 0)
        snprintf(text, len, "\"key: value\" lines, indented, are expected here");
    else if (strncmp(cause, "Expecting SEQUENCE", sizeof("Expecting SEQUENCE") - 1) == 0)
        snprintf(text, len, "a list of \"- name: ...\" entries is expected here");
    else if (strncmp(cause, expecting, sizeof(expecting) - 1) == 0)
        snprintf(text, len, "one value is expected here");
    else if (strncmp(cause, yaml, sizeof(yaml) - 1) == 0)
        snprintf(text, len, "not YAML: %s; indent with spaces, close quotes and brackets",
                 cause + sizeof(yaml) - 1);
    else
        snprintf(text, len, "%s", cause[0] ? cause : "the YAML parser refuses it");
}

/* libcyaml tells where the mapping of an unknown or doubled key begins; the key itself is what people look for. */
static unsigned line_of(const struct complaint *complaint, const char *yaml)
{
    const char *name = strrchr(complaint->cause, ' ');
    char key[sizeof(complaint->key) + sizeof(complaint->cause)];
    unsigned line;

    if (name && strncmp(complaint->cause, "Unexpected key: ", 16) == 0) {
        snprintf(key, sizeof(key), "%s%s%s", complaint->key, complaint->key[0] ? "." : "",
                 name + 1);
        line = ros2d_config_line(yaml, key);
        if (line > complaint->line)
            return line;
    }
    return complaint->line ? complaint->line : 1;
}

static int refuse(const char *path, const char *yaml, const struct complaint *complaint,
                  cyaml_err_t err)
{
    char text[640];

    if (err == CYAML_ERR_OOM)
        return ros2i_fail(ENOMEM, "%s: out of memory", path);
    explain(complaint, text, sizeof(text));
    return ros2i_fail(EINVAL, "%s:%u: %s%s%s", path, line_of(complaint, yaml), complaint->key,
                      complaint->key[0] ? ": " : "", text);
}

/* -- interface -- */

static cyaml_config_t config_for(struct complaint *complaint)
{
    return (cyaml_config_t){.log_fn = listen_to,
                            .log_ctx = complaint,
                            .mem_fn = cyaml_mem,
                            .log_level = CYAML_LOG_ERROR,
                            .flags = CYAML_CFG_DEFAULT};
}

int ros2d_config_text_load(const char *path, const char *yaml, struct ros2d_config_text **text_p)
{
    struct complaint complaint = {0};
    cyaml_config_t config = config_for(&complaint);
    struct ros2d_config_text *text = NULL;
    cyaml_err_t err = cyaml_load_data((const uint8_t *)yaml, strlen(yaml), &config, &top,
                                      (cyaml_data_t **)&text, NULL);

    if (err != CYAML_OK)
        return refuse(path, yaml, &complaint, err);
    if (!text)
        return ros2i_fail(EINVAL, "%s: is empty; start from docs/ros2d.yaml", path);
    *text_p = text;
    return 0;
}

void ros2d_config_text_free(struct ros2d_config_text *text)
{
    struct complaint complaint = {0};
    cyaml_config_t config = config_for(&complaint);

    cyaml_free(&config, &top, text, 0);
}
