/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a call at the server.
 *
 *   AWAIT_CALL     posted, no client yet     -> a request came: it is run at once, on the thread that got the event
 *   AWAIT_PAGE     a message is being sent   -> the next one is made (so a slow client holds back its own directory only)
 *   PARKED         waits for the server      -> finish_parked, or the client goes (close event)
 *   AWAIT_STATUS   the status is being sent  -> end
 *
 * Two chains of events touch a call: progress (above) and close, which gRPC gives for every call once. The call is freed
 * with the later one's end. */
#include "config.h"

#include "daemon/control/call.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/auth.h"
#include "daemon/control/service.h"
#include "daemon/control/status.h"
#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/log.h"

/* A request of 4 MiB at most unpacks into this much; reply messages are made in the same arena. */
#define ARENA_MAX (32u << 20)
#define PAGE_MAX  (1u << 20)
#define ERROR_KEY "ros2-error-bin"

enum awaiting { AWAIT_CALL, AWAIT_PAGE, PARKED, AWAIT_STATUS };

/* --- memory ---------------------------------------------------------------------------------------------- */

static void free_call(struct ros2d_call *call)
{
    if (call->method->end && call->stream)
        call->method->end(call);
    if (call->session)
        ros2d_session_put(call->session);
    ros2d_arena_fini(&call->arena);
    ros2d_arena_fini(&call->page_arena);
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    if (call->payload)
        grpc_byte_buffer_destroy(call->payload);
    grpc_slice_unref(call->trailer.value);
    grpc_slice_unref(call->status_text);
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    if (call->grpc)
        grpc_call_unref(call->grpc);
    struct ros2d_server *server = call->server;
    free(call);
    ros2d_server_call_gone(server);
}

static void unref(struct ros2d_call *call)
{
    if (atomic_fetch_sub_explicit(&call->refs, 1, memory_order_acq_rel) == 1)
        free_call(call);
}

void *ros2d_call_alloc(struct ros2d_call *call, size_t len)
{
    void *piece = ros2d_arena_alloc(&call->arena, len);

    if (!piece)
        ros2i_fail(ENOMEM, "no memory for the answer");
    return piece;
}

const grpc_slice *ros2d_call_metadata(const struct ros2d_call *call, const char *key,
                                      unsigned *count_p)
{
    const grpc_slice *first = NULL;

    *count_p = 0;
    for (size_t i = 0; i < call->metadata.count; i++) {
        const grpc_metadata *m = &call->metadata.metadata[i];

        if (grpc_slice_str_cmp(m->key, key) != 0)
            continue;
        if ((*count_p)++ == 0)
            first = &m->value;
    }
    return first;
}

/* --- sending --------------------------------------------------------------------------------------------- */

/* After this the call is not touched any more: it may have ended on another thread. */
static void hand_over(struct ros2d_tag *tag)
{
    atomic_store_explicit(&tag->handed_over, true, memory_order_release);
}

static bool start_batch(struct ros2d_call *call, const grpc_op *op, size_t count)
{
    hand_over(&call->progress);
    grpc_call_error error = grpc_call_start_batch(call->grpc, op, count, &call->progress, NULL);

    if (error == GRPC_CALL_OK)
        return true;
    ros2i_log(ROS2_LOG_ERROR, "control", "batch refused: %s method %s",
              grpc_call_error_to_string(error), call->method->path ? call->method->path : "?");
    unref(call); /* no progress will come */
    return false;
}

static size_t add_header(struct ros2d_call *call, grpc_op *op)
{
    if (call->header_sent)
        return 0;
    call->header_sent = true;
    op->op = GRPC_OP_SEND_INITIAL_METADATA;
    return 1;
}

static size_t add_message(struct ros2d_call *call, grpc_op *op)
{
    op->op = GRPC_OP_SEND_MESSAGE;
    op->data.send_message.send_message = call->reply;
    return 1;
}

static size_t add_status(struct ros2d_call *call, grpc_op *op, grpc_status_code status,
                         size_t trailer_count)
{
    op->op = GRPC_OP_SEND_STATUS_FROM_SERVER;
    op->data.send_status_from_server.status = status;
    op->data.send_status_from_server.status_details = &call->status_text;
    op->data.send_status_from_server.trailing_metadata_count = trailer_count;
    op->data.send_status_from_server.trailing_metadata = &call->trailer;
    return 1;
}

