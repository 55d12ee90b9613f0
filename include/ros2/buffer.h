/* SPDX-License-Identifier: Apache-2.0 */
/** Buffers: memory that data can go into and out of without a copy in the library.
 *
 * Reads and writes take any memory. On tcp the kernel copies between the socket and that memory whatever it is. On shm the
 * daemon works in the application's memory itself, which needs memory from ros2_buf_alloc(): for other memory the library
 * has the daemon work in memory of its own (4 MiB for each thread or queue that does so) and copies once.
 *
 * The fast path on shm is a page-aligned piece of a ros2_buf, whole pages long (4096 bytes). What lies in front of the
 * first whole page or behind the last goes by copy.
 *
 * There is no cache of registrations, and munmap() or free() are not watched: a registration lives from the call that
 * makes it to the call that ends it. A cache that guesses when memory has gone hands a stranger's pages to the network when
 * it guesses wrong. */
#ifndef ROS2_BUFFER_H
#define ROS2_BUFFER_H

#include <stddef.h>

#include <ros2/client.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ros2_buf;

#define ROS2_BUF_HUGE \
    1u /* huge pages, where the system has transparent ones for shared memory; else small ones */
#define ROS2_BUF_NUMA 2u /* pages of numa_node, as long as it has some */

/** Zero it, set size, then what is needed: zero means the default, so the struct can grow. */
struct ros2_buf_options {
    size_t size;        /* sizeof(struct ros2_buf_options) */
    unsigned flags;     /* ROS2_BUF_* */
    unsigned numa_node; /* with ROS2_BUF_NUMA: 0..1023. A hint */
};

/* Kinds of memory that can be registered. */
#define ROS2_BUF_HOST 0u /* the CPU's */
#define ROS2_BUF_CUDA 1u /* a CUDA device's; no transport of this release takes it */

/* Rights on registered memory. */
#define ROS2_BUF_SOURCE 1u /* writes may send from it */
#define ROS2_BUF_TARGET 2u /* reads may fill it */

/** Allocates a buffer: zeroed, aligned to pages (with ROS2_BUF_HUGE and 2 MiB or more: to 2 MiB), taken from the system at
 * once. It is not inherited over fork(): the child must not touch it, and may only free the handle.
 * client   borrowed until the buffer is freed.    len  bytes, 1..SSIZE_MAX; rounded up to whole pages.
 * options  borrowed until return; NULL: defaults.    buf_p  set on success; end with ros2_buf_free().
 * Where the client's transport has keys of its own (RDMA) it is registered, too, as by ros2_buf_register(); if that fails, the log
 * says so, and what is done with the buffer costs a copy.
 * Threads: any. Blocks: as long as the system takes to find the pages, and on such a transport up to the client's timeout_ns.
 * Returns 0 or -EINVAL (len, flags, node), -ENOMEM, -EMFILE or -ENFILE (each buffer is a file: a descriptor). */
int ros2_buf_alloc(struct ros2_client *client, size_t len, const struct ros2_buf_options *options,
                   struct ros2_buf **buf_p);

/** Frees a buffer. Waits first for what is in flight on its memory; what has not ended by the client's timeout_ns is ended
 * with -ECANCELED, and its connection is broken so that nothing touches the memory afterwards.
 * buf  from ros2_buf_alloc(); may be NULL; freed on success. Nothing may begin an operation on it any more.
 * Threads: any, but not while another thread frees it. Blocks: up to timeout_ns.
 * Returns 0 or -EINVAL (it is registered memory: ros2_buf_unregister() it). */
int ros2_buf_free(struct ros2_buf *buf);

/** Registers the caller's own memory, for as long as it is to be used again and again.
 * addr    the caller's until ros2_buf_unregister(); must stay mapped until then.    len  bytes, at least 1.
 * rights  ROS2_BUF_SOURCE, ROS2_BUF_TARGET or both.    kind  ROS2_BUF_HOST or ROS2_BUF_CUDA.
 * buf_p   set on success; end with ros2_buf_unregister().
 * The daemon is told of it, once for each thread and queue that the client has or will have, and may put to it or get from it
 * (as the rights say) until it is unregistered: it is trusted not to do so unasked. What is not registered is exposed to the
 * daemon for the time of each operation, and with that operation's right only; on tcp that costs hardly more, so register what a
 * transport with keys of its own (RDMA) is to reach. A thread or queue that the daemon takes no more registrations for works
 * without, on tcp. Where two registrations overlap, operations on what both hold may be named by neither. A forked child does not
 * inherit it: there it is ordinary memory, and only the handle is to be freed.
 * Threads: any. Blocks: up to the client's timeout_ns.
 * Returns 0 or -EINVAL (NULL, length, rights, kind), -ENOTSUP (the client's transport cannot take this memory: shm needs
 * ros2_buf_alloc(), and no transport takes ROS2_BUF_CUDA; operations on the memory work all the same where it is the CPU's),
 * -EDQUOT (the tenant's limits.regions or limits.registered_bytes at the daemon), -ENOMEM, -EMFILE (too many regions here), or
 * what a call to the daemon can say: -ETIMEDOUT, -ESTALE. */
int ros2_buf_register(struct ros2_client *client, void *addr, size_t len, unsigned rights,
                      unsigned kind, struct ros2_buf **buf_p);

/** Ends a registration. Waits for what is in flight on the memory, or breaks it, as ros2_buf_free() does: when this returns
 * 0, nothing reads or writes the memory any more, whatever the daemon does. An operation that begins on it during the call may
 * be broken, too. The daemon is told; one that does not answer counts the registration until it is told with the next one, or
 * the session's end.
 * buf  from ros2_buf_register(); may be NULL; freed on success.
 * Threads: any, but not while another thread ends it. Blocks: up to the client's timeout_ns for what is in flight, then
 * up to 4 s for a daemon that does not answer, or whose engine still works on what timed out.
 * Returns 0 or -EINVAL (it was allocated: ros2_buf_free() it). */
int ros2_buf_unregister(struct ros2_buf *buf);

/** The memory's address, valid until it is freed or unregistered. Threads: any. Does not block, cannot fail. */
void *ros2_buf_addr(const struct ros2_buf *buf);
/** Its length in bytes, as it was asked for. Threads: any. Does not block, cannot fail. */
size_t ros2_buf_len(const struct ros2_buf *buf);

#ifdef __cplusplus
}
#endif
#endif
