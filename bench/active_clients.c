/* SPDX-License-Identifier: Apache-2.0 */
/* --clients N clients with connections of their own and --depth D reads in flight each, all driven by one thread, in turn.
 * However they are divided, the same 1024 buffers are used one after the other, so that the memory costs the same. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/measure.h"
#include "ros2/ros2.h"

#define BUFFERS  1024u
#define REAP_MAX 64

struct reader {
    struct ros2_client *client;
    struct ros2_file *file;
    struct ros2_queue *queue;
    struct ros2_buf *buf;
    unsigned rounds; /* through its buffers */
};

static struct measure_options options;
static struct measure m;
static uint64_t blocks, seed = 1;
static unsigned buffers_each;

static void open_reader(struct reader *r)
{
    struct ros2_connect_options connect = {.size = sizeof(connect), .checksum = -1};
    struct stat st;

    if (ros2_connect(NULL, &connect, &r->client) < 0 ||
        ros2_open(r->client, options.path, O_RDONLY, 0, &r->file) < 0 ||
        ros2_fstat(r->file, &st) < 0 ||
        ros2_buf_alloc(r->client, buffers_each * options.block, NULL, &r->buf) < 0 ||
        ros2_queue_create(r->client, options.depth, NULL, &r->queue) < 0)
        measure_die_text(ros2_error());
    memset(ros2_buf_addr(r->buf), 0x5a, buffers_each * options.block);
    blocks = (uint64_t)st.st_size / options.block;
    if (blocks == 0)
        measure_die_text("the file is smaller than a block");
}

static void prepare(struct reader *r, unsigned slot)
{
    unsigned sets = buffers_each / options.depth;
    size_t at = (r->rounds % sets * options.depth + slot) * options.block;
    uint64_t offset = measure_random(&seed) % blocks * options.block;

    r->rounds += slot + 1 == options.depth;
    if (ros2_prepare_read(r->queue, r->file, (char *)ros2_buf_addr(r->buf) + at, options.block,
                          offset, slot, 0) < 0)
        measure_die_text(ros2_error());
}

/* Waits for at least one of r's, and goes on with as many. Returns false once the time is over. */
static bool turn(struct reader *r, uint64_t *since_ns)
{
    struct ros2_completion completion[REAP_MAX];
    int count = ros2_queue_reap(r->queue, completion, REAP_MAX, 1, ROS2_FOREVER);
    bool on = true;

    if (count < 0)
        measure_die_text(ros2_error());
    for (int i = 0; i < count && on; i++) {
        uint64_t now_ns = measure_now_ns();
        if (completion[i].result != (int64_t)options.block)
            measure_die_text(completion[i].error ? completion[i].error : "short");
        on = measure_add(&m, options.block, *since_ns, now_ns);
        *since_ns = now_ns;
        prepare(r, (unsigned)completion[i].user_data);
    }
    if (ros2_queue_submit(r->queue) < 0)
        measure_die_text(ros2_error());
    return on;
}

int main(int argc, char **argv)
{
    measure_parse(argc, argv, true, &options);
    if (options.clients * options.depth > BUFFERS)
        measure_die_text("clients times depth is above 1024");
    buffers_each = BUFFERS / options.clients;
    struct reader *reader = calloc(options.clients, sizeof(*reader));
    if (!reader)
        measure_die("clients", ENOMEM);
    for (unsigned i = 0; i < options.clients; i++)
        open_reader(&reader[i]);
    for (unsigned i = 0; i < options.clients; i++) {
        for (unsigned slot = 0; slot < options.depth; slot++)
            prepare(&reader[i], slot);
        if (ros2_queue_submit(reader[i].queue) < 0)
            measure_die_text(ros2_error());
    }
    uint64_t since_ns = measure_now_ns();
    unsigned next = 0;
    /* Until each has opened its channel and ros2d has touched all buffers once. */
    for (measure_begin(&m, UINT64_MAX / 2); m.operations < BUFFERS;
         next = (next + 1) % options.clients)
        turn(&reader[next], &since_ns);
    measure_begin(&m, options.duration_ns);
    for (since_ns = m.start_ns; turn(&reader[next], &since_ns); next = (next + 1) % options.clients)
        ;
    measure_print(&m, -1);
    for (unsigned i = 0; i < options.clients; i++) {
        ros2_queue_destroy(reader[i].queue);
        ros2_close(reader[i].file);
        ros2_buf_free(reader[i].buf);
        ros2_disconnect(reader[i].client);
    }
    free(reader);
    return 0;
}