static void set_reply(struct ros2d_call *call, grpc_slice body)
{
    if (call->reply)
        grpc_byte_buffer_destroy(call->reply);
    call->reply = grpc_raw_byte_buffer_create(&body, 1);
}

static grpc_status_code status_of_error(const struct ros2d_call *call, int err)
{
    if (call->unauthenticated)
        return GRPC_STATUS_UNAUTHENTICATED;
    return call->again ? GRPC_STATUS_UNAVAILABLE : ros2d_status_of(err);
}

/* err: positive. */
static void send_error(struct ros2d_call *call, int err, const char *text)
{
    grpc_op op[2] = {0};
    Ros2__V1__Error error;

    ros2__v1__error__init(&error);
    error.err = err;
    error.message = (char *)(uintptr_t)text;
    grpc_slice value = grpc_slice_malloc(ros2__v1__error__get_packed_size(&error));
    ros2__v1__error__pack(&error, GRPC_SLICE_START_PTR(value));
    call->trailer.key = grpc_slice_from_static_string(ERROR_KEY);
    call->trailer.value = value;
    call->status_text = grpc_slice_from_copied_string(text);
    call->awaiting = AWAIT_STATUS;
    size_t n = add_header(call, op);
    n += add_status(call, op + n, status_of_error(call, err), 1);
    start_batch(call, op, n);
}

static void send_reply(struct ros2d_call *call, grpc_slice body)
{
    grpc_op op[3] = {0};

    set_reply(call, body);
    call->awaiting = AWAIT_STATUS;
    size_t n = add_header(call, op);
    n += add_message(call, op + n);
    n += add_status(call, op + n, GRPC_STATUS_OK, 0);
    start_batch(call, op, n);
}

static grpc_slice pack(const ProtobufCMessage *message)
{
    grpc_slice body = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));

    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(body));
    return body;
}

/* --- streams --------------------------------------------------------------------------------------------- */

static void send_page(struct ros2d_call *call)
{
    grpc_op op[2] = {0};
    size_t n = 0;
    ProtobufCMessage *page = NULL;

    ros2d_arena_reset(&call->page_arena, PAGE_MAX);
    int rc = call->method->next(call, &page);
    if (rc < 0) {
        send_error(call, -rc, ros2i_error());
        return;
    }
    n += add_header(call, op);
    if (page) {
        grpc_slice body = pack(page);

        set_reply(call, body);
        grpc_slice_unref(body);
        call->awaiting = AWAIT_PAGE;
        n += add_message(call, op + n);
    } else if (call->park) {
        /* From here on the call is the list's, and may be finished or freed by another thread. */
        call->awaiting = PARKED;
        if (ros2d_server_add_watcher(call->server, call))
            return;
        send_error(call, EMFILE, "too many watches of this server, or it ends");
        return;
    } else {
        call->awaiting = AWAIT_STATUS;
        n += add_status(call, op + n, GRPC_STATUS_OK, 0);
    }
    start_batch(call, op, n);
}

void ros2d_call_finish_parked(struct ros2d_call *call, const ProtobufCMessage *last)
{
    grpc_op op[2] = {0};
    grpc_slice body = pack(last);

    set_reply(call, body);
    grpc_slice_unref(body);
    call->awaiting = AWAIT_STATUS;
    size_t n = add_message(call, op);
    n += add_status(call, op + n, GRPC_STATUS_UNAVAILABLE, 0);
    start_batch(call, op, n);
}

/* --- running a request ----------------------------------------------------------------------------------- */

static uint64_t deadline_of(const struct ros2d_call *call)
{
    gpr_timespec deadline = call->method->path ? call->grpc_deadline : call->details.deadline;
    uint64_t limit_ns = call->state->config->control.call_timeout_ms * ROS2I_NS_PER_MS;
    uint64_t now_ns = ros2i_now_ns();

    deadline = gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC);
    if (gpr_time_cmp(deadline, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0)
        return now_ns + limit_ns;
    gpr_timespec left = gpr_time_sub(deadline, gpr_now(GPR_CLOCK_MONOTONIC));
    if (left.tv_sec < 0)
        return now_ns;
    if ((uint64_t)left.tv_sec >= limit_ns / ROS2I_NS_PER_S)
        return now_ns + limit_ns;
    return now_ns + (uint64_t)left.tv_sec * ROS2I_NS_PER_S + (uint64_t)left.tv_nsec;
}

