/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of ros2ctl bench. Each opens the file itself and does one operation before the clock starts, so that
 * connections and first page faults are not measured. A thread owns its struct until it is joined. */
#include "config.h"

#include "tools/ros2ctl/bench.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/progress.h"
#include "tools/ros2ctl/stop.h"

struct run {
    const struct ctl_bench *bench;
    pthread_barrier_t ready, go;
    _Atomic bool end, failed;
};

struct job {
    struct run *run;
    pthread_t thread;
    unsigned index;
    uint64_t operations, bytes;
    struct ros2i_histogram latency_ns;
};

uint64_t ctl_bench_random(uint64_t *state)
{
    /* splitmix64: any seed will do, also 0 */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void ctl_bench_fill(void *buf, size_t len, uint64_t seed)
{
    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t value = ctl_bench_random(&seed);
        memcpy((char *)buf + at, &value, len - at < sizeof(value) ? len - at : sizeof(value));
    }
}

static ssize_t do_block(const struct ctl_bench *bench, struct ros2_file *file, void *buf,
                        uint64_t block)
{
    uint64_t offset = block * bench->block;

    if (bench->write)
        return ros2_pwrite(file, buf, bench->block, offset);
    return ros2_pread(file, buf, bench->block, offset);
}

static void run_blocks(struct job *job, struct ros2_file *file, void *buf)
{
    const struct ctl_bench *bench = job->run->bench;
    uint64_t blocks = bench->size / bench->block, random = job->index;
    uint64_t block = blocks / bench->jobs * job->index;

    while (!atomic_load_explicit(&job->run->end, memory_order_relaxed)) {
        if (bench->random)
            block = ctl_bench_random(&random) % blocks;
        uint64_t start_ns = ctl_now_ns();
        ssize_t done = do_block(bench, file, buf, block);
        if (done <= 0) {
            if (done < 0)
                ctl_fail_ros2(bench->ctl);
            else
                ctl_error(bench->ctl, "%s: became shorter", bench->path);
            atomic_store(&job->run->failed, true);
            return;
        }
        ros2i_histogram_add(&job->latency_ns, ctl_now_ns() - start_ns);
        job->operations++;
        job->bytes += (uint64_t)done;
        if (!bench->random && ++block == blocks)
            block = 0;
    }
}

/* Opens, allocates, does the first operation. */
static int prepare(struct job *job, struct ros2_file **file_p, void **buf_p)
{
    const struct ctl_bench *bench = job->run->bench;

    if (posix_memalign(buf_p, 4096, bench->block) != 0) {
        *buf_p = NULL;
        return ctl_fail_memory(bench->ctl);
    }
    ctl_bench_fill(*buf_p, bench->block, job->index);
    if (ros2_open(bench->ctl->client, bench->path, bench->write ? O_WRONLY : O_RDONLY, 0, file_p) <
        0)
        return ctl_fail_ros2(bench->ctl);
    if (do_block(bench, *file_p, *buf_p, 0) < 0)
        return ctl_fail_ros2(bench->ctl);
    return CTL_OK;
}

static void *run_job(void *arg)
{
    struct job *job = arg;
    struct ros2_file *file = NULL;
    void *buf = NULL;

    int code = prepare(job, &file, &buf);
    if (code != CTL_OK)
        atomic_store(&job->run->failed, true);
    pthread_barrier_wait(&job->run->ready);
    pthread_barrier_wait(&job->run->go);
    if (code == CTL_OK)
        run_blocks(job, file, buf);
    if (file && ros2_close(file) < 0) {
        ctl_fail_ros2(job->run->bench->ctl);
        atomic_store(&job->run->failed, true);
    }
    free(buf);
    return NULL;
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static double client_cpu(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
}

/* User and system time of a process; below 0 when it is gone. */
static double process_cpu(pid_t pid)
{
    char path[64], line[1024];
    unsigned long long user, system;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *stream = fopen(path, "re");
    if (!stream)
        return -1;
    size_t len = fread(line, 1, sizeof(line) - 1, stream);
    fclose(stream);
    line[len] = '\0';
    /* The second field is the program's name in brackets and may hold anything. */
    const char *rest = strrchr(line, ')');
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                        &system) != 2)
        return -1;
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void wait_for_end(const struct run *run)
{
    uint64_t end_ns = ctl_now_ns() + run->bench->duration_ns;

    while (!ctl_stop_asked() && !atomic_load(&run->failed)) {
        uint64_t now_ns = ctl_now_ns();
        if (now_ns >= end_ns)
            return;
        uint64_t rest_ms = (end_ns - now_ns) / 1000000 + 1;
        poll(NULL, 0, rest_ms < 100 ? (int)rest_ms : 100);
    }
}

/* From the moment when all are ready until the last has ended. */
static void measure(struct run *run, struct job *jobs, struct ctl_bench_result *result)
{
    const struct ctl_bench *bench = run->bench;

    pthread_barrier_wait(&run->ready);
    double daemon = bench->daemon_pid ? process_cpu(bench->daemon_pid) : -1;
    double client = client_cpu();
    uint64_t start_ns = ctl_now_ns();
    if (atomic_load(&run->failed))
        atomic_store(&run->end, true);
    pthread_barrier_wait(&run->go);
    wait_for_end(run);
    atomic_store(&run->end, true);
    for (unsigned i = 0; i < bench->jobs; i++)
        pthread_join(jobs[i].thread, NULL);
    result->seconds = (double)(ctl_now_ns() - start_ns) / 1e9;
    result->client_cpu_s = client_cpu() - client;
    double daemon_end = bench->daemon_pid ? process_cpu(bench->daemon_pid) : -1;
    result->daemon_cpu_s = daemon >= 0 && daemon_end >= 0 ? daemon_end - daemon : -1;
}

static void collect(const struct ctl_bench *bench, const struct job *jobs,
                    struct ctl_bench_result *result)
{
    ros2i_histogram_init(&result->latency_ns);
    for (unsigned i = 0; i < bench->jobs; i++) {
        result->operations += jobs[i].operations;
        result->bytes += jobs[i].bytes;
        ros2i_histogram_merge(&result->latency_ns, &jobs[i].latency_ns);
    }
}

int ctl_bench_run(const struct ctl_bench *bench, struct ctl_bench_result *result)
{
    struct run run = {.bench = bench};
    struct job *jobs = calloc(bench->jobs, sizeof(*jobs));

    if (!jobs)
        return ctl_fail_memory(bench->ctl);
    pthread_barrier_init(&run.ready, NULL, bench->jobs + 1);
    pthread_barrier_init(&run.go, NULL, bench->jobs + 1);
    for (unsigned i = 0; i < bench->jobs; i++) {
        jobs[i].run = &run;
        jobs[i].index = i;
        ros2i_histogram_init(&jobs[i].latency_ns);
        int err = pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]);
        if (err != 0) {
            /* The others wait at the barrier for good: the process ends, and with it their files. */
            ctl_fail_errno(bench->ctl, "start", "a thread", err);
            exit(CTL_FAILURE);
        }
    }
    measure(&run, jobs, result);
    collect(bench, jobs, result);
    pthread_barrier_destroy(&run.ready);
    pthread_barrier_destroy(&run.go);
    free(jobs);
    return atomic_load(&run.failed) ? CTL_FAILURE : CTL_OK;
}
