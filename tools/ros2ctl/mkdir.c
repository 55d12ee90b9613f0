/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl mkdir: makes directories. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/parse.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/verbs.h"

struct mkdir {
    struct ctl_paths paths;
    bool parents;
    mode_t mode;
};

static const struct argp_option options[] = {
    {"parents", 'p', 0, 0, "Make the directories above as well; one that is there is no failure",
     0},
    {"mode", 'm', "MODE", 0, "Permission bits in octal (default: 755)", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct mkdir *mkdir = state->input;

    switch (key) {
    case 'p':
        mkdir->parents = true;
        return 0;
    case 'm':
        if (!ctl_parse_mode(arg, &mkdir->mode))
            argp_error(state, "--mode %s: give octal permission bits, 0 to 777", arg);
        return 0;
    default:
        return ctl_paths_parse(&mkdir->paths, key, state, 1);
    }
}

static int make_or_find(const struct ctl *ctl, const char *path, mode_t mode)
{
    int rc = ros2_mkdir(ctl->client, path, mode);

    if (rc == 0)
        return CTL_OK;
    if (rc != -EEXIST)
        return ctl_fail_ros2(ctl);
    rc = ctl_remote_is_directory(ctl, path);
    if (rc == 0)
        return ctl_error(ctl, "%s: a file has that name", path);
    return rc < 0 ? CTL_FAILURE : CTL_OK;
}

/* Each directory on the way, from the top. path is written to, and whole again afterwards. */
static int make_all(const struct mkdir *mkdir, char *path)
{
    char *slash = path;

    while (*slash == '/')
        slash++;
    while ((slash = strchr(slash, '/')) != NULL) {
        *slash = '\0';
        int code = make_or_find(mkdir->paths.ctl, path, 0755);
        *slash = '/';
        if (code != CTL_OK)
            return code;
        while (*slash == '/')
            slash++;
        if (*slash == '\0')
            break;
    }
    return make_or_find(mkdir->paths.ctl, path, mkdir->mode);
}

static int make(const struct mkdir *mkdir, char *path)
{
    if (mkdir->parents)
        return make_all(mkdir, path);
    if (ros2_mkdir(mkdir->paths.ctl->client, path, mkdir->mode) < 0)
        return ctl_fail_ros2(mkdir->paths.ctl);
    return CTL_OK;
}

int ctl_mkdir(struct ctl *ctl, int argc, char **argv)
{
    struct mkdir mkdir = {.paths = {.ctl = ctl}, .mode = 0755};
    const struct argp argp = {options, parse, "PATH...", "Makes directories.", CTL_GLOBAL_CHILDREN,
                              0,       0};

    argp_parse(&argp, argc, argv, 0, NULL, &mkdir);
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    for (size_t i = 0; i < mkdir.paths.count; i++) {
        if (make(&mkdir, mkdir.paths.path[i]) != CTL_OK)
            result = CTL_FAILURE;
    }
    return result;
}
