/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/ucx_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void peer_progress(struct peer *h)
{
    pair_progress(&h->pair);
    ucp_worker_progress(h->worker);
}

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
    assert_int_equal(said.to, PEER_NUMBER);
    assert_true(said.type != UCX_HELLO || said.a == h->number);
    h->welcome |= said.type == UCX_WELCOME;
    return UCS_OK;
}

static void failed(void *arg, ucp_ep_h ep, ucs_status_t status)
{
    (void)arg;
    (void)ep;
    (void)status;
}

bool peer_is_over(const struct peer *h)
{
    char byte;
    const ssize_t n = recv(h->fd, &byte, 1, MSG_DONTWAIT);

    assert_true(n <= 0);
    return n == 0 || errno != EAGAIN;
}

void peer_say_bytes(struct peer *h, size_t header_len, const void *data, size_t len, uint32_t flags)
{
    const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS, .flags = flags};
    ucs_status_ptr_t request =
        ucp_am_send_nbx(h->ep, UCX_WIRE_AM, h->header, header_len, data, len, &param);

    if (!UCS_PTR_IS_PTR(request))
        return;
    /* One that waits for the receiver is given up when that closes. */
    PEER_UNTIL(h, ucp_request_check_status(request) != UCS_INPROGRESS || peer_is_over(h));
    ucp_request_free(request);
}

void peer_say(struct peer *h, struct ucx_header header, const void *data, size_t len)
{
    ucx_header_encode(&header, h->header);
    peer_say_bytes(h, UCX_HEADER, data, len, UCP_AM_SEND_FLAG_EAGER);
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
    assert_int_equal(ucp_config_modify(config, "NET_DEVICES", "lo"), UCS_OK);
    assert_int_equal(ucp_init(&params, config, &h->context), UCS_OK);
    ucp_config_release(config);
    assert_int_equal(ucp_worker_create(h->context, &worker, &h->worker), UCS_OK);
    assert_int_equal(ucp_worker_set_am_recv_handler(h->worker, &handler), UCS_OK);
}

static void dial(struct peer *h)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(strrchr(h->address, ':') + 1))};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    h->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(h->fd >= 0);
    assert_int_equal(connect(h->fd, (const struct sockaddr *)&to, sizeof to), 0);
}

void peer_say_head(const struct peer *h, const struct peer_head *head, const void *address,
                   size_t len)
{
    assert_int_equal(send(h->fd, head, sizeof *head, MSG_NOSIGNAL), sizeof *head);
    if (len > 0)
        assert_int_equal(send(h->fd, address, len, MSG_NOSIGNAL), len);
}

static void hear(struct peer *h, void *bytes, size_t len)
{
    size_t done = 0;
    ssize_t n = 0;

    PEER_UNTIL(h, (n = recv(h->fd, (char *)bytes + done, len - done, MSG_DONTWAIT)) == 0 ||
                      (n > 0 && (done += (size_t)n) == len));
    assert_int_equal(done, len);
}

void peer_exchange(struct peer *h)
{
    ucp_worker_attr_t mine = {.field_mask = UCP_WORKER_ATTR_FIELD_ADDRESS};
    struct peer_head head = peer_usual;
    uint8_t address[16384];
    const ucp_ep_params_t params = {
        .field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                      UCP_EP_PARAM_FIELD_ERR_HANDLER,
        .address = (const ucp_address_t *)address,
        .err_mode = UCP_ERR_HANDLING_MODE_PEER,
        .err_handler = {failed, h},
    };

    assert_int_equal(ucp_worker_query(h->worker, &mine), UCS_OK);
    head.len = (uint32_t)mine.address_length;
    peer_say_head(h, &head, mine.address, mine.address_length);
    ucp_worker_release_address(h->worker, mine.address);
    hear(h, &head, sizeof head);
    assert_true(head.magic == UCX_WIRE_MAGIC && head.version == UCX_WIRE_VERSION);
    assert_in_range(head.len, 1, sizeof address);
    h->number = head.number;
    hear(h, address, head.len);
    assert_int_equal(ucp_ep_create(h->worker, &params, &h->ep), UCS_OK);
}

static void hang_up(struct peer *h)
{
    const ucp_request_param_t force = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                       .flags = UCP_EP_CLOSE_FLAG_FORCE};
    ucs_status_ptr_t request = h->ep ? ucp_ep_close_nbx(h->ep, &force) : NULL;

    close(h->fd);
    if (UCS_PTR_IS_PTR(request))
        ucp_request_free(request);
    for (int i = 0; i < 100; i++)
        peer_progress(h);
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

int peer_setup(void **state)
{
    struct peer *h = calloc(1, sizeof *h);

    assert_non_null(h);
    pair_open(&h->pair, &(struct pair_options){.b_max_message = 10000});
    h->victim.domain = h->pair.b.domain;
    assert_int_equal(
        pair_ops->listen(h->pair.b.domain, pair_listen_address(), on_accept, h, &h->listener), 0);
    assert_int_equal(pair_ops->listener_address(h->listener, h->address, sizeof h->address), 0);
    open_ucx(h);
    dial(h);
    *state = h;
    return 0;
}

int peer_teardown(void **state)
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

void peer_greet(struct peer *h)
{
    peer_exchange(h);
    peer_say(h,
             (struct ucx_header){
                 .type = UCX_HELLO, .to = h->number, .a = PEER_NUMBER, .b = PEER_GREETING},
             NULL, 0);
    peer_say(h,
             (struct ucx_header){
                 .type = UCX_WELCOME, .to = h->number, .a = PEER_NUMBER, .b = PEER_GREETING},
             NULL, 0);
    PEER_UNTIL(h, h->welcome && h->victim.ep);
}

void peer_others_go_on(struct peer *h)
{
    const uint64_t before = h->pair.b.messages;

    pair_send(&h->pair, &h->pair.a, "still here", 10);
    pair_until(&h->pair, h->pair.b.messages == before + 1);
    assert_int_equal(h->pair.a.closed + h->pair.b.closed, 0);
}

void peer_is_closed_for_it(struct peer *h)
{
    PEER_UNTIL(h, h->victim.closed && peer_is_over(h));
    assert_int_equal(h->victim.closed_err, -EPROTO);
    assert_int_equal(h->victim.messages, 0);
    peer_others_go_on(h);
}

void peer_is_not_let_in(struct peer *h)
{
    PEER_UNTIL(h, peer_is_over(h));
    assert_null(h->victim.ep);
    peer_others_go_on(h);
}
