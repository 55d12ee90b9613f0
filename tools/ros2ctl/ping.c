/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl ping: round trips over the data plane. */
#include "config.h"

#include <stdio.h>
#include <time.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/verbs.h"

struct ping {
    struct ctl *ctl;
    unsigned count;
    uint64_t interval_ns;
};

struct result {
    unsigned sent, received;
    uint64_t min_ns, max_ns, sum_ns;
};

static const struct argp_option options[] = {
    {"count", 'c', "N", 0, "Stop after N round trips (default: 5)", 0},
    {"interval", 'i', "SECONDS", 0, "Wait between them (default: 1)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct ping *ping = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = ping->ctl;
        return 0;
    case 'c':
        if (!ctl_parse_count(arg, 1, 1000000, &ping->count))
            argp_error(state, "--count %s: give a number from 1 to 1000000", arg);
        return 0;
    case 'i':
        if (!ctl_parse_seconds(arg, 3600, &ping->interval_ns))
            argp_error(state, "--interval %s: give seconds above 0, at most 3600", arg);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s': ping takes no argument; --url names the daemon", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void wait_ns(uint64_t ns)
{
    struct timespec rest = {.tv_sec = (time_t)(ns / 1000000000u),
                            .tv_nsec = (long)(ns % 1000000000u)};

    nanosleep(&rest, NULL);
}

static void add(struct result *result, uint64_t rtt_ns)
{
    if (result->received == 0 || rtt_ns < result->min_ns)
        result->min_ns = rtt_ns;
    if (rtt_ns > result->max_ns)
        result->max_ns = rtt_ns;
    result->sum_ns += rtt_ns;
    result->received++;
}

static int run(const struct ping *ping, struct result *result)
{
    int code = CTL_OK;

    for (unsigned i = 0; i < ping->count; i++) {
        uint64_t rtt_ns;
        if (i > 0)
            wait_ns(ping->interval_ns);
        result->sent++;
        if (ros2_ping(ping->ctl->client, &rtt_ns) < 0) {
            code = ctl_fail_ros2(ping->ctl);
            continue;
        }
        add(result, rtt_ns);
        if (!ping->ctl->json) {
            printf("round trip %u: %.1f us\n", i + 1, (double)rtt_ns / 1e3);
            fflush(stdout);
        }
    }
    return code;
}

static int print(const struct ping *ping, const struct result *result)
{
    double average = result->received ? (double)result->sum_ns / result->received / 1e3 : 0;
    double least = (double)result->min_ns / 1e3, most = (double)result->max_ns / 1e3;

    if (ping->ctl->json)
        return ctl_json_print(ping->ctl,
                              json_pack("{s:s, s:i, s:i, s:f, s:f, s:f}", "transport",
                                        ros2_transport(ping->ctl->client), "sent",
                                        (int)result->sent, "received", (int)result->received,
                                        "min_us", least, "avg_us", average, "max_us", most));
    printf("%u sent, %u received over %s, min/avg/max %.1f/%.1f/%.1f us\n", result->sent,
           result->received, ros2_transport(ping->ctl->client), least, average, most);
    return CTL_OK;
}

int ctl_ping(struct ctl *ctl, int argc, char **argv)
{
    struct ping ping = {.ctl = ctl, .count = 5, .interval_ns = 1000000000};
    const struct argp argp = {
        options, parse, "", "Measures round trips to the daemon's data plane.", CTL_GLOBAL_CHILDREN,
        0,       0};
    struct result result = {0};

    argp_parse(&argp, argc, argv, 0, NULL, &ping);
    int code = ctl_connect(ctl);
    if (code != CTL_OK)
        return code;
    code = run(&ping, &result);
    return print(&ping, &result) == CTL_OK ? code : CTL_FAILURE;
}
