/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line of a transfer. The line is drawn under the output lock, so that error lines of other threads come
 * out whole. */
#include "config.h"

#include "tools/ros2ctl/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/text.h"

uint64_t ctl_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Under the output lock. */
static void wipe_line(void)
{
    fputs("\r\033[K", stderr);
}

void ctl_progress_start(struct ctl_progress *progress, uint64_t total_bytes, size_t total_files,
                        bool quiet)
{
    progress->shown = !quiet && isatty(STDERR_FILENO);
    progress->total_bytes = total_bytes;
    progress->total_files = total_files;
    progress->start_ns = progress->last_ns = ctl_now_ns();
    progress->last_bytes = 0;
    progress->rate = 0;
    atomic_store(&progress->bytes, 0);
    atomic_store(&progress->files, 0);
    if (progress->shown)
        ctl_output_progress(wipe_line);
}

static void update_rate(struct ctl_progress *progress, uint64_t now_ns, uint64_t bytes)
{
    double seconds = (double)(now_ns - progress->last_ns) / 1e9;

    if (seconds <= 0)
        return;
    double rate = (double)(bytes - progress->last_bytes) / seconds;
    /* A second or two of history: steady enough to read, quick enough to show a stall. */
    progress->rate = progress->rate > 0 ? 0.8 * progress->rate + 0.2 * rate : rate;
    progress->last_ns = now_ns;
    progress->last_bytes = bytes;
}

static unsigned terminal_width(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void format_line(const struct ctl_progress *progress, uint64_t bytes, char *line, size_t len)
{
    char done[CTL_TEXT_MAX], total[CTL_TEXT_MAX], rate[CTL_TEXT_MAX], left[CTL_TEXT_MAX];
    size_t files = atomic_load(&progress->files);

    ctl_format_size(done, (double)bytes);
    ctl_format_size(rate, progress->rate);
    if (progress->total_bytes == 0) {
        snprintf(line, len, "%s  %s/s", done, rate);
        return;
    }
    /* A file can grow while it is copied. */
    uint64_t rest = bytes < progress->total_bytes ? progress->total_bytes - bytes : 0;
    double percent = 100 - 100 * (double)rest / (double)progress->total_bytes;
    ctl_format_size(total, (double)progress->total_bytes);
    ctl_format_duration(left, progress->rate > 0 ? (double)rest / progress->rate : 1e9);
    snprintf(line, len, "%3.0f%%  %s of %s  %s/s  %s left  %zu/%zu files", percent, done, total,
             rate, left, files, progress->total_files);
}

void ctl_progress_tick(struct ctl_progress *progress)
{
    char line[256];

    if (!progress->shown)
        return;
    uint64_t bytes = atomic_load(&progress->bytes);
    update_rate(progress, ctl_now_ns(), bytes);
    format_line(progress, bytes, line, sizeof(line));
    ctl_output_lock();
    wipe_line();
    /* A line that wraps could not be wiped. */
    fprintf(stderr, "%.*s", (int)terminal_width() - 1, line);
    fflush(stderr);
    ctl_output_unlock();
}

double ctl_progress_end(struct ctl_progress *progress)
{
    char size[CTL_TEXT_MAX], rate[CTL_TEXT_MAX];
    double seconds = (double)(ctl_now_ns() - progress->start_ns) / 1e9;
    double bytes = (double)atomic_load(&progress->bytes);
    size_t files = atomic_load(&progress->files);

    if (!progress->shown)
        return seconds;
    ctl_output_progress(NULL);
    ctl_output_lock();
    wipe_line();
    fprintf(stderr, "%zu file%s, %s in %.1f s, %s/s\n", files, files == 1 ? "" : "s",
            ctl_format_size(size, bytes), seconds,
            ctl_format_size(rate, seconds > 0 ? bytes / seconds : 0));
    ctl_output_unlock();
    return seconds;
}
