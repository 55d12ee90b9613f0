/* SPDX-License-Identifier: Apache-2.0 */
/* What the measuring programs share. They are short-lived and have one thread: a failure ends the program. */
#include "config.h"

#include "bench/measure.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/shared_memory.h"

#define GIB ((double)(1 << 30))

void measure_die(const char *what, int err)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(err));
    exit(1);
}

void measure_die_text(const char *text)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
    exit(1);
}

static unsigned long long number(const char *text, unsigned long long max)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (end == text || *end != '\0' || value == 0 || value > max) {
        fprintf(stderr, "%s: %s: is no number from 1 to %llu\n", program_invocation_short_name,
                text, max);
        exit(2);
    }
    return value;
}

void measure_parse(int argc, char **argv, bool need_path, struct measure_options *options)
{
    static const struct option known[] = {
        {"path", required_argument, NULL, 'p'},
        {"block", required_argument, NULL, 'b'},
        {"depth", required_argument, NULL, 'd'},
        {"seconds", required_argument, NULL, 's'},
        {"request", required_argument, NULL, 'q'},
        {"files", required_argument, NULL, 'f'},
        {"clients", required_argument, NULL, 'n'},
        {"random", no_argument, NULL, 'r'},
        {"write", no_argument, NULL, 'w'},
        {"shared", no_argument, NULL, 'm'},
        {"checksum", no_argument, NULL, 'c'},
        {"spin", no_argument, NULL, 'i'},
        {0},
    };
    int option;

    *options = (struct measure_options){.block = 1 << 20,
                                        .depth = 1,
                                        .duration_ns = 1000000000,
                                        .request = 100,
                                        .files = 1,
                                        .clients = 1};
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            options->path = optarg;
            break;
        case 'b':
            options->block = number(optarg, 1 << 30);
            break;
        case 'd':
            options->depth = (unsigned)number(optarg, 4096);
            break;
        case 's':
            options->duration_ns = (uint64_t)(strtod(optarg, NULL) * 1e9);
            break;
        case 'q':
            options->request = number(optarg, 1 << 20);
            break;
        case 'f':
            options->files = (unsigned)number(optarg, 10000000);
            break;
        case 'n':
            options->clients = (unsigned)number(optarg, 10000);
            break;
        case 'r':
            options->random = true;
            break;
        case 'w':
            options->write = true;
            break;
        case 'm':
            options->shared = true;
            break;
        case 'c':
            options->checksum = true;
            break;
        case 'i':
            options->spin = true;
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc || (need_path && !options->path)) {
        fprintf(stderr, "usage: %s %s[--block BYTES] [--depth N] [--seconds S] ...\n",
                program_invocation_short_name, need_path ? "--path PATH " : "");
        exit(2);
    }
}

uint64_t measure_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double measure_cpu_s(int who)
{
    struct rusage usage;

    getrusage(who, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

uint64_t measure_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

char *measure_buffers(const struct measure_options *options)
{
    void *buffers;
    size_t len = options->block * options->depth;
    int err = options->shared ? -ros2i_shared_alloc(len, 0, -1, &buffers)
                              : posix_memalign(&buffers, 4096, len);

    if (err != 0)
        measure_die("buffers", err);
    memset(buffers, 0x5a, len);
    return buffers;
}

void measure_read_fully(int fd, void *buf, size_t len)
{
    while (len > 0) {
        ssize_t got = read(fd, buf, len);
        if (got <= 0)
            measure_die("read", got < 0 ? errno : ECONNRESET);
        buf = (char *)buf + got;
        len -= (size_t)got;
    }
}

void measure_write_fully(int fd, const void *buf, size_t len)
{
    while (len > 0) {
        ssize_t wrote = write(fd, buf, len);
        if (wrote < 0)
            measure_die("write", errno);
        buf = (const char *)buf + wrote;
        len -= (size_t)wrote;
    }
}

void measure_begin(struct measure *m, uint64_t duration_ns)
{
    ros2i_histogram_init(&m->latency_ns);
    m->operations = m->bytes = 0;
    m->cpu_s = measure_cpu_s(RUSAGE_SELF);
    m->start_ns = measure_now_ns();
    m->end_ns = m->start_ns + duration_ns;
}

bool measure_add(struct measure *m, uint64_t bytes, uint64_t since_ns, uint64_t now_ns)
{
    m->operations++;
    m->bytes += bytes;
    ros2i_histogram_add(&m->latency_ns, now_ns - since_ns);
    if (now_ns < m->end_ns)
        return true;
    m->end_ns = now_ns;
    m->cpu_s = measure_cpu_s(RUSAGE_SELF) - m->cpu_s;
    return false;
}

static double per_gib(const struct measure *m, double seconds)
{
    return seconds / ((double)m->bytes / GIB);
}

void measure_print(const struct measure *m, double other_cpu_s)
{
    double seconds = (double)(m->end_ns - m->start_ns) / 1e9;
    const struct ros2i_histogram *h = &m->latency_ns;

    if (m->operations == 0)
        measure_die_text("nothing was measured");
    printf("{\"seconds\": %.6f, \"operations\": %llu, \"bytes\": %llu, \"gib_per_s\": %.4f, "
           "\"mean_us\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f, \"cpu_s_per_gib\": %.4f, ",
           seconds, (unsigned long long)m->operations, (unsigned long long)m->bytes,
           (double)m->bytes / GIB / seconds, (double)h->sum / (double)h->count / 1e3,
           (double)ros2i_histogram_quantile(h, 0.5) / 1e3,
           (double)ros2i_histogram_quantile(h, 0.99) / 1e3, per_gib(m, m->cpu_s));
    if (other_cpu_s >= 0)
        printf("\"other_cpu_s_per_gib\": %.4f}\n", per_gib(m, other_cpu_s));
    else
        printf("\"other_cpu_s_per_gib\": null}\n");
}
