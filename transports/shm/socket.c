/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of an endpoint. Owner: the domain's thread. Always: a descriptor that was received is closed by the end of the
 * record that it came with; a file that is mapped has passed shm_file_map. */
#include "config.h"

#include "transports/shm/socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "transports/shm/discard.h"
#include "transports/shm/endpoint.h"
#include "transports/shm/file.h"

#define RETRY_NS   1000000ull
#define READ_BYTES 256u
/* Each read ends behind a descriptor: so many take in all files that there can be. */
#define READS (SHM_FILES + 16u)

/* For as many as one message can carry (SCM_MAX_FD of Linux): those that find no room the kernel closes itself, here. */
#define FDS_MAX 253u
union shm_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
};

/* -- sending -- */

/* All of it or nothing. 0, -EAGAIN (also: too many descriptors under way), or another errno. */
static int send_with_fds(int socket_fd, const void *bytes, size_t len, const int *fds, int count)
{
    union shm_control control = {.bytes = {0}};
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (count > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * (size_t)count);
    }
    ssize_t n = sendmsg(socket_fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == (ssize_t)len)
        return 0;
    if (n >= 0)
        return -ECONNRESET; /* the kernel takes so few bytes whole */
    return errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM || errno == EINTR ? -EAGAIN
                                                                                          : -errno;
}

/* 0; -EAGAIN: the socket is full; 1: the connection is gone. */
static int send_changed_files(struct ros2_ep *ep, bool forgotten)
{
    const struct shm_regions *regions = &ep->domain->regions;

    for (unsigned i = 0; i < SHM_FILES; i++) {
        const struct shm_own_file *file = &regions->file[i];
        if (ep->file_sent[i] == file->serial || (file->serial == 0) != forgotten)
            continue;
        const struct shm_notice notice = {.type = file->serial ? SHM_FILE : SHM_FORGET,
                                          .index = (uint8_t)i,
                                          .serial = file->serial,
                                          .len = file->len};
        int rc = send_with_fds(ep->fd, &notice, sizeof notice, &file->fd, file->serial != 0);
        if (rc < 0)
            return rc == -EAGAIN ? rc : 1;
        ep->file_sent[i] = file->serial;
    }
    return 0;
}

int shm_socket_sync_files(struct ros2_ep *ep)
{
    const struct shm_regions *regions = &ep->domain->regions;

    if (ep->files_revision == regions->files_revision)
        return 0;
    /* What goes makes room for what comes. */
    int rc = send_changed_files(ep, true);
    if (rc == 0)
        rc = send_changed_files(ep, false);
    if (rc == 0)
        ep->files_revision = regions->files_revision;
    return rc < 0 ? rc : 0; /* of the end of the connection epoll tells */
}

/* -- greeting -- */

static const struct shm_greeting greeting = {
    .magic = SHM_MAGIC,
    .version = SHM_VERSION,
    .ring_len = SHM_RING_LEN,
    .slots = SHM_SLOTS,
    .table_len = SHM_TABLE_LEN,
};

static int greet(struct ros2_ep *ep, uint32_t kind)
{
    const int table_fd = ep->domain->regions.table_fd;
    const int hello[SHM_HELLO_FDS] = {table_fd, ep->ring_fd, ep->doorbell};
    const int welcome[SHM_WELCOME_FDS] = {table_fd, ep->doorbell};
    struct shm_greeting mine = greeting;

    mine.kind = kind;
    return kind == SHM_HELLO ? send_with_fds(ep->fd, &mine, sizeof mine, hello, SHM_HELLO_FDS)
                             : send_with_fds(ep->fd, &mine, sizeof mine, welcome, SHM_WELCOME_FDS);
}

static int set_ring(struct ros2_ep *ep, void *map, unsigned side)
{
    ep->ring = shm_ring_create(map, side);
    if (!ep->ring) {
        munmap(map, SHM_RING_LEN);
        return -ENOMEM;
    }
    return 0;
}

static int step_connect(struct ros2_ep *ep)
{
    void *map;

    if (connect(ep->fd, (const struct sockaddr *)&ep->address, sizeof ep->address) < 0 &&
        errno != EISCONN) {
        /* No file, or one that nobody listens on: the same to the user. */
        return errno == ENOENT ? -ECONNREFUSED : -errno;
    }
    ep->ring_fd = shm_file_create("ros2-shm", SHM_RING_LEN, &map);
    if (ep->ring_fd < 0)
        return ep->ring_fd;
    int rc = set_ring(ep, map, 0);
    if (rc == 0)
        rc = shm_domain_watch(ep->domain, ep->fd, EPOLLIN | EPOLLRDHUP, &ep->source);
    if (rc < 0)
        return rc;
    ep->watched = true;
    rc = shm_doorbell_open(ep);
    if (rc < 0)
        return rc;
    ep->state = SHM_EP_GREETING;
    return 0;
}

