/* SPDX-License-Identifier: Apache-2.0 */
/* Layer fault's rules: which calls go wrong, and how.
 *
 *   rules  = rule {"," rule}
 *   rule   = call {":" key "=" value}
 *   call   = "*" (all) or read write fsync root_open open getattr stat readdir mkdir unlink rmdir rename truncate
 *   which calls:  path=TEXT   only those whose path (of rename: the old one) contains TEXT
 *                 nth=N       from the Nth such call on, counted from 1; alone: that one only
 *                 times=N     N times at most
 *   what happens: while=FILE  held as long as FILE exists
 *                 delay_ms=N  held that long
 *                 errno=NAME  fails then, without reaching the engine below
 *                 short=N     read: N bytes at most
 * The first rule that applies to a call decides it; rules behind it do not count it. Values hold no ',' and no ':'. */
#ifndef ROS2I_LAYERS_RULES_H
#define ROS2I_LAYERS_RULES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ros2/plugin.h"

enum ros2i_call {
    ROS2I_CALL_READ,
    ROS2I_CALL_WRITE,
    ROS2I_CALL_FSYNC,
    ROS2I_CALL_ROOT_OPEN,
    ROS2I_CALL_OPEN,
    ROS2I_CALL_GETATTR,
    ROS2I_CALL_STAT,
    ROS2I_CALL_READDIR,
    ROS2I_CALL_MKDIR,
    ROS2I_CALL_UNLINK,
    ROS2I_CALL_RMDIR,
    ROS2I_CALL_RENAME,
    ROS2I_CALL_TRUNCATE,
    ROS2I_CALLS,
};

struct ros2i_rule { /* fixed after parse but for the counters; any thread */
    uint32_t calls; /* 1 << enum ros2i_call */
    uint64_t nth, times;
    uint64_t delay_ns;
    size_t short_len;             /* SIZE_MAX: whole */
    int err;                      /* 0: goes on to the engine below */
    const char *path, *hold_file; /* in the rules' text, or NULL */
    atomic_uint_fast64_t seen, applied;
};

struct ros2i_rules;

/* text NULL or "": no rules. -EINVAL, with a text that names the rule, -ENOMEM. */
int ros2i_rules_parse(const struct ros2_host *host, const char *text, struct ros2i_rules **rules_p);
void ros2i_rules_free(struct ros2i_rules *rules);
/* The rule that decides this call, which counts it; NULL: none. Any thread. */
const struct ros2i_rule *ros2i_rules_find(struct ros2i_rules *rules, enum ros2i_call call,
                                          const char *path);

#endif
