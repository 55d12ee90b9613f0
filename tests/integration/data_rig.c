/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/data_peer.h"

#include "lib/base/log.h"

static void set(char **field, const char *text)
{
    free(*field);
    *field = strdup(text);
}

static void open_engines(struct rig *rig, const char *rules)
{
    char text[512] = "";

    set(&rig->config->engine.root, rig->root);
    if (rules) {
        for (; *rules; rules++)
            strcat(text, *rules == '@' ? rig->dir : (const char[]){*rules, '\0'});
        set(&rig->config->engine.layers, "fault");
        set(&rig->config->engine.layer_config, text);
    }
    MUST(ros2d_engines_open(rig->config, &rig->engines));
    MUST(ros2d_tenant_create("test", ros2d_engines_ops(rig->engines),
                             ros2d_engines_engine(rig->engines), rig->root, &rig->state.tenant));
}

static void set_transport(struct rig *rig)
{
    const char *transport = getenv("ROS2_TEST_TRANSPORT");

    if (!transport)
        return;
    set(&rig->config->data.transport, transport);
    set(&rig->config->data.shm_dir, rig->dir);
}

void rig_start(struct rig *rig, const char *rules, void (*change)(struct ros2d_config *config))
{
    memset(rig, 0, sizeof(*rig));
    if (getenv("ROS2_LOG"))
        ros2i_log_sink(ros2i_log_stderr, NULL, ROS2_LOG_DEBUG);
    strcpy(rig->dir, "/tmp/ros2-data-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->root, sizeof(rig->root), "%s/root", rig->dir);
    assert_int_equal(mkdir(rig->root, 0700), 0);
    MUST(ros2d_config_defaults(&rig->config));
    set(&rig->config->data.listen, "127.0.0.1:0");
    rig->config->data.chunk = 1 << 18; /* so that a request has several */
    set_transport(rig);
    if (change)
        change(rig->config);
    open_engines(rig, rules);
    rig->principal = (struct ros2d_principal){
        .name = "test", .tenant = rig->state.tenant, .rights = 7, .expiry_ns = INT64_MAX};
    rig->state.config = rig->config;
    MUST(ros2d_handles_create(256, &rig->state.handles));
    MUST(ros2d_regions_create(256, &rig->state.regions));
    MUST(ros2d_sessions_create(3600 * ROS2I_NS_PER_S, rig->state.handles, rig->state.regions,
                               &rig->state.sessions));
    MUST(ros2d_data_start(&rig->state, &rig->data));
}

void rig_stop_data(struct rig *rig, uint64_t wait_ns)
{
    if (rig->data)
        ros2d_data_stop(rig->data, ros2i_now_ns() + wait_ns);
    rig->data = NULL;
}

static void remove_all(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;
    char name[512];

    while (d && (entry = readdir(d))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (unlink(name) < 0)
            remove_all(name);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

void rig_stop(struct rig *rig)
{
    rig_stop_data(rig, PATIENCE_NS);
    ros2d_sessions_destroy(rig->state.sessions);
    ros2d_handles_reap(rig->state.handles);
    assert_int_equal(ros2d_handles_count(rig->state.handles), 0);
    assert_int_equal(rig->state.tenant->limits.sessions.used, 0);
    assert_int_equal(rig->state.tenant->limits.open_files.used, 0);
    assert_int_equal(rig->state.tenant->limits.regions.used, 0);
    ros2d_handles_destroy(rig->state.handles);
    ros2d_regions_destroy(rig->state.regions);
    ros2d_tenant_destroy(rig->state.tenant);
    ros2d_engines_close(rig->engines);
    ros2d_config_free(rig->config);
    remove_all(rig->dir);
}

struct ros2d_session *rig_session(struct rig *rig)
{
    struct ros2d_session *session;

    MUST(ros2d_sessions_open(rig->state.sessions, &rig->principal, &session));
    ros2d_session_put(session); /* the table holds it; tests close it knowingly */
    return session;
}

uint64_t rig_open(struct rig *rig, struct ros2d_session *session, const char *path, uint32_t rights)
{
    struct ros2d_tenant *tenant = rig->state.tenant;
    unsigned flags = ROS2_OPEN_CREATE | (rights & ROS2I_RIGHT_READ ? ROS2_OPEN_READ : 0) |
                     (rights & (ROS2I_RIGHT_WRITE | ROS2I_RIGHT_APPEND) ? ROS2_OPEN_WRITE : 0) |
                     (rights & ROS2I_RIGHT_APPEND ? ROS2_OPEN_APPEND : 0);
    struct ros2_node *node;
    uint64_t handle;

    MUST(tenant->engine_ops->open(tenant->root, path, flags, 0600, &node, NULL));
    MUST(ros2d_handles_open(rig->state.handles, session, node, rights, false, &handle));
    return handle;
}

void pattern(void *buf, size_t len, unsigned seed)
{
    uint8_t *at = buf;

    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)((i * 2654435761u >> 11) + seed * 37u + i);
}

void rig_write_file(struct rig *rig, const char *path, size_t len, unsigned seed)
{
    char name[256];
    uint8_t *bytes = malloc(len + 1);

    pattern(bytes, len, seed);
    snprintf(name, sizeof(name), "%s/%s", rig->root, path);
    FILE *stream = fopen(name, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, len, stream), len);
    assert_int_equal(fclose(stream), 0);
    free(bytes);
}

void rig_assert_file(struct rig *rig, const char *path, const void *bytes, size_t len)
{
    char name[256];
    uint8_t *got = malloc(len + 1);

    snprintf(name, sizeof(name), "%s/%s", rig->root, path);
    FILE *stream = fopen(name, "r");
    assert_non_null(stream);
    assert_int_equal(fread(got, 1, len + 1, stream), len);
    fclose(stream);
    if (len > 0)
        assert_memory_equal(got, bytes, len);
    free(got);
}

void rig_hold(struct rig *rig, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

void rig_release(struct rig *rig, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
    assert_int_equal(unlink(path), 0);
}
