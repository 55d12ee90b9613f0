/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl ls: names in directories, sorted by bytes. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/path.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/text.h"
#include "tools/ros2ctl/verbs.h"

struct ls {
    struct ctl_paths paths;
    bool long_form, recursive;
    size_t printed; /* items of the JSON array */
    bool any;       /* something was printed: the next heading wants an empty line */
};

static const struct argp_option options[] = {
    {"long", 'l', 0, 0, "Show mode, links, owner, size and time", 0},
    {"recursive", 'R', 0, 0, "List all directories below as well", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct ls *ls = state->input;

    (void)arg;
    switch (key) {
    case 'l':
        ls->long_form = true;
        return 0;
    case 'R':
        ls->recursive = true;
        return 0;
    default:
        return ctl_paths_parse(&ls->paths, key, state, 0);
    }
}

static int print_json(struct ls *ls, const char *path, const char *name, const struct stat *st)
{
    json_t *item = json_object();

    if (!item || ctl_json_set_bytes(item, "path", path) < 0 ||
        ctl_json_set_bytes(item, "name", name) < 0 || ctl_json_set_attributes(item, st) < 0) {
        json_decref(item);
        return ctl_fail_memory(ls->paths.ctl);
    }
    ctl_json_array_item(item, &ls->printed);
    return CTL_OK;
}

static int print_entry(struct ls *ls, const char *path, const char *name, const struct stat *st)
{
    char mode[CTL_TEXT_MAX], modified[CTL_TEXT_MAX];

    if (ls->paths.ctl->json)
        return print_json(ls, path, name, st);
    if (ls->long_form)
        printf("%s %3ju %5u %5u %12jd %s ", ctl_format_mode(mode, st->st_mode),
               (uintmax_t)st->st_nlink, st->st_uid, st->st_gid, (intmax_t)st->st_size,
               ctl_format_time(modified, st->st_mtim.tv_sec));
    ctl_print_name(name);
    putchar('\n');
    ls->any = true;
    return CTL_OK;
}

static void print_heading(struct ls *ls, const char *path)
{
    if (ls->paths.ctl->json)
        return;
    if (ls->any)
        putchar('\n');
    ctl_print_name(path);
    puts(":");
    ls->any = true;
}

/* The directories from the argument down to here, to find links that lead in circles. */
struct level {
    const struct level *up;
    dev_t dev;
    ino_t ino;
};

static int list_directory(struct ls *ls, const char *path, const struct stat *st, bool heading,
                          const struct level *up);

/* Prints a directory's entry; for -R it notes in *stats what it learnt. */
static int list_entry(struct ls *ls, const char *path, const char *name, struct stat *st)
{
    bool attributes = ls->long_form || ls->recursive || ls->paths.ctl->json;
    char *child = ctl_path_join(path, name);
    int code = CTL_OK;

    if (!child)
        return ctl_fail_memory(ls->paths.ctl);
    if (attributes && ros2_stat(ls->paths.ctl->client, child, st) < 0)
        code = ctl_fail_ros2(ls->paths.ctl);
    else
        code = print_entry(ls, child, name, st);
    free(child);
    return code;
}

static int list_below(struct ls *ls, const char *path, const struct ctl_names *names,
                      const struct stat *stats, const struct level *level)
{
    int result = CTL_OK;

    for (size_t i = 0; i < names->count; i++) {
        if (!S_ISDIR(stats[i].st_mode))
            continue;
        char *child = ctl_path_join(path, names->name[i]);
        int code = child ? list_directory(ls, child, &stats[i], true, level)
                         : ctl_fail_memory(ls->paths.ctl);
        free(child);
        if (code != CTL_OK)
            result = code;
    }
    return result;
}

static int list_names(struct ls *ls, const char *path, const struct ctl_names *names,
                      const struct level *level)
{
    struct stat *stats = calloc(names->count + 1, sizeof(*stats));
    int result = CTL_OK;

    if (!stats)
        return ctl_fail_memory(ls->paths.ctl);
    for (size_t i = 0; i < names->count; i++) {
        if (list_entry(ls, path, names->name[i], &stats[i]) != CTL_OK)
            result = CTL_FAILURE;
    }
    if (ls->recursive && list_below(ls, path, names, stats, level) != CTL_OK)
        result = CTL_FAILURE;
    free(stats);
    return result;
}

static int list_directory(struct ls *ls, const char *path, const struct stat *st, bool heading,
                          const struct level *up)
{
    const struct level level = {.up = up, .dev = st->st_dev, .ino = st->st_ino};
    struct ctl_names names;

    for (; up; up = up->up) {
        if (up->dev == level.dev && up->ino == level.ino)
            return ctl_error(ls->paths.ctl, "%s: contains itself, through a symbolic link", path);
    }
    if (heading)
        print_heading(ls, path);
    int code = ctl_remote_list(ls->paths.ctl, path, &names);
    if (code == CTL_OK)
        code = list_names(ls, path, &names, &level);
    ctl_names_free(&names);
    return code;
}

static int list_argument(struct ls *ls, const char *path)
{
    struct stat st;

    if (ros2_stat(ls->paths.ctl->client, path, &st) < 0)
        return ctl_fail_ros2(ls->paths.ctl);
    if (S_ISDIR(st.st_mode))
        return list_directory(ls, path, &st, ls->recursive || ls->paths.count > 1, NULL);
    return print_entry(ls, path, path, &st);
}

int ctl_ls(struct ctl *ctl, int argc, char **argv)
{
    struct ls ls = {.paths = {.ctl = ctl}};
    const struct argp argp = {options,
                              parse,
                              "[PATH...]",
                              "Lists directories; / when none is given.",
                              CTL_GLOBAL_CHILDREN,
                              0,
                              0};
    char root[] = "/";
    char *root_path[] = {root};

    argp_parse(&argp, argc, argv, 0, NULL, &ls);
    if (ls.paths.count == 0) {
        ls.paths.path = root_path;
        ls.paths.count = 1;
    }
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    for (size_t i = 0; i < ls.paths.count; i++) {
        if (list_argument(&ls, ls.paths.path[i]) != CTL_OK)
            result = CTL_FAILURE;
    }
    if (ctl->json)
        ctl_json_array_end(ls.printed);
    return result;
}
