/* SPDX-License-Identifier: Apache-2.0 */
/* Public queues: create, destroy, submit, reap, cancel. The owner's half; what runs on the data plane is drive.c's. */
#include "config.h"

#include "lib/core/async.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/core/drive.h"
#include "lib/core/file.h"

int ros2i_async_enter(struct ros2_queue *queue)
{
    if (queue->inherited)
        return ros2i_fail(EPERM, "the queue was made before fork() and belongs to the parent "
                                 "process; create one in this process");
    assert(!queue->ended && "ros2_disconnect() came before ros2_queue_destroy()");
    assert((!queue->owned || pthread_equal(queue->owner, pthread_self())) &&
           "a queue belongs to the first thread that uses it");
    if (!queue->owned) {
        queue->owner = pthread_self();
        queue->owned = true;
    }
    return 0;
}

/* -- create, destroy -- */

/* The caller's struct may be of an older or newer library than this one. */
static int read_flags(const struct ros2_queue_options *options, unsigned *flags_p)
{
    *flags_p = 0;
    if (!options)
        return 0;
    if (options->size < sizeof(*options))
        return ros2i_fail(EINVAL,
                          "options: size is %zu; set it to sizeof(struct ros2_queue_options)",
                          options->size);
    for (size_t i = sizeof(*options); i < options->size; i++)
        if (((const char *)options)[i] != 0)
            return ros2i_fail(EINVAL, "options: the program sets an option that this libros2 does "
                                      "not know; it needs a newer one");
    if (options->flags & ~ROS2_QUEUE_PROGRESS_THREAD)
        return ros2i_fail(EINVAL, "options: unknown flags 0x%x",
                          options->flags & ~ROS2_QUEUE_PROGRESS_THREAD);
    *flags_p = options->flags;
    return 0;
}

static void link_async(struct ros2_queue *queue)
{
    struct ros2_client *client = queue->client;
    pthread_mutex_lock(&client->lock);
    queue->next = client->async_queues;
    if (queue->next)
        queue->next->prev = queue;
    client->async_queues = queue;
    pthread_mutex_unlock(&client->lock);
}

static void unlink_async(struct ros2_queue *queue)
{
    pthread_mutex_lock(&queue->client->lock);
    *(queue->prev ? &queue->prev->next : &queue->client->async_queues) = queue->next;
    if (queue->next)
        queue->next->prev = queue->prev;
    pthread_mutex_unlock(&queue->client->lock);
}

static struct ros2_queue *allocate(struct ros2_client *client, unsigned depth)
{
    struct ros2_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return NULL;
    queue->client = client;
    queue->depth = depth;
    queue->epoll_fd = queue->timer_fd = -1;
    queue->timer_ns = ROS2I_FOREVER;
    queue->task = calloc(depth, sizeof(queue->task[0]));
    queue->text = calloc(depth, sizeof(queue->text[0]));
    if (queue->task && queue->text)
        return queue;
    free(queue->task);
    free(queue->text);
    free(queue);
    return NULL;
}

static void free_memory(struct ros2_queue *queue)
{
    free(queue->task);
    free(queue->text);
    free(queue);
}

static int create(struct ros2_client *client, unsigned depth, bool threaded,
                  struct ros2_queue **queue_p)
{
    struct ros2_queue *queue = allocate(client, depth);
    if (!queue)
        return ros2i_fail(ENOMEM, "no memory for %u operations", depth);
    for (unsigned i = depth; i-- > 0;) {
        queue->task[i].next = queue->free;
        queue->free = &queue->task[i];
    }
    queue->threaded = threaded;
    int rc = ros2i_postbox_init(&queue->mail);
    if (rc < 0)
        goto free_queue;
    rc = threaded ? ros2i_postbox_init(&queue->finished) : 0;
    if (rc < 0)
        goto fini_mail;
    link_async(queue); /* before the thread: a fork has to know of it */
    rc = threaded ? ros2i_progress_start(queue) : 0;
    if (rc < 0)
        goto unlink;
    *queue_p = queue;
    return 0;
unlink:
    unlink_async(queue);
    ros2i_postbox_fini(&queue->finished, false);
fini_mail:
    ros2i_postbox_fini(&queue->mail, false);
free_queue:
    free_memory(queue);
    return rc;
}

int ros2_queue_create(struct ros2_client *client, unsigned depth,
                      const struct ros2_queue_options *options, struct ros2_queue **queue_p)
{
    unsigned flags;
    int rc = read_flags(options, &flags);
    if (rc == 0 && (depth < 1 || depth > ROS2_QUEUE_DEPTH_MAX))
        rc = ros2i_fail(EINVAL, "the depth %u is not in 1..%u", depth, ROS2_QUEUE_DEPTH_MAX);
    if (rc == 0)
        rc = ros2i_client_enter(client, ros2i_client_deadline(client));
    if (rc == 0)
        rc = create(client, depth, (flags & ROS2_QUEUE_PROGRESS_THREAD) != 0, queue_p);
    return rc < 0 ? ros2i_fail_prefix(rc, "queue create") : 0;
}

