/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a file of a store through libros2 from one thread, --depth operations in flight.
 *
 * Depth 1 is ros2_pread(), as applications call it. More is the queue that ros2_pread() itself stands on (lib/core/queue.h),
 * which has no public face yet: operations are waited for in the order in which they were submitted. Where the store is
 * comes from the environment, as for every program. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "lib/core/file.h"
#include "lib/core/implicit.h"
#include "ros2/ros2.h"

struct reader {
    struct measure_options options;
    struct ros2_client *client;
    struct ros2_file *file;
    uint64_t blocks, block, random;
    char *buffers;
    struct measure m;
};

static _Noreturn void die(void)
{
    measure_die_text(ros2_error());
}

static void open_file(struct reader *r)
{
    struct ros2_connect_options connect = {.size = sizeof(connect),
                                           .checksum = r->options.checksum ? 1 : -1};
    struct stat st;

    if (ros2_connect(NULL, &connect, &r->client) < 0 ||
        ros2_open(r->client, r->options.path, O_RDONLY, 0, &r->file) < 0 ||
        ros2_fstat(r->file, &st) < 0)
        die();
    r->blocks = (uint64_t)st.st_size / r->options.block;
    if (r->blocks == 0)
        measure_die_text("the file is smaller than a block");
}

static uint64_t next_offset(struct reader *r)
{
    if (r->options.random)
        return measure_random(&r->random) % r->blocks * r->options.block;
    uint64_t block = r->block;
    r->block = block + 1 == r->blocks ? 0 : block + 1;
    return block * r->options.block;
}

static void read_one_by_one(struct reader *r)
{
    /* The first one opens the channel. */
    if (ros2_pread(r->file, r->buffers, r->options.block, 0) < 0)
        die();
    measure_begin(&r->m, r->options.duration_ns);
    uint64_t now_ns = r->m.start_ns, since_ns;
    do {
        since_ns = now_ns;
        ssize_t got = ros2_pread(r->file, r->buffers, r->options.block, next_offset(r));
        if (got != (ssize_t)r->options.block)
            die();
        now_ns = measure_now_ns();
    } while (measure_add(&r->m, r->options.block, since_ns, now_ns));
}

struct slot {
    struct ros2i_op op;
    uint64_t since_ns;
};

static void submit(struct reader *r, struct ros2i_queue *queue, struct slot *slot, char *buf)
{
    slot->since_ns = measure_now_ns();
    ros2i_op_init(&slot->op, ROS2I_OP_READ, r->file->handle);
    slot->op.buf = buf;
    slot->op.len = r->options.block;
    slot->op.offset = next_offset(r);
    slot->op.deadline_ns = ros2i_client_deadline(r->client);
    if (ros2i_queue_submit(queue, &slot->op) < 0)
        die();
}

static void read_many_at_once(struct reader *r)
{
    size_t block = r->options.block;
    unsigned depth = r->options.depth;
    struct ros2i_queue *queue;
    struct slot *slots = calloc(depth, sizeof(*slots));

    if (!slots)
        measure_die("slots", ENOMEM);
    if (ros2i_implicit_queue(r->client, &queue) < 0)
        die();
    for (unsigned i = 0; i < depth; i++)
        submit(r, queue, &slots[i], r->buffers + i * block);
    measure_begin(&r->m, r->options.duration_ns);
    for (unsigned i = 0;; i = (i + 1) % depth) {
        if (ros2i_queue_wait(queue, &slots[i].op) != (int64_t)block)
            die();
        if (!measure_add(&r->m, block, slots[i].since_ns, measure_now_ns())) {
            /* The others end with their buffers: they are waited for, outside the time that counts. */
            for (unsigned k = 1; k < depth; k++)
                ros2i_queue_wait(queue, &slots[(i + k) % depth].op);
            break;
        }
        submit(r, queue, &slots[i], r->buffers + i * block);
    }
    free(slots);
}

int main(int argc, char **argv)
{
    static struct reader r = {.random = 1};

    measure_parse(argc, argv, true, &r.options);
    r.buffers = measure_buffers(&r.options);
    open_file(&r);
    if (r.options.depth == 1)
        read_one_by_one(&r);
    else
        read_many_at_once(&r);
    measure_print(&r.m, -1);
    ros2_close(r.file);
    ros2_disconnect(r.client);
    free(r.buffers);
    return 0;
}
