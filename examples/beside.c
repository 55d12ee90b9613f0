/* SPDX-License-Identifier: Apache-2.0 */
/* A program that uses UCX, libfabric and gRPC itself, before, during and after it reads a file of the store: libros2 has its own
 * contexts in them, and leaves those of the program alone. Usage: beside FILE */
#include <grpc/grpc.h>
#include <rdma/fabric.h>
#include <rdma/fi_domain.h>
#include <ros2/ros2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucp/api/ucp.h>

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "beside: %s: %s\n", what, why);
    exit(1);
}

/* -- UCX: a worker that talks to itself -- */

struct own_ucx {
    ucp_context_h context;
    ucp_worker_h worker;
    ucp_ep_h self;
};

static void ucx_need(ucs_status_t status, const char *what)
{
    if (status != UCS_OK)
        die(what, ucs_status_string(status));
}

static void ucx_open(struct own_ucx *ucx)
{
    const ucp_params_t params = {.field_mask = UCP_PARAM_FIELD_FEATURES,
                                 .features = UCP_FEATURE_TAG};
    const ucp_worker_params_t worker = {.field_mask = 0};
    ucp_ep_params_t self = {.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS};
    ucp_address_t *address;
    size_t len;

    ucx_need(ucp_init(&params, NULL, &ucx->context), "ucp_init");
    ucx_need(ucp_worker_create(ucx->context, &worker, &ucx->worker), "ucp_worker_create");
    ucx_need(ucp_worker_get_address(ucx->worker, &address, &len), "ucp_worker_get_address");
    self.address = address;
    ucx_need(ucp_ep_create(ucx->worker, &self, &ucx->self), "ucp_ep_create");
    ucp_worker_release_address(ucx->worker, address);
}

static void ucx_wait(struct own_ucx *ucx, ucs_status_ptr_t request, const char *what)
{
    if (UCS_PTR_IS_ERR(request))
        ucx_need(UCS_PTR_STATUS(request), what);
    if (!UCS_PTR_IS_PTR(request))
        return;
    while (ucp_request_check_status(request) == UCS_INPROGRESS)
        ucp_worker_progress(ucx->worker);
    ucx_need(ucp_request_check_status(request), what);
    ucp_request_free(request);
}

static void ucx_use(struct own_ucx *ucx)
{
    const ucp_request_param_t none = {0};
    char said[] = "ucx", heard[sizeof(said)] = "";

    ucs_status_ptr_t send = ucp_tag_send_nbx(ucx->self, said, sizeof(said), 1, &none);
    ucx_wait(ucx, ucp_tag_recv_nbx(ucx->worker, heard, sizeof(heard), 1, UINT64_MAX, &none),
             "ucp_tag_recv_nbx");
    ucx_wait(ucx, send, "ucp_tag_send_nbx");
    if (strcmp(said, heard) != 0)
        die("UCX", "heard something else than was said");
}

static void ucx_close(struct own_ucx *ucx)
{
    const ucp_request_param_t none = {0};

    ucx_wait(ucx, ucp_ep_close_nbx(ucx->self, &none), "ucp_ep_close_nbx");
    ucp_worker_destroy(ucx->worker);
    ucp_cleanup(ucx->context);
}

/* -- libfabric: a domain with memory -- */

struct own_fabric {
    struct fi_info *info;
    struct fid_fabric *fabric;
    struct fid_domain *domain;
};

static void fabric_need(int rc, const char *what)
{
    if (rc < 0)
        die(what, fi_strerror(-rc));
}

static void fabric_open(struct own_fabric *own)
{
    struct fi_info *hints = fi_allocinfo();

    if (!hints)
        die("fi_allocinfo", "out of memory");
    hints->fabric_attr->prov_name = strdup("tcp");
    hints->ep_attr->type = FI_EP_MSG;
    fabric_need(fi_getinfo(FI_VERSION(1, 17), NULL, NULL, 0, hints, &own->info), "fi_getinfo");
    fi_freeinfo(hints);
    fabric_need(fi_fabric(own->info->fabric_attr, &own->fabric, NULL), "fi_fabric");
    fabric_need(fi_domain(own->fabric, own->info, &own->domain, NULL), "fi_domain");
}

static void fabric_use(struct own_fabric *own)
{
    static char memory[4096];
    struct fid_mr *mr;

    fabric_need(
        fi_mr_reg(own->domain, memory, sizeof(memory), FI_SEND | FI_RECV, 0, 1, 0, &mr, NULL),
        "fi_mr_reg");
    fabric_need(fi_close(&mr->fid), "fi_close");
}

static void fabric_close(struct own_fabric *own)
{
    fi_close(&own->domain->fid);
    fi_close(&own->fabric->fid);
    fi_freeinfo(own->info);
}

/* -- libros2 -- */

static void need(int rc)
{
    if (rc < 0)
        die("libros2", ros2_error());
}

/* Sends the file to standard output, with a word of the program's own libraries between the pieces. */
static void copy_out(const char *path, struct own_ucx *ucx, struct own_fabric *own)
{
    static char piece[1 << 16];
    struct ros2_client *client;
    struct ros2_file *file;
    ssize_t n;

    need(ros2_connect(NULL, NULL, &client));
    need(ros2_open(client, path, O_RDONLY, 0, &file));
    while ((n = ros2_read(file, piece, sizeof(piece))) > 0) {
        fwrite(piece, 1, (size_t)n, stdout);
        ucx_use(ucx);
        fabric_use(own);
    }
    need((int)n);
    fprintf(stderr, "over %s\n", ros2_transport(client));
    need(ros2_close(file));
    ros2_disconnect(client);
}

int main(int argc, char **argv)
{
    struct own_ucx ucx;
    struct own_fabric own;

    if (argc != 2)
        die("usage", "beside FILE");
    grpc_init();
    grpc_completion_queue *queue = grpc_completion_queue_create_for_next(NULL);
    ucx_open(&ucx);
    fabric_open(&own);
    for (int i = 0; i < 2; i++) {
        ucx_use(&ucx);
        fabric_use(&own);
        copy_out(argv[1], &ucx, &own);
    }
    ucx_use(&ucx);
    fabric_use(&own);
    fabric_close(&own);
    ucx_close(&ucx);
    grpc_completion_queue_shutdown(queue);
    if (grpc_completion_queue_next(queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
        GRPC_QUEUE_SHUTDOWN)
        die("gRPC", "a queue with nothing in it has something");
    grpc_completion_queue_destroy(queue);
    grpc_shutdown();
    return 0;
}
