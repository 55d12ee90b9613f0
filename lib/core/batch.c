/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: open all paths in one call, read all data (batch_read.c), close without waiting. Any thread; a batch is its call's.
 *
 * A handle is in the batch's list of what is to be closed from the moment that it is known, and that list is started on every
 * way out. Some allocations are made for each batch, none for each item (but a path that is not in its plain form): the
 * control call makes more. */
#include "config.h"

#include "lib/core/batch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/core/closing.h"
#include "lib/core/file.h"
#include "lib/core/implicit.h"
#include "lib/core/path.h"

void ros2i_batch_end(struct ros2i_batch *batch, size_t i, int64_t result, const char *text)
{
    batch->item[i].result = result;
    batch->unit[i].ended = true;
    batch->ended++;
    if (result >= 0)
        return;
    batch->failed_count++;
    if (batch->failed_count > 1 && batch->failed_at < i)
        return;
    batch->failed_at = i;
    snprintf(batch->failed_text, sizeof(batch->failed_text), "%s", text);
}

/* -- checks -- */

static int check_range(const struct ros2_batch_item *item)
{
    if (item->len > SSIZE_MAX)
        return ros2i_fail(EINVAL, "the length %zu is above SSIZE_MAX", item->len);
    if (item->offset > (uint64_t)INT64_MAX - item->len)
        return ros2i_fail(EINVAL, "offset %llu and length %zu go past 2^63 - 1",
                          (unsigned long long)item->offset, item->len);
    if (!item->buf && item->len > 0)
        return ros2i_fail(EFAULT, "the buffer is NULL");
    return 0;
}

static int check_file(const struct ros2i_batch *batch, const struct ros2_file *file)
{
    if (file->client != batch->client)
        return ros2i_fail(EINVAL, "the file is another client's");
    if (file->directory)
        return ros2i_fail(EISDIR, "it is a directory");
    if (!file->readable)
        return ros2i_fail(EBADF, "it is not open for reading");
    return 0;
}

/* Of most paths the plain form is what the caller gave, and nothing is copied. */
static int take_path(const char *path, struct ros2i_batch_unit *unit, struct ros2i_open_item *open)
{
    struct ros2i_path resolved;
    int rc = ros2i_path_resolve(path, &resolved);
    if (rc < 0)
        return rc;
    open->path = path;
    open->open_flags = ROS2_OPEN_READ | (resolved.directory ? ROS2_OPEN_DIRECTORY : 0);
    if (strcmp(path, resolved.text) == 0)
        return 0;
    unit->own_path = strdup(resolved.text);
    open->path = unit->own_path;
    return unit->own_path ? 0 : ros2i_fail(ENOMEM, "out of memory");
}

static int check_item(const struct ros2i_batch *batch, size_t i, struct ros2i_open_item *open)
{
    const struct ros2_batch_item *item = &batch->item[i];
    struct ros2i_batch_unit *unit = &batch->unit[i];
    if (!item->path == !item->file)
        return ros2i_fail(EINVAL, "%s",
                          item->path ? "it has both a path and a file"
                                     : "it has neither a path nor a file");
    int rc = check_range(item);
    if (rc < 0)
        return rc;
    unit->len = item->len;
    if (item->path)
        return take_path(item->path, unit, open);
    rc = check_file(batch, item->file);
    unit->handle = rc < 0 ? 0 : item->file->handle;
    return rc;
}

/* Ends what needs no daemon. Returns how many paths are to be opened, the first of open. */
static size_t check_all(struct ros2i_batch *batch, struct ros2i_open_item *open)
{
    size_t paths = 0;
    for (size_t i = 0; i < batch->count; i++) {
        batch->item[i].size = 0;
        int rc = check_item(batch, i, &open[paths]);
        if (rc < 0)
            ros2i_batch_end(batch, i, rc, ros2i_error());
        else if (batch->item[i].path)
            paths++;
        else if (batch->unit[i].len == 0)
            ros2i_batch_end(batch, i, 0, NULL);
    }
    return paths;
}

/* -- opening -- */

static void take_opened(struct ros2i_batch *batch, size_t i, const struct ros2i_open_item *open,
                        struct ros2i_closing *closing)
{
    struct ros2_batch_item *item = &batch->item[i];
    struct ros2i_batch_unit *unit = &batch->unit[i];
    uint64_t size = open->attr.size;
    unit->handle = open->capability.handle;
    ros2i_closing_add(closing, unit->handle);
    if ((open->attr.mode & S_IFMT) == S_IFDIR) {
        ros2i_batch_end(batch, i, -EISDIR, "it is a directory");
        return;
    }
    item->size = size;
    uint64_t left = size > item->offset ? size - item->offset : 0;
    if (left < unit->len)
        unit->len = (size_t)left;
    if (unit->len == 0)
        ros2i_batch_end(batch, i, 0, NULL);
}

static int open_error(const struct ros2i_open_item *open)
{
    if (open->err == 0)
        return 0;
    ros2i_fail(-open->err, "%s",
               open->error_text[0] ? open->error_text : ros2i_strerror(-open->err));
    return ros2i_client_error(open->err);
}

