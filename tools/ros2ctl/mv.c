/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl mv: renames within the store. */
#include "config.h"

#include <stdlib.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/verbs.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    return ctl_paths_parse(state->input, key, state, 2);
}

static int move(const struct ctl *ctl, const char *source, const char *dest, bool into)
{
    char *to = ctl_target(source, dest, into);

    if (!to)
        return ctl_fail_memory(ctl);
    int code = ros2_rename(ctl->client, source, to) < 0 ? ctl_fail_ros2(ctl) : CTL_OK;
    free(to);
    return code;
}

int ctl_mv(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_paths paths = {.ctl = ctl};
    const struct argp argp = {
        NULL,
        parse,
        "SOURCE... DEST",
        "Renames files and directories. When DEST is a directory, SOURCE goes into it.",
        CTL_GLOBAL_CHILDREN,
        0,
        0};

    argp_parse(&argp, argc, argv, 0, NULL, &paths);
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    const char *dest = paths.path[paths.count - 1];
    int into = ctl_remote_is_directory(ctl, dest);
    if (into < 0)
        return CTL_FAILURE;
    if (!into && paths.count > 2)
        return ctl_error(ctl, "%s: is no directory", dest);
    if (ctl_check_targets(ctl, paths.path, paths.count - 1, dest) != CTL_OK)
        return CTL_FAILURE;
    for (size_t i = 0; i + 1 < paths.count; i++) {
        if (move(ctl, paths.path[i], dest, into) != CTL_OK)
            result = CTL_FAILURE;
    }
    return result;
}
