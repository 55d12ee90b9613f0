/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that is UCX by hand, and breaks this transport's rules: it gets its connection closed, and others go on. What UCX
 * itself takes from a peer unchecked is outside (docs/SECURITY.md). */
#include "config.h"

#include "tests/conformance/transport_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include "transports/ucx/wire.h"

#define MY_NUMBER 77u
#define GREETING  ((uint64_t)UCX_WIRE_VERSION << 32 | UCX_WIRE_MAGIC)

struct peer {
    struct pair pair; /* bystanders; the victim belongs to the domain of b */
    struct pair_side victim;
    struct pair_region region;
    struct ros2_listener *listener;
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h ep;
    uint64_t number; /* of the connection, at the victim; 0: it has not greeted */
    int failed;      /* UCX says that the connection is over */
    uint8_t header[UCX_HEADER];
};

static void progress(struct peer *h)
{
    pair_progress(&h->pair);
    ucp_worker_progress(h->worker);
}

#define UNTIL(h, condition)                                          \
    do {                                                             \
        uint64_t end_ns_ = pair_now_ns() + PAIR_DEADLINE_NS;         \
        while (!(condition)) {                                       \
            progress(h);                                             \
            if (pair_now_ns() > end_ns_)                             \
                fail_msg("not within the deadline: %s", #condition); \
        }                                                            \
    } while (0)

/* -- UCX by hand -- */

static ucs_status_t heard(void *arg, const void *header, size_t header_len, void *data, size_t len,
                          const ucp_am_recv_param_t *param)
{
    struct peer *h = arg;

    (void)data;
    (void)len;
    (void)param;
    assert_int_equal(header_len, UCX_HEADER);
    const struct ucx_header said = ucx_header_decode(header);
    if (said.type == UCX_WELCOME) {
        assert_int_equal(said.to, MY_NUMBER);
        h->number = said.a;
    }
    return UCS_OK;
}

static void failed(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    struct peer *h = arg;

    (void)ep;
    (void)status;
    h->failed++;
}

static void say_bytes(struct peer *h, size_t header_len, const void *data, size_t len,
                      uint32_t flags)
{
    const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                       .flags = flags | UCP_AM_SEND_FLAG_REPLY};
    ucs_status_ptr_t request =
        ucp_am_send_nbx(h->ep, UCX_WIRE_AM, h->header, header_len, data, len, &param);

    if (!UCS_PTR_IS_PTR(request))
        return;
    /* One that waits for the receiver is given up when that closes. */
    UNTIL(h, ucp_request_check_status(request) != UCS_INPROGRESS || h->failed);
    ucp_request_free(request);
}

static void say(struct peer *h, struct ucx_header header, const void *data, size_t len)
{
    ucx_header_encode(&header, h->header);
    say_bytes(h, UCX_HEADER, data, len, UCP_AM_SEND_FLAG_EAGER);
}

static void open_ucx(struct peer *h)
{
    const ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES,
                                 .features = UCP_FEATURE_AM};
    const ucp_worker_params_t worker = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                        .thread_mode = UCS_THREAD_MODE_SINGLE};
    const ucp_am_handler_param_t handler = {
        .field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                      UCP_AM_HANDLER_PARAM_FIELD_ARG,
        .id = UCX_WIRE_AM,
        .cb = heard,
        .arg = h,
    };
    ucp_config_t *config;

    assert_int_equal(ucp_config_read(NULL, NULL, &config), UCS_OK);
    assert_int_equal(ucp_config_modify(config, "TLS", "tcp"), UCS_OK);
    assert_int_equal(ucp_config_modify(config, "CM_USE_ALL_DEVICES", "n"), UCS_OK);
    assert_int_equal(ucp_init(&params, config, &h->context), UCS_OK);
    ucp_config_release(config);
    assert_int_equal(ucp_worker_create(h->context, &worker, &h->worker), UCS_OK);
    assert_int_equal(ucp_worker_set_am_recv_handler(h->worker, &handler), UCS_OK);
}

static void dial(struct peer *h, const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1))};
    const ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR |
                      UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER,
        .sockaddr = {(const struct sockaddr *)&to, sizeof to},
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {failed, h},
    };

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(ucp_ep_create(h->worker, &params, &h->ep), UCS_OK);
}

