/* SPDX-License-Identifier: Apache-2.0 */
/** The engine interface: where the bytes live (posix, dfs, cephfs), and layers stacked over one.
 *
 * An engine knows no network, sessions or tenants. A plugin exports one symbol, ros2_engine_plugin.
 *
 * Threads: namespace calls (root_*, open .. statfs) may block and run on any control thread, many at once. read, write
 * and fsync are asynchronous: they belong to an I/O context, which one data thread owns. A node may be used from several
 * contexts at once.
 *
 * Paths are relative to the root, separated by '/', without leading '/'; "" is the root itself. They are untrusted:
 * the engine confines them ("..", symlinks that lead out: -EXDEV or -ENOENT, never an escape). Names are bytes without
 * '/' and NUL, 1..255; longer: -ENAMETOOLONG. */
#ifndef ROS2_ENGINE_H
#define ROS2_ENGINE_H

#include "ros2/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ROS2_ENGINE_ABI    1
#define ROS2_ENGINE_SYMBOL "ros2_engine_plugin"

enum ros2_engine_flag {
    ROS2_ENGINE_HARD_LINKS = 1 << 0,
    ROS2_ENGINE_SYMLINKS = 1 << 1,
    ROS2_ENGINE_ATOMIC_APPEND = 1 << 2, /* write with ROS2_IO_APPEND picks the offset itself */
    ROS2_ENGINE_LAYER = 1 << 3,         /* needs options.lower */
};

struct ros2_engine;     /* one per daemon and configured engine */
struct ros2_root;       /* one per tenant */
struct ros2_node;       /* an open file or directory */
struct ros2_io_context; /* one per data thread and engine */

enum ros2_open_flag { /* the wire's values too: never renumber */
                      ROS2_OPEN_READ = 1 << 0,
                      ROS2_OPEN_WRITE = 1 << 1,
                      ROS2_OPEN_CREATE = 1 << 2,
                      ROS2_OPEN_EXCLUSIVE = 1 << 3,
                      ROS2_OPEN_TRUNCATE = 1 << 4,
                      ROS2_OPEN_APPEND = 1 << 5,
                      ROS2_OPEN_DIRECTORY = 1 << 6, /* -ENOTDIR unless a directory */
                      ROS2_OPEN_NOFOLLOW = 1 << 7, /* -ELOOP when the last component is a symlink */
};

/** Attributes. mode: POSIX type and permission bits (S_IFREG 0100000, S_IFDIR 0040000, S_IFLNK 0120000). */
struct ros2_attr {
    uint64_t ino, dev;
    uint64_t size, blocks512;
    uint32_t mode, nlink, uid, gid, blksize;
    int64_t atime_ns, mtime_ns, ctime_ns, btime_ns; /* since 1970-01-01 UTC; btime 0: unknown */
};

enum ros2_io_flag {
    ROS2_IO_APPEND =
        1
        << 0, /* write: at the end of file, atomically against other appends; op->offset tells where */
    ROS2_IO_DATASYNC = 1 << 1, /* fsync: data and size only */
};

/** An asynchronous read, write or fsync. Embedded in the caller's struct. The plugin's words are the engine's own while
 * the op is in flight. done runs exactly once, from poll() of the owning context, and only when the call returned 0. */
struct ros2_io {
    void (*done)(struct ros2_io *io);
    int64_t result;  /* bytes, 0 (fsync, read at end of file), or -errno */
    uint64_t offset; /* append: where the data went */
    uint64_t plugin[12];
};

struct ros2_engine_options {
    size_t size;
    const struct ros2_host *host; /* borrowed for the engine's life */
    const char *config;           /* "key=value,key=value", engine's own; NULL: defaults */
    const struct ros2_engine_ops *lower_ops; /* layers: the engine below, borrowed */
    struct ros2_engine *lower;
};

/* One directory entry. Return 0 to go on, 1 to stop. cookie: pass it to readdir to go on behind this entry. */
typedef int ros2_readdir_fn(void *arg, const char *name, size_t name_len,
                            const struct ros2_attr *attr, uint64_t cookie);

struct ros2_engine_ops {
    uint32_t abi;
    uint32_t flags;
    size_t size;
    const char *name;

    int (*engine_open)(const struct ros2_engine_options *options, struct ros2_engine **engine_p);
    void (*engine_close)(struct ros2_engine *engine); /* roots and contexts are closed before */
    /* location: a directory for posix. -ENOENT, -ENOTDIR, -EACCES. */
    int (*root_open)(struct ros2_engine *engine, const char *location, struct ros2_root **root_p);
    void (*root_close)(struct ros2_root *root);
    /* Durability epoch: changes when writes that were acknowledged but not synced may have been lost. */
    int (*durability_epoch)(struct ros2_root *root, uint64_t *epoch_p);

    /* -- namespace: blocking, any thread; 0 or -errno as Linux gives it -- */
    /* mode: permission bits for CREATE. attr_p (may be NULL) gets the attributes after open. */
    int (*open)(struct ros2_root *root, const char *path, unsigned open_flags, uint32_t mode,
                struct ros2_node **node_p, struct ros2_attr *attr_p);
    void (*close)(struct ros2_node *node);
    int (*getattr)(struct ros2_node *node, struct ros2_attr *attr_p);
    /* follow 0: of a symlink itself. */
    int (*stat)(struct ros2_root *root, const char *path, int follow, struct ros2_attr *attr_p);
    /* Entries behind cookie (0: from the start), without "." and "..". attr is NULL unless with_attr. A name that was
     * there throughout is given once. */
    int (*readdir)(struct ros2_node *directory, uint64_t cookie, int with_attr, ros2_readdir_fn *fn,
                   void *arg);
    int (*mkdir)(struct ros2_root *root, const char *path, uint32_t mode);
    int (*unlink)(struct ros2_root *root, const char *path);
    int (*rmdir)(struct ros2_root *root, const char *path);
    int (*rename)(struct ros2_root *root, const char *from, const char *to);
    int (*truncate)(struct ros2_node *node, uint64_t size);

    /* -- data: the context's owner only; never block for a device -- */
    int (*context_open)(struct ros2_engine *engine, unsigned depth,
                        struct ros2_io_context **context_p);
    /* Only when nothing is in flight. */
    void (*context_close)(struct ros2_io_context *context);
    /* 1: done at once, io->result is set and done() does not run. 0: done() will run. -EAGAIN: depth is used up, poll
     * first. Other errors are in io->result, with 1. buf is borrowed until then. len 0..2^30. A short read only at end
     * of file; a write is whole or an error (a partial one, e.g. -ENOSPC, reports the error). */
    int (*read)(struct ros2_io_context *context, struct ros2_node *node, void *buf, size_t len,
                uint64_t offset, struct ros2_io *io);
    int (*write)(struct ros2_io_context *context, struct ros2_node *node, const void *buf,
                 size_t len, uint64_t offset, unsigned io_flags, struct ros2_io *io);
    int (*fsync)(struct ros2_io_context *context, struct ros2_node *node, unsigned io_flags,
                 struct ros2_io *io);
    /* Hands queued operations to the kernel (one system call for all), runs done() of those that ended. Returns how
     * many ended. */
    int (*poll)(struct ros2_io_context *context);
    /* Readable when poll() has completions, or has to try again what the system refused for a moment. */
    int (*context_fd)(struct ros2_io_context *context);
};

typedef const struct ros2_engine_ops *ros2_engine_plugin_fn(void);

#ifdef __cplusplus
}
#endif
#endif
