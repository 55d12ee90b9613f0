/* SPDX-License-Identifier: Apache-2.0 */
/* The store's directories. Names come from the daemon: one that is no single component never becomes part of a path,
 * or a hostile daemon could make get write outside its destination. */
#include "config.h"

#include "tools/ros2ctl/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/path.h"

void ctl_names_free(struct ctl_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    memset(names, 0, sizeof(*names));
}

static int add_name(struct ctl_names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 64;
        char **grown = realloc(names->name, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        names->name = grown;
        names->capacity = capacity;
    }
    names->name[names->count] = strdup(name);
    if (!names->name[names->count])
        return -ENOMEM;
    names->count++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(const struct ctl *ctl, const char *path, struct ros2_dir *dir,
                      struct ctl_names *names)
{
    struct ros2_dirent entry;
    int rc;

    while ((rc = ros2_readdir(dir, &entry)) > 0) {
        if (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0)
            continue;
        if (!ctl_path_is_name(entry.name))
            return ctl_error(ctl, "list %s: the daemon sent '%s', which is no file name", path,
                             entry.name);
        if (add_name(names, entry.name) < 0)
            return ctl_fail_memory(ctl);
    }
    return rc < 0 ? ctl_fail_ros2(ctl) : CTL_OK;
}

int ctl_remote_list(const struct ctl *ctl, const char *path, struct ctl_names *names)
{
    struct ros2_dir *dir;

    memset(names, 0, sizeof(*names));
    if (ros2_opendir(ctl->client, path, &dir) < 0)
        return ctl_fail_ros2(ctl);
    int code = read_names(ctl, path, dir, names);
    ros2_closedir(dir);
    if (code != CTL_OK) {
        ctl_names_free(names);
        return code;
    }
    if (names->count > 1)
        qsort(names->name, names->count, sizeof(names->name[0]), compare_names);
    return CTL_OK;
}

/* One directory of the path from the root of the walk down to here. */
struct level {
    const struct level *up;
    dev_t dev;
    ino_t ino;
};

struct walk {
    const struct ctl *ctl;
    bool recursive;
    ctl_visit_fn *visit;
    void *arg;
};

static int walk_node(const struct walk *walk, const char *path, const char *rel,
                     const struct level *up);

static int walk_entries(const struct walk *walk, const char *path, const char *rel,
                        const struct level *level)
{
    struct ctl_names names;
    int result = ctl_remote_list(walk->ctl, path, &names);

    for (size_t i = 0; i < names.count; i++) {
        char *child = ctl_path_join(path, names.name[i]);
        char *child_rel =
            rel[0] == '\0' ? strdup(names.name[i]) : ctl_path_join(rel, names.name[i]);
        int code = child && child_rel ? walk_node(walk, child, child_rel, level)
                                      : ctl_fail_memory(walk->ctl);
        if (code != CTL_OK)
            result = code;
        free(child);
        free(child_rel);
    }
    ctl_names_free(&names);
    return result;
}

static int walk_node(const struct walk *walk, const char *path, const char *rel,
                     const struct level *up)
{
    struct stat st;

    if (ros2_stat(walk->ctl->client, path, &st) < 0)
        return ctl_fail_ros2(walk->ctl);
    struct level level = {.up = up, .dev = st.st_dev, .ino = st.st_ino};
    if (S_ISDIR(st.st_mode)) {
        for (; up; up = up->up) {
            if (up->dev == level.dev && up->ino == level.ino)
                return ctl_error(walk->ctl, "%s: contains itself, through a symbolic link", path);
        }
    }
    int code = walk->visit(walk->arg, path, rel, &st);
    if (code != CTL_OK || !S_ISDIR(st.st_mode) || !walk->recursive)
        return code;
    return walk_entries(walk, path, rel, &level);
}

int ctl_remote_walk(const struct ctl *ctl, const char *path, bool recursive, ctl_visit_fn *visit,
                    void *arg)
{
    const struct walk walk = {.ctl = ctl, .recursive = recursive, .visit = visit, .arg = arg};

    return walk_node(&walk, path, "", NULL);
}

char *ctl_target(const char *source, const char *dest, bool into)
{
    if (!into)
        return strdup(dest);
    char *name = ctl_path_basename(source);
    char *target = name ? ctl_path_join(dest, name) : NULL;
    free(name);
    return target;
}

struct target {
    char *path;
    size_t source; /* its index */
};

static int compare_targets(const void *a, const void *b)
{
    const struct target *x = a, *y = b;
    int order = strcmp(x->path, y->path);

    return order != 0 ? order : (x->source > y->source) - (x->source < y->source);
}

int ctl_check_targets(const struct ctl *ctl, char *const *sources, size_t count, const char *dest)
{
    struct target *target = calloc(count, sizeof(*target));
    size_t made = 0;
    int code = CTL_OK;

    for (; target && made < count; made++) {
        target[made] = (struct target){ctl_target(sources[made], dest, true), made};
        if (!target[made].path)
            break;
    }
    if (made < count)
        code = ctl_fail_memory(ctl);
    else if (count > 1)
        qsort(target, count, sizeof(*target), compare_targets);
    for (size_t i = 1; i < count && code == CTL_OK; i++) {
        if (strcmp(target[i - 1].path, target[i].path) == 0)
            code =
                ctl_error(ctl, "%s and %s: both would be %s; give one of them another name",
                          sources[target[i - 1].source], sources[target[i].source], target[i].path);
    }
    for (size_t i = 0; i < made; i++)
        free(target[i].path);
    free(target);
    return code;
}

int ctl_remote_is_directory(const struct ctl *ctl, const char *path)
{
    struct stat st;
    int rc = ros2_stat(ctl->client, path, &st);

    if (rc == -ENOENT)
        return 0;
    if (rc < 0) {
        ctl_fail_ros2(ctl);
        return -1;
    }
    return S_ISDIR(st.st_mode);
}
