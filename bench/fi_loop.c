/* SPDX-License-Identifier: Apache-2.0 */
/* The limit that libfabric's provider tcp sets, by nothing but its calls: this process sends a request, a child writes a block
 * into its memory (fi_write) and sends a reply behind it, or, for blocks of up to 8 KiB, the reply is the block. --depth N requests are
 * in flight. Both ends poll. */
#include "config.h"

#include <errno.h>
#include <rdma/fabric.h>
#include <rdma/fi_cm.h>
#include <rdma/fi_domain.h>
#include <rdma/fi_endpoint.h>
#include <rdma/fi_rma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"

#define INLINE_MAX 8192u
#define REQUEST    100u
#define EVENTS     64

enum kind { RECEIVED = 1, SENT, WRITTEN };

struct end {
    const struct measure_options *options;
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_eq *eq;
    struct fid_domain *domain;
    struct fid_cq *cq;
    struct fid_ep *ep;
    struct fid_mr *mr, *message_mr;
    char *blocks;   /* depth of block bytes: sources here, targets there */
    char *in, *out; /* depth messages each, of message_len bytes */
    size_t message_len;
    struct fi_context *context; /* of in, out and a write, by slot */
};

/* What a peer needs to write: the private data of a connection. */
struct target {
    uint64_t addr, key;
};

static void need(int rc, const char *what)
{
    if (rc < 0)
        measure_die(what, -rc);
}

static bool is_inline(const struct end *end)
{
    return end->options->block <= INLINE_MAX;
}

static struct fi_info *find(const char *port, uint64_t flags)
{
    struct fi_info *hints = fi_allocinfo(), *info;

    if (!hints)
        measure_die("fi_allocinfo", ENOMEM);
    hints->fabric_attr->prov_name = strdup("tcp");
    hints->ep_attr->type = FI_EP_MSG;
    hints->caps = FI_MSG | FI_RMA;
    hints->mode = FI_CONTEXT;
    hints->tx_attr->msg_order = FI_ORDER_SAW | FI_ORDER_SAS;
    hints->rx_attr->msg_order = FI_ORDER_SAW | FI_ORDER_SAS;
    hints->domain_attr->mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY;
    need(fi_getinfo(FI_VERSION(1, 17), "127.0.0.1", port, flags, hints, &info), "fi_getinfo");
    fi_freeinfo(hints);
    return info;
}

/* -- opening -- */

static void open_fabric(struct end *end, struct fi_info *info)
{
    struct fi_eq_attr eq = {.wait_obj = FI_WAIT_UNSPEC};

    end->info = info;
    need(fi_fabric(info->fabric_attr, &end->fabric, NULL), "fi_fabric");
    need(fi_eq_open(end->fabric, &eq, &end->eq, NULL), "fi_eq_open");
}

static void open_memory(struct end *end)
{
    const unsigned depth = end->options->depth;
    const size_t len = depth * end->message_len;
    char *messages = calloc(2, len);

    end->blocks = measure_buffers(end->options);
    end->context = calloc(3 * depth, sizeof(*end->context));
    if (!messages || !end->context)
        measure_die("memory", ENOMEM);
    end->in = messages;
    end->out = messages + len;
    need(fi_mr_reg(end->domain, end->blocks, depth * end->options->block,
                   FI_WRITE | FI_REMOTE_WRITE, 0, 1, 0, &end->mr, NULL),
         "fi_mr_reg");
    need(fi_mr_reg(end->domain, messages, 2 * len, FI_SEND | FI_RECV, 0, 2, 0, &end->message_mr,
                   NULL),
         "fi_mr_reg");
}

static void receive(struct end *end, unsigned slot)
{
    need((int)fi_recv(end->ep, end->in + slot * end->message_len, end->message_len,
                      fi_mr_desc(end->message_mr), 0, &end->context[slot]),
         "fi_recv");
}

static void open_endpoint(struct end *end, struct fi_info *info)
{
    const unsigned depth = end->options->depth;
    struct fi_cq_attr cq = {.format = FI_CQ_FORMAT_MSG, .size = 4 * depth + 16};

    end->message_len = is_inline(end) ? end->options->block + 88 : REQUEST;
    need(fi_domain(end->fabric, info, &end->domain, NULL), "fi_domain");
    need(fi_cq_open(end->domain, &cq, &end->cq, NULL), "fi_cq_open");
    need(fi_endpoint(end->domain, info, &end->ep, NULL), "fi_endpoint");
    need(fi_ep_bind(end->ep, &end->eq->fid, 0), "fi_ep_bind");
    need(fi_ep_bind(end->ep, &end->cq->fid, FI_TRANSMIT | FI_RECV), "fi_ep_bind");
    need(fi_enable(end->ep), "fi_enable");
    open_memory(end);
    for (unsigned i = 0; i < depth; i++)
        receive(end, i);
}

static void wait_event(struct end *end, uint32_t wanted, void *entry, size_t len)
{
    uint32_t event;
    const ssize_t n = fi_eq_sread(end->eq, &event, entry, len, 10000, 0);

    if (n < 0 || event != wanted)
        measure_die_text("libfabric does not connect");
}

/* -- both loops -- */

static void send_message(struct end *end, unsigned slot, size_t len)
{
    ssize_t rc;

    do
        rc = fi_send(end->ep, end->out + slot * end->message_len, len, fi_mr_desc(end->message_mr),
                     0, &end->context[end->options->depth + slot]);
    while (rc == -FI_EAGAIN);
    need((int)rc, "fi_send");
}

