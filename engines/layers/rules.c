/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and matching of rules. */
#include "config.h"

#include "engines/layers/rules.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 1000000000ull
#define NS_PER_MS  1000000ull

struct ros2i_rules {
    char *text; /* a copy, cut into strings; the rules point into it */
    size_t count;
    struct ros2i_rule rules[];
};

static const char *const call_names[ROS2I_CALLS] = {
    [ROS2I_CALL_READ] = "read",         [ROS2I_CALL_WRITE] = "write",
    [ROS2I_CALL_FSYNC] = "fsync",       [ROS2I_CALL_ROOT_OPEN] = "root_open",
    [ROS2I_CALL_OPEN] = "open",         [ROS2I_CALL_GETATTR] = "getattr",
    [ROS2I_CALL_STAT] = "stat",         [ROS2I_CALL_READDIR] = "readdir",
    [ROS2I_CALL_MKDIR] = "mkdir",       [ROS2I_CALL_UNLINK] = "unlink",
    [ROS2I_CALL_RMDIR] = "rmdir",       [ROS2I_CALL_RENAME] = "rename",
    [ROS2I_CALL_TRUNCATE] = "truncate",
};

static bool parse_calls(const char *name, uint32_t *calls_p)
{
    if (strcmp(name, "*") == 0) {
        *calls_p = (1u << ROS2I_CALLS) - 1;
        return true;
    }
    for (unsigned i = 0; i < ROS2I_CALLS; i++) {
        if (strcmp(name, call_names[i]) == 0) {
            *calls_p = 1u << i;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, uint64_t min, uint64_t *number_p)
{
    uint64_t n = 0;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > NUMBER_MAX)
            return false;
        n = n * 10 + (uint64_t)(*text - '0');
    }
    if (n < min || n > NUMBER_MAX)
        return false;
    *number_p = n;
    return true;
}

/* The C library knows the names; Linux's numbers end before 256. */
static bool parse_errno(const char *name, int *err_p)
{
    for (int err = 1; err < 256; err++) {
        const char *known = strerrorname_np(err);
        if (known && strcmp(known, name) == 0) {
            *err_p = err;
            return true;
        }
    }
    return false;
}

static int parse_key(const struct ros2_host *host, struct ros2i_rule *rule, const char *call,
                     char *key)
{
    uint64_t n = 0;
    bool good;

    char *value = strchr(key, '=');
    if (!value)
        return host->fail(EINVAL, "engine fault: %s:%s: wanted key=value", call, key);
    *value++ = '\0';
    if (strcmp(key, "path") == 0) {
        rule->path = value;
        good = *value != '\0';
    } else if (strcmp(key, "while") == 0) {
        rule->hold_file = value;
        good = *value != '\0';
    } else if (strcmp(key, "errno") == 0) {
        good = parse_errno(value, &rule->err);
    } else if (strcmp(key, "nth") == 0) {
        good = parse_number(value, 1, &rule->nth);
    } else if (strcmp(key, "times") == 0) {
        good = parse_number(value, 1, &rule->times);
    } else if (strcmp(key, "delay_ms") == 0) {
        good = parse_number(value, 0, &n);
        rule->delay_ns = n * NS_PER_MS;
    } else if (strcmp(key, "short") == 0) {
        good = parse_number(value, 1, &n) && rule->calls == 1u << ROS2I_CALL_READ;
        rule->short_len = n;
    } else {
        return host->fail(EINVAL,
                          "engine fault: %s: unknown key %s; there are path, nth, times, while, "
                          "delay_ms, errno, short",
                          call, key);
    }
    if (!good)
        return host->fail(EINVAL, "engine fault: %s:%s=%s: %s", call, key, value,
                          strcmp(key, "errno") == 0   ? "wanted an errno name such as EIO"
                          : strcmp(key, "short") == 0 ? "wanted a number, 1..10^9, of a read"
                                                      : "wanted a value in range");
    return 0;
}

static int parse_rule(const struct ros2_host *host, char *text, struct ros2i_rule *rule)
{
    char *save = NULL;
    char *call = strtok_r(text, ":", &save);

    *rule = (struct ros2i_rule){.short_len = SIZE_MAX};
    if (!call || !parse_calls(call, &rule->calls))
        return host->fail(EINVAL,
                          "engine fault: unknown call %s; a rule looks like read:errno=EIO:nth=3",
                          call ? call : "\"\"");
    for (char *key = strtok_r(NULL, ":", &save); key; key = strtok_r(NULL, ":", &save)) {
        int rc = parse_key(host, rule, call, key);
        if (rc < 0)
            return rc;
    }
    if (!rule->err && !rule->delay_ns && !rule->hold_file && rule->short_len == SIZE_MAX)
        return host->fail(
            EINVAL, "engine fault: %s: nothing is to happen; give errno, delay_ms, while or short",
            call);
    if (rule->nth && !rule->times)
        rule->times = 1;
    return 0;
}

int ros2i_rules_parse(const struct ros2_host *host, const char *text, struct ros2i_rules **rules_p)
{
    size_t max = 1;
    char *save = NULL;
    int rc = 0;

    for (const char *c = text ? text : ""; *c; c++)
        max += *c == ',';
    struct ros2i_rules *rules = calloc(1, sizeof(*rules) + max * sizeof(rules->rules[0]));
    char *copy = strdup(text ? text : "");
    if (!rules || !copy) {
        free(rules);
        free(copy);
        return host->fail(ENOMEM, "engine fault: out of memory");
    }
    rules->text = copy;
    for (char *rule = strtok_r(copy, ",", &save); rule && rc == 0;
         rule = strtok_r(NULL, ",", &save))
        rc = parse_rule(host, rule, &rules->rules[rules->count++]);
    if (rc < 0) {
        ros2i_rules_free(rules);
        return rc;
    }
    *rules_p = rules;
    return 0;
}

void ros2i_rules_free(struct ros2i_rules *rules)
{
    free(rules->text);
    free(rules);
}

/* Counters only need each value given once; nothing is published through them. */
static bool applies(struct ros2i_rule *rule, enum ros2i_call call, const char *path)
{
    if (!(rule->calls & 1u << call) || (rule->path && !strstr(path, rule->path)))
        return false;
    uint64_t number = atomic_fetch_add_explicit(&rule->seen, 1, memory_order_relaxed) + 1;
    if (number < rule->nth)
        return false;
    return !rule->times ||
           atomic_fetch_add_explicit(&rule->applied, 1, memory_order_relaxed) < rule->times;
}

const struct ros2i_rule *ros2i_rules_find(struct ros2i_rules *rules, enum ros2i_call call,
                                          const char *path)
{
    for (size_t i = 0; i < rules->count; i++)
        if (applies(&rules->rules[i], call, path))
            return &rules->rules[i];
    return NULL;
}
