/* SPDX-License-Identifier: Apache-2.0 */
/* Layer fault: errors, delays, short reads and held operations by rules (rules.h), for tests of what stands above.
 *
 * A held operation has not reached the engine below: it takes effect when it is let go, and not before. Namespace calls
 * are held by blocking their thread. Owner of a context: its data thread. Always holds: an operation is either in the
 * held list (the words of its ros2_io are ours) or below (they are not). */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "engines/layers/pass.h"
#include "engines/layers/rules.h"

#define TICK_NS 5000000 /* how often held operations are looked at */

/* A held operation, in the words of its ros2_io. */
struct held {
    struct held *next;
    const struct ros2i_rule *rule;
    uint64_t due_ns;
    struct ros2_node *node;
    void *buf;
    size_t len;
    uint64_t offset;
    enum ros2i_call call;
    unsigned io_flags;
} __attribute__((may_alias));

_Static_assert(sizeof(struct held) <= sizeof(((struct ros2_io *)0)->plugin),
               "a held op fits its ros2_io");

struct fault_context {
    unsigned depth, in_flight; /* held and below */
    bool polling;              /* below may have run done() for what in_flight still counts */
    struct held *held, **held_tail;
    int tick; /* timerfd, runs while anything is held */
    int fd;   /* epoll over tick and the context below */
};

static struct ros2i_rules *rules_of(struct ros2_engine *engine)
{
    return engine->layer;
}

static struct ros2_io *io_of(struct held *op)
{
    return (struct ros2_io *)((char *)op - offsetof(struct ros2_io, plugin));
}

static bool is_held(const struct ros2_host *host, const struct ros2i_rule *rule, uint64_t due_ns)
{
    return (rule->hold_file && access(rule->hold_file, F_OK) == 0) || host->now_ns() < due_ns;
}

/* -- namespace -- */

/* Waits as the rule says; its -errno, or 0: go on below. */
static int meet(struct ros2_engine *engine, enum ros2i_call call, const char *path)
{
    const struct ros2_host *host = engine->host;
    const struct ros2i_rule *rule = ros2i_rules_find(rules_of(engine), call, path);
    if (!rule)
        return 0;
    uint64_t due_ns = host->now_ns() + rule->delay_ns;
    while (is_held(host, rule, due_ns))
        nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    if (rule->err)
        return host->fail(rule->err, "%s: %s (injected)", path, strerrordesc_np(rule->err));
    return 0;
}

static int fault_root_open(struct ros2_engine *engine, const char *location,
                           struct ros2_root **root_p)
{
    int rc = meet(engine, ROS2I_CALL_ROOT_OPEN, location);
    return rc < 0 ? rc : ros2i_pass_root_open(engine, location, root_p);
}

static int fault_open(struct ros2_root *root, const char *path, unsigned open_flags, uint32_t mode,
                      struct ros2_node **node_p, struct ros2_attr *attr_p)
{
    int rc = meet(root->engine, ROS2I_CALL_OPEN, path);
    return rc < 0 ? rc : ros2i_pass_open(root, path, open_flags, mode, node_p, attr_p);
}

static int fault_getattr(struct ros2_node *node, struct ros2_attr *attr_p)
{
    int rc = meet(node->engine, ROS2I_CALL_GETATTR, node->path);
    return rc < 0 ? rc : ros2i_pass_getattr(node, attr_p);
}

static int fault_stat(struct ros2_root *root, const char *path, int follow,
                      struct ros2_attr *attr_p)
{
    int rc = meet(root->engine, ROS2I_CALL_STAT, path);
    return rc < 0 ? rc : ros2i_pass_stat(root, path, follow, attr_p);
}

static int fault_readdir(struct ros2_node *directory, uint64_t cookie, int with_attr,
                         ros2_readdir_fn *fn, void *arg)
{
    int rc = meet(directory->engine, ROS2I_CALL_READDIR, directory->path);
    return rc < 0 ? rc : ros2i_pass_readdir(directory, cookie, with_attr, fn, arg);
}

static int fault_mkdir(struct ros2_root *root, const char *path, uint32_t mode)
{
    int rc = meet(root->engine, ROS2I_CALL_MKDIR, path);
    return rc < 0 ? rc : ros2i_pass_mkdir(root, path, mode);
}

static int fault_unlink(struct ros2_root *root, const char *path)
{
    int rc = meet(root->engine, ROS2I_CALL_UNLINK, path);
    return rc < 0 ? rc : ros2i_pass_unlink(root, path);
}

