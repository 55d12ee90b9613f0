/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a share of an epoch, batch by batch, into one buffer that is used again and again.
 *
 * Every reader computes the whole order of an epoch from the seed and takes each "shares"th batch of it: so the shares are
 * disjoint and complete without a word between the processes. */
#include "examples/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/shuffle.h"

#define BUFFER_MAX (UINT64_C(1) << 30) /* bytes */

struct loader_reader {
    const struct loader_set *set;
    uint32_t *order; /* of the epoch: numbers of the index */
    struct ros2_buf *buf;
    struct ros2_batch_item item[ROS2_BATCH_MAX];
    struct ros2_index_entry entry[ROS2_BATCH_MAX]; /* of each item */
    char *paths;                                   /* set->path_len bytes for each item */
};

static int allocate(struct loader_reader *reader)
{
    const struct loader_set *set = reader->set;

    reader->order = calloc(set->count, sizeof(*reader->order));
    reader->paths = calloc(set->batch, set->path_len);
    if (!reader->order || !reader->paths)
        return loader_fail(-ENOMEM, "out of memory");
    if (set->largest > BUFFER_MAX / set->batch)
        return loader_fail(-EFBIG,
                           "%u samples of up to %" PRIu64
                           " bytes do not go into a buffer of 1 GiB; ask for a smaller --batch",
                           set->batch, set->largest);
    /* Memory that the daemon can fill itself over shm. */
    size_t len = (size_t)(set->largest > 0 ? set->largest * set->batch : 1);
    int rc = ros2_buf_alloc(set->client, len, NULL, &reader->buf);
    return rc < 0 ? loader_fail(rc, "%s", ros2_error()) : 0;
}

int loader_reader_create(const struct loader_set *set, struct loader_reader **reader_p)
{
    struct loader_reader *reader = calloc(1, sizeof(*reader));

    if (!reader)
        return loader_fail(-ENOMEM, "out of memory");
    reader->set = set;
    int rc = allocate(reader);
    if (rc < 0) {
        loader_reader_destroy(reader);
        return rc;
    }
    *reader_p = reader;
    return 0;
}

void loader_reader_destroy(struct loader_reader *reader)
{
    if (!reader)
        return;
    ros2_buf_free(reader->buf);
    free(reader->paths);
    free(reader->order);
    free(reader);
}

/* The items' buffers lie side by side, which is how the library needs no copy. */
static int prepare(struct loader_reader *reader, uint32_t first, uint32_t count)
{
    const struct loader_set *set = reader->set;
    uint8_t *at = ros2_buf_addr(reader->buf);

    for (uint32_t i = 0; i < count; i++) {
        struct ros2_index_entry *entry = &reader->entry[i];
        char *path = reader->paths + i * set->path_len;
        int rc = ros2_index_get(set->index, reader->order[first + i], entry);
        if (rc < 0)
            return loader_fail(rc, "%s", ros2_error());
        snprintf(path, set->path_len, "%s/%s", set->prefix, entry->path);
        reader->item[i] = (struct ros2_batch_item){.path = path, .buf = at, .len = entry->size};
        at += entry->size;
    }
    return 0;
}

/* A sample counts only when it is whole. The sizes are those of the listing: what has become shorter or longer since is
 * another sample than the index says. */
static int check_sizes(const struct loader_reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct ros2_batch_item *item = &reader->item[i];
        uint64_t listed = reader->entry[i].size;
        if (item->size != listed)
            return loader_fail(-EIO,
                               "%s: has %" PRIu64 " bytes, but had %" PRIu64
                               " when it was listed; --refresh lists anew",
                               item->path, item->size, listed);
        if ((uint64_t)item->result != listed)
            return loader_fail(-EIO, "%s: %" PRId64 " of %" PRIu64 " bytes could be read",
                               item->path, item->result, listed);
    }
    return 0;
}

/* Items fail on their own. This loader gives up; another might go on without the sample. */
static int first_error(const struct loader_reader *reader, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (reader->item[i].result < 0)
            return (int)reader->item[i].result;
    }
    return -EIO;
}

/* The text names the first item that failed. */
static int say_failed(int err)
{
    return loader_fail(err, "%s%s", ros2_error(),
                       err == -ENOENT ? " (since it was listed; --refresh lists anew)" : "");
}

static void add_up(const struct loader_reader *reader, uint32_t count, struct loader_news *news)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t name = loader_sum_name(reader->entry[i].path);
        news->names += name;
        news->sum += loader_sum_sample(name, reader->item[i].buf, reader->item[i].len);
    }
    news->samples = count;
}

static int read_batch(struct loader_reader *reader, uint32_t first, uint32_t count,
                      struct loader_news *news)
{
    int rc = prepare(reader, first, count);

    if (rc < 0)
        return rc;
    int good = ros2_batch_read(reader->set->client, reader->item, count, NULL);
    if (good < 0 || (uint32_t)good < count)
        return say_failed(good < 0 ? good : first_error(reader, count));
    rc = check_sizes(reader, count);
    if (rc == 0)
        add_up(reader, count, news);
    return rc;
}

int loader_reader_epoch(struct loader_reader *reader, unsigned epoch, unsigned share,
                        unsigned shares, loader_news_fn *fn, void *arg)
{
    const struct loader_set *set = reader->set;
    uint64_t step = (uint64_t)shares * set->batch;

    shuffle(reader->order, set->count, (uint64_t)set->seed << 32 | epoch);
    for (uint64_t first = (uint64_t)share * set->batch; first < set->count; first += step) {
        uint32_t rest = set->count - (uint32_t)first;
        struct loader_news news = {0};
        int rc = read_batch(reader, (uint32_t)first, rest < set->batch ? rest : set->batch, &news);
        news.error = rc;
        int told = fn(arg, &news);
        if (rc < 0 || told < 0)
            return rc < 0 ? rc : told;
    }
    return fn(arg, &(struct loader_news){.ended = true});
}
