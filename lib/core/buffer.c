/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers. Any thread. Operations do not know them: they find shared memory by its address (lib/base/shared_memory.h). So
 * who ends a buffer looks for operations on it, with all queues stopped at the fork gate; that is slow, and rare. */
#include "config.h"

#include "ros2/buffer.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/shared_memory.h"
#include "lib/core/fork.h"
#include "lib/core/queue.h"
#include "lib/data/quiesce.h"

#define FLAGS_KNOWN (ROS2_BUF_HUGE | ROS2_BUF_NUMA)
/* Between two looks at what is in flight. */
#define LOOK_NS ROS2I_NS_PER_MS

struct ros2_buf {
    struct ros2_client *client;
    void *addr;
    size_t len;
    bool allocated;
    bool registered;
    struct ros2i_registration registration; /* if registered */
};

/* NULL: out of memory. */
static struct ros2_buf *create(struct ros2_client *client, void *addr, size_t len, bool allocated)
{
    struct ros2_buf *buf = malloc(sizeof(*buf));
    if (buf)
        *buf =
            (struct ros2_buf){.client = client, .addr = addr, .len = len, .allocated = allocated};
    else
        ros2i_fail(ENOMEM, "out of memory");
    return buf;
}

static int check_options(const struct ros2_buf_options *options)
{
    if (!options)
        return 0;
    if (options->size < sizeof(*options))
        return ros2i_fail(EINVAL, "options.size is %zu, not sizeof(struct ros2_buf_options)",
                          options->size);
    if (options->flags & ~FLAGS_KNOWN)
        return ros2i_fail(EINVAL, "options.flags 0x%x: known are 0x%x", options->flags,
                          FLAGS_KNOWN);
    if ((options->flags & ROS2_BUF_NUMA) && options->numa_node > INT_MAX)
        return ros2i_fail(EINVAL, "options.numa_node %u", options->numa_node);
    return 0;
}

static int register_buf(struct ros2_buf *buf, unsigned rights)
{
    struct ros2_client *client = buf->client;
    struct ros2i_registration *registration = &buf->registration;
    uint64_t deadline_ns = ros2i_client_deadline(client);
    registration->addr = buf->addr;
    registration->len = buf->len;
    registration->rights = (rights & ROS2_BUF_SOURCE ? ROS2_REGION_REMOTE_READ : 0u) |
                           (rights & ROS2_BUF_TARGET ? ROS2_REGION_REMOTE_WRITE : 0u);
    int rc = ros2i_client_enter(client, deadline_ns);
    return rc < 0 ? rc
                  : ros2i_client_error(ros2i_registration_begin(client, registration, deadline_ns));
}

/* Where the transport has keys and no tokens: else what is done with it goes through bounce memory. */
static void register_allocated(struct ros2_buf *buf)
{
    if (buf->client->ops->flags & ROS2_TRANSPORT_TOKENS)
        return;
    buf->registered = register_buf(buf, ROS2_BUF_SOURCE | ROS2_BUF_TARGET) == 0;
    if (!buf->registered)
        ros2i_log(ROS2_LOG_WARN, "core",
                  "a buffer of %zu bytes is not registered, and its data is copied once more: %s",
                  buf->len, ros2i_error());
}

int ros2_buf_alloc(struct ros2_client *client, size_t len, const struct ros2_buf_options *options,
                   struct ros2_buf **buf_p)
{
    void *addr = NULL;
    int rc = check_options(options);
    if (rc == 0) {
        unsigned flags = options && (options->flags & ROS2_BUF_HUGE) ? ROS2I_SHARED_HUGE : 0;
        int node = options && (options->flags & ROS2_BUF_NUMA) ? (int)options->numa_node : -1;
        rc = ros2i_shared_alloc(len, flags, node, &addr);
    }
    if (rc == 0) {
        struct ros2_buf *buf = create(client, addr, len, true);
        if (buf) {
            register_allocated(buf);
            *buf_p = buf;
            return 0;
        }
        rc = -ENOMEM;
        ros2i_shared_free(addr, len);
    }
    return ros2i_fail_prefix(rc, "buffer of %zu bytes", len);
}

