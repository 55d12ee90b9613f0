/* SPDX-License-Identifier: Apache-2.0 */
/* Runs epochs and checks each: that every sample was read once, and that its bytes are those of the epoch before, or those
 * that loader explode wrote. */
#include "examples/loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct run {
    const struct loader_options *options;
    struct loader_set set;
    struct loader_workers *workers;
    unsigned epoch;  /* from 1 */
    double *seconds; /* of each epoch */
    bool terminal;
    uint64_t sum; /* of the first epoch */
    /* Of this epoch: */
    uint64_t samples, names, sum_now, shown_percent;
};

static double now_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void show_progress(struct run *run)
{
    uint64_t percent = 100 * run->samples / run->set.count;

    if (!run->terminal || percent == run->shown_percent)
        return;
    run->shown_percent = percent;
    printf("\repoch %u/%u  %3" PRIu64 " %%\033[K", run->epoch, run->options->epochs, percent);
    fflush(stdout);
}

static int add_news(void *arg, const struct loader_news *news)
{
    struct run *run = arg;

    run->samples += news->samples;
    run->names += news->names;
    run->sum_now += news->sum;
    show_progress(run);
    return 0;
}

static int check_epoch(const struct run *run)
{
    const struct loader_options *options = run->options;
    uint64_t wanted = options->check ? options->checksum : run->sum;

    if (run->samples != run->set.count)
        return loader_fail(-EIO, "epoch %u: %" PRIu64 " samples were read, but there are %u",
                           run->epoch, run->samples, run->set.count);
    if (run->names != run->set.names)
        return loader_fail(-EIO, "epoch %u: samples were read twice and others not at all",
                           run->epoch);
    if ((options->check || run->epoch > 1) && run->sum_now != wanted)
        return loader_fail(
            -EIO, "epoch %u: the samples' checksum is %016" PRIx64 ", not %016" PRIx64 " %s",
            run->epoch, run->sum_now, wanted,
            options->check ? "as given" : "as in the epoch before");
    return 0;
}

static int run_epoch(struct run *run)
{
    double start = now_seconds();

    run->samples = run->names = run->sum_now = 0;
    int rc = loader_workers_epoch(run->workers, run->epoch, add_news, run);
    double seconds = now_seconds() - start;
    if (run->terminal)
        fputs("\r\033[K", stdout);
    fflush(stdout);
    if (rc == 0)
        rc = check_epoch(run);
    if (rc < 0)
        return rc;
    run->sum = run->sum_now;
    run->seconds[run->epoch - 1] = seconds;
    printf("epoch %u/%u  %" PRIu64 " of %u samples read once, checksum %016" PRIx64
           "  %.0f samples/s\n",
           run->epoch, run->options->epochs, run->samples, run->set.count, run->sum_now,
           run->set.count / seconds);
    fflush(stdout);
    return 0;
}

static int compare_seconds(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void report(struct run *run)
{
    unsigned n = run->options->epochs;
    double total = 0, *s = run->seconds;

    for (unsigned i = 0; i < n; i++)
        total += s[i];
    qsort(s, n, sizeof(*s), compare_seconds);
    double median = n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
    printf("total      %" PRIu64 " samples in %.2f s: %.0f samples/s, %.0f in the median epoch\n",
           (uint64_t)n * run->set.count, total, n * (double)run->set.count / total,
           run->set.count / median);
}

static int run_epochs(struct run *run)
{
    const struct loader_set *set = &run->set;
    double start = now_seconds();
    int rc = loader_set_open(run->options, &run->set);

    if (rc < 0)
        return rc;
    printf("%s: %u samples, %" PRIu64
           " bytes, indexed in %.2f s; %u workers, batches of %u, over %s\n",
           run->options->path, set->count, set->bytes, now_seconds() - start, run->options->workers,
           set->batch, ros2_transport(set->client));
    rc = loader_workers_start(set, run->options->workers, &run->workers);
    for (run->epoch = 1; rc == 0 && run->epoch <= run->options->epochs; run->epoch++)
        rc = run_epoch(run);
    if (rc == 0)
        report(run);
    return rc;
}

int loader_run(const struct loader_options *options)
{
    struct run run = {.options = options, .terminal = isatty(STDOUT_FILENO)};

    run.seconds = calloc(options->epochs, sizeof(*run.seconds));
    int rc = run.seconds ? run_epochs(&run) : loader_fail(-ENOMEM, "out of memory");
    loader_workers_stop(run.workers);
    loader_set_close(&run.set);
    free(run.seconds);
    return rc;
}
