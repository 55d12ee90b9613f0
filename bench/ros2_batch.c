/* SPDX-License-Identifier: Apache-2.0 */
/* The same as local_batch through libros2: each batch of --depth files is one ros2_batch_read(). */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "ros2/ros2.h"

struct loader {
    struct measure_options options;
    struct ros2_client *client;
    struct ros2_buf *shared;
    char *buffers;
    struct ros2_batch_item *item;
    char (*path)[PATH_MAX];
    uint64_t random;
};

static void set_up(struct loader *l)
{
    size_t depth = l->options.depth, len = depth * l->options.block;

    if (ros2_connect(NULL, NULL, &l->client) < 0 ||
        (l->options.shared && ros2_buf_alloc(l->client, len, NULL, &l->shared) < 0))
        measure_die_text(ros2_error());
    l->buffers = l->shared ? ros2_buf_addr(l->shared) : measure_buffers(&l->options);
    l->item = calloc(depth, sizeof(*l->item));
    l->path = calloc(depth, sizeof(*l->path));
    if (!l->item || !l->path)
        measure_die("items", ENOMEM);
    for (size_t i = 0; i < depth; i++)
        l->item[i] = (struct ros2_batch_item){
            .path = l->path[i], .buf = l->buffers + i * l->options.block, .len = l->options.block};
}

static uint64_t read_batch(struct loader *l)
{
    size_t depth = l->options.depth;
    uint64_t bytes = 0;

    for (size_t i = 0; i < depth; i++)
        snprintf(l->path[i], sizeof(l->path[i]), "%s/%u", l->options.path,
                 (unsigned)(measure_random(&l->random) % l->options.files));
    if (ros2_batch_read(l->client, l->item, depth, NULL) != (int)depth)
        measure_die_text(ros2_error());
    for (size_t i = 0; i < depth; i++)
        bytes += (uint64_t)l->item[i].result;
    return bytes;
}

int main(int argc, char **argv)
{
    static struct loader l = {.random = 1};
    static struct measure m;

    measure_parse(argc, argv, true, &l.options);
    set_up(&l);
    read_batch(&l); /* the first one opens the channel */
    measure_begin(&m, l.options.duration_ns);
    uint64_t now_ns = m.start_ns, since_ns, bytes;
    do {
        since_ns = now_ns;
        bytes = read_batch(&l);
        now_ns = measure_now_ns();
    } while (measure_add(&m, bytes, since_ns, now_ns));
    measure_print(&m, -1);
    ros2_buf_free(l.shared);
    ros2_disconnect(l.client);
    return 0;
}
