/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks to operations and back. Owner: the driver.
 *
 * A transfer of one buffer is the task's own operation. Of a vector each buffer is an operation of its own, a window of
 * them at a time, and the task's operation adds them up by the same rules as lib/data does pieces: the lowest failure
 * gives the error, the lowest short read the end. */
#include "config.h"

#include "lib/core/drive.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/clock.h"
#include "lib/core/file.h"
#include "lib/core/file_op.h"

/* -- ends -- */

static void fail_task(struct ros2i_task *task, int rc, const char *text)
{
    task->op.result = rc;
    snprintf(task->op.text, sizeof(task->op.text), "%s", text);
}

static void end_task(struct ros2_queue *queue, struct ros2i_task *task)
{
    task->running = false;
    ros2i_task_push(&queue->done, task);
}

/* op: whose answer came last. What no answer accounts for is the network's. */
static void take_times(struct ros2i_task *task, const struct ros2i_op *op)
{
    uint64_t total = ros2i_now_ns() - task->submitted_ns;
    uint64_t waited = op->sent_ns > task->submitted_ns ? op->sent_ns - task->submitted_ns : 0;
    waited += op->daemon_queue_ns;
    task->queue_ns = waited < total ? waited : total;
    uint64_t rest = total - task->queue_ns;
    task->engine_ns = op->engine_ns < rest ? op->engine_ns : rest;
    task->network_ns = rest - task->engine_ns;
}

static void transfer_ended(struct ros2_queue *queue, struct ros2i_task *task)
{
    int64_t result = ros2i_file_op_conclude(&task->op, task->file, &task->mark);
    if (result < 0 && task->op.result >= 0) /* a sync that succeeded too late */
        fail_task(task, (int)result, ros2i_error());
    take_times(task, &task->op);
    end_task(queue, task);
}

/* -- vectors -- */

static const struct iovec *buffers(const struct ros2i_vector *vector)
{
    return vector->count <= ROS2I_VECTOR_INLINE ? vector->few : vector->more;
}

static struct ros2i_part *free_part(struct ros2i_vector *vector)
{
    for (unsigned i = 0; i < ROS2I_VECTOR_WINDOW; i++)
        if (!vector->part[i].task)
            return &vector->part[i];
    return NULL;
}

static bool may_issue(const struct ros2i_task *task)
{
    const struct ros2i_op *op = &task->op;
    bool in_turn = !(op->flags & ROS2I_OP_APPEND) || op->pieces == 0;
    return op->error == 0 && op->issued < op->limit && in_turn;
}

static void issue_parts(struct ros2_queue *queue, struct ros2i_task *task, uint64_t now_ns)
{
    struct ros2i_op *op = &task->op;
    struct ros2i_part *part;
    while (may_issue(task) && (part = free_part(&task->vector))) {
        const struct iovec *iov = &buffers(&task->vector)[task->vector.next++];
        ros2i_file_op_transfer(&part->op, task->file, op->kind, iov->iov_base, iov->iov_len,
                               op->offset + op->issued);
        part->op.flags |= ROS2I_OP_PART;
        part->op.deadline_ns = op->deadline_ns;
        part->task = task;
        part->at = op->issued;
        op->issued += iov->iov_len;
        op->pieces++;
        int rc = ros2i_queue_add(queue->queue, &part->op, now_ns);
        queue->added = true;
        if (rc < 0) {
            part->task = NULL;
            ros2i_op_piece_failed(op, part->at, rc);
        }
    }
}

/* Nothing is in flight, and nothing will be. */
static void settle_parted(struct ros2_queue *queue, struct ros2i_task *task)
{
    struct ros2i_op *op = &task->op;
    if (!task->running || op->pieces > 0 || (op->error == 0 && op->issued < op->limit))
        return;
    ros2i_op_conclude(op);
    take_times(task, op);
    end_task(queue, task);
}

