/* SPDX-License-Identifier: Apache-2.0 */
/* The harness of the transport suite. Owner: the test's thread. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/base/plugin.h"
#include "lib/base/shared_memory.h"

const struct ros2_transport_ops *pair_ops;

int pair_group_setup(void **state)
{
    const char *name = getenv("ROS2_TEST_TRANSPORT");

    (void)state;
    int rc = ros2i_plugin_transport(name ? name : "tcp", &pair_ops);
    if (rc < 0)
        fprintf(stderr, "%s\n", ros2i_error());
    return rc;
}

static void load(void)
{
    if (!pair_ops && pair_group_setup(NULL) < 0)
        exit(1);
}

bool pair_has(unsigned flags)
{
    load();
    return (pair_ops->flags & flags) == flags;
}

bool pair_is(const char *name)
{
    load();
    return strcmp(pair_ops->name, name) == 0;
}

int pair_run(const char *name, struct CMUnitTest *tests, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (tests[i].test_func)
            tests[kept++] = tests[i];
    return _cmocka_run_group_tests(name, tests, kept, pair_group_setup, NULL);
}

/* -- addresses and memory, as the transport wants them -- */

static char folder[64];
static pid_t folder_owner;

static void remove_folder(void)
{
    if (getpid() == folder_owner)
        rmdir(folder);
}

const char *pair_host(bool v6)
{
    const char *host = getenv(v6 ? "ROS2_TEST_HOST6" : "ROS2_TEST_HOST");

    return host ? host : v6 ? "::1" : "127.0.0.1";
}

const char *pair_listen_address(void)
{
    static char path[128];
    static unsigned serial;

    if (!pair_has(ROS2_TRANSPORT_MAP_PEER)) {
        snprintf(path, sizeof path, "%s:0", pair_host(false));
        return path;
    }
    if (folder_owner != getpid()) {
        const char *tmp = getenv("TMPDIR");
        snprintf(folder, sizeof folder, "%.40s/pair-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(folder));
        folder_owner = getpid();
        atexit(remove_folder);
    }
    snprintf(path, sizeof path, "%s/%u", folder, serial++);
    return path;
}

void *pair_alloc(size_t len)
{
    void *memory = NULL;

    if (pair_has(ROS2_TRANSPORT_MAP_PEER))
        assert_int_equal(ros2i_shared_alloc(len, 0, -1, &memory), 0);
    else
        memory = calloc(1, len);
    assert_non_null(memory);
    return memory;
}

void pair_free(void *memory, size_t len)
{
    if (pair_has(ROS2_TRANSPORT_MAP_PEER))
        ros2i_shared_free(memory, len);
    else
        free(memory);
}

/* All domains here belong to the test's one thread, so they can have one view. */
const struct ros2_shared_memory *pair_memory;

const struct ros2_shared_memory *pair_shared_memory(void)
{
    static struct ros2i_shared_view *view;

    if (!pair_has(ROS2_TRANSPORT_MAP_PEER))
        return NULL;
    if (!view)
        assert_int_equal(ros2i_shared_view_create(&view), 0);
    return ros2i_shared_view_memory(view);
}

uint64_t pair_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* -- ops -- */

static void op_done(struct ros2_op *op, int status)
{
    struct pair_op *o = (struct pair_op *)(void *)((char *)op - offsetof(struct pair_op, op));

    o->calls++;
    o->status = status;
    assert_int_equal(o->calls, 1);
}

void pair_op_init(struct pair_op *op)
{
    memset(op, 0, sizeof *op);
    op->op.done = op_done;
    op->status = INT32_MIN;
}

/* -- the two ends -- */

static void on_connected(void *arg, struct ros2_ep *ep)
{
    struct pair_side *side = arg;

    assert_ptr_equal(side->ep, ep);
    side->connected++;
}

static void on_message(void *arg, struct ros2_ep *ep, const void *msg, size_t len)
{
    struct pair_side *side = arg;

    (void)ep;
    side->messages++;
    side->last_len = len;
    memcpy(side->last, msg, len < sizeof side->last ? len : sizeof side->last);
    if (side->on_message)
        side->on_message(side, msg, len);
}

static void on_closed(void *arg, struct ros2_ep *ep, int err)
{
    struct pair_side *side = arg;

    assert_ptr_equal(side->ep, ep);
    assert_int_equal(side->closed, 0);
    side->closed++;
    side->closed_err = err;
    if (side->on_closed)
        side->on_closed(side);
}

const struct ros2_ep_handler pair_handler = {on_connected, on_message, on_closed};

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct pair *pair = arg;

    (void)listener;
    assert_null(pair->b.ep);
    pair->b.ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, &pair->b);
}

static struct ros2_domain *open_domain(struct ros2_domain_options options)
{
    struct ros2_domain *domain = NULL;

    options.size = sizeof options;
    options.host = &ros2i_host;
    options.memory = pair_memory ? pair_memory : pair_shared_memory();
    assert_int_equal(ros2i_plugin_open_domain(pair_ops, &options, &domain), 0);
    return domain;
}

struct ros2_domain *pair_domain(uint32_t max_message, uint32_t send_queue)
{
    return open_domain(
        (struct ros2_domain_options){.max_message = max_message, .send_queue = send_queue});
}

struct ros2_domain *pair_domain_for(const char *local, const char *peer)
{
    return open_domain((struct ros2_domain_options){.local = local, .peer = peer});
}