/* The number of completions, 0, or below 0 when the other end has gone. */
static ssize_t poll_completions(struct end *end, struct fi_cq_msg_entry *entries)
{
    const ssize_t n = fi_cq_read(end->cq, entries, EVENTS);

    return n == -FI_EAGAIN ? 0 : n;
}

/* The slot of a message that has come, or -1. */
static int slot_of(const struct end *end, const struct fi_cq_msg_entry *entry)
{
    const ptrdiff_t at = (struct fi_context *)entry->op_context - end->context;

    return at >= 0 && at < (ptrdiff_t)end->options->depth ? (int)at : -1;
}

/* -- the child -- */

static void answer(struct end *end, const struct target *target, unsigned slot)
{
    const size_t block = end->options->block;
    ssize_t rc = 0;

    receive(end, slot);
    if (is_inline(end)) {
        memcpy(end->out + slot * end->message_len, end->blocks + slot * block, block);
    } else {
        do
            rc = fi_write(end->ep, end->blocks + slot * block, block, fi_mr_desc(end->mr), 0,
                          target->addr + slot * block, target->key,
                          &end->context[2 * end->options->depth + slot]);
        while (rc == -FI_EAGAIN);
    }
    need((int)rc, "fi_write");
    send_message(end, slot, is_inline(end) ? end->message_len : REQUEST);
}

static void serve(const struct measure_options *options, int port_fd)
{
    struct end end = {.options = options};
    struct fid_pep *pep;
    char name[64], entry[sizeof(struct fi_eq_cm_entry) + sizeof(struct target)];
    struct fi_eq_cm_entry *request = (void *)entry;
    struct fi_cq_msg_entry done[EVENTS];
    struct target target;
    size_t len = sizeof(name);
    ssize_t n;

    open_fabric(&end, find("0", FI_SOURCE));
    need(fi_passive_ep(end.fabric, end.info, &pep, NULL), "fi_passive_ep");
    need(fi_pep_bind(pep, &end.eq->fid, 0), "fi_pep_bind");
    need(fi_listen(pep), "fi_listen");
    need(fi_getname(&pep->fid, name, &len), "fi_getname");
    measure_write_fully(port_fd, name + 2, 2); /* sin_port */
    wait_event(&end, FI_CONNREQ, entry, sizeof(entry));
    memcpy(&target, request->data, sizeof(target));
    open_endpoint(&end, request->info);
    need(fi_accept(end.ep, NULL, 0), "fi_accept");
    wait_event(&end, FI_CONNECTED, entry, sizeof(entry));
    while ((n = poll_completions(&end, done)) >= 0)
        for (ssize_t i = 0; i < n; i++)
            if (slot_of(&end, &done[i]) >= 0)
                answer(&end, &target, (unsigned)slot_of(&end, &done[i]));
}

/* -- this process -- */

static void dial(struct end *end, int port_fd)
{
    uint8_t bytes[2];
    char port[8], entry[sizeof(struct fi_eq_cm_entry) + 64];

    measure_read_fully(port_fd, bytes, sizeof(bytes));
    snprintf(port, sizeof(port), "%u", bytes[0] << 8 | bytes[1]);
    open_fabric(end, find(port, 0));
    open_endpoint(end, end->info);
    const bool by_address = end->info->domain_attr->mr_mode & FI_MR_VIRT_ADDR;
    const struct target target = {by_address ? (uintptr_t)end->blocks : 0, fi_mr_key(end->mr)};
    need(fi_connect(end->ep, end->info->dest_addr, &target, sizeof(target)), "fi_connect");
    wait_event(end, FI_CONNECTED, entry, sizeof(entry));
}

/* Whether the time is over. A reply asks for the next block. */
static bool take(struct end *end, struct measure *m, uint64_t *since_ns, int slot)
{
    if (slot < 0)
        return false;
    const uint64_t now_ns = measure_now_ns();
    receive(end, (unsigned)slot);
    if (!measure_add(m, end->options->block, since_ns[slot], now_ns))
        return true;
    since_ns[slot] = now_ns;
    send_message(end, (unsigned)slot, REQUEST);
    return false;
}

static void run(struct end *end, struct measure *m)
{
    uint64_t *since_ns = calloc(end->options->depth, sizeof(*since_ns));
    struct fi_cq_msg_entry done[EVENTS];
    bool over = false;

    if (!since_ns)
        measure_die("memory", ENOMEM);
    measure_begin(m, end->options->duration_ns);
    for (unsigned i = 0; i < end->options->depth; i++) {
        since_ns[i] = m->start_ns;
        send_message(end, i, REQUEST);
    }
    while (!over) {
        const ssize_t n = poll_completions(end, done);
        need((int)n, "fi_cq_read");
        for (ssize_t i = 0; i < n && !over; i++)
            over = take(end, m, since_ns, slot_of(end, &done[i]));
    }
    free(since_ns);
}

int main(int argc, char **argv)
{
    struct measure_options options;
    static struct measure m;
    struct end end = {.options = &options};
    int port[2], status;

    measure_parse(argc, argv, false, &options);
    if (pipe(port) < 0)
        measure_die("pipe", errno);
    const pid_t child = fork(); /* before libfabric, which has threads */
    if (child < 0)
        measure_die("fork", errno);
    if (child == 0) {
        serve(&options, port[1]);
        _exit(0);
    }
    dial(&end, port[0]);
    run(&end, &m);
    fi_close(&end.ep->fid);
    if (waitpid(child, &status, 0) < 0)
        measure_die("waitpid", errno);
    measure_print(&m, measure_cpu_s(RUSAGE_CHILDREN));
    return 0;
}
