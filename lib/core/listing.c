/* SPDX-License-Identifier: Apache-2.0 */
/* Listings with attributes. Any thread. Directories that were found and not yet listed wait in a stack; only their paths are
 * kept, so memory grows with the directories and not with the files. */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/core/client.h"
#include "lib/core/file.h"
#include "lib/core/path.h"
#include "ros2/index.h"

struct directory {
    struct directory *below;
    char path[]; /* from the listed one on; "" is itself */
};

struct listing {
    struct ros2_client *client;
    const char *root;
    unsigned flags;
    ros2_list_fn *fn;
    void *arg;
    struct directory *stack;
    const struct directory *current;
    int64_t given;
    int error;
    bool stopped;
};

static int push(struct listing *listing, const char *path)
{
    size_t size = strlen(path) + 1;
    struct directory *directory = malloc(sizeof(*directory) + size);
    if (!directory)
        return ros2i_fail(ENOMEM, "out of memory");
    memcpy(directory->path, path, size);
    directory->below = listing->stack;
    listing->stack = directory;
    return 0;
}

static void pop_all(struct listing *listing)
{
    struct directory *below;
    for (; listing->stack; listing->stack = below) {
        below = listing->stack->below;
        free(listing->stack);
    }
}

/* One entry: to the caller, and onto the stack when it is a directory to go into. */
static int give(void *arg, const char *name, size_t len, const struct ros2_attr *attr,
                uint64_t cookie)
{
    struct listing *listing = arg;
    char path[ROS2I_PATH_MAX];
    struct stat st;
    const char *in = listing->current->path;
    (void)len;
    (void)cookie;
    if (!attr)
        return 0; /* it went while the daemon read the directory */
    int used = snprintf(path, sizeof(path), "%s%s%s", in, *in ? "/" : "", name);
    if ((size_t)used + strlen(listing->root) + 1 >= sizeof(path)) {
        listing->error = ros2i_fail(ELOOP, "%s: directories nested too deeply", in);
        return 1;
    }
    ros2i_stat_from_attr(attr, &st);
    listing->given++;
    listing->stopped = listing->fn(listing->arg, path, &st) != 0;
    if (!listing->stopped && (listing->flags & ROS2_LIST_RECURSIVE) && S_ISDIR(st.st_mode))
        listing->error = push(listing, path);
    return listing->stopped || listing->error < 0;
}

static int list_directory(struct listing *listing, const struct directory *directory)
{
    char path[2 * ROS2I_PATH_MAX]; /* give() has kept both below one */
    uint64_t deadline_ns = ros2i_client_deadline(listing->client);
    bool end;
    int rc = ros2i_client_enter(listing->client, deadline_ns);
    if (rc < 0)
        return rc;
    bool at_root = strcmp(listing->root, "/") == 0;
    snprintf(path, sizeof(path), "%s%s%s", at_root && *directory->path ? "" : listing->root,
             *directory->path ? "/" : "", directory->path);
    listing->current = directory;
    rc = ros2i_client_error(ros2i_control_list(listing->client->control, path, 0, true, give,
                                               listing, deadline_ns, &end));
    bool is_gone = rc == -ENOENT || rc == -ENOTDIR;
    return is_gone && *directory->path ? 0 : rc;
}

static int list_all(struct listing *listing)
{
    int rc = push(listing, "");
    while (rc == 0 && listing->stack && !listing->stopped) {
        struct directory *directory = listing->stack;
        listing->stack = directory->below;
        rc = list_directory(listing, directory);
        free(directory);
        if (rc == 0)
            rc = listing->error;
    }
    return rc;
}

int64_t ros2_list_with_attributes(struct ros2_client *client, const char *path, unsigned flags,
                                  ros2_list_fn *fn, void *arg)
{
    struct ros2i_path root;
    struct listing listing = {
        .client = client, .root = root.text, .flags = flags, .fn = fn, .arg = arg};
    int rc = ros2i_path_resolve(path, &root);
    if (rc == 0 && (!fn || (flags & ~ROS2_LIST_RECURSIVE)))
        rc = ros2i_fail(EINVAL, fn ? "flags 0x%x are unknown" : "no function is given", flags);
    if (rc == 0)
        rc = list_all(&listing);
    pop_all(&listing);
    return rc < 0 ? ros2i_fail_prefix(rc, "list %s", path ? path : "(null)") : listing.given;
}
