/* SPDX-License-Identifier: Apache-2.0 */
/* How the ends of a connection over transport shm wake each other: by eventfds, one of which belongs to a hostile peer, and
 * by bytes on the socket where the kernel signals none. */
#include "config.h"

#include "tests/unit/shm_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transports/shm/endpoint.h"

static bool is_awake(struct ros2_domain *domain, int timeout_ms)
{
    struct pollfd sleep = {.fd = pair_ops->domain_fd(domain), .events = POLLIN};

    return poll(&sleep, 1, timeout_ms) == 1;
}

static void fall_asleep(struct ros2_domain *domain)
{
    while (pair_ops->domain_arm(domain) == -EAGAIN)
        pair_ops->progress(domain);
    assert_false(is_awake(domain, 0));
}

static void wakes(struct pair *p, struct pair_side *from, struct pair_side *to)
{
    for (int round = 0; round < 100; round++) {
        const uint64_t messages = to->messages;
        pair_settle(p);
        fall_asleep(to->domain);
        pair_send(p, from, "wake", 4);
        assert_true(is_awake(to->domain, 30000));
        pair_ops->progress(to->domain);
        assert_int_equal(to->messages, messages + 1);
    }
}

/* Has asynchronous I/O been refused here, by a sandbox or a kernel without it? */
static bool lacks_aio(void)
{
    unsigned long context = 0;

    if (syscall(SYS_io_setup, 1, &context) < 0)
        return true;
    syscall(SYS_io_destroy, context);
    return false;
}

static void both_ends_ring(void **state)
{
    struct hostile *h = *state;

    if (lacks_aio())
        skip();
    assert_int_equal(h->pair.a.ep->ring_way, SHM_RING_WRITE);
    assert_int_equal(h->pair.b.ep->ring_way, SHM_RING_AIO);
    wakes(&h->pair, &h->pair.a, &h->pair.b);
    wakes(&h->pair, &h->pair.b, &h->pair.a);
}

/* The peer shares its doorbell's open file: its counter is full, and who writes to it waits. */
static void a_full_doorbell_blocks_nobody(void **state)
{
    static const uint64_t full = UINT64_MAX - 1;
    struct hostile *h = *state;
    struct shm_peer_hand peer;

    hostile_join(h, &peer);
    uint64_t count;
    (void)!read(peer.fds[2], &count, sizeof count); /* joining may have rung it */
    assert_int_equal(fcntl(peer.fds[2], F_SETFL, 0), 0);
    alarm(20); /* else a victim that is blocked takes the whole time limit */
    assert_int_equal(write(peer.fds[2], &full, sizeof full), sizeof full);
    for (int i = 0; i < 1000; i++) {
        atomic_store(&peer.mine->sleep, SHM_WAKE_ON_DATA | SHM_WAKE_ON_SPACE);
        const struct iovec iov = {(void *)(uintptr_t) "x", 1};
        assert_int_equal(pair_ops->send(h->victim.ep, &iov, 1, NULL), 0);
        atomic_store(&peer.mine->head, atomic_load(&peer.theirs->tail)); /* it makes room */
    }
    alarm(0);
    hostile_others_go_on(h);
    hostile_leave(h, &peer);
}

/* The peer's copy of the other's doorbell. */
static void a_victims_doorbell_blocks_it_not(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;
    struct pair_side *side = &h->victim;

    hostile_join(h, &peer);
    assert_int_equal(fcntl(peer.victim_doorbell, F_SETFL, 0), 0);
    for (int round = 0; round < 100; round++) {
        const uint64_t one = 1;
        uint64_t count;
        pair_settle(&h->pair);
        fall_asleep(h->pair.b.domain);
        /* Rung for nothing, and taken back before the victim looks. */
        assert_int_equal(write(peer.victim_doorbell, &one, sizeof one), sizeof one);
        assert_int_equal(read(peer.victim_doorbell, &count, sizeof count), sizeof count);
        pair_ops->progress(h->pair.b.domain);
        hostile_others_go_on(h);
    }
    assert_int_equal(side->closed, 0);
    shm_peer_record(&peer, SHM_MESSAGE, 1, 1, "x", 1);
    pair_until(&h->pair, side->messages == 1);
    hostile_leave(h, &peer);
}

static void floods_of_rings_starve_nobody(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;
    const uint64_t one = 1;

    hostile_join(h, &peer);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 100; i++)
            assert_int_equal(write(peer.victim_doorbell, &one, sizeof one), sizeof one);
        atomic_store(&peer.victim_table->head.bell, 1);
        hostile_others_go_on(h);
    }
    assert_int_equal(h->victim.closed, 0);
    hostile_leave(h, &peer);
}

