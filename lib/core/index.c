/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that processes share. Any thread. Who makes one holds its lock file locked, which the kernel lets go of when the
 * process dies, and writes a new file that takes the place of the old one when it is whole: whoever finds a file finds a whole
 * one, and a half one is overwritten by the next who makes it. */
#include "config.h"

#include "ros2/index.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/core/client.h"
#include "lib/core/index_file.h"
#include "lib/core/path.h"
#include "ros2/namespace.h"

#define MAX_AGE_NS (3600 * ROS2I_NS_PER_S)
/* Between two looks at whether another process is done. */
#define LOOK_NS   (5 * ROS2I_NS_PER_MS)
#define NAME_LEN  32 /* hexadecimal digits of the path's hash */
#define PLACE_MAX 3800

struct ros2_index {
    struct ros2i_index_image image;
};

struct making {
    struct ros2_client *client;
    struct ros2i_path path;
    struct ros2i_index_root root;
    uint64_t max_age_ns;
    uint64_t deadline_ns; /* of waiting for another process */
    int dir_fd;
    char name[NAME_LEN + 8];
};

/* -- where -- */

static int default_dir(char *dir, size_t size)
{
    const char *run = secure_getenv("XDG_RUNTIME_DIR");
    int len = run && *run == '/' ? snprintf(dir, size, "%s/ros2", run)
                                 : snprintf(dir, size, "/dev/shm/ros2-%u", (unsigned)geteuid());
    return len > 0 && (size_t)len < size ? 0
                                         : ros2i_fail(ENAMETOOLONG, "XDG_RUNTIME_DIR is too long");
}

/* Others must not be able to put files there: their content is believed. */
static int open_dir(const char *wanted, int *fd_p)
{
    char dir[PLACE_MAX];
    struct stat st;
    int rc = wanted ? 0 : default_dir(dir, sizeof(dir));
    if (rc < 0)
        return rc;
    if (!wanted) {
        (void)mkdir(dir, 0700);
        wanted = dir;
    }
    int fd = open(wanted, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return ros2i_fail(errno, "directory for indexes %s: %s", wanted, ros2i_strerror(errno));
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
        close(fd);
        return ros2i_fail(EACCES,
                          "directory for indexes %s: it must belong to this user, and only this "
                          "user may write to it; name another one in options.dir",
                          wanted);
    }
    *fd_p = fd;
    return 0;
}

/* One for each tenant's directory; whether it is the same daemon's is told by the directory's inode and times. */
static int name_of(const struct ros2_client *client, const char *path, char *name)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char text[sizeof(client->session.tenant) + ROS2I_CHANNEL_ADDRESS_MAX + ROS2I_PATH_MAX + 3];
    int len =
        snprintf(text, sizeof(text), "%s\n%s\n%s", client->session.tenant, client->host[0], path);
    if (len < 0 || !EVP_Digest(text, (size_t)len, hash, NULL, EVP_sha256(), NULL))
        return ros2i_fail(EIO, "SHA-256 is not to be had");
    for (int i = 0; i < NAME_LEN / 2; i++)
        snprintf(name + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

/* -- reading -- */

static int64_t real_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * ROS2I_NS_PER_S + now.tv_nsec;
}

static bool is_fresh(const struct making *making, const struct ros2i_index_image *image)
{
    int64_t age_ns = real_ns() - image->header->made_ns;
    return memcmp(&image->header->root, &making->root, sizeof(making->root)) == 0 && age_ns >= 0 &&
           (uint64_t)age_ns <= making->max_age_ns;
}

