/* SPDX-License-Identifier: Apache-2.0 */
/* Transport shm against peers that break its rules on the socket: greetings, descriptors, wake-ups, garbage. Beside each of
 * them a good connection of the same domain has to go on, nothing may fault, and nothing may be left behind. What they do to
 * the shared memory: shm_hostile_ring_test.c. */
#include "config.h"

#include "tests/unit/shm_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* -- the peer by hand does what is right -- */

static void a_peer_by_hand_is_understood(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    struct shm_peer_hand peer;

    hostile_join(h, &peer);
    shm_peer_record(&peer, SHM_MESSAGE, 5, 5, "hello", 5);
    pair_until(&h->pair, h->victim.messages == 1);
    assert_memory_equal(h->victim.last, "hello", 5);
    shm_peer_record(&peer, SHM_BYE, 0, 0, NULL, 0);
    pair_until(&h->pair, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPIPE);
    hostile_leave(h, &peer);
    hostile_is_as_before(h, before);
}

/* -- greetings -- */

static void greetings_that_break_a_rule_are_refused(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);

    for (size_t bit = 0; bit < 8 * sizeof(struct shm_greeting); bit++) {
        struct shm_peer_hand peer;
        shm_peer_open(&peer, hostile_dial(h));
        struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);
        ((uint8_t *)&greeting)[bit / 8] ^= (uint8_t)(1 << bit % 8);
        shm_peer_say(&peer, &greeting, sizeof greeting, peer.fds, SHM_HELLO_FDS);
        hostile_is_refused(h);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

static void strangers_are_refused_at_once(void **state)
{
    static const char *const greeting[] = {"GET / HTTP/1.1\r\n", "ROS2TCP\x01", "\n", "ROS2SHN"};
    struct hostile *h = *state;

    for (size_t i = 0; i < sizeof greeting / sizeof greeting[0]; i++) {
        struct shm_peer_hand peer;
        shm_peer_open(&peer, hostile_dial(h));
        shm_peer_say(&peer, greeting[i], strlen(greeting[i]), NULL, 0);
        hostile_is_refused(h);
        hostile_leave(h, &peer);
    }
}

static void a_greeting_broken_off_anywhere_is_told(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);

    for (size_t len = 0; len <= sizeof greeting; len++) {
        struct shm_peer_hand peer;
        shm_peer_open(&peer, hostile_dial(h));
        shm_peer_say(&peer, &greeting, len, peer.fds, len > 0 ? SHM_HELLO_FDS : 0);
        pair_settle(&h->pair);
        assert_int_equal(h->victim.closed, 0);
        shutdown(peer.socket, SHUT_WR);
        pair_until(&h->pair, h->victim.closed);
        assert_true(h->victim.closed_err == -ECONNRESET || h->victim.closed_err == -EPIPE);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

static void a_greeting_that_trickles_in_is_understood(void **state)
{
    struct hostile *h = *state;
    const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);
    struct shm_peer_hand peer;

    shm_peer_open(&peer, hostile_dial(h));
    for (size_t i = 0; i < sizeof greeting; i++) {
        const unsigned fd = i == 10 ? 0 : i == 20 ? 1 : 2;
        shm_peer_say(&peer, (const uint8_t *)&greeting + i, 1, &peer.fds[fd],
                     i == 10 || i == 20 || i == 25);
        pair_settle(&h->pair);
    }
    pair_until(&h->pair, shm_peer_welcomed(&peer));
    shm_peer_record(&peer, SHM_MESSAGE, 2, 2, "ok", 2);
    pair_until(&h->pair, h->victim.messages == 1);
    hostile_leave(h, &peer);
}

/* -- descriptors -- */

static void files_of_a_greeting_that_may_fault_are_refused(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    struct shm_peer_hand peer;

    for (int which = 0; which < 2; which++) {
        const size_t len = which ? SHM_RING_LEN : SHM_TABLE_LEN;
        for (enum shm_peer_file kind = 0; kind < SHM_PEER_GOOD; kind++) {
            shm_peer_open(&peer, hostile_dial(h));
            int bad = shm_peer_make_file(kind, len);
            if (bad < 0) { /* this system has no such files */
                hostile_leave(h, &peer);
                continue;
            }
            int fds[SHM_HELLO_FDS] = {peer.fds[0], peer.fds[1], peer.fds[2]};
            fds[which] = bad;
            const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);
            shm_peer_say(&peer, &greeting, sizeof greeting, fds, SHM_HELLO_FDS);
            hostile_is_refused(h);
            close(bad);
            hostile_leave(h, &peer);
        }
    }
    hostile_is_as_before(h, before);
}

