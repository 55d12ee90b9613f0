/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the daemon: what a client does first, step by step. */
#include "config.h"

#include "tools/ros2ctl/doctor.h"
#include "tools/ros2ctl/progress.h"

#define MOST 36 /* ros2_transports() has no more */

static void check_transports(struct doctor *doctor)
{
    struct ros2_transport_state list[MOST];
    const size_t count = ros2_transports(doctor->ctl->client, list, MOST);

    for (size_t i = 0; i < count; i++) {
        if (!list[i].offered)
            continue;
        char what[64];
        snprintf(what, sizeof(what), "transport %.32s", list[i].name);
        if (list[i].chosen)
            doctor_say(doctor, DOCTOR_OK, what, NULL, "chosen");
        else if (list[i].usable)
            doctor_say(doctor, DOCTOR_OK, what, NULL, "usable; another is preferred");
        else
            doctor_say(doctor, DOCTOR_WARN, what, NULL, "%s", list[i].why);
    }
}

void doctor_daemon(struct doctor *doctor)
{
    struct ctl *ctl = doctor->ctl;
    uint64_t begin_ns = ctl_now_ns(), rtt_ns;

    if (ros2_connect(ctl->url, &ctl->connect, &ctl->client) < 0) {
        doctor_say(doctor, DOCTOR_BAD, "daemon", NULL, "%s", ros2_error());
        return;
    }
    doctor_say(doctor, DOCTOR_OK, "daemon", NULL, "a session was opened in %.0f ms",
               (double)(ctl_now_ns() - begin_ns) / 1e6);
    /* The first one connects. */
    if (ros2_ping(ctl->client, &rtt_ns) < 0 || ros2_ping(ctl->client, &rtt_ns) < 0)
        doctor_say(doctor, DOCTOR_BAD, "data plane", NULL, "%s", ros2_error());
    else
        doctor_say(doctor, DOCTOR_OK, "data plane", NULL, "a round trip over %s took %.0f us",
                   ros2_transport(ctl->client), (double)rtt_ns / 1e3);
    check_transports(doctor);
}
