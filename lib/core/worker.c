/* SPDX-License-Identifier: Apache-2.0 */
/* The control worker. A batch owns the files and paths of its items from submit until they are answered, so that a queue
 * can go away at any time: then nobody is answered (mail is NULL), and what the batch owns is freed here. */
#include "config.h"

#include "lib/core/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/core/file.h"
#include "lib/core/postbox.h"
#include "lib/core/queue.h"
#include "lib/core/task.h"

#define IDLE_S 5

struct item {
    struct ros2i_task *task; /* NULL: was cancelled, or there never was one */
    struct ros2_file *file;  /* OPEN: to be filled; CLOSE */
    char *path;              /* STAT; goes back to the task */
    unsigned open_flags;     /* OPEN */
    uint32_t mode;
    bool unwanted; /* OPEN: it worked, and nobody waits for it */
};

struct ros2i_batch {
    struct ros2i_batch *next;
    struct ros2i_postbox *mail; /* guarded by client->lock; NULL: nobody waits any more */
    uint32_t kind;
    uint64_t deadline_ns, begun_ns;
    size_t count;
    struct item item[];
};

/* -- batches; client->lock held where it says so -- */

static struct ros2i_batch *new_batch(struct ros2_client *client, struct ros2i_postbox *mail,
                                     uint32_t kind, uint64_t timeout_ns, size_t count)
{
    struct ros2i_batch *batch = calloc(1, sizeof(*batch) + count * sizeof(batch->item[0]));
    if (!batch)
        return NULL;
    batch->mail = mail;
    batch->kind = kind;
    batch->deadline_ns = ros2i_now_ns() + (timeout_ns ? timeout_ns : client->timeout_ns);
    return batch;
}

static void free_item(struct item *item)
{
    if (item->file)
        ros2i_file_free(item->file);
    free(item->path);
    *item = (struct item){0};
}

static void free_batch(struct ros2i_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free_item(&batch->item[i]);
    free(batch);
}

static void add_item(struct ros2i_batch *batch, struct ros2i_task *task)
{
    struct item *item = &batch->item[batch->count++];
    item->task = task;
    item->file = task->file;
    item->open_flags = task->open_flags;
    item->mode = task->mode;
    task->file = NULL;
    if (task->kind == ROS2_QUEUE_STAT) {
        item->path = task->path;
        task->path = NULL;
    }
}

static void end_task(struct ros2i_task *task, int result, const char *text)
{
    task->op.result = result;
    if (result < 0)
        snprintf(task->op.text, sizeof(task->op.text), "%s", text);
}

/* A task that got no batch, or whose batch gets no thread. */
static void refuse(struct ros2i_task *task, int err, struct ros2i_task_list *ended)
{
    if (task->file)
        ros2i_file_free(task->file); /* of a close: the session's end tells the daemon */
    task->file = NULL;
    if (task->kind == ROS2_QUEUE_CLOSE)
        end_task(task, 0, NULL);
    else
        end_task(task, -err, "no thread or memory is left for it; submit it again later");
    ros2i_task_push(ended, task);
}

/* Locked. */
static void append(struct ros2i_worker *worker, struct ros2i_batch *batch)
{
    /* Until the process is attached a queue stands still. */
    bool first = batch->kind == ROS2I_TASK_ATTACH || !worker->first;
    if (first) {
        batch->next = worker->first;
        worker->first = batch;
    } else {
        worker->last->next = batch;
    }
    if (!first || !batch->next)
        worker->last = batch;
}

static struct ros2i_batch *take(struct ros2i_worker *worker)
{
    struct ros2i_batch *batch = worker->first;
    worker->first = batch->next;
    if (!worker->first)
        worker->last = NULL;
    worker->current = batch;
    worker->to_tell &= batch->kind != ROS2I_TASK_TELL;
    return batch;
}

/* -- answers -- */

/* Locked. Returns the task if somebody waits for it. */
static struct ros2i_task *answer(struct ros2i_batch *batch, struct item *item, int result,
                                 const char *text, struct ros2i_task_list *answered)
{
    struct ros2i_task *task = batch->mail ? item->task : NULL;
    if (!task)
        return NULL;
    end_task(task, result, text);
    if (item->path) {
        task->path = item->path;
        item->path = NULL;
    }
    task->answered = true;
    task->queue_ns = batch->begun_ns - task->submitted_ns;
    task->network_ns = ros2i_now_ns() - batch->begun_ns;
    ros2i_task_push(answered, task);
    return task;
}

