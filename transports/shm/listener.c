/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. Owner: the domain's thread. Always: on_accept's endpoint has a handler afterwards, or is gone; the file
 * of a socket goes with it, unless another one has taken its place. */
#include "config.h"

#include "transports/shm/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "transports/shm/endpoint.h"

#define BACKLOG          4096
#define ACCEPTS_PER_TURN 64
#define REST_NS          100000000ull /* when descriptors have run out */

/* Has the socket of that path been left behind? One of another type is refused by whoever has it open (-EPROTOTYPE), so that
 * a living listener notices nothing. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat st;

    if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool stale =
        connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    close(fd);
    return stale;
}

static int bind_or_replace(int fd, const struct sockaddr_un *address)
{
    if (bind(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    if (!is_stale(address))
        return -EADDRINUSE;
    (void)unlink(address->sun_path);
    return bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
}

/* The socket, its file's identity in *st. */
static int open_socket(struct ros2_domain *domain, const struct sockaddr_un *address,
                       struct stat *st)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return domain->host->fail(errno, "shm: listen on %s: socket: %s", address->sun_path,
                                  strerrordesc_np(errno));
    int rc = bind_or_replace(fd, address);
    if (rc == 0 && (listen(fd, BACKLOG) < 0 || lstat(address->sun_path, st) < 0))
        rc = -errno;
    if (rc < 0) {
        close(fd);
        domain->host->fail(-rc, "shm: listen on %s: %s; choose another path", address->sun_path,
                           strerrordesc_np(-rc));
        return rc == -ENOENT || rc == -ENOTDIR ? -EINVAL : rc;
    }
    return fd;
}

int shm_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p)
{
    struct sockaddr_un local;
    struct stat st;
    const char *why;

    shm_domain_own(domain);
    if (shm_address_parse(address, &local, &why) < 0)
        return domain->host->fail(EINVAL, "shm: listen on %s: %s", address, why);
    int fd = open_socket(domain, &local, &st);
    if (fd < 0)
        return fd;
    struct ros2_listener *listener = calloc(1, sizeof *listener);
    int rc = -ENOMEM;
    if (!listener) {
        domain->host->fail(ENOMEM, "shm: listen on %s: out of memory", address);
        goto close_fd;
    }
    *listener = (struct ros2_listener){
        .source = SHM_SOURCE_LISTENER,
        .fd = fd,
        .domain = domain,
        .on_accept = on_accept,
        .arg = arg,
        .local = local,
        .dev = st.st_dev,
        .ino = st.st_ino,
    };
    rc = shm_domain_watch(domain, fd, EPOLLIN, &listener->source);
    if (rc < 0)
        goto free_listener;
    shm_list_append(&domain->listeners, &listener->link);
    *listener_p = listener;
    return 0;
free_listener:
    free(listener);
close_fd:
    (void)unlink(local.sun_path);
    close(fd);
    return rc;
}

int shm_listener_address(struct ros2_listener *listener, char *buf, size_t len)
{
    shm_domain_own(listener->domain);
    return shm_address_copy(listener->local.sun_path, buf, len);
}

static void update_interest(struct ros2_listener *listener)
{
    struct epoll_event event = {.events = listener->paused || listener->rest_ns ? 0 : EPOLLIN,
                                .data.ptr = &listener->source};

    if (!shm_domain_forked(listener->domain))
        (void)epoll_ctl(listener->domain->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event);
}

void shm_listener_pause(struct ros2_listener *listener, int paused)
{
    shm_domain_own(listener->domain);
    listener->paused = paused != 0;
    update_interest(listener);
}

static void unlink_own(const struct ros2_listener *listener)
{
    struct stat st;

    if (!shm_domain_forked(listener->domain) && lstat(listener->local.sun_path, &st) == 0 &&
        st.st_dev == listener->dev && st.st_ino == listener->ino)
        (void)unlink(listener->local.sun_path);
}

void shm_listener_close(struct ros2_listener *listener)
{
    struct ros2_domain *domain = listener->domain;

    shm_domain_own(domain);
    if (listener->fd < 0)
        return;
    shm_domain_enter(domain);
    unlink_own(listener);
    shm_domain_close_fd(domain, listener->fd);
    listener->fd = -1;
    shm_list_remove(&listener->link);
    shm_list_append(&domain->listener_graveyard, &listener->link);
    shm_domain_leave(domain);
}

/* Descriptors or memory have run out: others may give some back soon. */
static void rest(struct ros2_listener *listener, int err)
{
    struct ros2_domain *domain = listener->domain;

    if (!listener->complained)
        domain->host->log(ROS2_LOG_WARN, "transport/shm",
                          "accept on %s: %s; raise the limit of open files",
                          listener->local.sun_path, strerrordesc_np(err));
    listener->complained = true;
    listener->rest_ns = domain->host->now_ns() + REST_NS;
    update_interest(listener);
    shm_domain_wake_at(domain, listener->rest_ns);
}

static void accepted(struct ros2_listener *listener, int fd)
{
    struct ucred cred = {0};
    socklen_t len = sizeof cred;
    struct ros2_ep *ep;

    listener->complained = false;
    if (shm_ep_create(listener->domain, fd, SHM_EP_AWAIT_HELLO, &ep) < 0)
        return;
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
    snprintf(ep->peer, sizeof ep->peer, "unix uid %lu pid %ld", (unsigned long)cred.uid,
             (long)cred.pid);
    if (shm_domain_watch(listener->domain, fd, EPOLLIN | EPOLLRDHUP, &ep->source) < 0) {
        shm_ep_abort(ep);
        return;
    }
    ep->watched = true;
    listener->on_accept(listener->arg, listener, ep);
    if (ep->state == SHM_EP_AWAIT_HELLO && !ep->handled)
        shm_ep_abort(ep);
}

int shm_listener_accept(struct ros2_listener *listener)
{
    int count = 0;

    for (int i = 0; i < ACCEPTS_PER_TURN && listener->fd >= 0 && !listener->paused; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(listener, fd);
            count++;
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            rest(listener, errno);
            break;
        }
        if (errno == EAGAIN)
            break;
        /* Else that one connection has died in the queue: take the next. */
    }
    return count;
}

void shm_listener_expire(struct ros2_domain *domain, uint64_t now_ns)
{
    for (struct shm_list *l = domain->listeners.next; l != &domain->listeners; l = l->next) {
        struct ros2_listener *listener = SHM_CONTAINER(l, struct ros2_listener, link);
        if (listener->rest_ns == 0)
            continue;
        if (listener->rest_ns > now_ns) {
            shm_domain_wake_at(domain, listener->rest_ns);
            continue;
        }
        listener->rest_ns = 0;
        update_interest(listener);
    }
}
