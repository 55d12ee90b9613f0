/* SPDX-License-Identifier: Apache-2.0 */
/* Reads many blocks, for hot_path.sh. Usage: hot_path FILE COUNT LEN DEPTH SLICE SECONDS; DEPTH 0: one by one, else over a queue.
 * Ends early when the SECONDS are over. Prints the number of reads, and with call_count.so preloaded what the thread allocated
 * and locked meanwhile; with CALL_COUNT_PEER also what all of ros2d did, as its CALL_COUNT_FILE tells. In a trace each SLICE
 * reads begin with a close of -77, and a close of -78 is the end. */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <ros2/ros2.h>

#include "tests/integration/call_count.h"

#define DEPTH_MAX 64

struct work {
    struct ros2_file *file;
    struct ros2_queue *queue; /* NULL: one by one */
    char *buf;
    size_t len;
    unsigned depth;
};

static bool read_calls(const struct work *work, long count)
{
    for (long i = 0; i < count; i++)
        if (ros2_pread(work->file, work->buf, work->len, (uint64_t)(i % 16) * work->len) !=
            (ssize_t)work->len)
            return false;
    return true;
}

/* Keeps depth reads in flight; buf has room for all of them. */
static bool read_queued(const struct work *work, long count)
{
    static struct ros2_completion done[DEPTH_MAX];
    size_t len = work->len;
    long begun = 0, ended = 0;
    for (unsigned i = 0; i < work->depth; i++)
        done[i].user_data = i;
    for (int n = (int)work->depth; ended < count;) {
        for (int i = 0; i < n && begun < count; i++, begun++) {
            uint64_t place = done[i].user_data;
            if (ros2_prepare_read(work->queue, work->file, work->buf + place * len, len,
                                  (uint64_t)(begun % 16) * len, place, 0) < 0)
                return false;
        }
        if (ros2_queue_submit(work->queue) < 0)
            return false;
        n = ros2_queue_reap(work->queue, done, work->depth, 1, ROS2_FOREVER);
        if (n < 0)
            return false;
        for (int i = 0; i < n; i++)
            if (done[i].result != (int64_t)len)
                return false;
        ended += n;
    }
    return true;
}

static bool read_some(const struct work *work, long count)
{
    return work->queue ? read_queued(work, count) : read_calls(work, count);
}

/* What is first used is made then: channel, bounce memory, and whatever a full queue needs. */
static bool warm_up(struct ros2_client *client, struct work *work)
{
    return (work->depth == 0 || ros2_queue_create(client, work->depth, NULL, &work->queue) == 0) &&
           read_some(work, 10000);
}

static struct call_count counts_of_peer(void)
{
    static const struct call_count *shared;
    const char *path = getenv("CALL_COUNT_PEER");
    if (!shared && path) {
        void *at =
            mmap(NULL, sizeof(*shared), PROT_READ, MAP_SHARED, open(path, O_RDONLY | O_CLOEXEC), 0);
        shared = at == MAP_FAILED ? NULL : at;
    }
    return shared ? *shared : (struct call_count){0};
}

static long run(const struct work *work, long count, long slice, long seconds)
{
    long done = 0;
    time_t end = time(NULL) + seconds;
    for (; done < count && time(NULL) < end; done += slice) {
        close(-77);
        if (!read_some(work, slice))
            return -1;
    }
    close(-78);
    return done;
}

/* How long the thread was ready to run and did not. */
static uint64_t waited_ns(void)
{
    unsigned long long waited = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "re");
    if (!file || fscanf(file, "%*u %llu", &waited) != 1)
        waited = 0;
    if (file)
        fclose(file);
    return waited;
}

static void print(const char *name, struct call_count before, struct call_count after)
{
    printf("%s allocations %llu locks %llu\n", name,
           (unsigned long long)(after.allocations - before.allocations),
           (unsigned long long)(after.locks - before.locks));
}

static long run_counted(const struct work *work, long count, long slice, long seconds)
{
    struct call_count (*own)(void) = NULL;
    *(void **)&own = dlsym(RTLD_DEFAULT, "call_count_own");
    uint64_t waited = waited_ns();
    struct call_count peer_before = counts_of_peer(), before = own ? own() : peer_before;
    long reads = run(work, count, slice, seconds);
    struct call_count after = own ? own() : peer_before, peer_after = counts_of_peer();
    printf("reads %ld\nwaited_ms %llu\n", reads,
           (unsigned long long)(waited_ns() - waited) / 1000000);
    if (own) {
        print("client", before, after);
        print("ros2d", peer_before, peer_after);
    }
    return reads;
}

int main(int argc, char **argv)
{
    struct ros2_client *client;
    struct ros2_connect_options options = {
        .size = sizeof(options), .flags = ROS2_CONNECT_PLAINTEXT, .config_file = "/dev/null"};
    struct work work = {0};
    if (argc != 7)
        return 2;
    work.len = (size_t)atol(argv[3]);
    work.depth = (unsigned)atoi(argv[4]);
    if (work.depth > DEPTH_MAX)
        return 2;
    work.buf = malloc(work.len * (work.depth ? work.depth : 1));
    if (ros2_connect(NULL, &options, &client) < 0 ||
        ros2_open(client, argv[1], O_RDONLY, 0, &work.file) < 0 || !warm_up(client, &work) ||
        run_counted(&work, atol(argv[2]), atol(argv[5]), atol(argv[6])) < 0) {
        fprintf(stderr, "%s\n", ros2_error());
        return 1;
    }
    ros2_queue_destroy(work.queue);
    ros2_close(work.file);
    ros2_disconnect(client);
    free(work.buf);
    return 0;
}
