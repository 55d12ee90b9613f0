/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets. Owner: the domain's thread. Always: on_accept's endpoint has a handler afterwards, or is gone. */
#include "config.h"

#include "transports/tcp/listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "transports/tcp/endpoint.h"

#define BACKLOG          4096
#define ACCEPTS_PER_TURN 64
#define REST_NS          100000000ull /* when descriptors have run out */

static int open_socket(struct ros2_domain *domain, const char *text, union ip_address *address)
{
    const int on = 1;
    int err;

    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return domain->host->fail(errno, "tcp: listen on %s: socket: %s", text,
                                  strerrordesc_np(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t len = sizeof *address;
    if (bind(fd, &address->any, ip_address_len(address)) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, &address->any, &len) < 0) {
        err = errno;
        close(fd);
        domain->host->fail(err, "tcp: listen on %s: %s; choose another address or port", text,
                           strerrordesc_np(err));
        return err == EADDRNOTAVAIL ? -EINVAL : -err;
    }
    return fd;
}

int tcp_listen(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
               void *arg, struct ros2_listener **listener_p)
{
    union ip_address local;

    tcp_domain_own(domain);
    if (ip_address_parse(address, &local) < 0)
        return domain->host->fail(
            EINVAL, "tcp: listen on %s: not an address; write HOST:PORT or [V6]:PORT with numbers",
            address);
    int fd = open_socket(domain, address, &local);
    if (fd < 0)
        return fd;
    struct ros2_listener *listener = calloc(1, sizeof *listener);
    int rc = -ENOMEM;
    if (!listener) {
        domain->host->fail(ENOMEM, "tcp: listen on %s: out of memory", address);
        goto close_fd;
    }
    listener->source = TCP_SOURCE_LISTENER;
    listener->fd = fd;
    listener->domain = domain;
    listener->on_accept = on_accept;
    listener->arg = arg;
    listener->local = local;
    rc = tcp_domain_watch(domain, fd, EPOLLIN, &listener->source);
    if (rc < 0)
        goto free_listener;
    tcp_list_append(&domain->listeners, &listener->link);
    *listener_p = listener;
    return 0;
free_listener:
    free(listener);
close_fd:
    close(fd);
    return rc;
}

int tcp_listener_address(struct ros2_listener *listener, char *buf, size_t len)
{
    tcp_domain_own(listener->domain);
    return ip_address_format(&listener->local, buf, len);
}

static void update_interest(struct ros2_listener *listener)
{
    struct epoll_event event = {.events = listener->paused || listener->rest_ns ? 0 : EPOLLIN,
                                .data.ptr = &listener->source};

    if (!tcp_domain_forked(listener->domain))
        (void)epoll_ctl(listener->domain->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event);
}

void tcp_listener_pause(struct ros2_listener *listener, int paused)
{
    tcp_domain_own(listener->domain);
    listener->paused = paused != 0;
    update_interest(listener);
}

void tcp_listener_close(struct ros2_listener *listener)
{
    struct ros2_domain *domain = listener->domain;

    tcp_domain_own(domain);
    if (listener->fd < 0)
        return;
    tcp_domain_enter(domain);
    tcp_domain_close_fd(domain, listener->fd);
    listener->fd = -1;
    tcp_list_remove(&listener->link);
    tcp_list_append(&domain->listener_graveyard, &listener->link);
    tcp_domain_leave(domain);
}

/* Descriptors or memory have run out: others may give some back soon. */
static void rest(struct ros2_listener *listener, int err)
{
    struct ros2_domain *domain = listener->domain;
    char local[IP_ADDRESS_TEXT];

    if (!listener->complained && ip_address_format(&listener->local, local, sizeof local) == 0)
        domain->host->log(ROS2_LOG_WARN, "transport/tcp",
                          "accept on %s: %s; raise the limit of open files", local,
                          strerrordesc_np(err));
    listener->complained = true;
    listener->rest_ns = domain->host->now_ns() + REST_NS;
    update_interest(listener);
    tcp_domain_wake_at(domain, listener->rest_ns);
}

static void accepted(struct ros2_listener *listener, int fd, const union ip_address *peer)
{
    struct ros2_ep *ep;

    listener->complained = false;
    if (tcp_ep_create(listener->domain, fd, peer, TCP_EP_OPEN, &ep) < 0)
        return;
    if (tcp_ep_greet(ep) < 0) {
        tcp_ep_abort(ep);
        return;
    }
    listener->on_accept(listener->arg, listener, ep);
    if (ep->state == TCP_EP_OPEN && !ep->handled)
        tcp_ep_abort(ep);
}

int tcp_listener_accept(struct ros2_listener *listener)
{
    int count = 0;

    for (int i = 0; i < ACCEPTS_PER_TURN && listener->fd >= 0 && !listener->paused; i++) {
        union ip_address peer;
        socklen_t len = sizeof peer;
        int fd = accept4(listener->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accepted(listener, fd, &peer);
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

void tcp_listener_expire(struct ros2_domain *domain, uint64_t now_ns)
{
    for (struct tcp_list *l = domain->listeners.next; l != &domain->listeners; l = l->next) {
        struct ros2_listener *listener = TCP_CONTAINER(l, struct ros2_listener, link);
        if (listener->rest_ns == 0)
            continue;
        if (listener->rest_ns > now_ns) {
            tcp_domain_wake_at(domain, listener->rest_ns);
            continue;
        }
        listener->rest_ns = 0;
        update_interest(listener);
    }
}
