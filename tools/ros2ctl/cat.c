/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl cat: files to standard output. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/verbs.h"

#define BUFFER (4u << 20) /* bytes; several requests in flight at a time */

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    return ctl_paths_parse(state->input, key, state, 1);
}

static int copy(const struct ctl *ctl, struct ros2_file *file, char *buf)
{
    for (uint64_t offset = 0;;) {
        ssize_t got = ros2_pread(file, buf, BUFFER, offset);
        if (got == 0)
            return CTL_OK;
        if (got < 0)
            return ctl_fail_ros2(ctl);
        offset += (uint64_t)got;
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(STDOUT_FILENO, buf + done, (size_t)(got - done));
            if (wrote < 0 && errno != EINTR)
                return ctl_fail_errno(ctl, "write", "standard output", errno);
            if (wrote > 0)
                done += wrote;
        }
    }
}

static int cat_file(const struct ctl *ctl, const char *path, char *buf)
{
    struct ros2_file *file;

    if (ros2_open(ctl->client, path, O_RDONLY, 0, &file) < 0)
        return ctl_fail_ros2(ctl);
    int code = copy(ctl, file, buf);
    ros2_close(file);
    return code;
}

int ctl_cat(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_paths paths = {.ctl = ctl};
    const struct argp argp = {
        NULL, parse, "PATH...", "Writes files to standard output.", CTL_GLOBAL_CHILDREN, 0, 0};

    argp_parse(&argp, argc, argv, 0, NULL, &paths);
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    char *buf = malloc(BUFFER);
    if (!buf)
        return ctl_fail_memory(ctl);
    for (size_t i = 0; i < paths.count; i++) {
        if (cat_file(ctl, paths.path[i], buf) != CTL_OK)
            result = CTL_FAILURE;
    }
    free(buf);
    return result;
}
