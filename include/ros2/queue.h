/* SPDX-License-Identifier: Apache-2.0 */
/** Queues: many operations in flight from one thread.
 *
 * Prepare operations, submit them all at once, reap their completions in whatever order they end. ros2_queue_fd() gives a
 * descriptor for an event loop. A queue has a connection of its own and does what the synchronous calls do, by the same
 * path: deadlines, lost connections, durability and O_APPEND are as in file.h.
 *
 * Threads: a queue belongs to one thread, the first that prepares, submits, reaps or cancels on it; any thread may create
 * it. There is no lock: a call from a second thread is an error of the program, which a debug build of the library stops
 * with assert() and a release build does not notice. Queues of one client do not disturb one another; one per thread is
 * how to use several cores.
 *
 * Buffers, files and struct stat given to an operation belong to libros2 from prepare until its completion was reaped;
 * then nothing, neither daemon nor network card, touches them again, also after a deadline or a cancel. A file must not be
 * closed while operations on it are prepared or in flight.
 *
 * Order: operations in flight run in any order and at the same time. A read sees a write, and a fsync covers it, if the
 * write's completion was reaped before the other was submitted.
 *
 * After fork() a child must not use its parent's queues: every call on one fails with -EPERM there, but for
 * ros2_queue_destroy(), which frees what the child has of it. The parent's operations are not disturbed. The child can
 * create queues of its own on the client, and use them with the files that it inherited. */
#ifndef ROS2_QUEUE_H
#define ROS2_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <ros2/client.h>
#include <ros2/file.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ros2_queue;

#define ROS2_QUEUE_DEPTH_MAX 4096u
#define ROS2_QUEUE_IOV_MAX   1024
#define ROS2_FOREVER         UINT64_MAX

/** A thread of the library drives the queue: connection, deadlines and answers are seen to while the owner computes. Each
 * completion then costs a hand-over between two threads; without it everything happens in ros2_queue_submit() and
 * ros2_queue_reap(), and nothing between them. */
#define ROS2_QUEUE_PROGRESS_THREAD 1u

/** For ros2_prepare_fsync(): as fdatasync(), without attributes that are not needed to read the data. */
#define ROS2_FSYNC_DATASYNC 1u

/** Zero it, set size, then what is needed: zero means the default, so the struct can grow. */
struct ros2_queue_options {
    size_t size;    /* sizeof(struct ros2_queue_options) */
    unsigned flags; /* ROS2_QUEUE_* */
};

enum ros2_queue_kind {
    ROS2_QUEUE_READ = 1,
    ROS2_QUEUE_WRITE = 2,
    ROS2_QUEUE_READV = 3,
    ROS2_QUEUE_WRITEV = 4,
    ROS2_QUEUE_FSYNC = 5,
    ROS2_QUEUE_OPEN = 6,
    ROS2_QUEUE_STAT = 7,
    ROS2_QUEUE_CLOSE = 8
};

/** How an operation ended. queue_ns + network_ns + engine_ns is all the time from submit to its end. Of an operation that
 * took several requests (above the daemon's max_io, or of several buffers) they tell of the one answered last. */
struct ros2_completion {
    uint64_t user_data;     /* as given to prepare */
    int64_t result;         /* bytes, 0, or a negative errno */
    struct ros2_file *file; /* OPEN that worked: the file, end with ros2_close(); else NULL */
    const char
        *error; /* result < 0: what failed, on what, why, and the way out; else NULL. Valid until
                             * the next ros2_queue_reap() or ros2_queue_destroy() of this queue */
    uint64_t
        queue_ns; /* waiting: here for a credit or the thread that opens, and at the daemon for its turn */
    uint64_t network_ns; /* the rest: on the way, and waiting for the owner to reap */
    uint64_t engine_ns;  /* in the daemon's storage engine; OPEN, STAT, CLOSE: 0 */
    uint32_t kind;       /* enum ros2_queue_kind */
    uint32_t reserved;   /* 0 */
};

