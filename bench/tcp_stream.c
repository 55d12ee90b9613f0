/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that bare TCP sets: a child sends blocks from warm memory as fast as it can, this process receives them into
 * warm memory. --depth N takes N buffers in turn at this end. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/tcp_pair.h"

static void serve(int fd, void *arg)
{
    struct measure_options options = *(const struct measure_options *)arg;

    options.depth = 1;
    const char *buf = measure_buffers(&options);
    for (;;) {
        for (size_t at = 0; at < options.block;) {
            ssize_t sent = send(fd, buf + at, options.block - at, MSG_NOSIGNAL);
            if (sent < 0)
                return; /* the other end has had enough */
            at += (size_t)sent;
        }
    }
}

int main(int argc, char **argv)
{
    struct measure_options options;
    static struct measure m;
    struct tcp_pair pair;

    measure_parse(argc, argv, false, &options);
    tcp_pair_open(&pair, serve, &options);
    /* After the fork: else every first write to a page would copy it. */
    char *buffers = measure_buffers(&options);
    /* Socket buffers grow in the first milliseconds. */
    for (unsigned i = 0; i < 64; i++)
        measure_read_fully(pair.fd, buffers + i % options.depth * options.block, options.block);

    measure_begin(&m, options.duration_ns);
    uint64_t now_ns = m.start_ns, since_ns;
    do {
        since_ns = now_ns;
        measure_read_fully(pair.fd, buffers + m.operations % options.depth * options.block,
                           options.block);
        now_ns = measure_now_ns();
    } while (measure_add(&m, options.block, since_ns, now_ns));
    measure_print(&m, tcp_pair_close(&pair));
    return 0;
}