static int fault_rmdir(struct ros2_root *root, const char *path)
{
    int rc = meet(root->engine, ROS2I_CALL_RMDIR, path);
    return rc < 0 ? rc : ros2i_pass_rmdir(root, path);
}

static int fault_rename(struct ros2_root *root, const char *from, const char *to)
{
    int rc = meet(root->engine, ROS2I_CALL_RENAME, from);
    return rc < 0 ? rc : ros2i_pass_rename(root, from, to);
}

static int fault_truncate(struct ros2_node *node, uint64_t size)
{
    int rc = meet(node->engine, ROS2I_CALL_TRUNCATE, node->path);
    return rc < 0 ? rc : ros2i_pass_truncate(node, size);
}

/* -- data -- */

static int send_below(struct ros2_io_context *context, const struct held *op, struct ros2_io *io)
{
    switch (op->call) {
    case ROS2I_CALL_READ:
        return ros2i_pass_read(context, op->node, op->buf, op->len, op->offset, io);
    case ROS2I_CALL_WRITE:
        return ros2i_pass_write(context, op->node, op->buf, op->len, op->offset, op->io_flags, io);
    default:
        return ros2i_pass_fsync(context, op->node, op->io_flags, io);
    }
}

/* The end of what the rule makes of op; op is a copy, since io's words go to the engine below. As the interface's
 * calls: 1 (result set), 0 or -EAGAIN. */
static int carry_out(struct ros2_io_context *context, const struct held *op, struct ros2_io *io)
{
    if (!op->rule || !op->rule->err)
        return send_below(context, op, io);
    io->result = -op->rule->err;
    return 1;
}

static void set_tick(const struct fault_context *fault, long interval_ns)
{
    struct itimerspec every = {.it_value.tv_nsec = interval_ns, .it_interval.tv_nsec = interval_ns};
    timerfd_settime(fault->tick, 0, &every, NULL);
}

static void hold(struct fault_context *fault, struct ros2_io *io, const struct held *op)
{
    struct held *in_io = (struct held *)io->plugin;
    *in_io = *op;
    in_io->next = NULL;
    if (!fault->held)
        set_tick(fault, TICK_NS);
    *fault->held_tail = in_io;
    fault->held_tail = &in_io->next;
}

static int begin(struct ros2_io_context *context, struct held op, struct ros2_io *io)
{
    struct fault_context *fault = context->layer;
    const struct ros2_host *host = context->engine->host;
    int rc = 0;

    if (fault->in_flight >= fault->depth && !fault->polling)
        return -EAGAIN;
    op.rule = ros2i_rules_find(rules_of(context->engine), op.call, op.node->path);
    if (op.rule) {
        op.due_ns = host->now_ns() + op.rule->delay_ns;
        if (op.len > op.rule->short_len)
            op.len = op.rule->short_len;
    }
    if (op.rule && is_held(host, op.rule, op.due_ns))
        hold(fault, io, &op);
    else
        rc = carry_out(context, &op, io);
    if (rc == 0)
        fault->in_flight++;
    return rc;
}

static int fault_read(struct ros2_io_context *context, struct ros2_node *node, void *buf,
                      size_t len, uint64_t offset, struct ros2_io *io)
{
    return begin(
        context,
        (struct held){
            .node = node, .buf = buf, .len = len, .offset = offset, .call = ROS2I_CALL_READ},
        io);
}

static int fault_write(struct ros2_io_context *context, struct ros2_node *node, const void *buf,
                       size_t len, uint64_t offset, unsigned io_flags, struct ros2_io *io)
{
    return begin(context,
                 (struct held){.node = node,
                               .buf = (void *)(uintptr_t)buf,
                               .len = len,
                               .offset = offset,
                               .call = ROS2I_CALL_WRITE,
                               .io_flags = io_flags},
                 io);
}

static int fault_fsync(struct ros2_io_context *context, struct ros2_node *node, unsigned io_flags,
                       struct ros2_io *io)
{
    return begin(context,
                 (struct held){.node = node, .call = ROS2I_CALL_FSYNC, .io_flags = io_flags}, io);
}