/** Makes a queue. Its memory is allocated here and not again, but for opens, stats and closes, and the first use of
 * vectors. The connection is made when first needed.
 * client   borrowed until ros2_queue_destroy(), which must come before ros2_disconnect().
 * depth    operations that may be prepared, in flight or not reaped at a time, 1..ROS2_QUEUE_DEPTH_MAX.
 * options  borrowed until return; NULL: defaults.    queue_p  set on success; end with ros2_queue_destroy().
 * Threads: any. Blocks: not; after fork() up to the client's timeout_ns, to tell the daemon of this process.
 * Returns 0 or -EINVAL (depth, options), -ENOMEM, -EMFILE (descriptors), -EAGAIN (threads), and after fork() the errors of
 * attaching (-ESTALE, -EACCES, -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT). */
int ros2_queue_create(struct ros2_client *client, unsigned depth,
                      const struct ros2_queue_options *options, struct ros2_queue **queue_p);

/** Ends a queue in any state. Operations that are left end, and no completion is delivered for them: after return nothing
 * touches their buffers; what a write or an open that was in flight has achieved is not known. Files that opens in flight
 * still open are closed; files of submitted closes are closed; prepared operations have no effect, and the file of a
 * prepared close stays open.
 * queue  may be NULL; freed, and its descriptor closed.
 * Threads: the owner, or any once the owner makes no more calls and nothing is in flight. Blocks: milliseconds at most. */
void ros2_queue_destroy(struct ros2_queue *queue);

/** Prepares a read: as ros2_pread(), short only at end of file.
 * queue       borrowed until return.    file  borrowed until the completion was reaped.
 * buf         len bytes; the library's until the completion was reaped.
 * len         0..SSIZE_MAX.    offset  0..INT64_MAX - len.    user_data  comes back in the completion; need not be unique.
 * timeout_ns  nanoseconds from submit until the operation ends, give or take a second; 0: the client's; at most a day.
 * Threads: owner. Does not block, and sends nothing: see ros2_queue_submit().
 * Returns 0, or, with nothing prepared: -EAGAIN (the depth is used up: submit what is prepared, reap what is done, and
 * prepare again), -EINVAL (range, timeout), -EBADF (not open for reading), -EISDIR, -EFAULT (buf is NULL), -EPERM (the
 * queue is a parent's). The completion's errors are those of ros2_pread(), and -ECANCELED, -ENOMEM, -EMFILE. */
int ros2_prepare_read(struct ros2_queue *queue, struct ros2_file *file, void *buf, size_t len,
                      uint64_t offset, uint64_t user_data, uint64_t timeout_ns);

/** Prepares a write: all of buf, or an error that says how much is written. To a file with O_APPEND it writes at the end.
 * buf  only read from; it must not change until the completion was reaped.
 * The rest is as for ros2_prepare_read(); completion errors as of ros2_pwrite(), and -ECANCELED (whether it was written is
 * not known), -ENOMEM, -EMFILE. */
int ros2_prepare_write(struct ros2_queue *queue, struct ros2_file *file, const void *buf,
                       size_t len, uint64_t offset, uint64_t user_data, uint64_t timeout_ns);

/** Prepares a read of one range of the file into several buffers, filled in their order: as preadv().
 * iov     copied; the buffers are the library's until the completion was reaped. Empty ones are allowed.
 * iovcnt  0..ROS2_QUEUE_IOV_MAX.
 * It is one operation of the queue's depth. The rest is as for ros2_prepare_read(); also -ENOMEM. */
int ros2_prepare_readv(struct ros2_queue *queue, struct ros2_file *file, const struct iovec *iov,
                       int iovcnt, uint64_t offset, uint64_t user_data, uint64_t timeout_ns);

/** Prepares a write of several buffers to one range of the file: as pwritev(). Whole, or an error that says how much.
 * To a file with O_APPEND it is one append, gathered in memory that is allocated for it, up to the daemon's max_io (1 MiB by
 * default); a longer one is written in order, in pieces between which others may come.
 * The rest is as for ros2_prepare_readv() and ros2_prepare_write(). */
int ros2_prepare_writev(struct ros2_queue *queue, struct ros2_file *file, const struct iovec *iov,
                        int iovcnt, uint64_t offset, uint64_t user_data, uint64_t timeout_ns);

/** Prepares a fsync: makes durable what was written to the file by operations that were reaped, and calls that returned,
 * before it is submitted.
 * flags  0 or ROS2_FSYNC_DATASYNC.
 * The rest is as for ros2_prepare_read(); completion errors as of ros2_fsync(), and -ECANCELED, -ENOMEM, -EMFILE. */