/* The file of a task that nobody will reap. */
static void drop_file(struct ros2_queue *queue, struct ros2i_task *task)
{
    bool ours = task->kind == ROS2_QUEUE_OPEN && !task->begun;
    bool was_opened = task->kind == ROS2_QUEUE_OPEN && task->begun;
    bool to_close = task->kind == ROS2_QUEUE_CLOSE && task->place == ROS2I_TASK_OUT;
    if (!task->file)
        return;
    if (ours)
        ros2i_file_free(task->file);
    else if (was_opened || (to_close && task->op.result != -ECANCELED))
        ros2i_worker_close(queue->client, task->file);
}

static void free_task(struct ros2_queue *queue, struct ros2i_task *task)
{
    if (task->place != ROS2I_TASK_FREE)
        drop_file(queue, task);
    free(task->path);
    free(task->vector.gathered);
    free(task->vector.more);
    free(task->vector.part);
}

void ros2i_async_end(struct ros2_queue *queue)
{
    /* In a forked child neither the thread nor the internal queue is there. */
    if (!queue->inherited)
        (queue->threaded ? ros2i_progress_stop : ros2i_drive_end)(queue);
    for (unsigned i = 0; i < queue->depth; i++)
        free_task(queue, &queue->task[i]);
    ros2i_ready_close(queue);
    ros2i_postbox_fini(&queue->mail, queue->inherited);
    if (queue->threaded)
        ros2i_postbox_fini(&queue->finished, queue->inherited);
    unlink_async(queue);
    queue->ended = true;
}

void ros2_queue_destroy(struct ros2_queue *queue)
{
    int cancel_state;
    if (!queue)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    if (!queue->ended)
        ros2i_async_end(queue);
    free_memory(queue);
    pthread_setcancelstate(cancel_state, NULL);
}

void ros2i_async_after_fork(struct ros2_queue *queue)
{
    queue->inherited = true;
    queue->queue = NULL;
}

/* -- submit -- */

int ros2_queue_submit(struct ros2_queue *queue)
{
    int rc = ros2i_async_enter(queue);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "queue submit");
    struct ros2i_task_list list = queue->prepared;
    int count = (int)list.count;
    for (struct ros2i_task *task = list.first; task; task = task->next)
        task->place = ROS2I_TASK_OUT;
    queue->prepared = (struct ros2i_task_list){0};
    queue->out += list.count;
    if (queue->threaded) {
        ros2i_postbox_post(&queue->mail, &list);
    } else {
        ros2i_drive_start(queue, &list);
        ros2i_ready_arm(queue);
    }
    return count;
}

/* -- reap -- */

static const char *const kind_name[] = {
    [ROS2_QUEUE_READ] = "read",     [ROS2_QUEUE_WRITE] = "write", [ROS2_QUEUE_READV] = "readv",
    [ROS2_QUEUE_WRITEV] = "writev", [ROS2_QUEUE_FSYNC] = "fsync", [ROS2_QUEUE_OPEN] = "open",
    [ROS2_QUEUE_STAT] = "stat",     [ROS2_QUEUE_CLOSE] = "close",
};

static const char *text_of(const struct ros2i_task *task, char *text)
{
    int rc = ros2i_fail((int)-task->op.result, "%s", task->op.text);
    ros2i_fail_prefix(rc, "%s %s", kind_name[task->kind],
                      task->path ? task->path : task->file->path);
    return strcpy(text, ros2i_error());
}

static void recycle(struct ros2_queue *queue, struct ros2i_task *task)
{
    if (task->path)
        free(task->path);
    task->path = NULL;
    if (task->vector.gathered)
        free(task->vector.gathered);
    task->vector.gathered = NULL;
    task->file = NULL;
    task->place = ROS2I_TASK_FREE;
    task->next = queue->free;
    queue->free = task;
    queue->out--;
}

static unsigned give(struct ros2_queue *queue, struct ros2i_task_list *done,
                     struct ros2_completion *completions, unsigned max)
{
    unsigned count = 0;
    while (count < max && done->first) {
        struct ros2i_task *task = ros2i_task_pop(done);
        int64_t result = task->op.result;
        completions[count] = (struct ros2_completion){
            .user_data = task->user_data,
            .result = result,
            .file = task->kind == ROS2_QUEUE_OPEN && result == 0 ? task->file : NULL,
            .error = result < 0 ? text_of(task, queue->text[count]) : NULL,
            .queue_ns = task->queue_ns,
            .network_ns = task->network_ns,
            .engine_ns = task->engine_ns,
            .kind = task->kind,
        };
        recycle(queue, task);
        count++;
    }
    return count;
}