static void a_wrong_number_of_descriptors_is_refused(void **state)
{
    static const int count[] = {0, 1, 2, 4, 5, 100};
    const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);

    for (size_t i = 0; i < sizeof count / sizeof count[0]; i++) {
        struct shm_peer_hand peer;
        int fds[100];
        shm_peer_open(&peer, hostile_dial(h));
        for (int j = 0; j < 100; j++)
            fds[j] = peer.fds[j % SHM_HELLO_FDS];
        shm_peer_say(&peer, &greeting, sizeof greeting, fds, count[i]);
        hostile_is_refused(h);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

static void descriptors_that_belong_to_nothing_are_refused(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    const uint8_t wake = SHM_WAKE;

    for (int count = 1; count <= 40; count += 13) {
        struct shm_peer_hand peer;
        int fds[40];
        hostile_join(h, &peer);
        for (int j = 0; j < 40; j++)
            fds[j] = peer.fds[0];
        shm_peer_say(&peer, &wake, 1, fds, count);
        hostile_is_refused(h);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

static void shared_files_that_may_fault_are_refused(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);

    for (enum shm_peer_file kind = 0; kind < SHM_PEER_GOOD; kind++) {
        /* Of whole huge pages, so that only their kind tells those of hugetlbfs. */
        const struct shm_notice notice = {.type = SHM_FILE, .serial = 1, .len = 2 << 20};
        struct shm_peer_hand peer;
        int bad = shm_peer_make_file(kind, notice.len);
        if (bad < 0)
            continue;
        hostile_join(h, &peer);
        shm_peer_say(&peer, &notice, sizeof notice, &bad, 1);
        hostile_is_refused(h);
        close(bad);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

static void notices_that_break_a_rule_are_refused(void **state)
{
    const struct {
        struct shm_notice notice;
        int fds;
    } bad[] = {
        {{.type = SHM_FILE, .serial = 1, .len = 4096}, 0},               /* no file */
        {{.type = SHM_FILE, .serial = 1, .len = 4096}, 2},               /* two */
        {{.type = SHM_FILE, .serial = 0, .len = 4096}, 1},               /* no serial */
        {{.type = SHM_FILE, .serial = 1, .len = 0}, 1},                  /* no length */
        {{.type = SHM_FILE, .serial = 1, .len = 8192}, 1},               /* another length */
        {{.type = SHM_FILE, .serial = 1, .len = UINT64_MAX}, 1},         /* past all limits */
        {{.type = SHM_FILE, .serial = 1, .len = 4096, .index = 64}, 1},  /* no such place */
        {{.type = SHM_FILE, .serial = 1, .len = 4096, .index = 255}, 1}, /* nor this */
        {{.type = SHM_FILE, .serial = 1, .len = 4096, .reserved = {1}}, 1},
        {{.type = SHM_FORGET, .serial = 1}, 0},
        {{.type = SHM_FORGET, .len = 1}, 0},
        {{.type = SHM_FORGET, .index = 64}, 0},
        {{.type = 3}, 0},
        {{.type = 255}, 0},
    };
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct shm_peer_hand peer;
        int fds[2] = {shm_peer_make_file(SHM_PEER_GOOD, 4096), 0};
        fds[1] = fds[0];
        hostile_join(h, &peer);
        shm_peer_say(&peer, &bad[i].notice, sizeof bad[i].notice, fds, bad[i].fds);
        hostile_is_refused(h);
        close(fds[0]);
        hostile_leave(h, &peer);
    }
    hostile_is_as_before(h, before);
}

static void files_take_no_more_room_than_allowed(void **state)
{
    enum { LEN_GIB = 30 };
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    struct shm_peer_hand peer;
    const uint64_t len = (uint64_t)LEN_GIB << 30;
    int fd = shm_peer_make_file(SHM_PEER_GOOD, len);

    assert_true(fd >= 0);
    hostile_join(h, &peer);
    /* In the place of another it counts once; forgetting gives its room back. */
    for (uint64_t i = 1; i <= 10; i++) {
        const struct shm_notice notice = {
            .type = SHM_FILE, .index = i % 2, .serial = i, .len = len};
        shm_peer_say(&peer, &notice, sizeof notice, &fd, 1);
    }
    pair_settle(&h->pair);
    assert_int_equal(h->victim.closed, 0);
    const struct shm_notice third = {.type = SHM_FILE, .index = 2, .serial = 11, .len = len};
    shm_peer_say(&peer, &third, sizeof third, &fd, 1);
    hostile_is_refused(h);
    close(fd);
    hostile_leave(h, &peer);
    hostile_is_as_before(h, before);
}

/* -- the socket -- */

static void floods_of_wake_ups_starve_nobody(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;
    const uint8_t wakes[4096] = {SHM_WAKE};

    hostile_join(h, &peer);
    for (int round = 0; round < 200; round++) {
        while (send(peer.socket, wakes, sizeof wakes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
        atomic_store(&peer.victim_table->head.bell, 1);
        hostile_others_go_on(h);
    }
    assert_int_equal(h->victim.closed, 0);
    shm_peer_record(&peer, SHM_MESSAGE, 1, 1, "x", 1);
    pair_until(&h->pair, h->victim.messages == 1);
    hostile_leave(h, &peer);
}

/* It never sleeps nor reads its socket: what is sent there must block nobody. */
static void a_peer_that_takes_no_wake_up_blocks_nobody(void **state)
{
    struct hostile *h = *state;
    struct shm_peer_hand peer;

    hostile_join(h, &peer);
    for (int i = 0; i < 3000; i++) {
        atomic_store(&peer.mine->sleep, SHM_WAKE_ON_DATA | SHM_WAKE_ON_SPACE);
        const struct iovec iov = {(void *)(uintptr_t) "x", 1};
        int rc = pair_ops->send(h->victim.ep, &iov, 1, NULL);
        assert_true(rc == 0 || rc == -EAGAIN);
        atomic_store(&peer.mine->head, atomic_load(&peer.theirs->tail)); /* it makes room */
    }
    hostile_others_go_on(h);
    hostile_leave(h, &peer);
}

static void garbage_on_the_socket_ends_the_connection(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    uint32_t seed = 5;

    for (int round = 0; round < 300; round++) {
        struct shm_peer_hand peer;
        uint8_t bytes[300];
        hostile_join(h, &peer);
        pair_pattern(bytes, sizeof bytes, pair_random(&seed));
        shm_peer_say(&peer, bytes, 1 + pair_random(&seed) % sizeof bytes, peer.fds,
                     pair_random(&seed) % 3 == 0);
        pair_settle(&h->pair);
        hostile_leave(h, &peer);
    }
    hostile_others_go_on(h);
    hostile_is_as_before(h, before);
}

/* -- the connecting side -- */

/* Says one wrong thing to whoever connects, and hangs up. */
static void answer(int listener, int how)
{
    struct shm_greeting welcome = shm_peer_greeting(SHM_WELCOME);
    struct shm_peer_hand peer;

    shm_peer_open(&peer, accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    int unsealed = shm_peer_make_file(SHM_PEER_UNSEALED, SHM_TABLE_LEN);
    int fds[4] = {how == 1 ? unsealed : peer.fds[0], peer.fds[2], peer.fds[0], peer.fds[0]};
    if (how == 2)
        welcome.kind = SHM_HELLO;
    if (how == 3)
        welcome.slots++;
    if (how > 0)
        shm_peer_say(&peer, &welcome, sizeof welcome, fds,
                     how < 4   ? SHM_WELCOME_FDS
                     : how < 6 ? how - 4
                               : how - 3);
    close(unsealed);
    shm_peer_close(&peer);
}

static void a_hostile_listener_is_refused(void **state)
{
    struct hostile *h = *state;
    struct hostile_usage before = hostile_usage(h);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(at.sun_path, pair_listen_address());
    assert_int_equal(bind(listener, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    for (int how = 0; how < 8; how++) {
        struct pair_side client = {.domain = h->pair.a.domain};
        assert_int_equal(
            pair_ops->connect(client.domain, at.sun_path, &pair_handler, &client, &client.ep), 0);
        answer(listener, how);
        pair_until(&h->pair, client.closed);
        assert_int_equal(client.connected, 0);
        assert_int_equal(client.closed_err, how == 0 ? -ECONNRESET : -EPROTO);
        pair_ops->ep_abort(client.ep);
        hostile_others_go_on(h);
    }
    close(listener);
    unlink(at.sun_path);
    hostile_is_as_before(h, before);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, hostile_setup, hostile_teardown)
    struct CMUnitTest tests[] = {
        CASE(a_peer_by_hand_is_understood),
        CASE(greetings_that_break_a_rule_are_refused),
        CASE(strangers_are_refused_at_once),
        CASE(a_greeting_broken_off_anywhere_is_told),
        CASE(a_greeting_that_trickles_in_is_understood),
        CASE(files_of_a_greeting_that_may_fault_are_refused),
        CASE(a_wrong_number_of_descriptors_is_refused),
        CASE(descriptors_that_belong_to_nothing_are_refused),
        CASE(shared_files_that_may_fault_are_refused),
        CASE(notices_that_break_a_rule_are_refused),
        CASE(files_take_no_more_room_than_allowed),
        CASE(floods_of_wake_ups_starve_nobody),
        CASE(a_peer_that_takes_no_wake_up_blocks_nobody),
        CASE(garbage_on_the_socket_ends_the_connection),
        CASE(a_hostile_listener_is_refused),
    };

    setenv("ROS2_TEST_TRANSPORT", "shm", 1);
    return PAIR_RUN("shm_hostile", tests);
}
