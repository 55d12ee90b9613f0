/* SPDX-License-Identifier: Apache-2.0 */
/* Doorbells. An eventfd is one open file for all who have it, flags and counter included, so nothing may be done to it that
 * could block: a hostile peer may have cleared O_NONBLOCK. Owner: the domain's thread. Always:
 *
 * - nobody reads one. It is watched edge-triggered, and each write to it is an edge. A counter of 64 bits does not fill up.
 * - the accepting side never writes to one. It lets the kernel signal it: each request of Linux's asynchronous I/O may name an
 *   eventfd that is to be signalled when it is done (IOCB_FLAG_RESFD, io_submit(2)), and that adds what still fits and never
 *   waits. The request itself is a poll of something that is ready, and so done before io_submit returns. */
#include "config.h"

#include "transports/shm/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transports/shm/discard.h"
#include "transports/shm/endpoint.h"

/* Results are taken so many at a time. */
#define REQUESTS 32u

/* -- signalling -- */

static void take_results(struct shm_ringer *ringer)
{
    struct io_event event[REQUESTS];

    (void)syscall(SYS_io_getevents, ringer->context, 0L, (long)REQUESTS, event, NULL);
    ringer->under_way = 0;
}

/* 0, or a negative errno: -EINVAL, -EBADF: fd is no eventfd. */
static int signal_eventfd(struct shm_ringer *ringer, int fd)
{
    struct iocb request = {
        .aio_lio_opcode = IOCB_CMD_POLL,
        .aio_fildes = (uint32_t)ringer->ready_fd,
        .aio_buf = POLLOUT,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)fd,
    };
    struct iocb *requests[] = {&request};

    if (ringer->under_way == REQUESTS)
        take_results(ringer);
    if (syscall(SYS_io_submit, ringer->context, 1L, requests) != 1)
        return -errno;
    ringer->under_way++;
    return 0;
}

static int open_ringer(struct shm_ringer *ringer)
{
    int rc = 0;

    ringer->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ringer->ready_fd < 0)
        return -errno;
    if (syscall(SYS_io_setup, REQUESTS, &ringer->context) < 0)
        rc = -errno;
    if (rc == 0)
        rc = signal_eventfd(ringer, ringer->ready_fd);
    if (rc < 0) {
        if (ringer->context)
            (void)syscall(SYS_io_destroy, ringer->context);
        ringer->context = 0;
        close(ringer->ready_fd);
    }
    return rc;
}

/* A kernel may lack it, a sandbox refuse it, the system's share (fs.aio-max-nr) be used up for now. */
static bool is_usable(struct ros2_domain *domain)
{
    struct shm_ringer *ringer = &domain->ringer;

    if (ringer->usable)
        return true;
    int rc = open_ringer(ringer);
    ringer->usable = rc == 0;
    if (rc < 0 && !ringer->complained)
        domain->host->log(ROS2_LOG_INFO, "transport/shm",
                          "peers are woken over their sockets, which takes longer: no asynchronous "
                          "I/O here: %s",
                          strerrordesc_np(-rc));
    ringer->complained |= rc < 0;
    return ringer->usable;
}

void shm_ringer_fini(struct ros2_domain *domain)
{
    struct shm_ringer *ringer = &domain->ringer;

    if (!ringer->usable)
        return;
    /* A forked child has none: a context belongs to an address space. */
    if (!shm_domain_forked(domain))
        (void)syscall(SYS_io_destroy, ringer->context);
    close(ringer->ready_fd);
}

/* -- of an endpoint -- */

int shm_doorbell_open(struct ros2_ep *ep)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return shm_ep_fail(ep, errno, strerrordesc_np(errno));
    ep->doorbell_source = SHM_SOURCE_DOORBELL;
    int rc = shm_domain_watch(ep->domain, fd, EPOLLIN | EPOLLET, &ep->doorbell_source);
    if (rc < 0)
        close(fd);
    else
        ep->doorbell = fd;
    return rc;
}

int shm_doorbell_take(struct ros2_ep *ep, int fd, const char **why_p)
{
    int rc = 0;

    ep->ring_way = SHM_RING_WRITE;
    if (ep->accepted) {
        rc = is_usable(ep->domain) ? signal_eventfd(&ep->domain->ringer, fd) : -ENOSYS;
        ep->ring_way = rc == 0 ? SHM_RING_AIO : SHM_RING_BYTE;
    }
    if (ep->ring_way != SHM_RING_BYTE) {
        ep->peer_doorbell = fd;
        return 0;
    }
    shm_discard(ep->domain->host, fd);
    if (rc != -EINVAL && rc != -EBADF)
        return 0;
    *why_p = "the descriptor of its doorbell is no eventfd";
    return -EPROTO;
}

void shm_doorbell_close(struct ros2_ep *ep)
{
    if (ep->doorbell >= 0)
        shm_domain_close_fd(ep->domain, ep->doorbell);
    if (ep->peer_doorbell >= 0)
        close(ep->peer_doorbell);
    ep->doorbell = ep->peer_doorbell = -1;
    ep->ring_way = SHM_RING_BYTE;
}

bool shm_doorbell_ring(struct ros2_ep *ep)
{
    static const uint64_t one = 1;

    switch (ep->ring_way) {
    case SHM_RING_AIO:
        return signal_eventfd(&ep->domain->ringer, ep->peer_doorbell) == 0;
    case SHM_RING_WRITE:
        return write(ep->peer_doorbell, &one, sizeof one) == sizeof one;
    case SHM_RING_BYTE:
        break;
    }
    return false;
}