/* The items that have not ended and have a path are those of open, in their order. */
static void open_all(struct ros2i_batch *batch, struct ros2i_open_item *open, size_t paths,
                     struct ros2i_closing *closing)
{
    char text[sizeof(batch->failed_text)];
    int call = ros2i_client_enter(batch->client, batch->deadline_ns);
    if (call == 0) {
        batch->control_calls++;
        call = ros2i_client_error(
            ros2i_control_open_many(batch->client->control, open, paths, batch->deadline_ns));
    }
    if (call < 0)
        snprintf(text, sizeof(text), "%s", ros2i_error());
    for (size_t i = 0, k = 0; i < batch->count; i++) {
        if (batch->unit[i].ended || !batch->item[i].path)
            continue;
        int rc = call < 0 ? call : open_error(&open[k]);
        if (rc < 0)
            ros2i_batch_end(batch, i, rc, call < 0 ? text : ros2i_error());
        else
            take_opened(batch, i, &open[k], closing);
        k++;
    }
}

/* -- the call -- */

static int conclude(const struct ros2i_batch *batch)
{
    ros2i_log(ROS2_LOG_DEBUG, "core",
              "batch items %zu failed %zu control calls %u requests %u later %u", batch->count,
              batch->failed_count, batch->control_calls, batch->requests, batch->later);
    if (batch->failed_count == 0)
        return (int)batch->count;
    const struct ros2_batch_item *item = &batch->item[batch->failed_at];
    const char *path = item->path ? item->path : item->file ? item->file->path : "(no file)";
    int rc =
        ros2i_fail((int)-item->result, "batch read: %zu of %zu items failed; item %zu, %s: %s",
                   batch->failed_count, batch->count, batch->failed_at, path, batch->failed_text);
    return batch->failed_count < batch->count ? (int)(batch->count - batch->failed_count) : rc;
}

static int run(struct ros2i_batch *batch, struct ros2i_open_item *open)
{
    struct ros2i_closing *closing = NULL;
    size_t paths = check_all(batch, open);
    int rc = 0;
    if (batch->ended == batch->count)
        return 0;
    /* All that can be wanting here is got before anything is open at the daemon. */
    rc = ros2i_implicit_queue(batch->client, &batch->queue);
    if (rc == 0 && paths > 0)
        rc = ros2i_closing_create(batch->client, paths, &closing);
    if (rc < 0)
        return rc;
    if (paths > 0)
        open_all(batch, open, paths, closing);
    ros2i_batch_transfer(batch);
    if (closing)
        ros2i_closing_start(batch->queue, closing);
    return 0;
}

static int read_items(struct ros2i_batch *batch)
{
    struct ros2i_open_item *open = calloc(batch->count, sizeof(*open));
    batch->unit = calloc(batch->count, sizeof(*batch->unit));
    int rc = open && batch->unit ? run(batch, open) : ros2i_fail(ENOMEM, "out of memory");
    if (rc < 0) {
        char text[sizeof(batch->failed_text)];
        snprintf(text, sizeof(text), "%s", ros2i_error());
        for (size_t i = 0; i < batch->count; i++) {
            batch->item[i].result = rc;
            batch->item[i].size = 0;
        }
        ros2i_fail(-rc, "batch read: %s", text);
    } else {
        rc = conclude(batch);
    }
    for (size_t i = 0; batch->unit && i < batch->count; i++)
        free(batch->unit[i].own_path);
    free(batch->unit);
    free(open);
    return rc;
}

static int check_call(const struct ros2_client *client, const struct ros2_batch_item *items,
                      size_t count, const struct ros2_batch_options *options)
{
    if (!client || !items)
        return ros2i_fail(EINVAL, "batch read: client or items is NULL");
    if (count == 0 || count > ROS2_BATCH_MAX)
        return ros2i_fail(EINVAL, "batch read: %zu items; 1 to %d are allowed", count,
                          ROS2_BATCH_MAX);
    if (options && options->size < sizeof(*options))
        return ros2i_fail(EINVAL,
                          "batch read: options.size is %zu, not sizeof(struct ros2_batch_options)",
                          options->size);
    return 0;
}

int ros2_batch_read(struct ros2_client *client, struct ros2_batch_item *items, size_t count,
                    const struct ros2_batch_options *options)
{
    int rc = check_call(client, items, count, options);
    if (rc < 0)
        return rc;
    uint64_t timeout_ns =
        options && options->timeout_ns > 0 ? options->timeout_ns : client->timeout_ns;
    uint64_t now_ns = ros2i_now_ns();
    struct ros2i_batch batch = {
        .client = client,
        .item = items,
        .count = count,
        .min_done = options && options->min_done > 0 && options->min_done < count
                        ? options->min_done
                        : count,
        .deadline_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX - 1,
    };
    int cancel_state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    rc = read_items(&batch);
    pthread_setcancelstate(cancel_state, NULL);
    return rc;
}