int ros2_prepare_fsync(struct ros2_queue *queue, struct ros2_file *file, unsigned flags,
                       uint64_t user_data, uint64_t timeout_ns);

/** Prepares an open. All opens of one submit that have the same timeout go to the daemon in one message. A thread of the
 * library, which it starts when it is needed and ends after 5 s without work, waits for the answer.
 * path    copied.    flags, mode  as for ros2_open().
 * The completion carries the file. Returns also the errors of ros2_open() that do not need the daemon: -EINVAL, -ENOENT
 * (empty), -ENAMETOOLONG, -EISDIR, and -ENOMEM. Completion errors as of ros2_open(), and -ECANCELED, -EAGAIN (no thread),
 * -ENOMEM. The rest is as for ros2_prepare_read(). */
int ros2_prepare_open(struct ros2_queue *queue, const char *path, int flags, mode_t mode,
                      uint64_t user_data, uint64_t timeout_ns);

/** Prepares a stat of a path, as ros2_stat(). Stats of one client follow one another, behind opens and closes.
 * path  copied.    st  the library's until the completion was reaped; filled when the result is 0, else untouched.
 * The rest is as for ros2_prepare_open() and ros2_stat(); also -EFAULT (st is NULL). */
int ros2_prepare_stat(struct ros2_queue *queue, const char *path, struct stat *st,
                      uint64_t user_data, uint64_t timeout_ns);

/** Prepares a close, as ros2_close(); all closes of one submit that have the same timeout go in one message.
 * file  freed by the library from submit on; must not be used any more. If it is never submitted the file stays open.
 * The completion's result is 0, always, or -ECANCELED when it was cancelled before it was submitted: then the file is open
 * still. The rest is as for ros2_prepare_read(); also -EFAULT (file is NULL). */
int ros2_prepare_close(struct ros2_queue *queue, struct ros2_file *file, uint64_t user_data,
                       uint64_t timeout_ns);

/** Submits all that is prepared. Deadlines begin here. What cannot be begun, for want of memory or descriptors, ends with a
 * completion that says so.
 * Threads: owner. Does not block.
 * Returns how many were submitted, or -EPERM. */
int ros2_queue_submit(struct ros2_queue *queue);

/** Takes completions, and runs the queue (without ROS2_QUEUE_PROGRESS_THREAD nothing else but submit does): receives,
 * reconnects, ends operations at their deadline. Submits nothing.
 * completions  filled with up to max.    max  at least 1.
 * min          waits until so many are there, or all that are in flight when those are fewer; 0: does not wait. At most max.
 * timeout_ns   how long it waits at most; 0: not at all; ROS2_FOREVER: until min are there, which deadlines bound.
 * Threads: owner. Blocks: as said; it polls for a moment, then sleeps.
 * Returns how many completions there are, 0..max, also when the time is over; or -EINVAL, -EPERM. */
int ros2_queue_reap(struct ros2_queue *queue, struct ros2_completion *completions, unsigned max,
                    unsigned min, uint64_t timeout_ns);

/** Asks to end all operations with that user_data that have not ended. Each still gives a completion, within a second:
 * -ECANCELED, or its result if it was done after all. Prepared ones end at once and have no effect. Opens and stats can be
 * cancelled until the library's thread begins with them, closes until they are submitted.
 * Threads: owner. Does not block.
 * Returns how many were asked to end, or -ENOENT (there is none), -EPERM. */
int ros2_queue_cancel(struct ros2_queue *queue, uint64_t user_data);

/** A descriptor for poll(), epoll or io_uring that is readable when ros2_queue_reap() would have something to do or to
 * give: answers, deadlines, reconnecting, completions. It may be readable without any completion; then reap with min 0
 * returns 0 and the loop goes on. Submit, reap and cancel leave it true to the state: no wake-up is lost between them and
 * a wait for the descriptor. Do nothing with it but wait.
 * Threads: owner. Does not block. The first call makes the descriptor, and each submit, reap and cancel from then on costs
 * a little more.
 * Returns the descriptor, the same each time, closed by ros2_queue_destroy(); or -EMFILE, -ENOMEM, -EPERM. */
int ros2_queue_fd(struct ros2_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
