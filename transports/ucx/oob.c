/* SPDX-License-Identifier: Apache-2.0 */
/* UCX 1.13's own way to connect by socket address over tcp hands requests of a listener that is gone to its thread, which ends
 * the process. So the ends exchange the addresses of their workers themselves, over a socket that stays: when it ends, the peer or
 * his process has. A worker's own sockets would not tell, as they outlive its endpoints. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/oob.h"

#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "transports/ucx/message.h"

/* docs/PROTOCOL-ucx.md */
#define HEAD        24u
#define ADDRESS_MAX 16384u
/* UCX reads an address without being told where it ends. */
#define ZEROS 4096u

#define EVENTS           64
#define ACCEPTS_PER_TURN 64
/* Connections that were asked for and do not stand yet. */
#define ACCEPTING_MAX 512u
#define BACKLOG       1024
/* Without descriptors for more connections a listener rests. */
#define REST_NS 100000000ull
/* A spinning owner looks at the sockets with every so many calls: it is a system call, and news from there is rare. */
#define SKIPS 64u
/* Turns for what the peer sent before it ended. */
#define LAST_TURNS 8

/* -- sockets -- */

static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } option[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},  {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 5}, {IPPROTO_TCP, TCP_KEEPINTVL, 2},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},  {IPPROTO_TCP, TCP_USER_TIMEOUT, 11000},
    };

    /* Without one of them the connection still works. */
    for (size_t i = 0; i < sizeof option / sizeof option[0]; i++)
        (void)setsockopt(fd, option[i].level, option[i].name, &option[i].value,
                         sizeof option[i].value);
}

