/* SPDX-License-Identifier: Apache-2.0 */
/* The progress thread of a queue that asked for one: the driver in place of the owner. What has ended goes to the owner
 * by the second postbox. It sleeps without a time limit while nothing is in flight. */
#include "config.h"

#include <errno.h>
#include <signal.h>

#include "lib/base/clock.h"
#include "lib/core/async.h"
#include "lib/core/drive.h"

static void *progress_main(void *arg)
{
    struct ros2_queue *queue = arg;
    struct ros2i_wait wait = {0};
    while (!atomic_load(&queue->stop)) {
        uint64_t now_ns = ros2i_drive_poll(queue, &wait);
        if (!queue->done.first) {
            ros2i_drive_pause(queue, &wait, now_ns, ROS2I_FOREVER);
            continue;
        }
        ros2i_postbox_post(&queue->finished, &queue->done);
        if (queue->queue)
            ros2i_queue_waited(queue->queue, &wait);
        wait = (struct ros2i_wait){0};
    }
    ros2i_drive_end(queue); /* here: the channel's owner ends it */
    return NULL;
}

int ros2i_progress_start(struct ros2_queue *queue)
{
    sigset_t all, old; /* the application's signals are not for it */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&queue->thread, NULL, progress_main, queue);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0 ? 0 : ros2i_fail(rc, "progress thread: %s", ros2i_strerror(rc));
}

void ros2i_progress_stop(struct ros2_queue *queue)
{
    atomic_store(&queue->stop, true);
    ros2i_postbox_raise(&queue->mail);
    pthread_join(queue->thread, NULL);
}
