/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, or with --write writes, a file of a store through libros2 from one thread, with the public calls only. Depth 1 is
 * ros2_pread() and ros2_pwrite(); more is a queue with as many operations in flight. --shared: buffers of ros2_buf_alloc().
 * Where the store is comes from the environment, as for every program. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "ros2/ros2.h"

#define REAP_MAX 64

struct runner {
    struct measure_options options;
    struct ros2_client *client;
    struct ros2_file *file;
    uint64_t blocks, block, random;
    struct ros2_buf *shared;
    char *buffers;
    struct measure m;
};

static _Noreturn void die(void)
{
    measure_die_text(ros2_error());
}

static void open_file(struct runner *r)
{
    struct ros2_connect_options connect = {.size = sizeof(connect),
                                           .checksum = r->options.checksum ? 1 : -1};
    struct stat st;

    if (ros2_connect(NULL, &connect, &r->client) < 0 ||
        ros2_open(r->client, r->options.path, r->options.write ? O_WRONLY : O_RDONLY, 0, &r->file) <
            0 ||
        ros2_fstat(r->file, &st) < 0)
        die();
    r->blocks = (uint64_t)st.st_size / r->options.block;
    if (r->blocks == 0)
        measure_die_text("the file is smaller than a block");
}

static void take_buffers(struct runner *r)
{
    size_t len = r->options.block * r->options.depth;

    if (!r->options.shared) {
        r->buffers = measure_buffers(&r->options);
        return;
    }
    if (ros2_buf_alloc(r->client, len, NULL, &r->shared) < 0)
        die();
    r->buffers = ros2_buf_addr(r->shared);
    memset(r->buffers, 0x5a, len);
}

static uint64_t next_offset(struct runner *r)
{
    if (r->options.random)
        return measure_random(&r->random) % r->blocks * r->options.block;
    uint64_t block = r->block;
    r->block = block + 1 == r->blocks ? 0 : block + 1;
    return block * r->options.block;
}

static void transfer(struct runner *r, uint64_t offset)
{
    ssize_t done = r->options.write ? ros2_pwrite(r->file, r->buffers, r->options.block, offset)
                                    : ros2_pread(r->file, r->buffers, r->options.block, offset);

    if (done != (ssize_t)r->options.block)
        die();
}

static void one_by_one(struct runner *r)
{
    transfer(r, 0); /* the first one opens the channel */
    measure_begin(&r->m, r->options.duration_ns);
    uint64_t now_ns = r->m.start_ns, since_ns;
    do {
        since_ns = now_ns;
        transfer(r, next_offset(r));
        now_ns = measure_now_ns();
    } while (measure_add(&r->m, r->options.block, since_ns, now_ns));
}

static void prepare(struct runner *r, struct ros2_queue *queue, uint64_t *since_ns, uint64_t slot)
{
    size_t block = r->options.block;
    char *buf = r->buffers + slot * block;
    int rc;

    since_ns[slot] = measure_now_ns();
    if (r->options.write)
        rc = ros2_prepare_write(queue, r->file, buf, block, next_offset(r), slot, 0);
    else
        rc = ros2_prepare_read(queue, r->file, buf, block, next_offset(r), slot, 0);
    if (rc < 0)
        die();
}

static void many_at_once(struct runner *r)
{
    struct ros2_completion completion[REAP_MAX];
    struct ros2_queue *queue;
    uint64_t *since_ns = calloc(r->options.depth, sizeof(*since_ns));
    unsigned left = r->options.depth;
    bool on = true;

    if (!since_ns)
        measure_die("slots", ENOMEM);
    if (ros2_queue_create(r->client, r->options.depth, NULL, &queue) < 0)
        die();
    for (unsigned i = 0; i < left; i++)
        prepare(r, queue, since_ns, i);
    if (ros2_queue_submit(queue) < 0)
        die();
    /* Not counted: the first transfer of each buffer, for which ros2d has its pages mapped. */
    unsigned warm = r->options.depth;
    while (left > 0) {
        int count = ros2_queue_reap(queue, completion, REAP_MAX, 1, ROS2_FOREVER);
        if (count < 0)
            die();
        for (int i = 0; i < count; i++) {
            uint64_t slot = completion[i].user_data;
            if (completion[i].result != (int64_t)r->options.block)
                measure_die_text(completion[i].error ? completion[i].error : "short");
            if (warm > 0) {
                if (--warm == 0)
                    measure_begin(&r->m, r->options.duration_ns);
                prepare(r, queue, since_ns, slot);
                continue;
            }
            /* What ends behind the time that counts is only waited for. */
            on = on && measure_add(&r->m, r->options.block, since_ns[slot], measure_now_ns());
            if (on)
                prepare(r, queue, since_ns, slot);
            else
                left--;
        }
        if (on && ros2_queue_submit(queue) < 0)
            die();
        if (!on && r->m.operations > 0 && left > 0)
            ros2_queue_submit(queue); /* what was prepared in the turn in which the time was over */
    }
    ros2_queue_destroy(queue);
    free(since_ns);
}

int main(int argc, char **argv)
{
    static struct runner r = {.random = 1};

    measure_parse(argc, argv, true, &r.options);
    open_file(&r);
    take_buffers(&r);
    if (r.options.depth == 1)
        one_by_one(&r);
    else
        many_at_once(&r);
    measure_print(&r.m, -1);
    ros2_close(r.file);
    ros2_buf_free(r.shared);
    ros2_disconnect(r.client);
    return 0;
}
