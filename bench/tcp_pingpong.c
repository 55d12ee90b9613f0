/* SPDX-License-Identifier: Apache-2.0 */
/* A bare TCP round trip: --request bytes there, --block bytes back, one at a time. Both ends sleep in read(), or poll with
 * --spin. */
#include "config.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/tcp_pair.h"

/* Receives len bytes; false: the other end has closed. */
static bool receive(int fd, char *buf, size_t len, bool spin)
{
    while (len > 0) {
        ssize_t got = recv(fd, buf, len, spin ? MSG_DONTWAIT : 0);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got < 0)
            measure_die("recv", errno);
        if (got == 0)
            return false;
        buf += got;
        len -= (size_t)got;
    }
    return true;
}

static void serve(int fd, void *arg)
{
    const struct measure_options *options = arg;
    struct measure_options request = {.block = options->request, .depth = 1};
    char *in = measure_buffers(&request);
    struct measure_options reply = {.block = options->block, .depth = 1};
    char *out = measure_buffers(&reply);

    while (receive(fd, in, options->request, options->spin))
        measure_write_fully(fd, out, options->block);
}

int main(int argc, char **argv)
{
    struct measure_options options;
    static struct measure m;
    struct tcp_pair pair;

    measure_parse(argc, argv, false, &options);
    options.depth = 1;
    struct measure_options request = {.block = options.request, .depth = 1};
    tcp_pair_open(&pair, serve, &options);
    /* After the fork: else every first write to a page would copy it. */
    char *out = measure_buffers(&request);
    char *in = measure_buffers(&options);

    measure_begin(&m, options.duration_ns);
    uint64_t now_ns = m.start_ns, since_ns;
    do {
        since_ns = now_ns;
        measure_write_fully(pair.fd, out, options.request);
        if (!receive(pair.fd, in, options.block, options.spin))
            measure_die("recv", ECONNRESET);
        now_ns = measure_now_ns();
    } while (measure_add(&m, options.block, since_ns, now_ns));
    measure_print(&m, tcp_pair_close(&pair));
    return 0;
}
