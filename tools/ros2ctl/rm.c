/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl rm: removes files and, with -r, trees.
 *
 * Everything is unlinked first and treated as a directory only when that gives EISDIR: a symbolic link in the store is
 * removed itself, what it points to stays. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/verbs.h"

struct rm {
    struct ctl_paths paths;
    bool recursive, force;
};

static const struct argp_option options[] = {
    {"recursive", 'r', 0, 0, "Remove directories and what is in them", 0},
    {"force", 'f', 0, 0, "What is not there is no failure", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct rm *rm = state->input;

    (void)arg;
    switch (key) {
    case 'r':
        rm->recursive = true;
        return 0;
    case 'f':
        rm->force = true;
        return 0;
    default:
        return ctl_paths_parse(&rm->paths, key, state, 1);
    }
}

static int remove_path(const struct rm *rm, const char *path);

static int remove_directory(const struct rm *rm, const char *path)
{
    const struct ctl *ctl = rm->paths.ctl;
    struct ctl_names names;
    int result = ctl_remote_list(ctl, path, &names);

    for (size_t i = 0; i < names.count; i++) {
        char *child = ctl_path_join(path, names.name[i]);
        int code = child ? remove_path(rm, child) : ctl_fail_memory(ctl);
        free(child);
        if (code != CTL_OK)
            result = code;
    }
    ctl_names_free(&names);
    /* After a failure the directory is not empty: one line says enough. */
    if (result == CTL_OK && ros2_rmdir(ctl->client, path) < 0)
        result = ctl_fail_ros2(ctl);
    return result;
}

static int remove_path(const struct rm *rm, const char *path)
{
    const struct ctl *ctl = rm->paths.ctl;
    int rc = ros2_unlink(ctl->client, path);

    if (rc == 0 || (rc == -ENOENT && rm->force))
        return CTL_OK;
    if (rc != -EISDIR)
        return ctl_fail_ros2(ctl);
    if (!rm->recursive)
        return ctl_error(ctl, "%s: is a directory; remove it with -r", path);
    return remove_directory(rm, path);
}

static int remove_argument(const struct rm *rm, const char *path)
{
    char *name = ctl_path_basename(path);

    if (!name)
        return ctl_fail_memory(rm->paths.ctl);
    /* What is removed is the entry of that name: with a slash behind it, it would be what a link points to. */
    char *trimmed = ctl_path_join(path, "");
    if (!trimmed) {
        free(name);
        return ctl_fail_memory(rm->paths.ctl);
    }
    /* "/", and what may be it in other words. */
    int code = name[0] == '\0' ? ctl_error(rm->paths.ctl,
                                           "%s: give the path of what is to be removed, without . "
                                           "and .. at its end",
                                           path)
                               : remove_path(rm, trimmed);
    free(trimmed);
    free(name);
    return code;
}

int ctl_rm(struct ctl *ctl, int argc, char **argv)
{
    struct rm rm = {.paths = {.ctl = ctl}};
    const struct argp argp = {
        options, parse, "PATH...", "Removes files and directories.", CTL_GLOBAL_CHILDREN, 0, 0};

    argp_parse(&argp, argc, argv, 0, NULL, &rm);
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    for (size_t i = 0; i < rm.paths.count; i++) {
        if (remove_argument(&rm, rm.paths.path[i]) != CTL_OK)
            result = CTL_FAILURE;
    }
    return result;
}
