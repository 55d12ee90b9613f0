/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor for event loops: an epoll set of the transport's descriptor, a timer for what is due by the clock, and the
 * postbox's descriptor, which stands for everything else. Owner: the queue's.
 *
 * Always holds after arm: whatever there is to do, or will be by itself, makes one of the three readable. The timer is left
 * alone when it fires too early, which costs one empty reap in place of a system call for each operation. */
#include "config.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/core/async.h"

/* How often a transport without a descriptor is looked at. */
#define POLL_ONLY_NS (200 * 1000ull)

static int watch(struct ros2_queue *queue, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void ros2i_ready_watch(struct ros2_queue *queue)
{
    if (queue->epoll_fd < 0 || !queue->queue || queue->watched)
        return;
    /* Where it fails, or there is none, the timer looks after the transport. */
    queue->watched = queue->queue->fd >= 0 && watch(queue, queue->queue->fd) == 0;
}

static int make(struct ros2_queue *queue)
{
    queue->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    queue->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int rc = queue->epoll_fd < 0 || queue->timer_fd < 0 ? -errno : 0;
    if (rc == 0)
        rc = watch(queue, queue->timer_fd);
    if (rc == 0)
        rc = watch(queue, queue->mail.fd);
    if (rc < 0) {
        ros2i_ready_close(queue);
        return ros2i_fail(-rc, "%s", ros2i_strerror(rc));
    }
    ros2i_ready_watch(queue);
    return 0;
}

void ros2i_ready_close(struct ros2_queue *queue)
{
    if (queue->epoll_fd >= 0)
        close(queue->epoll_fd);
    if (queue->timer_fd >= 0)
        close(queue->timer_fd);
    queue->epoll_fd = queue->timer_fd = -1;
}

static void set_timer(struct ros2_queue *queue, uint64_t next_ns, uint64_t now_ns)
{
    bool has_fired = queue->timer_ns <= now_ns;
    if (queue->timer_ns <= next_ns && !has_fired)
        return;
    struct itimerspec at = {.it_value = {0, 0}}; /* setting it also takes a firing back */
    if (next_ns != ROS2I_FOREVER)
        at.it_value =
            (struct timespec){(time_t)(next_ns / ROS2I_NS_PER_S), (long)(next_ns % ROS2I_NS_PER_S)};
    timerfd_settime(queue->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    queue->timer_ns = next_ns;
}

void ros2i_ready_arm(struct ros2_queue *queue)
{
    uint64_t next_ns = ROS2I_FOREVER;
    if (queue->epoll_fd < 0)
        return;
    bool work = queue->done.first || queue->must_poll;
    if (!work && queue->queue)
        work = ros2i_queue_arm(queue->queue, &next_ns) < 0;
    uint64_t now_ns = ros2i_now_ns();
    if (!queue->watched && queue->queue && queue->out > 0 && next_ns > now_ns + POLL_ONLY_NS)
        next_ns = now_ns + POLL_ONLY_NS;
    if (work || next_ns <= now_ns)
        ros2i_postbox_raise(&queue->mail);
    else
        set_timer(queue, next_ns, now_ns);
}

int ros2_queue_fd(struct ros2_queue *queue)
{
    int rc = ros2i_async_enter(queue);
    if (rc == 0 && queue->threaded)
        return queue->finished.fd;
    if (rc == 0 && queue->epoll_fd < 0)
        rc = make(queue);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "queue fd");
    ros2i_ready_arm(queue);
    return queue->epoll_fd;
}
