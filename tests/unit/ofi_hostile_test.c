/* SPDX-License-Identifier: Apache-2.0 */
/* Transport ofi against peers that break its protocol: played by hand with libfabric itself, fragment by fragment. Each
 * loses its connection with a clear error, and the others go on. */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_eq.h>
#include <rdma/fi_errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "transports/ofi/endpoint.h"

#define MUST(call) assert_int_equal((int)(call), 0)

struct hostile {
    struct pair pair;
    struct pair_side victim; /* the domain's end of the hostile connection */
    struct ros2_listener *listener;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
    struct fid_eq *eq;
    struct fid_cq *cq;
    struct fid_ep *ep;
    uint32_t event; /* how its connect ended; 0: not yet, UINT32_MAX: refused */
    uint8_t received[OFI_WINDOW][OFI_FRAGMENT];
    uint8_t out[8][2 * OFI_FRAGMENT];
    unsigned sent;
};

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct hostile *h = arg;

    (void)listener;
    assert_null(h->victim.ep);
    h->victim.ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, &h->victim);
}

static int setup(void **state)
{
    struct hostile *h = calloc(1, sizeof *h);
    struct fi_info *hints = fi_allocinfo();
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_FD};
    struct fi_cq_attr cq = {.format = FI_CQ_FORMAT_MSG, .wait_obj = FI_WAIT_FD};

    assert_true(h && hints);
    pair_open(&h->pair, NULL);
    hints->caps = FI_MSG | FI_RMA;
    hints->ep_attr->type = FI_EP_MSG;
    hints->fabric_attr->prov_name = strdup("tcp");
    MUST(fi_getinfo(FI_VERSION(1, 17), NULL, NULL, 0, hints, &h->info));
    fi_freeinfo(hints);
    MUST(fi_fabric(h->info->fabric_attr, &h->fabric, NULL));
    MUST(fi_domain(h->fabric, h->info, &h->domain, NULL));
    MUST(fi_eq_open(h->fabric, &eq, &h->eq, NULL));
    MUST(fi_cq_open(h->domain, &cq, &h->cq, NULL));
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct hostile *h = *state;

    if (h->ep)
        MUST(fi_close(&h->ep->fid));
    MUST(fi_close(&h->cq->fid));
    MUST(fi_close(&h->eq->fid));
    MUST(fi_close(&h->domain->fid));
    MUST(fi_close(&h->fabric->fid));
    fi_freeinfo(h->info);
    if (h->victim.ep)
        pair_ops->ep_abort(h->victim.ep);
    pair_close(&h->pair);
    free(h);
    return 0;
}

/* Progress on all sides. */
static void turn(struct hostile *h)
{
    uint8_t entry[sizeof(struct fi_eq_cm_entry) + 256];
    struct fi_eq_err_entry error = {0};
    struct fi_cq_msg_entry done;
    struct fi_cq_err_entry failed = {0};
    uint32_t event;

    pair_progress(&h->pair);
    ssize_t n = fi_eq_read(h->eq, &event, entry, sizeof entry, 0);
    if (n == -FI_EAVAIL && fi_eq_readerr(h->eq, &error, 0) > 0)
        h->event = h->event ? h->event : UINT32_MAX;
    else if (n > 0)
        h->event = event;
    if (fi_cq_read(h->cq, &done, 1) == -FI_EAVAIL)
        (void)fi_cq_readerr(h->cq, &failed, 0);
}

#define until(h, condition)                                          \
    do {                                                             \
        uint64_t end_ns_ = pair_now_ns() + PAIR_DEADLINE_NS;         \
        while (!(condition)) {                                       \
            turn(h);                                                 \
            if (pair_now_ns() > end_ns_)                             \
                fail_msg("not within the deadline: %s", #condition); \
        }                                                            \
    } while (0)

/* Begins to connect, with this greeting. */
static void dial(struct hostile *h, const void *greeting, size_t len)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char address[128];

    MUST(pair_ops->listen(h->pair.b.domain, pair_listen_address(), on_accept, h, &h->listener));
    MUST(pair_ops->listener_address(h->listener, address, sizeof address));
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    MUST(fi_endpoint(h->domain, h->info, &h->ep, NULL));
    MUST(fi_ep_bind(h->ep, &h->eq->fid, 0));
    MUST(fi_ep_bind(h->ep, &h->cq->fid, FI_TRANSMIT | FI_RECV));
    MUST(fi_enable(h->ep));
    for (unsigned i = 0; i < OFI_WINDOW; i++)
        MUST(fi_recv(h->ep, h->received[i], OFI_FRAGMENT, NULL, 0, NULL));
    MUST(fi_connect(h->ep, &to, greeting, len));
}

static void dial_well(struct hostile *h, uint16_t window)
{
    uint8_t greeting[OFI_GREETING];

    ofi_greeting_encode(&(struct ofi_greeting){.window = window, .fragment = OFI_FRAGMENT},
                        greeting);
    dial(h, greeting, sizeof greeting);
    until(h, h->event == FI_CONNECTED && h->victim.ep);
}

/* A fragment with that header and len bytes of payload. */
static void say(struct hostile *h, struct ofi_header header, size_t len)
{
    uint8_t *out = h->out[h->sent++ % 8];

    ofi_header_encode(&header, out);
    memset(out + OFI_HEADER, 0x11, len);
    MUST(fi_send(h->ep, out, OFI_HEADER + len, NULL, 0, NULL));
}

