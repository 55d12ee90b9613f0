/* SPDX-License-Identifier: Apache-2.0 */
/* Reading directories page by page: memory is bounded by a page, however long the directory is. One thread at a time for
 * each ros2_dir. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/core/client.h"
#include "lib/core/path.h"
#include "ros2/namespace.h"

#define PAGE_NAMES 512
#define PAGE_BYTES (PAGE_NAMES * 64)

struct name {
    uint64_t cookie;
    uint32_t at; /* of the name in bytes[] */
};

struct ros2_dir {
    struct ros2_client *client;
    struct ros2i_path path;
    struct name name[PAGE_NAMES];
    char bytes[PAGE_BYTES + ROS2I_NAME_MAX + 1]; /* names with NUL; always room for one more */
    uint32_t count, next;                        /* names in the page, and the one to give next */
    uint32_t used;                               /* bytes of bytes[] */
    uint64_t cookie; /* of the last name in the page: the next page is behind it */
    bool end;        /* the page is the last */
    bool bad;        /* the daemon sent a name that cannot be one */
};

static int add_name(void *arg, const char *name, size_t len, const struct ros2_attr *attr,
                    uint64_t cookie)
{
    struct ros2_dir *dir = arg;
    (void)attr;
    if (len == 0 || len > ROS2I_NAME_MAX || memchr(name, '\0', len) || memchr(name, '/', len)) {
        dir->bad = true;
        return 1;
    }
    dir->name[dir->count++] = (struct name){.cookie = cookie, .at = dir->used};
    memcpy(dir->bytes + dir->used, name, len);
    dir->bytes[dir->used + len] = '\0';
    dir->used += (uint32_t)len + 1;
    dir->cookie = cookie;
    return dir->count == PAGE_NAMES || dir->used >= PAGE_BYTES;
}

static int load_page(struct ros2_dir *dir)
{
    uint64_t deadline_ns = ros2i_client_deadline(dir->client);
    int rc = ros2i_client_enter(dir->client, deadline_ns);
    if (rc < 0)
        return rc;
    dir->count = dir->next = dir->used = 0;
    bool end = false;
    rc = ros2i_control_list(dir->client->control, dir->path.text, dir->cookie, false, add_name, dir,
                            deadline_ns, &end);
    if (rc < 0)
        return ros2i_client_error(rc);
    if (dir->bad)
        return ros2i_fail(EPROTO, "the daemon sent a name that is none");
    dir->end = end;
    return 0;
}

int ros2_opendir(struct ros2_client *client, const char *path, struct ros2_dir **dir_p)
{
    struct ros2_dir *dir = calloc(1, sizeof(*dir));
    int rc = dir ? ros2i_path_resolve(path, &dir->path) : ros2i_fail(ENOMEM, "out of memory");
    if (rc == 0) {
        dir->client = client;
        rc = load_page(dir);
    }
    if (rc < 0) {
        free(dir);
        return ros2i_fail_prefix(rc, "opendir %s", path ? path : "(null)");
    }
    *dir_p = dir;
    return 0;
}

int ros2_readdir(struct ros2_dir *dir, struct ros2_dirent *entry)
{
    while (dir->next == dir->count) {
        if (dir->end)
            return 0;
        int rc = load_page(dir);
        if (rc < 0)
            return ros2i_fail_prefix(rc, "readdir %s", dir->path.text);
    }
    const struct name *name = &dir->name[dir->next++];
    entry->name = dir->bytes + name->at;
    entry->cookie = name->cookie;
    return 1;
}

void ros2_closedir(struct ros2_dir *dir)
{
    free(dir);
}
