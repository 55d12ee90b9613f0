/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl stat: attributes of files. */
#include "config.h"

#include <stdio.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/text.h"
#include "tools/ros2ctl/verbs.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    return ctl_paths_parse(state->input, key, state, 1);
}

static void print_text(const char *path, const struct stat *st)
{
    char mode[CTL_TEXT_MAX], when[CTL_TEXT_MAX];

    printf("path      ");
    ctl_print_name(path);
    printf("\ntype      %s\n", ctl_type_name(st->st_mode));
    printf("mode      %04o %s\n", st->st_mode & 07777, ctl_format_mode(mode, st->st_mode));
    printf("size      %jd\n", (intmax_t)st->st_size);
    printf("blocks    %jd\n", (intmax_t)st->st_blocks);
    printf("links     %ju\n", (uintmax_t)st->st_nlink);
    printf("owner     %u:%u\n", st->st_uid, st->st_gid);
    printf("inode     %ju\n", (uintmax_t)st->st_ino);
    printf("modified  %s\n", ctl_format_time(when, st->st_mtim.tv_sec));
    printf("changed   %s\n", ctl_format_time(when, st->st_ctim.tv_sec));
    printf("accessed  %s\n", ctl_format_time(when, st->st_atim.tv_sec));
}

static int print_json(const struct ctl *ctl, const char *path, const struct stat *st, size_t *count)
{
    json_t *item = json_object();

    if (!item || ctl_json_set_bytes(item, "path", path) < 0 ||
        ctl_json_set_attributes(item, st) < 0) {
        json_decref(item);
        return ctl_fail_memory(ctl);
    }
    ctl_json_array_item(item, count);
    return CTL_OK;
}

int ctl_stat(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_paths paths = {.ctl = ctl};
    const struct argp argp = {
        NULL, parse, "PATH...", "Shows attributes of files and directories.", CTL_GLOBAL_CHILDREN,
        0,    0};
    size_t count = 0;

    argp_parse(&argp, argc, argv, 0, NULL, &paths);
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    for (size_t i = 0; i < paths.count; i++) {
        struct stat st;
        if (ros2_stat(ctl->client, paths.path[i], &st) < 0)
            result = ctl_fail_ros2(ctl);
        else if (!ctl->json)
            print_text(paths.path[i], &st);
        else if (print_json(ctl, paths.path[i], &st, &count) != CTL_OK)
            result = CTL_FAILURE;
    }
    if (ctl->json)
        ctl_json_array_end(count);
    return result;
}
