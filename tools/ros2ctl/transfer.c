/* SPDX-License-Identifier: Apache-2.0 */
/* A transfer. The list is made whole before the first byte moves: so the progress line knows the end, and threads take
 * their work by one atomic counter. The main thread only shows progress. */
#include "config.h"

#include "tools/ros2ctl/transfer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/stop.h"

enum { KEY_NO_SYNC = CTL_KEY_VERB + 100 };

static const struct argp_option options[] = {
    {"recursive", 'r', 0, 0, "Copy directories and what is in them", 0},
    {"jobs", 'j', "N", 0, "Copy N files at a time (default: 4)", 0},
    {"no-sync", KEY_NO_SYNC, 0, 0, "Do not wait until files are on stable storage", 0},
    {"quiet", 'q', 0, 0, "No progress line", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct ctl_transfer *transfer = state->input;

    switch (key) {
    case 'r':
        transfer->recursive = true;
        return 0;
    case 'j':
        if (!ctl_parse_count(arg, 1, CTL_JOBS_MAX, &transfer->jobs))
            argp_error(state, "--jobs %s: give a number from 1 to %d", arg, CTL_JOBS_MAX);
        return 0;
    case KEY_NO_SYNC:
        transfer->sync = false;
        return 0;
    case 'q':
        transfer->quiet = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp ctl_transfer_argp = {options, parse, 0, 0, 0, 0, 0};

int ctl_transfer_add_root(struct ctl_transfer *transfer, char *from, char *to)
{
    struct ctl_root *grown = NULL;

    if (from && to)
        grown = realloc(transfer->roots, (transfer->root_count + 1) * sizeof(*grown));
    if (!grown) {
        free(from);
        free(to);
        return -ENOMEM;
    }
    transfer->roots = grown;
    transfer->roots[transfer->root_count++] = (struct ctl_root){.from = from, .to = to};
    return 0;
}

int ctl_transfer_add_item(struct ctl_transfer *transfer, const char *rel, uint64_t size,
                          mode_t mode)
{
    if (transfer->item_count == transfer->item_capacity) {
        size_t capacity = transfer->item_capacity ? 2 * transfer->item_capacity : 256;
        struct ctl_item *grown = realloc(transfer->items, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        transfer->items = grown;
        transfer->item_capacity = capacity;
    }
    char *copy = strdup(rel);
    if (!copy)
        return -ENOMEM;
    transfer->items[transfer->item_count++] =
        (struct ctl_item){.root = transfer->root_count - 1, .rel = copy, .mode = mode & 0777};
    transfer->total_bytes += size;
    return 0;
}

static int copy_item(struct ctl_transfer *transfer, const struct ctl_item *item, void *buf)
{
    const struct ctl_root *root = &transfer->roots[item->root];
    char *from = ctl_path_join(root->from, item->rel);
    char *to = ctl_path_join(root->to, item->rel);
    int code = from && to ? transfer->copy(transfer, from, to, item->mode, buf)
                          : ctl_fail_memory(transfer->ctl);

    free(from);
    free(to);
    return code;
}

static void copy_items(struct ctl_transfer *transfer, void *buf)
{
    while (!ctl_stop_asked()) {
        size_t index = atomic_fetch_add(&transfer->next, 1);
        if (index >= transfer->item_count)
            return;
        if (copy_item(transfer, &transfer->items[index], buf) == CTL_OK)
            atomic_fetch_add(&transfer->progress.files, 1);
        else
            atomic_fetch_add(&transfer->failed, 1);
    }
}

static void *run_worker(void *arg)
{
    struct ctl_transfer *transfer = arg;
    void *buf = malloc(CTL_TRANSFER_BUFFER);

    if (buf) {
        copy_items(transfer, buf);
    } else {
        ctl_fail_memory(transfer->ctl);
        atomic_fetch_add(&transfer->failed, 1);
    }
    free(buf);
    atomic_fetch_sub(&transfer->running, 1);
    return NULL;
}

static void run_workers(struct ctl_transfer *transfer)
{
    pthread_t threads[CTL_JOBS_MAX];
    unsigned jobs = transfer->jobs, started = 0;

    if (jobs > transfer->item_count)
        jobs = (unsigned)transfer->item_count;
    atomic_store(&transfer->running, jobs);
    for (; started < jobs; started++) {
        int err = pthread_create(&threads[started], NULL, run_worker, transfer);
        if (err != 0) {
            atomic_fetch_sub(&transfer->running, jobs - started);
            if (started > 0)
                break; /* fewer do it as well */
            ctl_fail_errno(transfer->ctl, "start", "a thread", err);
            atomic_fetch_add(&transfer->failed, 1);
            return;
        }
    }
    /* Without a line to draw there is nothing to wake up for. */
    while (transfer->progress.shown && atomic_load(&transfer->running) > 0) {
        ctl_progress_tick(&transfer->progress);
        poll(NULL, 0, CTL_PROGRESS_INTERVAL_MS);
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

int ctl_transfer_run(struct ctl_transfer *transfer, int code)
{
    struct ctl_progress *progress = &transfer->progress;

    ctl_progress_start(progress, transfer->total_bytes, transfer->item_count, transfer->quiet);
    run_workers(transfer);
    double seconds = ctl_progress_end(progress);
    ctl_stop_die();

    size_t failed = atomic_load(&transfer->failed);
    if (transfer->ctl->json) {
        uint64_t bytes = atomic_load(&progress->bytes);
        json_t *summary =
            json_pack("{s:I, s:I, s:f, s:I}", "files", (json_int_t)atomic_load(&progress->files),
                      "bytes", (json_int_t)bytes, "seconds", seconds, "failed", (json_int_t)failed);
        if (ctl_json_print(transfer->ctl, summary) != CTL_OK)
            return CTL_FAILURE;
    }
    return failed > 0 ? CTL_FAILURE : code;
}

void ctl_transfer_free(struct ctl_transfer *transfer)
{
    for (size_t i = 0; i < transfer->root_count; i++) {
        free(transfer->roots[i].from);
        free(transfer->roots[i].to);
    }
    for (size_t i = 0; i < transfer->item_count; i++)
        free(transfer->items[i].rel);
    free(transfer->roots);
    free(transfer->items);
}