static int unpack_request(struct ros2d_call *call, void **request_p)
{
    grpc_byte_buffer_reader reader;

    if (!call->payload || !grpc_byte_buffer_reader_init(&reader, call->payload))
        return ros2i_fail(EINVAL, "%s: the call has no request message", call->method->path);
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    *request_p = protobuf_c_message_unpack(call->method->request, &call->arena.allocator,
                                           GRPC_SLICE_LENGTH(slice), GRPC_SLICE_START_PTR(slice));
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    if (!*request_p)
        return ros2i_fail(EINVAL, "%s: the request message cannot be read, or is too large",
                          call->method->path);
    return 0;
}

/* Nothing of a request is looked at before its sender is known. */
static int prepare(struct ros2d_call *call, void **request_p)
{
    int rc = 0;

    call->deadline_ns = deadline_of(call);
    if (ros2i_now_ns() >= call->deadline_ns)
        return ros2i_fail(ETIMEDOUT, "the call's deadline passed before it was its turn");
    if (!(call->method->flags & ROS2D_METHOD_ANYONE))
        rc = ros2d_auth_principal(call);
    if (rc < 0 || !call->method->path)
        return rc;
    rc = unpack_request(call, request_p);
    if (rc == 0 && !(call->method->flags & (ROS2D_METHOD_ANYONE | ROS2D_METHOD_NO_SESSION)))
        rc = ros2d_auth_session(call);
    return rc;
}

/* A first call with this id still runs. As ros2d_replay_begin. */
static int await_first(struct ros2d_call *call, const struct ros2d_replay_key *key,
                       const struct ros2d_answer **answer_p)
{
    int rc = ros2d_server_may_wait(call->server);

    if (rc == 0)
        rc = ros2d_replay_begin(call->server->replay, key, call->method_index, call->deadline_ns,
                                &call->replay, answer_p);
    call->again = rc == -EAGAIN;
    return rc;
}

/* 1: run it; 0: it was answered from what is kept; -errno. */
static int begin_replay(struct ros2d_call *call, const Ros2__V1__RequestId *id)
{
    struct ros2d_replay_key key = {.session_serial = call->session->serial,
                                   .sequence = id->sequence};
    const struct ros2d_answer *answer;

    if (id->process_nonce.len != sizeof key.process_nonce)
        return ros2i_fail(EINVAL, "request id: its process nonce must have %zu bytes",
                          sizeof key.process_nonce);
    memcpy(key.process_nonce, id->process_nonce.data, sizeof key.process_nonce);
    int rc = ros2d_replay_begin(call->server->replay, &key, call->method_index, 0, &call->replay,
                                &answer);
    if (rc == -ETIMEDOUT)
        rc = await_first(call, &key, &answer);
    if (rc != 0)
        return rc;
    struct ros2d_replay *replay = call->server->replay; /* once sent, the call is gone */
    struct ros2d_replay_entry *entry = call->replay;
    call->replay = NULL;
    if (answer->err) {
        send_error(call, answer->err, answer->text ? answer->text : ros2i_strerror(answer->err));
    } else {
        grpc_slice body = grpc_slice_from_copied_buffer(answer->body, answer->len);

        send_reply(call, body);
        grpc_slice_unref(body);
    }
    ros2d_replay_release(replay, entry);
    return 0;
}