static void part_ended(struct ros2_queue *queue, struct ros2i_part *part)
{
    struct ros2i_task *task = part->task;
    int64_t result = ros2i_file_op_conclude(&part->op, task->file, NULL);
    part->task = NULL;
    if (part->op.sent_ns != 0) {
        task->op.sent_ns = part->op.sent_ns;
        task->op.daemon_queue_ns = part->op.daemon_queue_ns;
        task->op.engine_ns = part->op.engine_ns;
    }
    if (result < 0)
        ros2i_op_piece_failed(&task->op, part->at + part->op.error_at, (int)result);
    else
        ros2i_op_piece_done(&task->op, part->at, part->op.len, (size_t)result);
    issue_parts(queue, task, ros2i_now_ns());
    settle_parted(queue, task);
}

static void cancel_parted(struct ros2_queue *queue, struct ros2i_task *task)
{
    struct ros2i_op *op = &task->op;
    if (op->error == 0 && op->issued < op->limit) {
        op->error = -ECANCELED;
        op->error_at = op->issued;
        snprintf(op->text, sizeof(op->text), "cancelled before it was done");
    }
    for (unsigned i = 0; i < ROS2I_VECTOR_WINDOW; i++)
        if (task->vector.part[i].task && task->vector.part[i].op.phase != ROS2I_OP_DONE)
            ros2i_queue_cancel(queue->queue, &task->vector.part[i].op);
    settle_parted(queue, task);
}

/* -- from and to the internal queue -- */

static void collect_ended(struct ros2_queue *queue)
{
    struct ros2i_op *op;
    while ((op = ros2i_queue_reap(queue->queue))) {
        if (op->flags & ROS2I_OP_PART)
            part_ended(queue, (struct ros2i_part *)((char *)op - offsetof(struct ros2i_part, op)));
        else
            transfer_ended(queue,
                           (struct ros2i_task *)((char *)op - offsetof(struct ros2i_task, op)));
    }
}

/* What a part that has ended makes room for leaves at once: nothing else might wake the driver. */
static void collect(struct ros2_queue *queue)
{
    collect_ended(queue);
    while (queue->added) {
        queue->added = false;
        if (!ros2i_queue_push(queue->queue))
            queue->must_poll = true;
        collect_ended(queue);
    }
}

static void start_transfer(struct ros2_queue *queue, struct ros2i_task *task, uint64_t now_ns)
{
    struct ros2i_op *op = &task->op;
    if (task->kind == ROS2_QUEUE_FSYNC)
        ros2i_file_op_sync(op, task->file, task->open_flags, &task->mark);
    op->deadline_ns = now_ns + (task->timeout_ns ? task->timeout_ns : queue->client->timeout_ns);
    task->running = true;
    if (task->kind != ROS2_QUEUE_FSYNC && op->len == 0) {
        end_task(queue, task);
    } else if (task->parted) {
        op->limit = op->len;
        issue_parts(queue, task, now_ns);
        settle_parted(queue, task);
    } else {
        int rc = ros2i_queue_add(queue->queue, op, now_ns);
        queue->added = true;
        if (rc < 0) {
            fail_task(task, rc, ros2i_error());
            end_task(queue, task);
        }
    }
}

static int make_queue(struct ros2_queue *queue)
{
    if (queue->queue)
        return 0;
    int rc = ros2i_queue_create(queue->client, &queue->queue);
    if (rc == 0) {
        queue->queue->mail = &queue->mail;
        ros2i_ready_watch(queue);
    }
    return rc;
}

void ros2i_drive_start(struct ros2_queue *queue, struct ros2i_task_list *list)
{
    struct ros2i_task_list control = {0};
    int rc = make_queue(queue);
    uint64_t now_ns = ros2i_now_ns();
    for (struct ros2i_task *task; (task = ros2i_task_pop(list));) {
        task->begun = true;
        task->submitted_ns = now_ns;
        task->queue_ns = task->network_ns = task->engine_ns = 0;
        if (ros2i_task_is_control(task)) {
            ros2i_task_push(&control, task);
        } else if (rc < 0) {
            fail_task(task, rc, ros2i_error());
            end_task(queue, task);
        } else {
            start_transfer(queue, task, now_ns);
        }
    }
    if (control.first)
        ros2i_worker_submit(queue->client, &queue->mail, &control, &queue->done);
    if (queue->queue)
        collect(queue);
}