static unsigned reap_driving(struct ros2_queue *queue, struct ros2_completion *completions,
                             unsigned max, unsigned want, uint64_t until_ns)
{
    struct ros2i_wait wait = {0};
    bool waits = want > queue->done.count;
    for (;;) {
        uint64_t now_ns = ros2i_drive_poll(queue, &wait);
        if (queue->done.count >= want || now_ns >= until_ns)
            break;
        ros2i_drive_pause(queue, &wait, now_ns, until_ns);
    }
    /* A wait whose time was over teaches nothing. */
    if (waits && queue->queue && queue->done.count >= want)
        ros2i_queue_waited(queue->queue, &wait);
    unsigned count = give(queue, &queue->done, completions, max);
    ros2i_ready_arm(queue);
    return count;
}

static unsigned reap_finished(struct ros2_queue *queue, struct ros2_completion *completions,
                              unsigned max, unsigned want, uint64_t until_ns)
{
    struct ros2i_task_list done = {0};
    for (;;) {
        ros2i_postbox_take(&queue->finished, &done, max - done.count);
        if (done.count >= want || ros2i_now_ns() >= until_ns)
            break;
        ros2i_postbox_wait(&queue->finished, until_ns);
    }
    return give(queue, &done, completions, max);
}

int ros2_queue_reap(struct ros2_queue *queue, struct ros2_completion *completions, unsigned max,
                    unsigned min, uint64_t timeout_ns)
{
    int cancel_state;
    int rc = ros2i_async_enter(queue);
    if (rc == 0 && (!completions || max == 0 || min > max))
        rc = ros2i_fail(EINVAL, "min %u and max %u of completions", min, max);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "queue reap");
    unsigned want = min < queue->out ? min : queue->out;
    uint64_t now_ns = want > 0 ? ros2i_now_ns() : 0;
    uint64_t until_ns = timeout_ns < ROS2I_FOREVER - now_ns ? now_ns + timeout_ns : ROS2I_FOREVER;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    unsigned count =
        (queue->threaded ? reap_finished : reap_driving)(queue, completions, max, want, until_ns);
    pthread_setcancelstate(cancel_state, NULL);
    return (int)count;
}

/* -- cancel -- */

static void cancel_prepared(struct ros2_queue *queue, struct ros2i_task *task)
{
    task->place = ROS2I_TASK_OUT;
    queue->out++;
    if (task->kind == ROS2_QUEUE_OPEN) {
        ros2i_file_free(task->file);
        task->file = NULL;
    }
    task->op.result = -ECANCELED;
    strcpy(task->op.text, "cancelled before it was submitted");
    if (!queue->threaded) {
        ros2i_task_push(&queue->done, task);
        return;
    }
    struct ros2i_task_list list = {0};
    ros2i_task_push(&list, task);
    ros2i_postbox_post(&queue->finished, &list);
}

/* Returns how many; the others stay prepared, in their order. */
static int cancel_all_prepared(struct ros2_queue *queue, uint64_t user_data)
{
    struct ros2i_task_list all = queue->prepared;
    int count = 0;
    queue->prepared = (struct ros2i_task_list){0};
    for (struct ros2i_task *task; (task = ros2i_task_pop(&all));) {
        if (task->user_data == user_data) {
            cancel_prepared(queue, task);
            count++;
        } else {
            ros2i_task_push(&queue->prepared, task);
        }
    }
    return count;
}

int ros2_queue_cancel(struct ros2_queue *queue, uint64_t user_data)
{
    int rc = ros2i_async_enter(queue);
    if (rc < 0)
        return ros2i_fail_prefix(rc, "queue cancel");
    int count = 0;
    for (struct ros2i_task *task = queue->threaded ? NULL : queue->done.first; task;
         task = task->next)
        task->over = true; /* with a progress thread nobody but that knows */
    for (unsigned i = 0; i < queue->depth; i++) {
        struct ros2i_task *task = &queue->task[i];
        if (task->place != ROS2I_TASK_OUT || task->user_data != user_data || task->over)
            continue;
        if (queue->threaded)
            atomic_store(&task->cancel, true);
        else
            ros2i_drive_cancel(queue, task);
        count++;
    }
    if (queue->threaded && count > 0) {
        atomic_store(&queue->cancels, true);
        ros2i_postbox_raise(&queue->mail);
    }
    count += cancel_all_prepared(queue, user_data);
    if (!queue->threaded)
        ros2i_ready_arm(queue);
    if (count == 0)
        return ros2i_fail(ENOENT, "queue cancel: no operation with user_data %llu is in flight",
                          (unsigned long long)user_data);
    return count;
}
