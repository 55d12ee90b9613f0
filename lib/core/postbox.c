/* SPDX-License-Identifier: Apache-2.0 */
/* Postboxes. The eventfd is written and read under the lock together with raised, so that a taker that finds the box
 * lowered leaves no readable descriptor behind. */
#include "config.h"

#include "lib/core/postbox.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"

int ros2i_postbox_init(struct ros2i_postbox *box)
{
    *box = (struct ros2i_postbox){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (box->fd < 0)
        return ros2i_fail(errno, "eventfd: %s", ros2i_strerror(errno));
    pthread_mutex_init(&box->lock, NULL);
    return 0;
}

void ros2i_postbox_fini(struct ros2i_postbox *box, bool forked)
{
    close(box->fd);
    if (!forked) /* there another thread, which is not here, may have held it */
        pthread_mutex_destroy(&box->lock);
}

static void raise_locked(struct ros2i_postbox *box)
{
    if (atomic_load_explicit(&box->raised, memory_order_relaxed))
        return;
    atomic_store_explicit(&box->raised, true, memory_order_release);
    eventfd_write(box->fd, 1);
}

static void lower_locked(struct ros2i_postbox *box)
{
    eventfd_t count;
    if (!atomic_load_explicit(&box->raised, memory_order_relaxed))
        return;
    atomic_store_explicit(&box->raised, false, memory_order_relaxed);
    eventfd_read(box->fd, &count);
}

void ros2i_postbox_post(struct ros2i_postbox *box, struct ros2i_task_list *list)
{
    if (!list->first)
        return;
    pthread_mutex_lock(&box->lock);
    *(box->list.last ? &box->list.last->next : &box->list.first) = list->first;
    box->list.last = list->last;
    box->list.count += list->count;
    raise_locked(box);
    pthread_mutex_unlock(&box->lock);
    *list = (struct ros2i_task_list){0};
}

void ros2i_postbox_raise(struct ros2i_postbox *box)
{
    pthread_mutex_lock(&box->lock);
    raise_locked(box);
    pthread_mutex_unlock(&box->lock);
}

void ros2i_postbox_take(struct ros2i_postbox *box, struct ros2i_task_list *list, unsigned max)
{
    if (!atomic_load_explicit(&box->raised, memory_order_acquire))
        return;
    pthread_mutex_lock(&box->lock);
    while (max-- > 0 && box->list.first)
        ros2i_task_push(list, ros2i_task_pop(&box->list));
    if (!box->list.first)
        lower_locked(box);
    pthread_mutex_unlock(&box->lock);
}

void ros2i_postbox_wait(struct ros2i_postbox *box, uint64_t until_ns)
{
    uint64_t now_ns = ros2i_now_ns(), left = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {(time_t)(left / ROS2I_NS_PER_S), (long)(left % ROS2I_NS_PER_S)};
    struct pollfd pollfd = {box->fd, POLLIN, 0};
    ppoll(&pollfd, 1, until_ns == ROS2I_FOREVER ? NULL : &timeout, NULL);
}
