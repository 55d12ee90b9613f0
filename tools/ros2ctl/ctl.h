/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl: what its verbs share: global options, the connection, exit codes. */
#ifndef ROS2CTL_CTL_H
#define ROS2CTL_CTL_H

#include <argp.h>
#include <stdbool.h>

#include "ros2/ros2.h"

#define CTL_OK      0
#define CTL_FAILURE 1
#define CTL_USAGE   2

/* One per process. Filled by the option parsers, then fixed, but for client. */
struct ctl {
    const char *verb; /* for error lines */
    const char *url;  /* NULL: settings decide */
    struct ros2_connect_options connect;
    bool json;
    struct ros2_client *client; /* set by ctl_connect() */
};

/* The options that every verb takes as well, in front of it or behind: an argp child of each verb, input struct ctl. */
extern const struct argp ctl_global_argp;
#define CTL_GLOBAL_CHILDREN                                  \
    (const struct argp_child[])                              \
    {                                                        \
        {&ctl_global_argp, 0, "Connection and output:", -1}, \
        {                                                    \
            0                                                \
        }                                                    \
    }

/* Keys of options without a short form: one range for the whole program. */
enum ctl_key {
    CTL_KEY_URL = 0x1000,
    CTL_KEY_TOKEN_FILE,
    CTL_KEY_CA_FILE,
    CTL_KEY_CERT_FILE,
    CTL_KEY_KEY_FILE,
    CTL_KEY_SERVER_NAME,
    CTL_KEY_PLAINTEXT,
    CTL_KEY_TIMEOUT,
    CTL_KEY_TRANSPORT,
    CTL_KEY_SHM_DIR,
    CTL_KEY_NETWORKS,
    CTL_KEY_JSON,
    CTL_KEY_NO_CHECKSUM,
    CTL_KEY_VERB, /* first key of a verb's own */
};

/* Connects as the options say; ctl->client. 0, or CTL_FAILURE after the error line. Blocks: up to the timeout. */
int ctl_connect(struct ctl *ctl);
/* Ends the connection when there is one. */
void ctl_disconnect(struct ctl *ctl);

#endif
