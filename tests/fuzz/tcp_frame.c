/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the receiving half of transport tcp without sockets: the input is what a hostile peer sends, delivered in
 * reads of odd sizes to an endpoint with real regions and gets waiting. Checked: canaries around each region stay
 * whole, bytes land only where the right was given, each op completes at most once. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "transports/tcp/domain.h"
#include "transports/tcp/endpoint.h"
#include "transports/tcp/receive.h"
#include "transports/tcp/rma.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REGION_LEN 64u
#define CANARY     0xc3

static uint64_t fuzz_now_ns(void)
{
    return 1;
}

static void fuzz_log(enum ros2_log_level level, const char *outlet, const char *fmt, ...)
{
    (void)level;
    (void)outlet;
    (void)fmt;
}

/* The same tokens each time, so that an input means the same: the first generation is 1. */
static int fuzz_random(void *buf, size_t len)
{
    memset(buf, 0, len);
    return 0;
}

static const struct ros2_host host = {sizeof host, ros2i_fail, fuzz_log, fuzz_now_ns, fuzz_random};

struct memory {
    uint8_t before[REGION_LEN], bytes[REGION_LEN], after[REGION_LEN];
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool whole(const uint8_t *bytes)
{
    for (size_t i = 0; i < REGION_LEN; i++)
        if (bytes[i] != CANARY)
            return false;
    return true;
}

static struct ros2_op op[2];
static int done_calls[2];

static void done(struct ros2_op *o, int status)
{
    (void)status;
    done_calls[o - op]++;
}

static uint64_t sink;

static void on_message(void *arg, struct ros2_ep *ep, const void *msg, size_t len)
{
    struct ros2_region **region = arg;
    const uint8_t *bytes = msg;

    for (size_t i = 0; i < len; i++)
        sink += bytes[i];
    /* Some messages take a region away, some end it all. */
    if (len > 0 && bytes[0] == 'D' && *region) {
        require(tcp_region_deregister(*region) == 0);
        *region = NULL;
    }
    if (len > 0 && bytes[0] == 'A')
        tcp_ep_abort(ep);
}

static const struct ros2_ep_handler handler = {NULL, on_message, NULL};

/* Feeds the input in reads of 1 to 255 bytes, or all at once. */
static void feed(struct ros2_ep *ep, const uint8_t *data, size_t size, size_t chunk)
{
    while (size > 0 && ep->state == TCP_EP_OPEN) {
        struct iovec iov[TCP_RECEIVE_IOV];
        size_t want;
        int count = tcp_receive_vec(ep, iov, &want);
        size_t n = 0;
        require(count > 0 && want > 0);
        for (int i = 0; i < count; i++) {
            size_t part = iov[i].iov_len;
            part = part < size ? part : size;
            part = part < chunk - n ? part : chunk - n;
            memcpy(iov[i].iov_base, data, part);
            data += part;
            size -= part;
            n += part;
        }
        int frames = 64;
        tcp_receive_landed(ep, n);
        int rc = tcp_receive_parse(ep, &frames);
        while (rc == 1) {
            frames = 64;
            rc = tcp_receive_parse(ep, &frames);
        }
        if (rc < 0)
            tcp_ep_abort(ep);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned right[3] = {ROS2_REGION_REMOTE_WRITE, ROS2_REGION_REMOTE_READ,
                                      ROS2_REGION_REMOTE_WRITE | ROS2_REGION_REMOTE_READ};
    const struct ros2_domain_options options = {
        .size = sizeof options, .host = &host, .max_message = 4096};
    const union ip_address peer = {.any.sa_family = AF_INET};
    struct ros2_domain *domain;
    struct ros2_region *region[3];
    struct ros2_ep *ep;
    static struct memory memory[3], target;

    if (size < 1)
        return 0;
    require(tcp_domain_open(&options, &domain) == 0);
    memset(memory, CANARY, sizeof memory);
    memset(&target, CANARY, sizeof target);
    memset(done_calls, 0, sizeof done_calls);
    for (int i = 0; i < 3; i++)
        require(tcp_region_register(domain, memory[i].bytes, REGION_LEN, right[i], ROS2_MEMORY_HOST,
                                    &region[i]) == 0);
    int fd[2];
    require(pipe(fd) == 0); /* something that epoll takes; nothing is read or written */
    close(fd[1]);
    require(tcp_ep_create(domain, fd[0], &peer, TCP_EP_OPEN, &ep) == 0);
    tcp_ep_set_handler(ep, &handler, &region[2]);
    ep->stuck = true; /* nothing is ever sent */
    for (int i = 0; i < 2; i++) {
        const struct iovec dst = {target.bytes + i * 16, 16};
        const struct ros2_remote src = {.token = 1, .offset = 0, .len = 16};
        memset(&op[i], 0, sizeof op[i]);
        op[i].done = done;
        require(tcp_get(ep, &dst, 1, &src, 1, &op[i]) == 0);
    }
    tcp_domain_enter(domain);
    feed(ep, data + 1, size - 1, data[0] ? data[0] : SIZE_MAX);
    if (ep->state == TCP_EP_OPEN)
        tcp_ep_abort(ep);
    tcp_domain_leave(domain);
    require(done_calls[0] == 1 && done_calls[1] == 1);
    for (int i = 0; i < 3; i++) {
        require(whole(memory[i].before) && whole(memory[i].after));
        require(!region[i] || tcp_region_deregister(region[i]) == 0);
    }
    require(whole(memory[1].bytes)); /* only for reading */
    require(whole(target.before) && whole(target.after) && whole(target.bytes + 32));
    tcp_domain_close(domain);
    return 0;
}