/* The table is known: the peer may be told of files, and use them. */
static void shares(struct ros2_ep *ep)
{
    shm_list_append(&ep->domain->sharing, &ep->sharing_link);
    if (shm_socket_sync_files(ep) < 0)
        shm_domain_wake_at(ep->domain, ep->domain->host->now_ns() + RETRY_NS);
}

void shm_socket_advance(struct ros2_ep *ep)
{
    int rc = 0;

    if (ep->state == SHM_EP_CONNECTING)
        rc = step_connect(ep);
    if (rc == 0 && ep->state == SHM_EP_GREETING) {
        rc = greet(ep, SHM_HELLO);
        if (rc == 0) {
            close(ep->ring_fd);
            ep->ring_fd = -1;
            ep->state = SHM_EP_AWAIT_WELCOME;
        }
    }
    if (rc == 0 && ep->state == SHM_EP_ANSWERING) {
        rc = greet(ep, SHM_WELCOME);
        if (rc == 0) {
            shm_ep_opened(ep);
            shares(ep);
        }
    }
    if (rc ==
        -EAGAIN) /* the listener's queue is full, or the system's share of descriptors under way */
        shm_domain_wake_at(ep->domain, ep->domain->host->now_ns() + RETRY_NS);
    else if (rc < 0)
        shm_ep_doom(ep, rc);
}

static const char *wrong_greeting(const struct shm_greeting *theirs, uint32_t kind)
{
    static const uint8_t none[sizeof theirs->reserved];

    if (theirs->version != SHM_VERSION)
        return "it speaks another version; install equal versions of libros2 and ros2d";
    if (theirs->kind != kind || theirs->ring_len != SHM_RING_LEN || theirs->slots != SHM_SLOTS ||
        theirs->table_len != SHM_TABLE_LEN || memcmp(theirs->reserved, none, sizeof none) != 0)
        return "its greeting is not as it should be";
    return NULL;
}

static int greeted(struct ros2_ep *ep, const char **why_p)
{
    const bool hello = ep->state == SHM_EP_AWAIT_HELLO;
    struct shm_greeting theirs;
    void *map;

    memcpy(&theirs, ep->in, sizeof theirs);
    *why_p = wrong_greeting(&theirs, hello ? SHM_HELLO : SHM_WELCOME);
    if (*why_p)
        return -EPROTO;
    if (ep->fd_count != (hello ? SHM_HELLO_FDS : SHM_WELCOME_FDS)) {
        *why_p = "its greeting lacks the descriptors of its memory and doorbell";
        return -EPROTO;
    }
    int rc = shm_file_map(ep->fds[0], SHM_TABLE_LEN, &map, why_p);
    if (rc < 0)
        return rc;
    ep->shared.table = map;
    if (hello) {
        rc = shm_file_map(ep->fds[1], SHM_RING_LEN, &map, why_p);
        if (rc == 0)
            rc = set_ring(ep, map, 1);
        if (rc == 0)
            rc = shm_doorbell_open(ep);
        if (rc < 0)
            return rc;
    }
    rc = shm_doorbell_take(ep, ep->fds[--ep->fd_count], why_p);
    shm_socket_drop_fds(ep);
    if (rc < 0)
        return rc;
    if (hello)
        ep->state = SHM_EP_ANSWERING;
    else
        shares(ep); /* shm_socket_event opens it */
    return 0;
}

/* -- receiving -- */

void shm_socket_drop_fds(struct ros2_ep *ep)
{
    while (ep->fd_count > 0)
        shm_discard(ep->domain->host, ep->fds[--ep->fd_count]);
}

static int noticed(struct ros2_ep *ep, const char **why_p)
{
    static const uint8_t none[6];
    struct shm_notice notice;
    int rc = -EPROTO;

    memcpy(&notice, ep->in, sizeof notice);
    *why_p = "its notice is not as it should be";
    if (notice.index >= SHM_FILES || memcmp(notice.reserved, none, sizeof none) != 0)
        return rc;
    if (notice.type == SHM_FILE && notice.serial != 0 && ep->fd_count == 1) {
        rc = shm_peer_file(&ep->shared, &notice, ep->fds[0], why_p);
        shm_socket_drop_fds(ep);
    } else if (notice.type == SHM_FORGET && notice.serial == 0 && notice.len == 0) {
        /* A descriptor that is here already came with the record behind this one. */
        shm_peer_forget(&ep->shared, notice.index);
        rc = 0;
    }
    return rc;
}

/* How long the record is that starts with what has been read of it. 0: it is none. */
static size_t record_len(const struct ros2_ep *ep)
{
    if (ep->state == SHM_EP_AWAIT_HELLO ||
        (ep->state == SHM_EP_AWAIT_WELCOME && !ep->shared.table)) {
        const size_t magic = sizeof greeting.magic;
        return memcmp(ep->in, SHM_MAGIC, ep->in_len < magic ? ep->in_len : magic) == 0
                   ? sizeof(struct shm_greeting)
                   : 0;
    }
    /* While it waits for WELCOME to leave, the connecting side has nothing to say but what follows. */
    switch (ep->in[0]) {
    case SHM_WAKE:
        return 1;
    case SHM_FILE:
    case SHM_FORGET:
        return sizeof(struct shm_notice);
    default:
        return 0;
    }
}

