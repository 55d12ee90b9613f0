/* SPDX-License-Identifier: Apache-2.0 */
/* The data set: which samples there are, from one listing that all processes of this host share as a file in memory. */
#include "examples/loader.h"

#include <errno.h>
#include <string.h>

static int set_prefix(struct loader_set *set, const char *path)
{
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len >= sizeof(set->prefix))
        return loader_fail(-ENAMETOOLONG, "%s: is too long", path);
    memcpy(set->prefix, path, len);
    return 0;
}

/* One pass over the index: what buffers must hold, and what an epoch must come to. */
static int survey(struct loader_set *set, const char *path)
{
    uint64_t count = ros2_index_count(set->index);
    struct ros2_index_entry entry;

    if (count == 0)
        return loader_fail(
            -ENOENT, "%s: no file lies below it in the store; loader explode makes some", path);
    if (count > UINT32_MAX)
        return loader_fail(-EOVERFLOW, "%s: has more than %u files", path, UINT32_MAX);
    for (uint64_t i = 0; i < count; i++) {
        if (ros2_index_get(set->index, i, &entry) < 0)
            return loader_fail(-ERANGE, "%s", ros2_error());
        size_t path_len = strlen(set->prefix) + 1 + strlen(entry.path) + 1;
        set->path_len = path_len > set->path_len ? path_len : set->path_len;
        set->largest = entry.size > set->largest ? entry.size : set->largest;
        set->bytes += entry.size;
        set->names += loader_sum_name(entry.path);
    }
    set->count = (uint32_t)count;
    return 0;
}

int loader_set_open(const struct loader_options *options, struct loader_set *set)
{
    struct ros2_index_options index_options = {.size = sizeof(index_options)};

    *set = (struct loader_set){.batch = options->batch, .seed = options->seed};
    int rc = set_prefix(set, options->path);
    if (rc < 0)
        return rc;
    rc = ros2_connect(NULL, NULL, &set->client); /* ROS2_URL, ROS2_TOKEN_FILE, ROS2_CA_FILE */
    if (rc < 0)
        return loader_fail(rc, "%s", ros2_error());
    if (options->refresh)
        index_options.flags = ROS2_INDEX_REFRESH;
    rc = ros2_index_open(set->client, options->path, &index_options, &set->index);
    if (rc < 0)
        return loader_fail(rc, "%s", ros2_error());
    return survey(set, options->path);
}

void loader_set_close(struct loader_set *set)
{
    ros2_index_close(set->index);
    ros2_disconnect(set->client);
}