static void post(struct ros2i_batch *batch, struct ros2i_task_list *answered)
{
    if (batch->mail)
        ros2i_postbox_post(batch->mail, answered);
}

/* -- what the thread does; not locked -- */

static void close_unwanted(struct ros2_client *client, struct ros2_file *file)
{
    ros2i_control_close_many(client->control, &file->handle, 1, NULL,
                             ros2i_client_deadline(client));
}

static int call_open(struct ros2_client *client, struct ros2i_batch *batch,
                     struct ros2i_open_item *open, size_t count)
{
    int rc = count > 0 ? ros2i_client_enter(client, batch->deadline_ns) : 0;
    if (rc == 0 && count > 0)
        rc = ros2i_client_error(
            ros2i_control_open_many(client->control, open, count, batch->deadline_ns));
    return rc;
}

/* rc: of the call; open: NULL when it was not made. */
static void answer_opens(struct ros2_client *client, struct ros2i_batch *batch,
                         const struct ros2i_open_item *open, int rc)
{
    struct ros2i_task_list answered = {0};
    pthread_mutex_lock(&client->lock);
    for (size_t i = 0; i < batch->count; i++) {
        struct item *item = &batch->item[i];
        if (!item->task)
            continue;
        const struct ros2i_open_item *result = rc == 0 ? open++ : NULL;
        int err = result ? result->err : rc;
        const char *text = !result                 ? ros2i_error()
                           : result->error_text[0] ? result->error_text
                                                   : ros2i_strerror(err);
        struct ros2i_task *task = answer(batch, item, err, text, &answered);
        if (err == 0)
            ros2i_file_opened(item->file, result);
        item->unwanted = err == 0 && !task;
        if (err == 0 && task) {
            ros2i_file_link(item->file);
            task->file = item->file;
            item->file = NULL;
        }
    }
    post(batch, &answered);
    pthread_mutex_unlock(&client->lock);
    for (size_t i = 0; i < batch->count; i++)
        if (batch->item[i].unwanted)
            close_unwanted(client, batch->item[i].file);
}

static void run_open(struct ros2_client *client, struct ros2i_batch *batch)
{
    struct ros2i_open_item *open = calloc(batch->count, sizeof(*open));
    size_t count = 0;
    int rc = open ? 0 : ros2i_fail(ENOMEM, "no memory to open %zu files", batch->count);
    for (size_t i = 0; i < batch->count && rc == 0; i++) {
        const struct item *item = &batch->item[i];
        if (item->task)
            open[count++] = (struct ros2i_open_item){
                .path = item->file->path, .open_flags = item->open_flags, .mode = item->mode};
    }
    if (rc == 0)
        rc = call_open(client, batch, open, count);
    answer_opens(client, batch, open, rc);
    free(open);
}

static void run_close(struct ros2_client *client, struct ros2i_batch *batch)
{
    uint64_t *handle = calloc(batch->count, sizeof(*handle));
    int *err = calloc(batch->count, sizeof(*err));
    int rc = handle && err ? 0 : ros2i_fail(ENOMEM, "out of memory");
    for (size_t i = 0; i < batch->count && rc == 0; i++)
        handle[i] = batch->item[i].file->handle;
    if (rc == 0)
        rc = ros2i_control_close_many(client->control, handle, batch->count, err,
                                      batch->deadline_ns);
    struct ros2i_task_list answered = {0};
    pthread_mutex_lock(&client->lock);
    for (size_t i = 0; i < batch->count; i++) {
        ros2i_file_log_close(batch->item[i].file, rc < 0 ? rc : err[i], rc < 0);
        answer(batch, &batch->item[i], 0, NULL, &answered);
    }
    post(batch, &answered);
    pthread_mutex_unlock(&client->lock);
    free(handle);
    free(err);
}

