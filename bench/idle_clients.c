/* SPDX-License-Identifier: Apache-2.0 */
/* --clients N clients that each read a block once and then hold their connection until standard input ends, for somebody else
 * to look at what they cost the daemon. Prints "connected" once all are. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "ros2/ros2.h"

static void connect_one(const struct measure_options *options, struct ros2_client **client_p,
                        char *buf)
{
    struct ros2_file *file;

    if (ros2_connect(NULL, NULL, client_p) < 0 ||
        ros2_open(*client_p, options->path, O_RDONLY, 0, &file) < 0 ||
        ros2_pread(file, buf, options->block, 0) < 0 || ros2_close(file) < 0)
        measure_die_text(ros2_error());
}

int main(int argc, char **argv)
{
    struct measure_options options;

    measure_parse(argc, argv, true, &options);
    struct ros2_client **client = calloc(options.clients, sizeof(struct ros2_client *));
    char *buf = malloc(options.block);
    if (!client || !buf)
        measure_die("clients", ENOMEM);
    for (unsigned i = 0; i < options.clients; i++)
        connect_one(&options, &client[i], buf);
    puts("connected");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (unsigned i = 0; i < options.clients; i++)
        ros2_disconnect(client[i]);
    free(buf);
    free(client);
    return 0;
}
