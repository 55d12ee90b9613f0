/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that the file system sets: one thread calls pread() or, with --write, pwrite() on a local file, with memory that is
 * warm: from malloc(), or with --shared of the kind that ros2_buf_alloc() gives. --depth N takes N buffers in turn, as a
 * program with N operations in flight has to. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/measure.h"

static ssize_t transfer(int fd, const struct measure_options *options, char *buf, uint64_t block)
{
    off_t offset = (off_t)(block * options->block);

    return options->write ? pwrite(fd, buf, options->block, offset)
                          : pread(fd, buf, options->block, offset);
}

int main(int argc, char **argv)
{
    struct measure_options options;
    static struct measure m;
    struct stat st;

    measure_parse(argc, argv, true, &options);
    int fd = open(options.path, (options.write ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        measure_die(options.path, errno);
    uint64_t blocks = (uint64_t)st.st_size / options.block, block = 0, random = 1;
    if (blocks == 0)
        measure_die_text("the file is smaller than a block");
    char *buffers = measure_buffers(&options);

    measure_begin(&m, options.duration_ns);
    uint64_t now_ns = m.start_ns, since_ns;
    do {
        char *buf = buffers + m.operations % options.depth * options.block;
        if (options.random)
            block = measure_random(&random) % blocks;
        since_ns = now_ns;
        ssize_t done = transfer(fd, &options, buf, block);
        if (done != (ssize_t)options.block)
            measure_die(options.path, done < 0 ? errno : EIO);
        block = block + 1 == blocks ? 0 : block + 1;
        now_ns = measure_now_ns();
    } while (measure_add(&m, options.block, since_ns, now_ns));
    measure_print(&m, -1);
    return 0;
}