static void run_stat(struct ros2_client *client, struct ros2i_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct item *item = &batch->item[i];
        struct ros2i_task_list answered = {0};
        struct ros2_attr attr;
        pthread_mutex_lock(&client->lock);
        bool wanted = batch->mail && item->task;
        bool directory = wanted && item->task->directory;
        pthread_mutex_unlock(&client->lock);
        if (!wanted)
            continue;
        int rc = ros2i_path_stat(client, item->path, directory, batch->deadline_ns, &attr);
        pthread_mutex_lock(&client->lock);
        struct ros2i_task *task = answer(batch, item, rc, ros2i_error(), &answered);
        if (task && rc == 0)
            ros2i_stat_from_attr(&attr, task->st);
        post(batch, &answered);
        pthread_mutex_unlock(&client->lock);
    }
}

static void run_attach(struct ros2_client *client, struct ros2i_batch *batch)
{
    struct ros2i_task_list answered = {0};
    int rc = ros2i_client_attach(client, batch->deadline_ns);
    pthread_mutex_lock(&client->lock);
    answer(batch, &batch->item[0], rc, ros2i_error(), &answered);
    post(batch, &answered);
    pthread_mutex_unlock(&client->lock);
}

static void run(struct ros2_client *client, struct ros2i_batch *batch)
{
    batch->begun_ns = ros2i_now_ns();
    if (batch->kind == ROS2_QUEUE_OPEN)
        run_open(client, batch);
    else if (batch->kind == ROS2_QUEUE_CLOSE)
        run_close(client, batch);
    else if (batch->kind == ROS2_QUEUE_STAT)
        run_stat(client, batch);
    else if (batch->kind == ROS2I_TASK_ATTACH)
        run_attach(client, batch);
    else
        ros2i_registration_tell(client);
}

/* -- the thread -- */

/* Locked. false: no batch came in time. */
static bool wait_for_batch(struct ros2_client *client)
{
    struct ros2i_worker *worker = &client->worker;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    while (!worker->first && !worker->stopping)
        if (pthread_cond_timedwait(&worker->wake, &client->lock, &until) == ETIMEDOUT)
            break;
    return worker->first && !worker->stopping;
}

static void *worker_main(void *arg)
{
    struct ros2_client *client = arg;
    struct ros2i_worker *worker = &client->worker;
    pthread_mutex_lock(&client->lock);
    while (wait_for_batch(client)) {
        struct ros2i_batch *batch = take(worker);
        pthread_mutex_unlock(&client->lock);
        run(client, batch);
        pthread_mutex_lock(&client->lock);
        worker->current = NULL;
        free_batch(batch);
    }
    worker->running = false;
    pthread_mutex_unlock(&client->lock);
    return NULL;
}

/* Locked. 0 or a positive errno. */
static int wake_thread(struct ros2_client *client)
{
    struct ros2i_worker *worker = &client->worker;
    if (worker->running) {
        pthread_cond_signal(&worker->wake);
        return 0;
    }
    if (worker->started) /* it has let go of the lock for the last time */
        pthread_join(worker->thread, NULL);
    sigset_t all, old; /* the application's signals are not for it */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&worker->thread, NULL, worker_main, client);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    worker->started = worker->running = rc == 0;
    return rc;
}

void ros2i_worker_init(struct ros2i_worker *worker)
{
    pthread_condattr_t attr;
    *worker = (struct ros2i_worker){.started = false};
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &attr);
    pthread_condattr_destroy(&attr);
}

static void free_batches(struct ros2i_worker *worker)
{
    while (worker->first) {
        struct ros2i_batch *batch = worker->first;
        worker->first = batch->next;
        free_batch(batch);
    }
}

void ros2i_worker_fini(struct ros2_client *client)
{
    struct ros2i_worker *worker = &client->worker;
    pthread_mutex_lock(&client->lock);
    worker->stopping = true;
    pthread_cond_signal(&worker->wake);
    bool started = worker->started;
    pthread_mutex_unlock(&client->lock);
    if (started)
        pthread_join(worker->thread, NULL);
    free_batches(worker);
    pthread_cond_destroy(&worker->wake);
}

void ros2i_worker_after_fork(struct ros2_client *client)
{
    struct ros2i_worker *worker = &client->worker;
    if (worker->current)
        free_batch(worker->current);
    free_batches(worker);
    ros2i_worker_init(worker);
}

