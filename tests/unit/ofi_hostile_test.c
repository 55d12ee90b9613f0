/* SPDX-License-Identifier: Apache-2.0 */
/* Transport ofi against peers that break its protocol: played by hand with libfabric itself, fragment by fragment. Each
 * loses its connection with a clear error, and the others go on. */
#include "config.h"

#include "tests/unit/ofi_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.h"

static void breaks(struct ofi_peer *h, const char *why)
{
    ofi_peer_until(h, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPROTO);
    assert_non_null(strstr(ros2i_error(), why));
    ofi_peer_others_go_on(h);
}

/* -- greetings -- */

static void greetings_of_others_are_refused(void **state)
{
    static const struct ofi_greeting good = {.window = 24, .fragment = OFI_FRAGMENT};
    struct ofi_peer *h = *state;

    for (int how = 0; how < 6; how++) {
        uint8_t greeting[OFI_GREETING];
        ofi_greeting_encode(&good, greeting);
        if (how == 0)
            greeting[0] ^= 1; /* magic */
        else if (how == 1)
            greeting[4] ^= 2; /* version */
        else if (how == 2)
            memset(greeting + 6, 0, 2); /* it takes nothing */
        else if (how == 3)
            greeting[9] ^= 1; /* fragments of another size */
        ofi_peer_dial(h, greeting, how == 4 ? OFI_GREETING - 1 : how == 5 ? 0 : sizeof greeting);
        ofi_peer_until(h, h->event != 0);
        assert_int_not_equal(h->event, FI_CONNECTED);
        assert_null(h->victim.ep);
        ofi_peer_others_go_on(h);
        MUST(fi_close(&h->ep->fid));
        h->ep = NULL;
        h->event = 0;
        pair_ops->listener_close(h->listener);
        h->listener = NULL;
    }
}

static void who_is_refused_leaves_nothing(void **state)
{
    enum { WARM_UP = 50, COUNT = 150, OF_ONE = 300 }; /* bytes; what was asked for takes more */
    struct ofi_peer *h = *state;
    uint8_t greeting[OFI_GREETING] = {0};
    size_t memory = 0;

    for (int i = 0; i < WARM_UP + COUNT; i++) {
        if (i == WARM_UP)
            memory = mallinfo2().uordblks;
        ofi_peer_dial(h, greeting, sizeof greeting);
        ofi_peer_until(h, h->event != 0);
        assert_int_not_equal(h->event, FI_CONNECTED);
        MUST(fi_close(&h->ep->fid));
        h->ep = NULL;
        h->event = 0;
    }
    ofi_peer_others_go_on(h);
    /* The sanitizers' malloc counts nothing here: they find leaks in their own way. */
    assert_true(mallinfo2().uordblks <= memory + (size_t)COUNT * OF_ONE);
}

/* -- fragments -- */

static void a_message_of_two_fragments_is_put_together(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = OFI_PAYLOAD + 10},
                 OFI_PAYLOAD);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 10}, 10);
    ofi_peer_until(h, h->victim.messages == 1);
    assert_int_equal(h->victim.last_len, OFI_PAYLOAD + 10);
}

static void a_fragment_without_a_whole_header_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    MUST(fi_send(h->ep, h->out[0], OFI_HEADER - 1, ofi_peer_desc(h), 0, NULL));
    breaks(h, "without a header");
}

static void a_fragment_longer_than_agreed_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = OFI_PAYLOAD + 1},
                 OFI_PAYLOAD + 1);
    ofi_peer_until(h, h->victim.closed);
    assert_int_equal(h->victim.messages, 0);
    ofi_peer_others_go_on(h);
}

static void unknown_kinds_end_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = 77}, 0);
    breaks(h, "unknown kind");
}

static void a_goodbye_with_a_payload_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_BYE}, 1);
    breaks(h, "unknown kind");
}

static void more_than_the_rest_of_a_message_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 5}, 6);
    breaks(h, "wrong length");
}

static void a_short_fragment_in_the_middle_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 10000}, 100);
    breaks(h, "wrong length");
}

static void another_length_in_the_middle_of_a_message_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 10000}, OFI_PAYLOAD);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 60000}, OFI_PAYLOAD);
    breaks(h, "do not fit");
}

static void a_message_above_the_limit_ends_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = UINT32_MAX}, OFI_PAYLOAD);
    breaks(h, "longer than agreed");
}

static void credits_that_were_not_spent_end_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, OFI_WINDOW);
    ofi_peer_say(h, (struct ofi_header){.type = OFI_CREDIT, .credits = 1}, 0);
    breaks(h, "more credits");
}