/* 0; -ENOENT: there is none that is whole and fresh. */
static int map_existing(const struct making *making, struct ros2i_index_image *image_p)
{
    struct stat st;
    int fd = openat(making->dir_fd, making->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP
                   ? -ENOENT
                   : ros2i_fail(errno, "index %s: %s", making->name, ros2i_strerror(errno));
    bool own =
        fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
    int rc = own ? ros2i_index_map(fd, image_p) : -EILSEQ;
    close(fd);
    if (rc == 0 && !is_fresh(making, image_p)) {
        ros2i_index_unmap(image_p);
        rc = -ENOENT;
    }
    return rc == -EILSEQ ? -ENOENT : rc;
}

/* -- making -- */

struct gathering {
    struct ros2i_index_builder builder;
    int error;
};

static int add_file(void *arg, const char *path, const struct stat *st)
{
    struct gathering *gathering = arg;
    if (!S_ISREG(st->st_mode))
        return 0;
    gathering->error =
        ros2i_index_add(&gathering->builder, path, (uint64_t)st->st_size,
                        (int64_t)st->st_mtim.tv_sec * ROS2I_NS_PER_S + st->st_mtim.tv_nsec);
    return gathering->error < 0;
}

static int write_file(const struct making *making, struct ros2i_index_builder *builder)
{
    char half[sizeof(making->name) + 8];
    snprintf(half, sizeof(half), "%s.half", making->name);
    int fd =
        openat(making->dir_fd, half, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return ros2i_fail(errno, "index %s: %s", half, ros2i_strerror(errno));
    int rc = ros2i_index_write(builder, &making->root, real_ns(), fd);
    if (close(fd) < 0 && rc == 0)
        rc = ros2i_fail(errno, "index %s: %s", half, ros2i_strerror(errno));
    if (rc == 0 && renameat(making->dir_fd, half, making->dir_fd, making->name) < 0)
        rc = ros2i_fail(errno, "index %s: rename: %s", half, ros2i_strerror(errno));
    if (rc < 0)
        unlinkat(making->dir_fd, half, 0);
    return rc;
}

static int make(const struct making *making, struct ros2i_index_image *image_p)
{
    struct gathering gathering = {.error = 0};
    int64_t count = ros2_list_with_attributes(making->client, making->path.text,
                                              ROS2_LIST_RECURSIVE, add_file, &gathering);
    int rc = count < 0 ? (int)count : gathering.error;
    if (rc == 0)
        rc = write_file(making, &gathering.builder);
    ros2i_index_builder_fini(&gathering.builder);
    if (rc < 0)
        return rc;
    rc = map_existing(making, image_p);
    return rc == -ENOENT
               ? ros2i_fail(EIO, "index %s: it is damaged right after it was written", making->name)
               : rc;
}

/* The lock, with its descriptor; the kernel drops it with the last descriptor of a process that ends. */
static int lock(const struct making *making, int *fd_p)
{
    const struct timespec pause = {0, LOOK_NS};
    char name[sizeof(making->name) + 8];
    snprintf(name, sizeof(name), "%s.lock", making->name);
    int fd = openat(making->dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return ros2i_fail(errno, "index %s: %s", name, ros2i_strerror(errno));
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            int err = errno;
            close(fd);
            return ros2i_fail(err, "index %s: flock: %s", name, ros2i_strerror(err));
        }
        if (ros2i_now_ns() >= making->deadline_ns) {
            close(fd);
            return ros2i_fail(ETIMEDOUT, "index %s: another process is still making it", name);
        }
        nanosleep(&pause, NULL);
    }
    *fd_p = fd;
    return 0;
}

static int make_locked(const struct making *making, bool refresh, struct ros2i_index_image *image_p)
{
    int fd = -1, rc = lock(making, &fd);
    if (rc < 0)
        return rc;
    /* Another one may have made it while this one waited. */
    rc = refresh ? -ENOENT : map_existing(making, image_p);
    if (rc == -ENOENT)
        rc = make(making, image_p);
    /* Not only closed: a child that was forked meanwhile has the descriptor too. */
    (void)flock(fd, LOCK_UN);
    close(fd);
    return rc;
}

/* -- the interface -- */

static int check(const struct ros2_index_options *options)
{
    if (!options)
        return 0;
    if (options->size < sizeof(*options))
        return ros2i_fail(EINVAL, "options.size is %zu, not sizeof(struct ros2_index_options)",
                          options->size);
    if (options->flags & ~ROS2_INDEX_REFRESH)
        return ros2i_fail(EINVAL, "options.flags 0x%x are unknown", options->flags);
    return 0;
}

static int look_at_root(struct making *making)
{
    struct stat st;
    int rc = ros2_stat(making->client, making->path.text, &st);
    if (rc == 0 && !S_ISDIR(st.st_mode))
        rc = ros2i_fail(ENOTDIR, "it is not a directory");
    if (rc < 0)
        return rc;
    making->root = (struct ros2i_index_root){
        .dev = st.st_dev,
        .ino = st.st_ino,
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * ROS2I_NS_PER_S + st.st_mtim.tv_nsec,
        .ctime_ns = (int64_t)st.st_ctim.tv_sec * ROS2I_NS_PER_S + st.st_ctim.tv_nsec,
    };
    return 0;
}

static int open_index(struct making *making, const struct ros2_index_options *options,
                      struct ros2i_index_image *image_p)
{
    bool refresh = options && (options->flags & ROS2_INDEX_REFRESH);
    int rc = name_of(making->client, making->path.text, making->name);
    if (rc == 0)
        rc = look_at_root(making);
    if (rc == 0)
        rc = open_dir(options ? options->dir : NULL, &making->dir_fd);
    if (rc < 0)
        return rc;
    rc = refresh ? -ENOENT : map_existing(making, image_p);
    if (rc == -ENOENT)
        rc = make_locked(making, refresh, image_p);
    close(making->dir_fd);
    return rc;
}

int ros2_index_open(struct ros2_client *client, const char *path,
                    const struct ros2_index_options *options, struct ros2_index **index_p)
{
    struct making making = {.client = client, .deadline_ns = ros2i_client_deadline(client)};
    making.max_age_ns = options && options->max_age_ns ? options->max_age_ns : MAX_AGE_NS;
    struct ros2_index *index = malloc(sizeof(*index));
    int rc = index ? check(options) : ros2i_fail(ENOMEM, "out of memory");
    if (rc == 0)
        rc = ros2i_path_resolve(path, &making.path);
    if (rc == 0)
        rc = open_index(&making, options, &index->image);
    if (rc < 0) {
        free(index);
        return ros2i_fail_prefix(rc, "index of %s", path ? path : "(null)");
    }
    *index_p = index;
    return 0;
}

uint64_t ros2_index_count(const struct ros2_index *index)
{
    return index->image.header->count;
}

static const char *path_of(const struct ros2_index *index, uint64_t number)
{
    return index->image.names + index->image.record[number].at;
}

int ros2_index_get(const struct ros2_index *index, uint64_t number,
                   struct ros2_index_entry *entry_p)
{
    if (number >= ros2_index_count(index))
        return ros2i_fail(ERANGE, "index: file %llu of %llu", (unsigned long long)number,
                          (unsigned long long)ros2_index_count(index));
    const struct ros2i_index_record *record = &index->image.record[number];
    *entry_p = (struct ros2_index_entry){
        .path = path_of(index, number), .size = record->size, .mtime_ns = record->mtime_ns};
    return 0;
}

int64_t ros2_index_find(const struct ros2_index *index, const char *path)
{
    uint64_t low = 0, high = ros2_index_count(index);
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int order = strcmp(path_of(index, middle), path);
        if (order == 0)
            return (int64_t)middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return ros2i_fail(ENOENT, "index: it has no file %s", path);
}

void ros2_index_close(struct ros2_index *index)
{
    if (!index)
        return;
    ros2i_index_unmap(&index->image);
    free(index);
}