void pair_open(struct pair *pair, const struct pair_options *options)
{
    static const struct pair_options none;

    if (!options)
        options = &none;
    memset(pair, 0, sizeof *pair);
    pair->a.domain = pair_domain(options->a_max_message, options->send_queue);
    pair->b.domain = pair_domain(options->b_max_message, options->send_queue);
    assert_int_equal(
        pair_ops->listen(pair->b.domain, pair_listen_address(), on_accept, pair, &pair->listener),
        0);
    assert_int_equal(
        pair_ops->listener_address(pair->listener, pair->address, sizeof pair->address), 0);
    assert_int_equal(
        pair_ops->connect(pair->a.domain, pair->address, &pair_handler, &pair->a, &pair->a.ep), 0);
    pair_until(pair, pair->a.connected && pair->b.ep);
}

void pair_close(struct pair *pair)
{
    if (pair->a.ep)
        pair_ops->ep_abort(pair->a.ep);
    if (pair->b.ep)
        pair_ops->ep_abort(pair->b.ep);
    pair_ops->domain_close(pair->a.domain);
    pair_ops->domain_close(pair->b.domain);
}

int pair_setup(void **state)
{
    struct pair *pair = malloc(sizeof *pair);

    assert_non_null(pair);
    pair_open(pair, NULL);
    *state = pair;
    return 0;
}

int pair_teardown(void **state)
{
    pair_close(*state);
    free(*state);
    return 0;
}

int pair_progress(struct pair *pair)
{
    return pair_ops->progress(pair->a.domain) + pair_ops->progress(pair->b.domain);
}

void pair_settle(struct pair *pair)
{
    for (int idle = 0; idle < 200; idle++)
        if (pair_progress(pair) > 0)
            idle = 0;
}

void pair_send(struct pair *pair, struct pair_side *from, const void *msg, size_t len)
{
    const struct iovec iov = {(void *)(uintptr_t)msg, len};
    int rc;

    while ((rc = pair_ops->send(from->ep, &iov, 1, NULL)) == -EAGAIN)
        pair_progress(pair);
    assert_int_equal(rc, 0);
}

/* -- memory -- */

void pair_region_open(struct pair_region *region, struct pair_side *owner, struct pair_side *peer,
                      size_t len, unsigned rights)
{
    memset(region, 0, sizeof *region);
    region->owner = owner;
    region->len = len;
    region->memory = pair_alloc(len + 2 * PAIR_CANARY);
    memset(region->memory, 0xc3, len + 2 * PAIR_CANARY);
    region->bytes = region->memory + PAIR_CANARY;
    memset(region->bytes, PAIR_FILL, len);
    assert_int_equal(pair_ops->region_register(owner->domain, region->bytes, len, rights,
                                               ROS2_MEMORY_HOST, &region->region),
                     0);
    int rc = pair_ops->region_pack(region->region, region->key, sizeof region->key);
    assert_in_range(rc, 1, ROS2_TRANSPORT_KEY_MAX);
    region->key_len = (size_t)rc;
    if (pair_ops->flags & ROS2_TRANSPORT_TOKENS) {
        region->token = pair_ops->region_token(region->region);
        assert_true(region->token != 0);
    } else {
        assert_int_equal(
            pair_ops->rkey_import(peer->ep, region->key, region->key_len, &region->rkey), 0);
    }
}

void pair_region_check(const struct pair_region *region, size_t from, size_t to)
{
    for (size_t i = 0; i < PAIR_CANARY; i++) {
        assert_int_equal(region->memory[i], 0xc3);
        assert_int_equal(region->bytes[region->len + i], 0xc3);
    }
    for (size_t i = 0; i < region->len; i++)
        if ((i < from || i >= to) && region->bytes[i] != PAIR_FILL)
            fail_msg("byte %zu of the region has changed", i);
}

void pair_region_close(struct pair_region *region)
{
    int rc;

    while (region->region && (rc = pair_ops->region_deregister(region->region)) != 0) {
        assert_int_equal(rc, -EBUSY);
        pair_ops->progress(region->owner->domain);
    }
    if (region->rkey)
        pair_ops->rkey_release(region->rkey);
    pair_region_check(region, 0, region->len);
    pair_free(region->memory, region->len + 2 * PAIR_CANARY);
}

struct ros2_remote pair_remote(const struct pair_region *region, uint64_t offset, uint64_t len)
{
    return (struct ros2_remote){
        .rkey = region->rkey, .token = region->token, .offset = offset, .len = len};
}

void pair_put(struct pair_side *from, const void *src, size_t len, struct ros2_remote dst,
              const void *msg, size_t msg_len, struct pair_op *op)
{
    const struct iovec iov = {(void *)(uintptr_t)src, len};

    pair_op_init(op);
    assert_int_equal(pair_ops->put(from->ep, &iov, 1, &dst, 1, msg, msg_len, &op->op), 0);
}

void pair_get(struct pair_side *from, void *dst, size_t len, struct ros2_remote src,
              struct pair_op *op)
{
    const struct iovec iov = {dst, len};

    pair_op_init(op);
    assert_int_equal(pair_ops->get(from->ep, &iov, 1, &src, 1, &op->op), 0);
}

/* -- odds and ends -- */

void pair_pattern(uint8_t *bytes, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)pair_random(&seed);
}

uint32_t pair_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

int pair_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}
