/* SPDX-License-Identifier: Apache-2.0 */
/* How ros2ctl bench prints its result. */
#include "config.h"

#include <stdio.h>

#include "tools/ros2ctl/bench.h"
#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/text.h"

#define GIB ((double)(1 << 30))

static const struct quantile {
    const char *name;
    double fraction;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};

#define QUANTILES (sizeof(quantiles) / sizeof(quantiles[0]))

static double quantile_us(const struct ctl_bench_result *result, size_t i)
{
    return (double)ros2i_histogram_quantile(&result->latency_ns, quantiles[i].fraction) / 1e3;
}

static double mean_us(const struct ctl_bench_result *result)
{
    if (result->latency_ns.count == 0)
        return 0;
    return (double)result->latency_ns.sum / (double)result->latency_ns.count / 1e3;
}

static json_t *cpu_per_gib(const struct ctl_bench_result *result, double cpu_s)
{
    if (cpu_s < 0 || result->bytes == 0)
        return json_null();
    return json_real(cpu_s / ((double)result->bytes / GIB));
}

static json_t *latency(const struct ctl_bench_result *result)
{
    json_t *object = json_object();

    for (size_t i = 0; i < QUANTILES; i++)
        json_object_set_new(object, quantiles[i].name, json_real(quantile_us(result, i)));
    json_object_set_new(object, "mean", json_real(mean_us(result)));
    return object;
}

static int print_json(const struct ctl_bench *bench, const struct ctl_bench_result *result)
{
    json_t *document = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:f, s:f, s:o, s:o, s:o}", "workload",
        bench->workload, "transport", ros2_transport(bench->ctl->client), "block_size",
        (json_int_t)bench->block, "jobs", (json_int_t)bench->jobs, "file_size",
        (json_int_t)bench->size, "seconds", result->seconds, "operations",
        (json_int_t)result->operations, "bytes", (json_int_t)result->bytes, "bytes_per_second",
        (double)result->bytes / result->seconds, "operations_per_second",
        (double)result->operations / result->seconds, "latency_us", latency(result),
        "client_cpu_s_per_gib", cpu_per_gib(result, result->client_cpu_s), "daemon_cpu_s_per_gib",
        cpu_per_gib(result, result->daemon_cpu_s));

    return ctl_json_print(bench->ctl, document);
}

static void print_cpu(const char *who, const struct ctl_bench_result *result, double cpu_s)
{
    if (cpu_s >= 0 && result->bytes > 0)
        printf("%-12s %10.3f s/GiB\n", who, cpu_s / ((double)result->bytes / GIB));
}

int ctl_bench_print(const struct ctl_bench *bench, const struct ctl_bench_result *result)
{
    char block[CTL_TEXT_MAX], size[CTL_TEXT_MAX];

    if (bench->ctl->json)
        return print_json(bench, result);
    printf("%s over %s, %s blocks of a %s file, %u job%s, %.1f s\n", bench->workload,
           ros2_transport(bench->ctl->client), ctl_format_size(block, (double)bench->block),
           ctl_format_size(size, (double)bench->size), bench->jobs, bench->jobs == 1 ? "" : "s",
           result->seconds);
    printf("%-12s %10.3f GiB/s\n", "throughput", (double)result->bytes / GIB / result->seconds);
    printf("%-12s %10.0f /s\n", "operations", (double)result->operations / result->seconds);
    printf("%-12s %10.1f us\n", "latency mean", mean_us(result));
    for (size_t i = 0; i < QUANTILES; i++)
        printf("%12s %10.1f us\n", quantiles[i].name, quantile_us(result, i));
    print_cpu("client CPU", result, result->client_cpu_s);
    print_cpu("daemon CPU", result, result->daemon_cpu_s);
    return CTL_OK;
}