/* Something that is no eventfd. -1: the last one. */
static int no_eventfd(int which)
{
    int fds[2];

    switch (which) {
    case 0:
        return epoll_create1(EPOLL_CLOEXEC);
    case 1:
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        close(fds[1]);
        return fds[0];
    case 2:
        return shm_peer_make_file(SHM_PEER_PIPE, 1);
    case 3:
        return shm_peer_make_file(SHM_PEER_PLAIN, 1);
    case 4:
        return shm_peer_make_file(SHM_PEER_GOOD, 4096);
    case 5:
        return open("/", O_PATH | O_CLOEXEC);
    default:
        return -1;
    }
}

static void greet_with(struct shm_peer_hand *peer, int bad)
{
    const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);
    const int fds[SHM_HELLO_FDS] = {peer->fds[0], peer->fds[1], bad};

    shm_peer_say(peer, &greeting, sizeof greeting, fds, SHM_HELLO_FDS);
}

static void what_is_no_eventfd_is_refused(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    int bad;

    if (lacks_aio())
        skip();
    for (int which = 0; (bad = no_eventfd(which)) >= 0; which++) {
        struct shm_peer_hand peer;
        shm_peer_open(&peer, hostile_dial(h));
        greet_with(&peer, bad);
        hostile_is_refused(h);
        close(bad);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

/* A TCP socket whose close() waits for a reader that does not read. */
static int lingering(int *reader_p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger linger = {.l_onoff = 1, .l_linger = 3600};
    static const char bytes[65536];
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int writer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(writer, (const struct sockaddr *)&at, sizeof at), 0);
    *reader_p = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*reader_p >= 0);
    close(listener);
    while (send(writer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(setsockopt(writer, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    return writer;
}

/* Not even looked at: it is still in the socket when the connection ends, since a read ends behind a descriptor. */
static void leave_behind(struct shm_peer_hand *peer, int bad)
{
    shm_peer_say(peer, "X", 1, peer->fds, 1);
    shm_peer_say(peer, "Y", 1, &bad, 1);
}

/* More than there can be: the last of them. */
static void pass_many(struct shm_peer_hand *peer, int bad)
{
    const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);
    int fds[100];

    for (int i = 0; i < 99; i++)
        fds[i] = peer->fds[i % 2];
    fds[99] = bad;
    shm_peer_say(peer, &greeting, sizeof greeting, fds, 100);
}

static void what_closing_waits_for_holds_up_nobody(void **state)
{
    void (*const pass[])(struct shm_peer_hand *, int) = {leave_behind, pass_many, greet_with};
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);

    alarm(20);
    for (int i = 0; i < 3; i++) {
        struct shm_peer_hand peer;
        int reader, bad = lingering(&reader);
        shm_peer_open(&peer, hostile_dial(h));
        pass[i](&peer, bad);
        close(bad); /* the victim has the last one */
        if (i == 2 && lacks_aio())
            pair_until(&h->pair, shm_peer_welcomed(&peer)); /* nobody looks at it then */
        else
            hostile_is_refused(h);
        hostile_leave(h, &peer);
        hostile_others_go_on(h);
        close(reader); /* resets it: the wait is over */
    }
    alarm(0);
    hostile_is_as_before(h, before);
}

/* The last case: from here on this process gets no asynchronous I/O. */
static int setup_without_aio(void **state)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        *state = NULL;
    return hostile_setup(state);
}

static void a_byte_wakes_where_nothing_signals(void **state)
{
    struct hostile *h = *state;

    if (!lacks_aio())
        skip(); /* this system filters no calls */
    assert_int_equal(h->pair.a.ep->ring_way, SHM_RING_WRITE);
    assert_int_equal(h->pair.b.ep->ring_way, SHM_RING_BYTE);
    wakes(&h->pair, &h->pair.a, &h->pair.b);
    wakes(&h->pair, &h->pair.b, &h->pair.a);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, hostile_setup, hostile_teardown)
    struct CMUnitTest tests[] = {
        CASE(both_ends_ring),
        CASE(a_full_doorbell_blocks_nobody),
        CASE(a_victims_doorbell_blocks_it_not),
        CASE(floods_of_rings_starve_nobody),
        CASE(what_is_no_eventfd_is_refused),
        CASE(what_closing_waits_for_holds_up_nobody),
        cmocka_unit_test_setup_teardown(a_byte_wakes_where_nothing_signals, setup_without_aio,
                                        hostile_teardown),
    };

    setenv("ROS2_TEST_TRANSPORT", "shm", 1);
    return PAIR_RUN("shm_doorbell", tests);
}
