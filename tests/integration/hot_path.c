/* SPDX-License-Identifier: Apache-2.0 */
/* Reads many blocks between two marks, for hot_path.sh. Usage: hot_path FILE COUNT LEN. With malloc_count.so preloaded it
 * says how often the thread allocated between the marks; the marks are also seen in a trace, as closes of -77 and -78. */
#include "config.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ros2/ros2.h>

int main(int argc, char **argv)
{
    struct ros2_client *client;
    struct ros2_file *file;
    struct ros2_connect_options options = {.size = sizeof(options), .config_file = "/dev/null"};
    if (argc != 4)
        return 2;
    long count = atol(argv[2]);
    size_t len = (size_t)atol(argv[3]);
    char *buf = malloc(len);
    uint64_t (*calls)(void) = NULL;
    *(void **)&calls = dlsym(RTLD_DEFAULT, "malloc_count_calls");
    if (ros2_connect(NULL, &options, &client) < 0 ||
        ros2_open(client, argv[1], O_RDONLY, 0, &file) < 0 ||
        ros2_pread(file, buf, len, 0) != (ssize_t)len) {
        fprintf(stderr, "%s\n", ros2_error());
        return 1;
    }
    uint64_t before = calls ? calls() : 0;
    close(-77);
    for (long i = 0; i < count; i++) {
        if (ros2_pread(file, buf, len, (uint64_t)(i % 16) * len) == (ssize_t)len)
            continue;
        fprintf(stderr, "%s\n", ros2_error());
        return 1;
    }
    close(-78);
    uint64_t after = calls ? calls() : 0;
    if (calls)
        printf("allocations %llu\n", (unsigned long long)(after - before));
    ros2_close(file);
    ros2_disconnect(client);
    free(buf);
    return 0;
}