/* Who takes two fragments at most is sent one, and the next when it has given the credit back. */
static void a_small_window_is_kept(void **state)
{
    struct ofi_peer *h = *state;
    const struct iovec iov = {(void *)(uintptr_t) "x", 1};

    ofi_peer_dial_well(h, 2);
    memset(h->received, 0, sizeof h->received);
    for (int i = 0; i < 10; i++)
        MUST(pair_ops->send(h->victim.ep, &iov, 1, NULL));
    ofi_peer_until(h, h->received[0][0] == OFI_MESSAGE);
    for (int i = 0; i < 100; i++)
        ofi_peer_turn(h);
    assert_int_equal(h->received[1][0], 0);
    for (unsigned i = 1; i < 10; i++) {
        ofi_peer_say(h, (struct ofi_header){.type = OFI_CREDIT, .credits = 1}, 0);
        ofi_peer_until(h, h->received[i][0] == OFI_MESSAGE);
        assert_int_equal(h->received[i + 1][0], 0);
    }
    assert_int_equal(h->victim.closed, 0);
}

/* Nothing but CREDITs, and more of them than the victim, who can give back little to such a small window, has granted. */
static void more_fragments_than_credits_end_it(void **state)
{
    struct ofi_peer *h = *state;

    ofi_peer_dial_well(h, 2);
    for (int i = 0; i < 1000 && !h->victim.closed; i++) {
        uint8_t *out = h->out[0];
        ofi_header_encode(&(struct ofi_header){.type = OFI_CREDIT}, out);
        if (fi_send(h->ep, out, OFI_HEADER, ofi_peer_desc(h), 0, NULL) < 0)
            break;
        ofi_peer_turn(h);
    }
    breaks(h, "more than it has credits for");
}

/* -- below the greeting: what the provider reads by itself -- */

static int dial_socket(struct ofi_peer *h)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons((uint16_t)atoi(strrchr(h->pair.address, ':') + 1));
    assert_true(fd >= 0);
    MUST(connect(fd, (struct sockaddr *)&to, sizeof to));
    return fd;
}

/* A port scan, or a health check of somebody's. */
static void who_only_looks_keeps_nobody_awake(void **state)
{
    struct ofi_peer *h = *state;
    struct pollfd fd = {.fd = pair_ops->domain_fd(h->pair.b.domain), .events = POLLIN};

    for (int i = 0; i < 20; i++) {
        int scan = dial_socket(h);
        if (i % 2)
            pair_settle(&h->pair);
        close(scan);
        for (int j = 0; j < 100; j++) {
            errno = EAGAIN; /* as some call before may have left it */
            pair_ops->progress(h->pair.b.domain);
        }
        ofi_peer_others_go_on(h);
    }
    pair_settle(&h->pair);
    int readable = 1;
    for (int i = 0; i < 1000 && readable; i++) {
        pair_ops->progress(h->pair.b.domain);
        errno = EAGAIN;
        if (pair_ops->domain_arm(h->pair.b.domain) == 0)
            readable = poll(&fd, 1, 0);
    }
    assert_int_equal(readable, 0);
}

/* libfabric's connection request, version 3, which promises 12 bytes of data: they never come. */
static void half_a_request_stops_nobody(void **state)
{
    struct ofi_peer *h = *state;
    uint8_t request[32] = {3, 0, 0, OFI_GREETING};
    int fd = dial_socket(h);

    assert_int_equal(write(fd, request, sizeof request), sizeof request);
    pair_settle(&h->pair); /* would wait for them */
    ofi_peer_others_go_on(h);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, ofi_peer_setup, ofi_peer_teardown)
    setenv("ROS2_TEST_TRANSPORT", "ofi+tcp", 0); /* or as it is set */
    struct CMUnitTest tests[] = {
        CASE(greetings_of_others_are_refused),
        CASE(who_is_refused_leaves_nothing),
        CASE(a_message_of_two_fragments_is_put_together),
        CASE(a_fragment_without_a_whole_header_ends_it),
        CASE(a_fragment_longer_than_agreed_ends_it),
        CASE(unknown_kinds_end_it),
        CASE(a_goodbye_with_a_payload_ends_it),
        CASE(more_than_the_rest_of_a_message_ends_it),
        CASE(a_short_fragment_in_the_middle_ends_it),
        CASE(another_length_in_the_middle_of_a_message_ends_it),
        CASE(a_message_above_the_limit_ends_it),
        CASE(credits_that_were_not_spent_end_it),
        CASE(a_small_window_is_kept),
        CASE(more_fragments_than_credits_end_it),
        PAIR_CASE_IF(pair_is("ofi+tcp"), CASE(who_only_looks_keeps_nobody_awake)),
        PAIR_CASE_IF(pair_is("ofi+tcp"), CASE(half_a_request_stops_nobody)),
    };

    return PAIR_RUN("ofi_hostile", tests);
}
