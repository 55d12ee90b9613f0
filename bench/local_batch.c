/* SPDX-License-Identifier: Apache-2.0 */
/* What a local file system gives a loader of small files: one thread opens, reads and closes --depth files after the other
 * out of the --files N of a folder, at random, each into --block bytes of its own. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/measure.h"

static size_t read_one(const struct measure_options *options, unsigned file, char *buf)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%u", options->path, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        measure_die(path, errno);
    ssize_t done = read(fd, buf, options->block);
    if (done < 0)
        measure_die(path, errno);
    close(fd);
    return (size_t)done;
}

int main(int argc, char **argv)
{
    struct measure_options options;
    static struct measure m;
    uint64_t random = 1;

    measure_parse(argc, argv, true, &options);
    char *buffers = measure_buffers(&options);
    measure_begin(&m, options.duration_ns);
    uint64_t now_ns = m.start_ns, since_ns;
    size_t bytes;
    do {
        since_ns = now_ns;
        bytes = 0;
        for (unsigned i = 0; i < options.depth; i++)
            bytes += read_one(&options, (unsigned)(measure_random(&random) % options.files),
                              buffers + i * options.block);
        now_ns = measure_now_ns();
    } while (measure_add(&m, bytes, since_ns, now_ns));
    measure_print(&m, -1);
    return 0;
}