/* 0, or -EPROTO, -ENOMEM and *why_p. */
static int parse(struct ros2_ep *ep, const uint8_t *bytes, size_t len, const char **why_p)
{
    for (size_t i = 0; i < len; i++) {
        ep->in[ep->in_len++] = bytes[i];
        size_t want = record_len(ep);
        if (want == 0) {
            *why_p = "it is no libros2, or broke the protocol";
            return -EPROTO;
        }
        if (ep->in_len < want)
            continue;
        int rc = 0;
        if (want == sizeof(struct shm_greeting))
            rc = greeted(ep, why_p);
        else if (want > 1)
            rc = noticed(ep, why_p);
        else
            shm_ep_heat(ep); /* also when nobody has looked for it: it comes once */
        if (rc < 0)
            return rc;
        ep->in_len = 0;
    }
    if (ep->in_len == 0 && ep->fd_count > 0) {
        *why_p = "it passed descriptors that belong to nothing";
        return -EPROTO;
    }
    return 0;
}

/* Takes the descriptors of a message; those that are too many are closed. -EMFILE: there was no room for them here. */
static int take_fds(struct ros2_ep *ep, struct msghdr *msg, const char **why_p)
{
    int rc = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (ep->fd_count < SHM_HELLO_FDS) {
                ep->fds[ep->fd_count++] = fd;
            } else {
                shm_discard(ep->domain->host, fd);
                rc = -EPROTO;
            }
        }
    }
    /* Cut off, although there was room in the message for all that can come: the kernel could not open them here. */
    if (rc == 0 && (msg->msg_flags & MSG_CTRUNC))
        rc = -EMFILE;
    if (rc < 0)
        *why_p = rc == -EMFILE ? "the file descriptors of its memory cannot be opened here; "
                                 "RLIMIT_NOFILE may be too low"
                               : "it passed too many descriptors";
    return rc;
}

/* Up to READ_BYTES, and the descriptors that came with them; *passed_p: there were some. 0: the end. -EPROTO, -EMFILE and *why_p:
 * they cannot be taken; the bytes are gone. Else what recvmsg(2) says. */
static ssize_t receive(struct ros2_ep *ep, uint8_t *bytes, bool *passed_p, const char **why_p)
{
    union shm_control control;
    struct iovec iov = {bytes, READ_BYTES};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(ep->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (n < 0)
        return -errno;
    *passed_p = msg.msg_controllen > 0;
    int rc = take_fds(ep, &msg, why_p);
    return rc < 0 ? rc : n;
}

void shm_socket_drain(struct ros2_ep *ep)
{
    uint8_t bytes[READ_BYTES];
    const char *why;
    bool passed;
    ssize_t n;

    /* Nobody sends after that, so this ends. A forked child shares the socket, and its parent reads on. */
    if (shm_domain_forked(ep->domain) || shutdown(ep->fd, SHUT_RDWR) < 0)
        return;
    do {
        n = receive(ep, bytes, &passed, &why);
        shm_socket_drop_fds(ep);
    } while (n > 0 || n == -EINTR || n == -EPROTO || n == -EMFILE);
}

/* One read. 1: there may be more, 0: there is none now; -EPIPE: the end; -EPROTO, -EMFILE, -ENOMEM, ... and *why_p. */
static int read_some(struct ros2_ep *ep, const char **why_p)
{
    uint8_t bytes[READ_BYTES];
    bool passed;
    ssize_t n = receive(ep, bytes, &passed, why_p);

    if (n == -EAGAIN || n == -EINTR)
        return n == -EINTR;
    if (n <= 0)
        return n == -EPROTO || n == -EMFILE ? (int)n : -EPIPE;
    int rc = parse(ep, bytes, (size_t)n, why_p);
    return rc < 0 ? rc : n == READ_BYTES || passed;
}

void shm_socket_look(struct ros2_ep *ep)
{
    const char *why = NULL;
    int rc = 1;

    for (unsigned i = 0; i < READS && rc > 0; i++)
        rc = ep->fd < 0 || ep->hup || ep->error ? 0 : read_some(ep, &why);
    if (rc == 0 || rc == 1)
        return;
    shm_socket_drop_fds(ep);
    if (rc == -EPIPE) {
        ep->hup = true;
        shm_ep_ready(ep);
    } else {
        shm_ep_doom(ep, shm_ep_fail(ep, -rc, why));
    }
}

void shm_socket_event(struct ros2_ep *ep)
{
    shm_socket_look(ep);
    shm_ep_heat(ep);
    ep->owed = false;
    if (ep->error)
        return;
    if (ep->state == SHM_EP_ANSWERING)
        shm_socket_advance(ep);
    else if (ep->state == SHM_EP_AWAIT_WELCOME && ep->shared.table)
        shm_ep_opened(ep);
}