/* The answer is kept before it is sent: afterwards the call may be gone. */
static void run_unary(struct ros2d_call *call, const void *request)
{
    ProtobufCMessage *reply = NULL;
    const Ros2__V1__RequestId *id =
        call->method->request_id ? call->method->request_id(request) : NULL;
    struct ros2d_replay *replay = call->server->replay;

    if (id) {
        int rc = begin_replay(call, id);

        if (rc < 0)
            send_error(call, -rc, ros2i_error());
        if (rc <= 0)
            return;
    }
    int rc = call->method->handle(call, request, &reply);
    if (rc < 0) {
        if (call->replay && (call->unkept || call->again))
            ros2d_replay_forget(replay, call->replay);
        else if (call->replay)
            ros2d_replay_finish(replay, call->replay, -rc, ros2i_error(), NULL, 0);
        send_error(call, -rc, ros2i_error());
        return;
    }
    grpc_slice body = pack(reply);
    if (call->replay)
        ros2d_replay_finish(replay, call->replay, 0, NULL, GRPC_SLICE_START_PTR(body),
                            GRPC_SLICE_LENGTH(body));
    send_reply(call, body);
    grpc_slice_unref(body);
}

static void run(struct ros2d_call *call)
{
    void *request = NULL;
    int rc = prepare(call, &request);

    if (rc == 0 && call->method->next) {
        rc = call->method->handle(call, request, NULL);
        if (rc == 0) {
            send_page(call);
            return;
        }
    } else if (rc == 0) {
        run_unary(call, request);
        return;
    }
    send_error(call, -rc, ros2i_error());
}

/* --- events ---------------------------------------------------------------------------------------------- */

static void on_close(struct ros2d_tag *tag, bool ok)
{
    struct ros2d_call *call =
        (struct ros2d_call *)((char *)tag - offsetof(struct ros2d_call, close));

    (void)ok;
    /* A parked call has nobody else to end its progress. */
    if (ros2d_server_close_watcher(call->server, call))
        unref(call);
    unref(call);
}

/* false: the call was lost; both chains have ended. */
static bool arm_close(struct ros2d_call *call)
{
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

    op.data.recv_close_on_server.cancelled = &call->was_cancelled;
    hand_over(&call->close);
    if (grpc_call_start_batch(call->grpc, &op, 1, &call->close, NULL) == GRPC_CALL_OK)
        return true;
    unref(call);
    unref(call);
    return false;
}

static void on_progress(struct ros2d_tag *tag, bool ok)
{
    struct ros2d_call *call = (struct ros2d_call *)tag; /* its first member */

    switch ((enum awaiting)call->awaiting) {
    case AWAIT_CALL:
        if (!ok) { /* the server ends: no client came */
            unref(call);
            unref(call);
            return;
        }
        ros2d_call_post(call->server, call->method_index);
        if (arm_close(call))
            run(call);
        return;
    case AWAIT_PAGE:
        if (ok)
            send_page(call);
        else
            unref(call);
        return;
    case AWAIT_STATUS:
        if (!ok && call->undelivered)
            call->undelivered(call);
        unref(call);
        return;
    case PARKED:
        return;
    }
}

int ros2d_call_post(struct ros2d_server *server, unsigned method_index)
{
    grpc_call_error error;

    if (atomic_load_explicit(&server->stopping, memory_order_relaxed))
        return -ESHUTDOWN;
    struct ros2d_call *call = calloc(1, sizeof *call);
    if (!call)
        return ros2i_fail(ENOMEM, "no memory to wait for a call");
    call->progress.event = on_progress;
    call->close.event = on_close;
    atomic_init(&call->refs, 2);
    call->server = server;
    ros2d_server_call_made(server);
    call->state = server->state;
    call->method = server->method[method_index];
    call->method_index = method_index;
    call->awaiting = AWAIT_CALL;
    call->trailer.value = grpc_empty_slice();
    call->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&call->metadata);
    grpc_call_details_init(&call->details);
    ros2d_arena_init(&call->arena, ARENA_MAX);
    ros2d_arena_init(&call->page_arena, PAGE_MAX);
    hand_over(&call->progress);
    if (call->method->path)
        error = grpc_server_request_registered_call(
            server->grpc, server->registered[method_index], &call->grpc, &call->grpc_deadline,
            &call->metadata, &call->payload, server->queue, server->queue, &call->progress);
    else
        error = grpc_server_request_call(server->grpc, &call->grpc, &call->details, &call->metadata,
                                         server->queue, server->queue, &call->progress);
    if (error == GRPC_CALL_OK)
        return 0;
    free_call(call);
    return ros2i_fail(ESHUTDOWN, "gRPC takes no more calls: %s", grpc_call_error_to_string(error));
}
