/* SPDX-License-Identifier: Apache-2.0 */
/* A real ros2d for a test: $ROS2D in a folder of its own, on ports that the system picks. */
#ifndef ROS2_TEST_DAEMON_H
#define ROS2_TEST_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

struct daemon {
    char dir[64];   /* everything is below it; removed by daemon_free */
    char store[96]; /* what ros2d serves */
    char url[128];  /* "ros2://127.0.0.1:PORT"; port: of the control plane */
    uint16_t port;
    char token_file[256], token[256], ca_file[256]; /* as ros2d printed them; "" when it did not */
    pid_t pid;                                      /* 0: not running */
    int out;
    int asked; /* to stop: ros2d takes a second SIGTERM for an order to die */
};

/* All: 0, or -1 with a line on stderr that says why (and ros2d's own log). */

/* Makes dir and dir/store. */
int daemon_prepare(struct daemon *d);
/* Writes dir/NAME with that mode. */
int daemon_write_file(const struct daemon *d, const char *name, mode_t mode, const char *text);
/* Runs `ros2d --ephemeral store` and waits for its ready line. */
int daemon_start(struct daemon *d);
/* Runs `ros2d --config dir/ros2d.yaml`, which has been written, and waits for its ready line. A listen port 0 is fine. */
int daemon_start_config(struct daemon *d);
/* SIGTERM. */
int daemon_ask_to_stop(struct daemon *d);
/* Asks, waits: the exit status, -1 when a signal or a deadline ended it. */
int daemon_stop(struct daemon *d);
/* SIGKILL, waits: a crash. */
void daemon_kill(struct daemon *d);
/* Ends it when it runs; removes dir. */
void daemon_free(struct daemon *d);
/* Puts ROS2_URL, ROS2_TOKEN_FILE and ROS2_CA_FILE into the environment, for ros2_connect(NULL). */
void daemon_export(const struct daemon *d);
/* Prints ros2d's log to stderr. */
void daemon_print_log(const struct daemon *d);

#endif
