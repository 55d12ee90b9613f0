/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl doctor: looks for what keeps a client from working, or from working well, before it does. It changes nothing. */
#include "config.h"

#include "tools/ros2ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/text.h"
#include "tools/ros2ctl/verbs.h"

static const struct argp_option options[] = {
    {"pid", 'p', "PID", 0, "Look at that process too: its limits, and libraries it has twice", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct doctor *doctor = state->input;
    unsigned pid;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = doctor->ctl;
        return 0;
    case 'p':
        if (!ctl_parse_count(arg, 1, 1u << 30, &pid))
            argp_error(state, "--pid %s: give the number of a process", arg);
        doctor->pid = (pid_t)pid;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s': doctor takes no argument; --url names the daemon", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const char *const level_name[] = {"ok", "warn", "bad"};

void doctor_say(struct doctor *doctor, enum doctor_level level, const char *what,
                const char *remedy, const char *fmt, ...)
{
    char text[1200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    doctor->count[level]++;
    if (doctor->findings) {
        json_t *finding = json_pack("{s:s, s:s}", "level", level_name[level], "what", what);
        if (finding) {
            ctl_json_set_bytes(finding, "found", text);
            json_object_set_new(finding, "remedy", remedy ? json_string(remedy) : json_null());
        }
        json_array_append_new(doctor->findings, finding);
        return;
    }
    printf("%-5s %s: ", level_name[level], what);
    ctl_print_escaped(stdout, text, strlen(text));
    printf("\n");
    if (remedy)
        printf("      %s\n", remedy);
}

static int print(struct doctor *doctor)
{
    const int code = doctor->count[DOCTOR_BAD] ? CTL_FAILURE : CTL_OK;

    if (doctor->findings) {
        json_t *document = json_pack("{s:i, s:i, s:i, s:o}", "ok", (int)doctor->count[DOCTOR_OK],
                                     "warn", (int)doctor->count[DOCTOR_WARN], "bad",
                                     (int)doctor->count[DOCTOR_BAD], "findings", doctor->findings);
        return ctl_json_print(doctor->ctl, document) == CTL_OK ? code : CTL_FAILURE;
    }
    printf("%u ok, %u to look at, %u bad\n", doctor->count[DOCTOR_OK], doctor->count[DOCTOR_WARN],
           doctor->count[DOCTOR_BAD]);
    return code;
}

int ctl_doctor(struct ctl *ctl, int argc, char **argv)
{
    struct doctor doctor = {.ctl = ctl};
    const struct argp argp = {options,
                              parse,
                              "",
                              "Looks for what keeps a client on this machine from working, or from "
                              "working well. Exit status: 1 when something is bad.",
                              CTL_GLOBAL_CHILDREN,
                              0,
                              0};

    argp_parse(&argp, argc, argv, 0, NULL, &doctor);
    if (ctl->json && !(doctor.findings = json_array()))
        return ctl_fail_memory(ctl);
    if (doctor_settings(&doctor))
        doctor_daemon(&doctor);
    doctor_machine(&doctor);
    doctor_process(&doctor, doctor.pid ? doctor.pid : getpid());
    return print(&doctor);
}