/* -- for queues -- */

/* Locked. Moves the first task of list, and all that can go with it, to a batch. */
static void submit_batch(struct ros2_client *client, struct ros2i_postbox *mail,
                         struct ros2i_task_list *list, struct ros2i_task_list *ended)
{
    const struct ros2i_task *head = list->first;
    struct ros2i_task_list rest = {0};
    uint32_t kind = head->kind;
    uint64_t timeout_ns = head->timeout_ns;
    struct ros2i_batch *batch = new_batch(client, mail, kind, timeout_ns, list->count);
    int rc = batch ? wake_thread(client) : ENOMEM;
    for (struct ros2i_task *task; (task = ros2i_task_pop(list));) {
        bool inherited = task->kind == ROS2_QUEUE_CLOSE && task->kind == kind &&
                         task->timeout_ns == timeout_ns && ros2i_file_unlink(task->file);
        if (task->kind != kind || task->timeout_ns != timeout_ns)
            ros2i_task_push(&rest, task);
        else if (rc != 0 || inherited)
            refuse(task, rc, ended);
        else
            add_item(batch, task);
    }
    *list = rest;
    if (batch && rc == 0 && batch->count > 0)
        append(&client->worker, batch);
    else if (batch)
        free_batch(batch);
}

void ros2i_worker_submit(struct ros2_client *client, struct ros2i_postbox *mail,
                         struct ros2i_task_list *list, struct ros2i_task_list *ended)
{
    pthread_mutex_lock(&client->lock);
    while (list->first)
        submit_batch(client, mail, list, ended);
    pthread_mutex_unlock(&client->lock);
}

bool ros2i_worker_cancel(struct ros2_client *client, struct ros2i_task *task)
{
    bool found = false;
    pthread_mutex_lock(&client->lock);
    for (struct ros2i_batch *batch = client->worker.first; batch; batch = batch->next) {
        for (size_t i = 0; i < batch->count && !found; i++) {
            struct item *item = &batch->item[i];
            if (item->task != task || batch->kind == ROS2_QUEUE_CLOSE)
                continue;
            found = true;
            task->path = item->path ? item->path : task->path;
            item->path = NULL;
            item->task = NULL;
            free_item(item);
        }
    }
    pthread_mutex_unlock(&client->lock);
    if (found)
        end_task(task, -ECANCELED, "cancelled before it was begun");
    return found;
}

void ros2i_worker_forget(struct ros2_client *client, struct ros2i_postbox *mail)
{
    struct ros2i_worker *worker = &client->worker;
    pthread_mutex_lock(&client->lock);
    if (worker->current && worker->current->mail == mail)
        worker->current->mail = NULL;
    for (struct ros2i_batch *batch = worker->first; batch; batch = batch->next) {
        if (batch->mail != mail)
            continue;
        batch->mail = NULL;
        for (size_t i = 0; i < batch->count && batch->kind != ROS2_QUEUE_CLOSE; i++)
            free_item(&batch->item[i]); /* leaves an item without a task, which is passed over */
    }
    pthread_mutex_unlock(&client->lock);
}

void ros2i_worker_tell(struct ros2_client *client)
{
    if (client->worker.to_tell || client->worker.stopping)
        return;
    struct ros2i_batch *batch = new_batch(client, NULL, ROS2I_TASK_TELL, 0, 0);
    if (batch && wake_thread(client) == 0) {
        append(&client->worker, batch);
        client->worker.to_tell = true;
    } else { /* it is told with what comes next */
        free(batch);
    }
}

void ros2i_worker_close(struct ros2_client *client, struct ros2_file *file)
{
    pthread_mutex_lock(&client->lock);
    bool inherited = ros2i_file_unlink(file);
    struct ros2i_batch *batch = inherited ? NULL : new_batch(client, NULL, ROS2_QUEUE_CLOSE, 0, 1);
    if (batch && wake_thread(client) == 0) {
        batch->item[batch->count++].file = file;
        append(&client->worker, batch);
    } else {
        free(batch);
        ros2i_file_free(file);
    }
    pthread_mutex_unlock(&client->lock);
}