/* Lets go of what need not be held any more. Works on a list of its own: done() may begin new operations. */
static int release(struct ros2_io_context *context)
{
    struct fault_context *fault = context->layer;
    struct held *op = fault->held;
    uint64_t ticks;
    int ended = 0;

    if (!op)
        return 0;
    if (read(fault->tick, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        return 0;
    fault->held = NULL;
    fault->held_tail = &fault->held;
    while (op) {
        struct held copy = *op;
        struct ros2_io *io = io_of(op);
        op = copy.next;
        int rc = is_held(context->engine->host, copy.rule, copy.due_ns)
                     ? -EAGAIN
                     : carry_out(context, &copy, io);
        if (rc < 0)
            hold(fault, io, &copy); /* still, or no room below */
        if (rc == 1) {
            fault->in_flight--;
            ended++;
            io->done(io);
        }
    }
    if (!fault->held)
        set_tick(fault, 0);
    return ended;
}

/* Below's poll comes last: it hands to the kernel what was let go. */
static int fault_poll(struct ros2_io_context *context)
{
    struct fault_context *fault = context->layer;
    int ended = release(context);
    fault->polling = true;
    int ended_below = ros2i_pass_poll(context);
    fault->polling = false;
    fault->in_flight -= (unsigned)ended_below;
    return ended + ended_below;
}

static int fault_context_fd(struct ros2_io_context *context)
{
    const struct fault_context *fault = context->layer;
    return fault->fd;
}

static int open_fds(struct ros2_io_context *context, struct fault_context *fault)
{
    struct epoll_event event = {.events = EPOLLIN};

    fault->tick = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fault->tick < 0)
        return -errno;
    fault->fd = epoll_create1(EPOLL_CLOEXEC);
    if (fault->fd < 0)
        goto close_tick;
    if (epoll_ctl(fault->fd, EPOLL_CTL_ADD, fault->tick, &event) < 0 ||
        epoll_ctl(fault->fd, EPOLL_CTL_ADD, ros2i_pass_context_fd(context), &event) < 0)
        goto close_epoll;
    return 0;

    int err;
close_epoll:
    err = errno;
    close(fault->fd);
    errno = err;
close_tick:
    err = errno;
    close(fault->tick);
    return -err;
}

static int fault_context_open(struct ros2_engine *engine, unsigned depth,
                              struct ros2_io_context **context_p)
{
    struct ros2_io_context *context;
    int rc = ros2i_pass_context_open(engine, depth, &context);
    if (rc < 0)
        return rc;
    struct fault_context *fault = calloc(1, sizeof(*fault));
    rc = fault ? open_fds(context, fault) : -ENOMEM;
    if (rc < 0) {
        free(fault);
        ros2i_pass_context_close(context);
        return engine->host->fail(-rc, "engine fault: I/O context: %s", strerrordesc_np(-rc));
    }
    fault->depth = depth;
    fault->held_tail = &fault->held;
    context->layer = fault;
    *context_p = context;
    return 0;
}

static void fault_context_close(struct ros2_io_context *context)
{
    struct fault_context *fault = context->layer;
    close(fault->fd);
    close(fault->tick);
    free(fault);
    ros2i_pass_context_close(context);
}

static int fault_engine_open(const struct ros2_engine_options *options,
                             struct ros2_engine **engine_p)
{
    struct ros2_engine *engine;
    struct ros2i_rules *rules;

    int rc = ros2i_pass_open_named("fault", options, &engine);
    if (rc < 0)
        return rc;
    rc = ros2i_rules_parse(options->host, options->config, &rules);
    if (rc < 0) {
        ros2i_pass_engine_close(engine);
        return rc;
    }
    engine->layer = rules;
    *engine_p = engine;
    return 0;
}

static void fault_engine_close(struct ros2_engine *engine)
{
    ros2i_rules_free(rules_of(engine));
    ros2i_pass_engine_close(engine);
}

static const struct ros2_engine_ops ops = {
    .abi = ROS2_ENGINE_ABI,
    .flags = ROS2I_LAYER_FLAGS,
    .size = sizeof(ops),
    .name = "fault",
    .engine_open = fault_engine_open,
    .engine_close = fault_engine_close,
    .root_open = fault_root_open,
    .root_close = ros2i_pass_root_close,
    .durability_epoch = ros2i_pass_durability_epoch,
    .open = fault_open,
    .close = ros2i_pass_close,
    .getattr = fault_getattr,
    .stat = fault_stat,
    .readdir = fault_readdir,
    .mkdir = fault_mkdir,
    .unlink = fault_unlink,
    .rmdir = fault_rmdir,
    .rename = fault_rename,
    .truncate = fault_truncate,
    .context_open = fault_context_open,
    .context_close = fault_context_close,
    .read = fault_read,
    .write = fault_write,
    .fsync = fault_fsync,
    .poll = fault_poll,
    .context_fd = fault_context_fd,
};

const struct ros2_engine_ops *ros2_engine_plugin(void);

const struct ros2_engine_ops *ros2_engine_plugin(void)
{
    return &ops;
}
