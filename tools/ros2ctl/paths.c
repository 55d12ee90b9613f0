/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs whose arguments are just paths: their command line. */
#include "config.h"

#include "tools/ros2ctl/paths.h"

error_t ctl_paths_parse(struct ctl_paths *paths, int key, struct argp_state *state, size_t needed)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = paths->ctl;
        return 0;
    case ARGP_KEY_ARGS:
        paths->path = state->argv + state->next;
        paths->count = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        if (paths->count < needed)
            argp_error(state, needed == 1 ? "give a path" : "give two paths at least");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}
