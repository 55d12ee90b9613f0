/* SPDX-License-Identifier: Apache-2.0 */
/* The config file by libcyaml against a schema: a key that is not in it is refused, so that a typing error is not taken
 * for the default. Any thread. */
#include "config.h"

#include "lib/core/settings_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"

#define STRING(name)                                                        \
    CYAML_FIELD_STRING_PTR(#name, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, \
                           struct ros2i_settings_file, name, 1, 4096)

static const cyaml_schema_field_t fields[] = {
    STRING(url),
    STRING(token_file),
    STRING(ca_file),
    STRING(cert_file),
    STRING(key_file),
    STRING(server_name),
    CYAML_FIELD_UINT_PTR("timeout_ms", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                         struct ros2i_settings_file, timeout_ms),
    STRING(checksum),
    STRING(transport),
    STRING(shm_dir),
    STRING(networks),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ros2i_settings_file, fields),
};

/* What libcyaml says about a failure: the cause first, then where, innermost first. */
struct report {
    char cause[200];
    char where[120];
};

ROS2_PRINTF(3, 0) static void on_log(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct report *report = ctx;
    char line[200];
    if (level < CYAML_LOG_ERROR)
        return;
    vsnprintf(line, sizeof(line), fmt, args);
    line[strcspn(line, "\n")] = '\0';
    char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    char *at = strstr(text, "(line:");
    if (at && report->where[0] == '\0')
        snprintf(report->where, sizeof(report->where), "%s", at);
    else if (!at && report->cause[0] == '\0' && !strstr(text, "Backtrace"))
        snprintf(report->cause, sizeof(report->cause), "%s", text);
}

/* libcyaml gives the place of what was before an unknown key; the file is flat, so the key's own line is easily found. */
static void find_unknown_key(const char *path, struct report *report)
{
    static const char unexpected[] = "Unexpected key: ";
    if (strncmp(report->cause, unexpected, strlen(unexpected)) != 0)
        return;
    const char *key = report->cause + strlen(unexpected);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    char line[512];
    for (unsigned number = 1; fgets(line, sizeof(line), file); number++) {
        const char *at = line + strspn(line, " \t\"'");
        if (strncmp(at, key, strlen(key)) == 0 && strchr(":\"' ", at[strlen(key)])) {
            snprintf(report->where, sizeof(report->where), "(line: %u)", number);
            break;
        }
    }
    fclose(file);
}

int ros2i_settings_file_load(const char *path, struct ros2i_settings_file **file_p)
{
    if (access(path, R_OK) != 0) {
        int err = errno;
        return ros2i_fail(err, "config file %s: %s", path, ros2i_strerror(err));
    }
    struct report report = {{0}, {0}};
    cyaml_config_t config = {
        .log_fn = on_log,
        .log_ctx = &report,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_DEFAULT,
    };
    cyaml_data_t *data = NULL;
    cyaml_err_t err = cyaml_load_file(path, &config, &schema, &data, NULL);
    if (err != CYAML_OK)
        find_unknown_key(path, &report);
    if (err != CYAML_OK)
        return ros2i_fail(err == CYAML_ERR_OOM ? ENOMEM : EINVAL, "config file %s %s: %s", path,
                          report.where,
                          report.cause[0] != '\0' ? report.cause : cyaml_strerror(err));
    *file_p = data;
    return 0;
}

void ros2i_settings_file_free(struct ros2i_settings_file *file)
{
    cyaml_config_t config = {
        .log_level = CYAML_LOG_ERROR, .mem_fn = cyaml_mem, .flags = CYAML_CFG_DEFAULT};
    if (file)
        cyaml_free(&config, &schema, file, 0);
}