static void hang_up(struct peer *h)
{
    const ucp_request_param_t force = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                       .flags = UCP_EP_CLOSE_FLAG_FORCE};
    ucs_status_ptr_t request = ucp_ep_close_nbx(h->ep, &force);

    if (UCS_PTR_IS_PTR(request))
        ucp_request_free(request);
    for (int i = 0; i < 100; i++)
        progress(h);
}

/* -- the fixture -- */

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct peer *h = arg;

    (void)listener;
    assert_null(h->victim.ep);
    h->victim.ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, &h->victim);
}

static int setup(void **state)
{
    struct peer *h = calloc(1, sizeof *h);
    char address[128];

    assert_non_null(h);
    pair_open(&h->pair, &(struct pair_options){.b_max_message = 10000});
    h->victim.domain = h->pair.b.domain;
    assert_int_equal(
        pair_ops->listen(h->pair.b.domain, pair_listen_address(), on_accept, h, &h->listener), 0);
    assert_int_equal(pair_ops->listener_address(h->listener, address, sizeof address), 0);
    open_ucx(h);
    dial(h, address);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct peer *h = *state;

    if (h->victim.ep)
        pair_ops->ep_abort(h->victim.ep);
    hang_up(h);
    ucp_worker_destroy(h->worker);
    ucp_cleanup(h->context);
    pair_close(&h->pair);
    free(h);
    return 0;
}

static void greet(struct peer *h)
{
    say(h, (struct ucx_header){.type = UCX_HELLO, .a = MY_NUMBER, .b = GREETING}, NULL, 0);
    UNTIL(h, h->number != 0 && h->victim.ep);
}

static void others_go_on(struct peer *h)
{
    const uint64_t before = h->pair.b.messages;

    pair_send(&h->pair, &h->pair.a, "still here", 10);
    pair_until(&h->pair, h->pair.b.messages == before + 1);
    assert_int_equal(h->pair.a.closed + h->pair.b.closed, 0);
}

static void is_closed_for_it(struct peer *h)
{
    UNTIL(h, h->victim.closed && h->failed);
    assert_int_equal(h->victim.closed_err, -EPROTO);
    assert_int_equal(h->victim.messages, 0);
    others_go_on(h);
}

/* -- cases -- */

static void who_keeps_the_rules_is_heard(void **state)
{
    struct peer *h = *state;

    greet(h);
    say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, "hello", 5);
    UNTIL(h, h->victim.messages == 1);
    assert_memory_equal(h->victim.last, "hello", 5);
    say(h, (struct ucx_header){.type = UCX_BYE, .to = h->number}, NULL, 0);
    UNTIL(h, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPIPE);
}

static void who_greets_otherwise_is_not_let_in(void **state)
{
    struct peer *h = *state;

    say(h, (struct ucx_header){.type = UCX_HELLO, .a = MY_NUMBER, .b = GREETING + 1}, NULL, 0);
    UNTIL(h, h->failed);
    assert_null(h->victim.ep);
    others_go_on(h);
}

static void who_greets_at_length_is_not_let_in(void **state)
{
    struct peer *h = *state;

    say(h, (struct ucx_header){.type = UCX_HELLO, .a = MY_NUMBER, .b = GREETING}, "more", 4);
    UNTIL(h, h->failed);
    assert_null(h->victim.ep);
    others_go_on(h);
}

static void words_for_nobody_are_not_heard(void **state)
{
    struct peer *h = *state;

    say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = 1}, "x", 1);
    memset(h->header, 0xff, sizeof h->header);
    say_bytes(h, 20, "short", 5, UCP_AM_SEND_FLAG_EAGER);
    say_bytes(h, UCX_HEADER, "?", 1, UCP_AM_SEND_FLAG_EAGER);
    greet(h);
    say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number ^ 1ull << 40}, "x", 1);
    say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, "y", 1);
    UNTIL(h, h->victim.messages == 1);
    assert_int_equal(h->victim.last[0], 'y');
    others_go_on(h);
}

static void a_second_greeting_ends_it(void **state)
{
    struct peer *h = *state;

    greet(h);
    say(h, (struct ucx_header){.type = UCX_WELCOME, .to = h->number, .a = 1, .b = GREETING}, NULL,
        0);
    is_closed_for_it(h);
}

static void a_message_that_is_too_long_ends_it(void **state)
{
    static uint8_t bytes[10001];
    struct peer *h = *state;

    greet(h);
    say(h, (struct ucx_header){.type = UCX_MESSAGE, .to = h->number}, bytes, sizeof bytes);
    is_closed_for_it(h);
}

