/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/unit/ofi_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *ofi_peer_desc(const struct ofi_peer *h)
{
    return h->mr ? fi_mr_desc(h->mr) : NULL;
}

static void on_accept(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct ofi_peer *h = arg;

    (void)listener;
    assert_null(h->victim.ep);
    h->victim.ep = ep;
    pair_ops->ep_set_handler(ep, &pair_handler, &h->victim);
}

int ofi_peer_setup(void **state)
{
    struct ofi_peer *h = calloc(1, sizeof *h);
    struct fi_info *hints = fi_allocinfo();
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_FD};
    struct fi_cq_attr cq = {.size = 1024, .format = FI_CQ_FORMAT_MSG, .wait_obj = FI_WAIT_FD};

    assert_true(h && hints);
    pair_open(&h->pair, NULL);
    hints->caps = FI_MSG | FI_RMA;
    hints->ep_attr->type = FI_EP_MSG;
    hints->fabric_attr->prov_name = strdup(strchr(pair_ops->name, '+') + 1);
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    hints->tx_attr->size = hints->rx_attr->size = OFI_WORKS;
    MUST(fi_getinfo(FI_VERSION(1, 17), NULL, NULL, 0, hints, &h->info));
    fi_freeinfo(hints);
    MUST(fi_fabric(h->info->fabric_attr, &h->fabric, NULL));
    MUST(fi_domain(h->fabric, h->info, &h->domain, NULL));
    MUST(fi_eq_open(h->fabric, &eq, &h->eq, NULL));
    MUST(fi_cq_open(h->domain, &cq, &h->cq, NULL));
    if (h->info->domain_attr->mr_mode & FI_MR_LOCAL)
        MUST(fi_mr_reg(h->domain, h, sizeof *h, FI_SEND | FI_RECV | FI_READ | FI_WRITE, 0, 0, 0,
                       &h->mr, NULL));
    *state = h;
    return 0;
}

int ofi_peer_teardown(void **state)
{
    struct ofi_peer *h = *state;

    if (h->ep)
        MUST(fi_close(&h->ep->fid));
    if (h->mr)
        MUST(fi_close(&h->mr->fid));
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

void ofi_peer_turn(struct ofi_peer *h)
{
    uint8_t entry[sizeof(struct fi_eq_cm_entry) + 256];
    uint8_t data[256]; /* without room for it libfabric leaks what the other end said */
    struct fi_eq_err_entry error = {.err_data = data, .err_data_size = sizeof data};
    struct fi_cq_msg_entry done;
    struct fi_cq_err_entry failed = {0};
    uint32_t event;

    pair_progress(&h->pair);
    ssize_t n = fi_eq_read(h->eq, &event, entry, sizeof entry, 0);
    if (n == -FI_EAVAIL && fi_eq_readerr(h->eq, &error, 0) > 0)
        h->event = h->event ? h->event : UINT32_MAX;
    else if (n > 0)
        h->event = event;
    while ((n = fi_cq_read(h->cq, &done, 1)) == 1 ||
           (n == -FI_EAVAIL && fi_cq_readerr(h->cq, &failed, 0) > 0))
        ;
}

void ofi_peer_dial(struct ofi_peer *h, const void *greeting, size_t len)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    char address[128];

    if (!h->listener)
        MUST(pair_ops->listen(h->pair.b.domain, pair_listen_address(), on_accept, h, &h->listener));
    MUST(pair_ops->listener_address(h->listener, address, sizeof address));
    to.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    assert_int_equal(inet_pton(AF_INET, pair_host(false), &to.sin_addr), 1);
    /* A device is chosen by where it leads. */
    free(h->info->dest_addr);
    h->info->dest_addr = memcpy(malloc(sizeof to), &to, sizeof to);
    h->info->dest_addrlen = sizeof to;
    free(h->info->src_addr);
    h->info->src_addr = NULL;
    h->info->src_addrlen = 0;
    MUST(fi_endpoint(h->domain, h->info, &h->ep, NULL));
    MUST(fi_ep_bind(h->ep, &h->eq->fid, 0));
    MUST(fi_ep_bind(h->ep, &h->cq->fid, FI_TRANSMIT | FI_RECV));
    MUST(fi_enable(h->ep));
    for (unsigned i = 0; i < OFI_WINDOW; i++)
        MUST(fi_recv(h->ep, h->received[i], OFI_FRAGMENT, ofi_peer_desc(h), 0, NULL));
    MUST(fi_connect(h->ep, &to, greeting, len));
}

void ofi_peer_dial_well(struct ofi_peer *h, uint16_t window)
{
    uint8_t greeting[OFI_GREETING];

    ofi_greeting_encode(&(struct ofi_greeting){.window = window, .fragment = OFI_FRAGMENT},
                        greeting);
    ofi_peer_dial(h, greeting, sizeof greeting);
    ofi_peer_until(h, h->event == FI_CONNECTED && h->victim.ep);
}

void ofi_peer_say(struct ofi_peer *h, struct ofi_header header, size_t len)
{
    uint8_t *out = h->out[h->sent++ % 8];

    ofi_header_encode(&header, out);
    memset(out + OFI_HEADER, 0x11, len);
    MUST(fi_send(h->ep, out, OFI_HEADER + len, ofi_peer_desc(h), 0, NULL));
}

void ofi_peer_others_go_on(struct ofi_peer *h)
{
    uint64_t before = h->pair.b.messages;

    pair_send(&h->pair, &h->pair.a, "good", 4);
    ofi_peer_until(h, h->pair.b.messages == before + 1);
    assert_int_equal(h->pair.a.closed + h->pair.b.closed, 0);
}