/* -- the channel was refused -- */

static void attached(struct ros2_queue *queue)
{
    int rc = (int)queue->attach.op.result;
    queue->attaching = false;
    if (rc < 0)
        ros2i_fail(-rc, "%s", queue->attach.op.text);
    ros2i_queue_attached(queue->queue, rc);
    collect(queue);
}

/* The control plane is asked by the worker, since the driver must not block. */
static void ask_to_attach(struct ros2_queue *queue)
{
    struct ros2i_task_list list = {0}, ended = {0};
    queue->attach.kind = ROS2I_TASK_ATTACH;
    queue->attach.timeout_ns = ROS2I_QUEUE_ATTACH_NS;
    queue->attach.submitted_ns = ros2i_now_ns();
    queue->attaching = true;
    ros2i_task_push(&list, &queue->attach);
    ros2i_worker_submit(queue->client, &queue->mail, &list, &ended);
    if (ended.first)
        attached(queue);
}

/* -- turns -- */

static void cancel_marked(struct ros2_queue *queue)
{
    for (unsigned i = 0; i < queue->depth; i++)
        if (atomic_exchange(&queue->task[i].cancel, false))
            ros2i_drive_cancel(queue, &queue->task[i]);
}

static void take_mail(struct ros2_queue *queue)
{
    struct ros2i_task_list mail = {0}, fresh = {0};
    ros2i_postbox_take(&queue->mail, &mail, UINT_MAX);
    for (struct ros2i_task *task; (task = ros2i_task_pop(&mail));) {
        if (!task->answered) {
            ros2i_task_push(&fresh, task);
            continue;
        }
        task->answered = false;
        if (task == &queue->attach)
            attached(queue);
        else
            ros2i_task_push(&queue->done, task);
    }
    if (fresh.first)
        ros2i_drive_start(queue, &fresh);
    if (queue->threaded && atomic_exchange(&queue->cancels, false))
        cancel_marked(queue);
}

uint64_t ros2i_drive_poll(struct ros2_queue *queue, struct ros2i_wait *wait)
{
    take_mail(queue);
    if (!queue->queue)
        return ros2i_now_ns();
    queue->must_poll = false;
    uint64_t now_ns = ros2i_queue_poll(queue->queue, wait);
    collect(queue);
    if (ros2i_queue_awaits_attach(queue->queue) && !queue->attaching)
        ask_to_attach(queue);
    return now_ns;
}

void ros2i_drive_pause(struct ros2_queue *queue, struct ros2i_wait *wait, uint64_t now_ns,
                       uint64_t until_ns)
{
    if (queue->must_poll)
        return;
    if (queue->queue)
        ros2i_queue_pause(queue->queue, wait, now_ns, queue->mail.fd, until_ns);
    else
        ros2i_postbox_wait(&queue->mail, until_ns);
}

void ros2i_drive_cancel(struct ros2_queue *queue, struct ros2i_task *task)
{
    if (!task->running) {
        if (task->begun && ros2i_task_is_control(task) && ros2i_worker_cancel(queue->client, task))
            ros2i_task_push(&queue->done, task);
        return;
    }
    if (task->parted)
        cancel_parted(queue, task);
    else
        ros2i_queue_cancel(queue->queue, &task->op);
    queue->must_poll = true; /* credits may be free now */
    collect(queue);
}

void ros2i_drive_end(struct ros2_queue *queue)
{
    ros2i_worker_forget(queue->client, &queue->mail);
    if (!queue->queue)
        return;
    pthread_mutex_lock(&queue->client->lock);
    ros2i_queue_destroy(queue->queue);
    pthread_mutex_unlock(&queue->client->lock);
    queue->queue = NULL;
}