static void a_message_by_rendezvous_ends_it(void **state)
{
    struct peer *h = *state;
    uint8_t *bytes = calloc(1, 1 << 20);

    greet(h);
    const struct ucx_header header = {.type = UCX_MESSAGE, .to = h->number};
    ucx_header_encode(&header, h->header);
    say_bytes(h, UCX_HEADER, bytes, 1 << 20, UCP_AM_SEND_FLAG_RNDV);
    is_closed_for_it(h);
    free(bytes);
}

static void an_unknown_kind_ends_it(void **state)
{
    struct peer *h = *state;

    greet(h);
    say(h, (struct ucx_header){.type = 200, .to = h->number}, NULL, 0);
    is_closed_for_it(h);
}

static void data_that_nobody_asked_for_ends_it(void **state)
{
    struct peer *h = *state;

    greet(h);
    say(h, (struct ucx_header){.type = UCX_DATA, .to = h->number, .a = h->number}, "x", 1);
    is_closed_for_it(h);
}

/* Of 100 bytes that may be read or written; from: added to the region's number. */
static void reach(struct peer *h, enum ucx_message_type type, unsigned rights, uint64_t from,
                  uint64_t offset, uint32_t len)
{
    uint8_t bytes[200] = {0};
    uint64_t number;

    greet(h);
    pair_region_open(&h->region, &h->victim, &h->pair.a, 100, rights);
    memcpy(&number, h->region.key + 8, sizeof number); /* as docs/PROTOCOL-ucx.md has it */
    say(h,
        (struct ucx_header){.type = (uint8_t)type,
                            .to = h->number,
                            .a = le64toh(number) + from,
                            .b = offset,
                            .c = len,
                            .d = MY_NUMBER},
        bytes, type == UCX_PUT ? len : 0);
    is_closed_for_it(h);
    pair_region_check(&h->region, 0, 0);
    pair_region_close(&h->region);
}

#define BOTH (ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE)

#define REACH(name, type, rights, from, offset, len)    \
    static void name(void **state)                      \
    {                                                   \
        reach(*state, type, rights, from, offset, len); \
    }

REACH(a_put_past_the_end_ends_it, UCX_PUT, BOTH, 0, 50, 51)
REACH(a_put_far_outside_ends_it, UCX_PUT, BOTH, 0, UINT64_MAX - 10, 20)
REACH(a_put_without_the_right_ends_it, UCX_PUT, ROS2_REGION_REMOTE_READ, 0, 0, 10)
REACH(a_put_to_another_number_ends_it, UCX_PUT, BOTH, 1ull << 32, 0, 10)
REACH(a_get_past_the_end_ends_it, UCX_GET_FROM, BOTH, 0, 50, 51)
REACH(a_get_of_everything_ends_it, UCX_GET_FROM, BOTH, 0, 0, UINT32_MAX)
REACH(a_get_without_the_right_ends_it, UCX_GET_FROM, ROS2_REGION_REMOTE_WRITE, 0, 0, 10)
REACH(a_get_from_another_number_ends_it, UCX_GET_FROM, BOTH, 1, 0, 10)

int main(int argc, char **argv)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(who_keeps_the_rules_is_heard),       CASE(who_greets_otherwise_is_not_let_in),
        CASE(who_greets_at_length_is_not_let_in), CASE(words_for_nobody_are_not_heard),
        CASE(a_second_greeting_ends_it),          CASE(a_message_that_is_too_long_ends_it),
        CASE(a_message_by_rendezvous_ends_it),    CASE(an_unknown_kind_ends_it),
        CASE(data_that_nobody_asked_for_ends_it), CASE(a_put_past_the_end_ends_it),
        CASE(a_put_far_outside_ends_it),          CASE(a_put_without_the_right_ends_it),
        CASE(a_put_to_another_number_ends_it),    CASE(a_get_past_the_end_ends_it),
        CASE(a_get_of_everything_ends_it),        CASE(a_get_without_the_right_ends_it),
        CASE(a_get_from_another_number_ends_it),
    };

    /* This program links UCX, which then replaces functions of the C library before main(): ThreadSanitizer cannot have that. */
    if (!getenv("UCX_MEM_EVENTS")) {
        setenv("UCX_MEM_EVENTS", "n", 1);
        setenv("ROS2_TEST_TRANSPORT", "ucx+tcp", 1);
        execv("/proc/self/exe", argv);
        return 1;
    }
    (void)argc;
    return cmocka_run_group_tests(tests, pair_group_setup, NULL);
}
