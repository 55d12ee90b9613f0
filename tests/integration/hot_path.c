/* SPDX-License-Identifier: Apache-2.0 */
/* Reads many blocks between two marks, for hot_path.sh. Usage: hot_path FILE COUNT LEN [DEPTH]; DEPTH: over a queue. With malloc_count.so preloaded it
 * says how often the thread allocated between the marks; the marks are also seen in a trace, as closes of -77 and -78. */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ros2/ros2.h>

#define DEPTH_MAX 64

static bool read_calls(struct ros2_file *file, char *buf, size_t len, long count)
{
    for (long i = 0; i < count; i++)
        if (ros2_pread(file, buf, len, (uint64_t)(i % 16) * len) != (ssize_t)len)
            return false;
    return true;
}

/* Keeps depth reads in flight; buf has room for all of them. */
static bool read_queued(struct ros2_queue *queue, unsigned depth, struct ros2_file *file, char *buf,
                        size_t len, long count)
{
    static struct ros2_completion done[DEPTH_MAX];
    long begun = 0, ended = 0;
    for (unsigned i = 0; i < depth; i++)
        done[i].user_data = i;
    for (int n = (int)depth; ended < count;) {
        for (int i = 0; i < n && begun < count; i++, begun++) {
            uint64_t place = done[i].user_data;
            if (ros2_prepare_read(queue, file, buf + place * len, len, (uint64_t)(begun % 16) * len,
                                  place, 0) < 0)
                return false;
        }
        if (ros2_queue_submit(queue) < 0)
            return false;
        n = ros2_queue_reap(queue, done, depth, 1, ROS2_FOREVER);
        for (int i = 0; i < n; i++)
            if (done[i].result != (int64_t)len)
                return false;
        ended += n;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct ros2_client *client;
    struct ros2_file *file;
    struct ros2_queue *queue = NULL;
    struct ros2_connect_options options = {.size = sizeof(options), .config_file = "/dev/null"};
    if (argc < 4 || argc > 5)
        return 2;
    unsigned depth = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
    if (depth > DEPTH_MAX)
        return 2;
    long count = atol(argv[2]);
    size_t len = (size_t)atol(argv[3]);
    char *buf = malloc(len * (depth ? depth : 1));
    uint64_t (*calls)(void) = NULL;
    *(void **)&calls = dlsym(RTLD_DEFAULT, "malloc_count_calls");
    if (ros2_connect(NULL, &options, &client) < 0 ||
        ros2_open(client, argv[1], O_RDONLY, 0, &file) < 0 || !read_calls(file, buf, len, 1) ||
        (depth && (ros2_queue_create(client, depth, NULL, &queue) < 0 ||
                   !read_queued(queue, depth, file, buf, len, 10000)))) {
        fprintf(stderr, "%s\n", ros2_error());
        return 1;
    }
    uint64_t before = calls ? calls() : 0;
    close(-77);
    bool good = queue ? read_queued(queue, depth, file, buf, len, count)
                      : read_calls(file, buf, len, count);
    close(-78);
    uint64_t after = calls ? calls() : 0;
    if (!good) {
        fprintf(stderr, "%s\n", ros2_error());
        return 1;
    }
    if (calls)
        printf("allocations %llu\n", (unsigned long long)(after - before));
    ros2_queue_destroy(queue);
    ros2_close(file);
    ros2_disconnect(client);
    free(buf);
    return 0;
}