static void others_go_on(struct hostile *h)
{
    uint64_t before = h->pair.b.messages;

    pair_send(&h->pair, &h->pair.a, "good", 4);
    until(h, h->pair.b.messages == before + 1);
    assert_int_equal(h->pair.a.closed + h->pair.b.closed, 0);
}

static void breaks(struct hostile *h, const char *why)
{
    until(h, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPROTO);
    assert_non_null(strstr(ros2i_error(), why));
    others_go_on(h);
}

/* -- greetings -- */

static void greetings_of_others_are_refused(void **state)
{
    static const struct ofi_greeting good = {.window = 24, .fragment = OFI_FRAGMENT};
    struct hostile *h = *state;

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
        dial(h, greeting, how == 4 ? OFI_GREETING - 1 : how == 5 ? 0 : sizeof greeting);
        until(h, h->event != 0);
        assert_int_not_equal(h->event, FI_CONNECTED);
        assert_null(h->victim.ep);
        others_go_on(h);
        MUST(fi_close(&h->ep->fid));
        h->ep = NULL;
        h->event = 0;
        pair_ops->listener_close(h->listener);
    }
}

/* -- fragments -- */

static void a_message_of_two_fragments_is_put_together(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = OFI_PAYLOAD + 10}, OFI_PAYLOAD);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 10}, 10);
    until(h, h->victim.messages == 1);
    assert_int_equal(h->victim.last_len, OFI_PAYLOAD + 10);
}

static void a_fragment_without_a_whole_header_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    MUST(fi_send(h->ep, h->out[0], OFI_HEADER - 1, NULL, 0, NULL));
    breaks(h, "without a header");
}

static void a_fragment_longer_than_agreed_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = OFI_PAYLOAD + 1}, OFI_PAYLOAD + 1);
    until(h, h->victim.closed);
    assert_int_equal(h->victim.messages, 0);
    others_go_on(h);
}

static void unknown_kinds_end_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = 77}, 0);
    breaks(h, "unknown kind");
}

static void a_goodbye_with_a_payload_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_BYE}, 1);
    breaks(h, "unknown kind");
}

static void more_than_the_rest_of_a_message_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 5}, 6);
    breaks(h, "wrong length");
}

static void a_short_fragment_in_the_middle_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 10000}, 100);
    breaks(h, "wrong length");
}

static void another_length_in_the_middle_of_a_message_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 10000}, OFI_PAYLOAD);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = 60000}, OFI_PAYLOAD);
    breaks(h, "do not fit");
}

static void a_message_above_the_limit_ends_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_MESSAGE, .left = UINT32_MAX}, OFI_PAYLOAD);
    breaks(h, "longer than agreed");
}

static void credits_that_were_not_spent_end_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, OFI_WINDOW);
    say(h, (struct ofi_header){.type = OFI_CREDIT, .credits = 1}, 0);
    breaks(h, "more credits");
}

/* Who takes two fragments at most is sent one, and the next when it has given the credit back. */
static void a_small_window_is_kept(void **state)
{
    struct hostile *h = *state;
    const struct iovec iov = {(void *)(uintptr_t) "x", 1};

    dial_well(h, 2);
    memset(h->received, 0, sizeof h->received);
    for (int i = 0; i < 10; i++)
        MUST(pair_ops->send(h->victim.ep, &iov, 1, NULL));
    until(h, h->received[0][0] == OFI_MESSAGE);
    for (int i = 0; i < 100; i++)
        turn(h);
    assert_int_equal(h->received[1][0], 0);
    for (unsigned i = 1; i < 10; i++) {
        say(h, (struct ofi_header){.type = OFI_CREDIT, .credits = 1}, 0);
        until(h, h->received[i][0] == OFI_MESSAGE);
        assert_int_equal(h->received[i + 1][0], 0);
    }
    assert_int_equal(h->victim.closed, 0);
}

/* Nothing but CREDITs, and more of them than the victim, who can give back little to such a small window, has granted. */
static void more_fragments_than_credits_end_it(void **state)
{
    struct hostile *h = *state;

    dial_well(h, 2);
    for (int i = 0; i < 1000 && !h->victim.closed; i++) {
        uint8_t *out = h->out[0];
        ofi_header_encode(&(struct ofi_header){.type = OFI_CREDIT}, out);
        if (fi_send(h->ep, out, OFI_HEADER, NULL, 0, NULL) < 0)
            break;
        turn(h);
    }
    breaks(h, "more than it has credits for");
}

/* -- below the greeting: what the provider reads by itself -- */

static int dial_socket(struct hostile *h)
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
    struct hostile *h = *state;
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
        others_go_on(h);
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
    struct hostile *h = *state;
    uint8_t request[32] = {3, 0, 0, OFI_GREETING};
    int fd = dial_socket(h);

    assert_int_equal(write(fd, request, sizeof request), sizeof request);
    pair_settle(&h->pair); /* would wait for them */
    others_go_on(h);
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(greetings_of_others_are_refused),
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
        CASE(who_only_looks_keeps_nobody_awake),
        CASE(half_a_request_stops_nobody),
    };

    setenv("ROS2_TEST_TRANSPORT", "ofi+tcp", 1);
    return cmocka_run_group_tests(tests, pair_group_setup, NULL);
}
