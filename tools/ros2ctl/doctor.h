/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl doctor: what its parts share. */
#ifndef ROS2CTL_DOCTOR_H
#define ROS2CTL_DOCTOR_H

#include <jansson.h>
#include <sys/types.h>

#include "ros2/plugin.h"
#include "tools/ros2ctl/ctl.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_WARN, /* works, but not as well as it could, or not for ever */
    DOCTOR_BAD,  /* does not work */
};

struct doctor {
    struct ctl *ctl;
    pid_t pid; /* the process to look at; 0: none */
    unsigned count[DOCTOR_BAD + 1];
    json_t *findings; /* with --json */
};

/* One finding about `what`: printed, or kept for JSON. remedy: the way out, or NULL. */
void doctor_say(struct doctor *doctor, enum doctor_level level, const char *what,
                const char *remedy, const char *fmt, ...) ROS2_PRINTF(5, 6);

/* Settings, and the files that they name. Whether a connection is worth a try. */
bool doctor_settings(struct doctor *doctor);
/* The daemon: connection, round trip, transports. */
void doctor_daemon(struct doctor *doctor);
/* This machine: kernel, limits, shared memory, RDMA devices. */
void doctor_machine(struct doctor *doctor);
/* Whether this machine has an RDMA device. */
bool doctor_has_device(void);
/* Libraries of which the process has two copies, and its limits. */
void doctor_process(struct doctor *doctor, pid_t pid);

#endif