static int check_registration(const struct ros2_client *client, const void *addr, size_t len,
                              unsigned rights, unsigned kind)
{
    const unsigned known = ROS2_BUF_SOURCE | ROS2_BUF_TARGET;
    if (!addr || len == 0 || len > SSIZE_MAX || (uintptr_t)addr > UINTPTR_MAX - len)
        return ros2i_fail(EINVAL, "%zu bytes at %p are no memory", len, addr);
    if (rights == 0 || (rights & ~known))
        return ros2i_fail(EINVAL, "rights 0x%x: some of 0x%x are needed, and no others", rights,
                          known);
    if (kind > ROS2_BUF_CUDA)
        return ros2i_fail(EINVAL, "kind %u is unknown", kind);
    if (kind == ROS2_BUF_CUDA)
        return ros2i_fail(ENOTSUP, "transport %s does not take CUDA memory", client->ops->name);
    if (client->ops->flags & ROS2_TRANSPORT_MAP_PEER)
        return ros2i_fail(ENOTSUP,
                          "transport %s can take only memory from ros2_buf_alloc() without a copy",
                          client->ops->name);
    return 0;
}

int ros2_buf_register(struct ros2_client *client, void *addr, size_t len, unsigned rights,
                      unsigned kind, struct ros2_buf **buf_p)
{
    int rc = check_registration(client, addr, len, rights, kind);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "register memory");
    struct ros2_buf *buf = create(client, addr, len, false);
    if (!buf)
        return ros2i_fail_prefix(-ENOMEM, "register memory");
    rc = register_buf(buf, rights);
    if (rc < 0) {
        free(buf);
        return ros2i_fail_prefix(rc, "register memory");
    }
    buf->registered = true;
    *buf_p = buf;
    return 0;
}

/* -- ending one -- */

/* With all queues stopped. own_p: a queue of this thread that uses it, if any does. */
static bool is_used(const struct ros2_buf *buf, struct ros2i_queue **own_p)
{
    bool used = false;
    for (struct ros2i_queue *queue = buf->client->queues; queue; queue = queue->next) {
        if (!ros2i_quiesce_uses(queue->channel, buf->addr, buf->len))
            continue;
        used = true;
        if (pthread_equal(queue->owner, pthread_self()))
            *own_p = queue;
    }
    return used;
}

static void take_back(struct ros2i_queue *queue, const struct ros2_buf *buf)
{
    ros2i_channel_lend(queue->channel, true);
    ros2i_quiesce_take_back(queue->channel, buf->addr, buf->len);
    ros2i_channel_lend(queue->channel, false);
}

static void break_all(const struct ros2_buf *buf)
{
    for (struct ros2i_queue *queue = buf->client->queues; queue; queue = queue->next)
        take_back(queue, buf);
}

static void drive(struct ros2i_queue *queue, struct ros2i_wait *wait)
{
    uint64_t now_ns = ros2i_queue_poll(queue, wait);
    ros2i_queue_pause(queue, wait, now_ns, -1, now_ns + LOOK_NS);
}

/* What has ended meanwhile woke us, and not an event loop that sleeps on the queue's descriptor. */
static void wake_loop(const struct ros2i_queue *driven)
{
    if (driven && driven->mail)
        ros2i_postbox_raise(driven->mail);
}

/* What is not used is withdrawn before an operation can begin on it again. */
static void end_use(const struct ros2_buf *buf)
{
    const struct timespec pause = {0, LOOK_NS};
    struct ros2i_wait wait = {0};
    struct ros2i_queue *driven = NULL;
    uint64_t deadline_ns = ros2i_client_deadline(buf->client);
    for (;;) {
        struct ros2i_queue *own = NULL;
        ros2i_fork_stop();
        bool used = is_used(buf, &own);
        bool over = !used || ros2i_now_ns() >= deadline_ns;
        if (used && over)
            break_all(buf);
        if (over && buf->registered)
            ros2i_registration_withdraw(buf->client, &buf->registration);
        ros2i_fork_go_on();
        if (own != driven || over)
            wake_loop(driven);
        driven = own;
        if (over)
            return;
        if (own) /* nobody else drives it */
            drive(own, &wait);
        else
            nanosleep(&pause, NULL);
    }
}

int ros2_buf_free(struct ros2_buf *buf)
{
    if (!buf)
        return 0;
    if (!buf->allocated)
        return ros2i_fail(
            EINVAL, "free buffer: it was registered, not allocated; use ros2_buf_unregister()");
    end_use(buf);
    if (buf->registered)
        ros2i_registration_tell_gone(buf->client);
    ros2i_shared_free(buf->addr, buf->len);
    free(buf);
    return 0;
}

int ros2_buf_unregister(struct ros2_buf *buf)
{
    if (!buf)
        return 0;
    if (buf->allocated)
        return ros2i_fail(EINVAL,
                          "unregister memory: it was allocated by libros2; use ros2_buf_free()");
    end_use(buf);
    ros2i_registration_tell_gone(buf->client);
    free(buf);
    return 0;
}

void *ros2_buf_addr(const struct ros2_buf *buf)
{
    return buf->addr;
}

size_t ros2_buf_len(const struct ros2_buf *buf)
{
    return buf->len;
}