static int watch(const struct ros2_domain *domain, int fd, uint32_t events, uint64_t number)
{
    struct epoll_event event = {.events = events, .data.u64 = number};

    return epoll_ctl(domain->oob_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void drop(const struct ros2_domain *domain, int fd)
{
    /* A forked child shares what this would change. Here it is told in so many words, as a child may have a copy. */
    if (!ucx_domain_forked(domain)) {
        (void)epoll_ctl(domain->oob_fd, EPOLL_CTL_DEL, fd, NULL);
        (void)shutdown(fd, SHUT_RDWR);
    }
    close(fd);
}

void ucx_oob_end(struct ros2_ep *ep)
{
    if (ep->oob.fd >= 0)
        drop(ep->domain, ep->oob.fd);
    ep->oob.fd = -1;
    free(ep->oob.bytes);
    ep->oob.bytes = NULL;
}

/* -- the exchange -- */

/* What this end sends: malloc'ed, or NULL. */
static uint8_t *make_hello(const struct ros2_ep *ep)
{
    const struct ros2_domain *domain = ep->domain;
    const uint32_t words[2] = {htole32(UCX_WIRE_MAGIC), htole32(UCX_WIRE_VERSION)};
    const uint64_t number = htole64(ep->number);
    const uint32_t len = htole32((uint32_t)domain->address_len);
    uint8_t *bytes = calloc(1, HEAD + domain->address_len);

    if (!bytes)
        return NULL;
    memcpy(bytes, words, sizeof words);
    memcpy(bytes + 8, &number, sizeof number);
    memcpy(bytes + 16, &len, sizeof len);
    memcpy(bytes + HEAD, domain->address, domain->address_len);
    return bytes;
}

static void begin_send(struct ros2_ep *ep, uint8_t *bytes)
{
    struct ucx_oob *oob = &ep->oob;

    free(oob->bytes);
    oob->bytes = bytes;
    oob->len = HEAD + ep->domain->address_len;
    oob->done = 0;
    oob->state = UCX_OOB_SENDING;
}

static void begin_watch(struct ucx_oob *oob)
{
    free(oob->bytes);
    oob->bytes = NULL;
    oob->state = UCX_OOB_WATCHING;
}

static int prepare_receive(struct ros2_ep *ep)
{
    struct ucx_oob *oob = &ep->oob;

    free(oob->bytes);
    oob->len = HEAD;
    oob->done = 0;
    oob->state = UCX_OOB_RECEIVING;
    oob->bytes = calloc(1, HEAD + ADDRESS_MAX + ZEROS);
    return oob->bytes ? 0 : -ENOMEM;
}

/* The head has come: how long is the rest? 0, or -EPROTO. */
static int take_head(struct ros2_ep *ep)
{
    struct ucx_oob *oob = &ep->oob;
    uint32_t word[2], rest[2];

    memcpy(word, oob->bytes, sizeof word);
    memcpy(rest, oob->bytes + 16, sizeof rest);
    const uint32_t len = le32toh(rest[0]);
    if (le32toh(word[0]) != UCX_WIRE_MAGIC || le32toh(word[1]) != UCX_WIRE_VERSION ||
        rest[1] != 0 || len == 0 || len > ADDRESS_MAX) {
        ucx_ep_fail(ep, EPROTO, "it does not greet as transport ucx of this version does");
        return -EPROTO;
    }
    oob->len = HEAD + len;
    return 0;
}

/* Who has hung up by now would leave an endpoint here that has none to go with. */
static bool has_hung_up(const struct ros2_ep *ep)
{
    char byte;

    return recv(ep->oob.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* All has come: the endpoint of UCX can be made. */
static int take_address(struct ros2_ep *ep)
{
    struct ucx_oob *oob = &ep->oob;
    uint64_t number;
    ucp_ep_params_t params = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS,
                              .address = (const ucp_address_t *)(oob->bytes + HEAD)};

    if (has_hung_up(ep))
        return -ECONNRESET;
    uint8_t *hello = ep->asks ? NULL : make_hello(ep);
    if (!ep->asks && !hello)
        return -ENOMEM;
    memcpy(&number, oob->bytes + 8, sizeof number);
    ep->peer_number = le64toh(number);
    const int rc = ucx_ep_begin(ep, &params);
    if (rc < 0) {
        free(hello);
        return rc;
    }
    ucx_message_greet(ep, UCX_HELLO);
    if (ep->greeted)
        ucx_message_greet(ep, UCX_WELCOME);
    if (hello)
        begin_send(ep, hello);
    else
        begin_watch(oob);
    return 0;
}

/* Each of these: 1: done, go on with the next state; 0: later; -errno. */

static int step_connecting(struct ros2_ep *ep)
{
    int err = 0;
    socklen_t len = sizeof err;

    if (getsockopt(ep->oob.fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
        err = errno;
    if (err)
        return -err;
    uint8_t *hello = make_hello(ep);
    if (!hello)
        return -ENOMEM;
    begin_send(ep, hello);
    return 1;
}

static int step_sending(struct ros2_ep *ep)
{
    struct ucx_oob *oob = &ep->oob;
    const ssize_t n =
        send(oob->fd, oob->bytes + oob->done, oob->len - oob->done, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    oob->done += (size_t)n;
    if (oob->done < oob->len)
        return 1;
    if (ep->asks) {
        const int rc = prepare_receive(ep);
        return rc < 0 ? rc : 1;
    }
    begin_watch(oob);
    return 1;
}

static int step_receiving(struct ros2_ep *ep)
{
    struct ucx_oob *oob = &ep->oob;
    const ssize_t n = recv(oob->fd, oob->bytes + oob->done, oob->len - oob->done, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    oob->done += (size_t)n;
    if (oob->done < oob->len)
        return 1;
    const int rc = oob->len == HEAD ? take_head(ep) : take_address(ep);
    return rc < 0 ? rc : 1;
}

static int step_watching(struct ros2_ep *ep)
{
    char byte;
    const ssize_t n = recv(ep->oob.fd, &byte, 1, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0)
        ucx_ep_fail(ep, EPROTO, "it sent something behind its greeting");
    for (int i = 0; i < LAST_TURNS && ucx_domain_turn(ep->domain) > 0; i++)
        continue;
    return n > 0 ? -EPROTO : -ECONNRESET;
}

static void step(struct ros2_ep *ep)
{
    static int (*const steps[])(struct ros2_ep *) = {[UCX_OOB_CONNECTING] = step_connecting,
                                                     [UCX_OOB_SENDING] = step_sending,
                                                     [UCX_OOB_RECEIVING] = step_receiving,
                                                     [UCX_OOB_WATCHING] = step_watching};
    int rc;

    do
        rc = ep->oob.fd >= 0 ? steps[ep->oob.state](ep) : 0;
    while (rc > 0);
    if (rc == 0)
        return;
    ucx_oob_end(ep);
    if (ep->state != UCX_EP_LINGERING || !ep->ucp)
        ucx_ep_down(ep, rc); /* else UCX has a word in it */
}

bool ucx_oob_committed(const struct ros2_ep *ep)
{
    return ep->asks && ep->oob.fd >= 0 &&
           (ep->oob.state == UCX_OOB_SENDING || ep->oob.state == UCX_OOB_RECEIVING);
}

/* -- connecting -- */

/* Edge by edge: a step goes on until there is nothing more. */
#define EDGES (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

void ucx_oob_connect(struct ros2_ep *ep)
{
    int rc = 0;

    ep->oob.fd = socket(ep->peer.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ep->oob.fd < 0) {
        ucx_ep_down(ep, -errno);
        return;
    }
    set_options(ep->oob.fd);
    ep->oob.state = UCX_OOB_CONNECTING;
    if (connect(ep->oob.fd, &ep->peer.any, ip_address_len(&ep->peer)) < 0 && errno != EINPROGRESS &&
        errno != EINTR)
        rc = -errno;
    if (rc == 0)
        rc = watch(ep->domain, ep->oob.fd, EDGES, ep->number);
    if (rc < 0)
        ucx_ep_down(ep, rc);
}

/* -- listening -- */

static int open_listener(struct ros2_listener *listener)
{
    const int one = 1;
    socklen_t len = sizeof listener->local;

    listener->fd =
        socket(listener->local.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 ||
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(listener->fd, &listener->local.any, ip_address_len(&listener->local)) < 0 ||
        listen(listener->fd, BACKLOG) < 0 ||
        getsockname(listener->fd, &listener->local.any, &len) < 0)
        return -errno;
    return 0;
}

int ucx_oob_listen(struct ros2_listener *listener, const char *address)
{
    struct ros2_domain *domain = listener->domain;
    int rc = ucx_table_add(&domain->table, domain->host, UCX_LISTENER, listener, &listener->number);

    if (rc < 0)
        return rc;
    rc = open_listener(listener);
    if (rc == 0)
        rc = watch(domain, listener->fd, EPOLLIN, listener->number);
    if (rc == 0) {
        listener->watched = true;
        return 0;
    }
    ucx_oob_listener_close(listener);
    return domain->host->fail(rc == -EADDRNOTAVAIL ? EINVAL : -rc,
                              "%s: listen on %s: %s; choose another address or port", domain->name,
                              address, strerrordesc_np(-rc));
}

void ucx_oob_listener_close(struct ros2_listener *listener)
{
    ucx_table_remove(&listener->domain->table, listener->number);
    if (listener->fd >= 0)
        drop(listener->domain, listener->fd);
    listener->fd = -1;
}

/* The set has level events of listeners: who may not accept is not watched. */
static void watch_listener(struct ros2_listener *listener)
{
    struct ros2_domain *domain = listener->domain;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = listener->number};

    if (listener->rest_ns && domain->host->now_ns() >= listener->rest_ns)
        listener->rest_ns = 0;
    else if (listener->rest_ns)
        ucx_domain_wake_at(domain, listener->rest_ns);
    const bool wanted =
        !listener->paused && !listener->rest_ns && domain->accepting < ACCEPTING_MAX;
    if (wanted == listener->watched)
        return;
    if (!wanted)
        event.events = 0;
    if (epoll_ctl(domain->oob_fd, EPOLL_CTL_MOD, listener->fd, &event) == 0)
        listener->watched = wanted;
}

static void rest(struct ros2_listener *listener, int err)
{
    const struct ros2_host *host = listener->domain->host;

    host->log(ROS2_LOG_WARN, "transport/ucx", "accept: %s; the next try is in 100 ms",
              strerrordesc_np(err));
    listener->rest_ns = host->now_ns() + REST_NS;
    ucx_domain_wake_at(listener->domain, listener->rest_ns);
}

static void accepted(struct ros2_listener *listener, int fd, const union ip_address *peer)
{
    struct ros2_ep *ep;

    if (ucx_ep_new(listener->domain, peer, UCX_EP_ACCEPTING, &ep) < 0) {
        close(fd);
        return;
    }
    ep->listener = listener;
    ep->oob.fd = fd;
    set_options(fd);
    int rc = prepare_receive(ep);
    if (rc == 0)
        rc = watch(listener->domain, fd, EDGES, ep->number);
    if (rc < 0)
        ucx_ep_down(ep, rc);
}

static int accept_some(struct ros2_listener *listener)
{
    int count = 0;

    while (count < ACCEPTS_PER_TURN && !listener->closed && !listener->paused &&
           !listener->rest_ns && listener->domain->accepting < ACCEPTING_MAX) {
        union ip_address peer = {0};
        socklen_t len = sizeof peer;
        const int fd = accept4(listener->fd, &peer.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            accepted(listener, fd, &peer);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(listener, errno);
        else if (errno == EAGAIN)
            break;
        count++; /* else that one has died in the queue */
    }
    return count;
}

/* -- the domain -- */

int ucx_oob_open(struct ros2_domain *domain)
{
    ucp_worker_attr_t attr = {.field_mask = UCP_WORKER_ATTR_FIELD_ADDRESS};
    ucs_status_t status = ucp_worker_query(domain->worker, &attr);

    if (status != UCS_OK)
        return ucx_domain_complain(domain, "ucp_worker_query", status);
    domain->address = attr.address;
    domain->address_len = attr.address_length;
    if (domain->address_len > ADDRESS_MAX)
        return domain->host->fail(E2BIG,
                                  "%s: UCX's address has %zu bytes, which is more than %u; let "
                                  "UCX_NET_DEVICES name fewer devices",
                                  domain->name, domain->address_len, ADDRESS_MAX);
    domain->oob_fd = epoll_create1(EPOLL_CLOEXEC);
    if (domain->oob_fd < 0)
        return domain->host->fail(errno, "%s: open a domain: %s", domain->name,
                                  strerrordesc_np(errno));
    return ucx_domain_watch(domain, domain->oob_fd);
}

void ucx_oob_close(struct ros2_domain *domain)
{
    if (domain->address && !ucx_domain_forked(domain))
        ucp_worker_release_address(domain->worker, domain->address);
    domain->address = NULL;
    if (domain->oob_fd >= 0)
        close(domain->oob_fd);
    domain->oob_fd = -1;
}

static void watch_listeners(struct ros2_domain *domain)
{
    struct ros2_listener *listener;

    TAILQ_FOREACH(listener, &domain->listeners, link)
    watch_listener(listener);
}

void ucx_oob_arm(struct ros2_domain *domain)
{
    domain->oob_skips = 0;
    watch_listeners(domain);
}

int ucx_oob_progress(struct ros2_domain *domain)
{
    struct epoll_event events[EVENTS];

    if (domain->oob_skips > 0) {
        domain->oob_skips--;
        return 0;
    }
    domain->oob_skips = SKIPS;
    watch_listeners(domain);
    const int count = epoll_wait(domain->oob_fd, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct ros2_listener *listener =
            ucx_table_find(&domain->table, UCX_LISTENER, events[i].data.u64);
        struct ros2_ep *ep = ucx_table_find(&domain->table, UCX_ENDPOINT, events[i].data.u64);
        if (listener)
            (void)accept_some(listener);
        else if (ep)
            step(ep);
    }
    if (count > 0)
        domain->oob_skips = 0;
    return count > 0 ? count : 0;
}
