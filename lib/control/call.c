/* SPDX-License-Identifier: Apache-2.0 */
/* A call is a loop of attempts inside one deadline. An attempt enters the runtime (which keeps gRPC up), runs on the
 * caller's thread with a completion queue of its own, frees all its gRPC objects and leaves; between attempts nothing of
 * gRPC is held. A fork ends attempts, which are then repeated: also those that may not be sent twice for other reasons
 * are, since the fork's own thread waits for them; Session.Open then leaves a session behind that expires. */
#include "config.h"

#include "lib/control/call.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/random.h"
#include "lib/base/secret.h"
#include "lib/control/explain.h"

#define BACKOFF_FIRST_NS (10 * ROS2I_NS_PER_MS)
#define BACKOFF_MAX_NS   (1000 * ROS2I_NS_PER_MS)
#define TIMEOUT_MAX_NS   (86400 * ROS2I_NS_PER_S)
#define ERROR_KEY        "ros2-error-bin"
#define ERROR_MAX        16384

/* Tags on the attempt's own queue. */
enum { TAG_SENT = 1, TAG_MESSAGE, TAG_STATUS };

struct attempt {
    struct ros2i_grpc_use use;
    grpc_call *call;
    grpc_metadata metadata[2];
    size_t metadata_count;
    grpc_byte_buffer *request;
    grpc_byte_buffer *message[ROS2I_CALL_REPLIES_MAX];
    unsigned message_count;
    bool sent;    /* gRPC has taken the request */
    bool stopped; /* we cancelled it, having enough */
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice details;
};

/* --- building an attempt --------------------------------------------------------------------------------- */

/* The values are copies: gRPC may keep them (header compression) longer than the control lives. */
static void add_metadata(struct ros2i_control *control, const struct ros2i_call *call,
                         struct attempt *attempt)
{
    if (control->authorization) {
        grpc_metadata *m = &attempt->metadata[attempt->metadata_count++];

        m->key = grpc_slice_from_static_string("authorization");
        m->value = grpc_slice_from_copied_string(control->authorization);
    }
    if (call->flags & ROS2I_CALL_NO_SESSION)
        return;
    uint8_t id[ROS2I_SESSION_ID_LEN];
    ros2i_runtime_lock();
    bool has_session = control->has_session;
    memcpy(id, control->session_id, sizeof id);
    ros2i_runtime_unlock();
    if (has_session) {
        grpc_metadata *m = &attempt->metadata[attempt->metadata_count++];

        m->key = grpc_slice_from_static_string("ros2-session-bin");
        m->value = grpc_slice_from_copied_buffer((const char *)id, sizeof id);
    }
}

static grpc_byte_buffer *pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));

    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static gpr_timespec grpc_deadline(uint64_t left_ns)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos((int64_t)left_ns, GPR_TIMESPAN));
}

/* --- running it ------------------------------------------------------------------------------------------ */

static bool start_batch(struct attempt *attempt, const grpc_op *op, size_t count, intptr_t tag)
{
    bool started =
        grpc_call_start_batch(attempt->call, op, count, (void *)tag, NULL) == GRPC_CALL_OK;

    attempt->sent = attempt->sent || started;
    return started;
}

/* Every batch ends by the call's deadline, so this needs none. */
static bool wait_batch(struct attempt *attempt, intptr_t tag)
{
    grpc_event event = grpc_completion_queue_pluck(attempt->use.queue, (void *)tag,
                                                   gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    return event.type == GRPC_OP_COMPLETE && event.success;
}

static size_t add_send_ops(struct attempt *attempt, grpc_op *op)
{
    size_t n = 0;

    op[n].op = GRPC_OP_SEND_INITIAL_METADATA;
    op[n].data.send_initial_metadata.count = attempt->metadata_count;
    op[n++].data.send_initial_metadata.metadata = attempt->metadata;
    op[n].op = GRPC_OP_SEND_MESSAGE;
    op[n++].data.send_message.send_message = attempt->request;
    op[n++].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    op[n].op = GRPC_OP_RECV_INITIAL_METADATA;
    op[n++].data.recv_initial_metadata.recv_initial_metadata = &attempt->initial;
    return n;
}

static void set_message_op(struct attempt *attempt, grpc_op *op)
{
    op->op = GRPC_OP_RECV_MESSAGE;
    op->data.recv_message.recv_message = &attempt->message[attempt->message_count];
}

static void set_status_op(struct attempt *attempt, grpc_op *op)
{
    op->op = GRPC_OP_RECV_STATUS_ON_CLIENT;
    op->data.recv_status_on_client.trailing_metadata = &attempt->trailing;
    op->data.recv_status_on_client.status = &attempt->status;
    op->data.recv_status_on_client.status_details = &attempt->details;
}

static void run_unary(struct attempt *attempt)
{
    grpc_op op[6] = {0};
    size_t n = add_send_ops(attempt, op);

    set_message_op(attempt, &op[n++]);
    set_status_op(attempt, &op[n++]);
    if (!start_batch(attempt, op, n, TAG_STATUS)) {
        attempt->status =
            GRPC_STATUS_INVALID_ARGUMENT; /* metadata with bytes that HTTP has no room for */
        return;
    }
    wait_batch(attempt, TAG_STATUS);
    if (attempt->message[0])
        attempt->message_count = 1;
}

static void run_stream(struct attempt *attempt, unsigned replies_max)
{
    grpc_op op[6] = {0}, status = {0};
    size_t n = add_send_ops(attempt, op);

    if (!start_batch(attempt, op, n, TAG_SENT)) {
        attempt->status = GRPC_STATUS_INVALID_ARGUMENT;
        return;
    }
    set_status_op(attempt, &status);
    start_batch(attempt, &status, 1, TAG_STATUS);
    wait_batch(attempt, TAG_SENT);
    while (attempt->message_count < replies_max) {
        grpc_op message = {0};

        set_message_op(attempt, &message);
        if (!start_batch(attempt, &message, 1, TAG_MESSAGE) || !wait_batch(attempt, TAG_MESSAGE) ||
            !attempt->message[attempt->message_count])
            break;
        attempt->message_count++;
    }
    if (attempt->message_count == replies_max) {
        attempt->stopped = true;
        grpc_call_cancel(attempt->call, NULL);
    }
    wait_batch(attempt, TAG_STATUS);
}

static void free_attempt(struct attempt *attempt)
{
    for (unsigned i = 0; i < ROS2I_CALL_REPLIES_MAX; i++) {
        if (attempt->message[i])
            grpc_byte_buffer_destroy(attempt->message[i]);
    }
    for (size_t i = 0; i < attempt->metadata_count; i++)
        grpc_slice_unref(attempt->metadata[i].value);
    if (attempt->request)
        grpc_byte_buffer_destroy(attempt->request);
    grpc_metadata_array_destroy(&attempt->initial);
    grpc_metadata_array_destroy(&attempt->trailing);
    grpc_slice_unref(attempt->details);
    if (attempt->call)
        grpc_call_unref(attempt->call);
}

/* --- reading the answer ---------------------------------------------------------------------------------- */

/* The daemon's own error, from the trailing metadata: -errno with its text, or 0 when there is none. */
static int take_error(const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->trailing.count; i++) {
        const grpc_metadata *m = &attempt->trailing.metadata[i];
        size_t len = GRPC_SLICE_LENGTH(m->value);

        if (grpc_slice_str_cmp(m->key, ERROR_KEY) != 0 || len > ERROR_MAX)
            continue;
        Ros2__V1__Error *error = ros2__v1__error__unpack(NULL, len, GRPC_SLICE_START_PTR(m->value));
        if (!error)
            continue;
        int err = ros2i_errno_received(error->err);
        if (err == ENOKEY && attempt->status != GRPC_STATUS_UNAUTHENTICATED)
            err = EIO; /* the engine's: here ENOKEY stands for an unknown session */
        int rc = ros2i_fail(err, "%s", error->message[0] ? error->message : ros2i_strerror(err));
        ros2__v1__error__free_unpacked(error, NULL);
        return rc;
    }
    return 0;
}

static void *unpack(const ProtobufCMessageDescriptor *type, grpc_byte_buffer *buffer)
{
    grpc_byte_buffer_reader reader;

    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return NULL;
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    void *message = protobuf_c_message_unpack(type, NULL, GRPC_SLICE_LENGTH(slice),
                                              GRPC_SLICE_START_PTR(slice));
    ros2i_wipe(GRPC_SLICE_START_PTR(slice),
               GRPC_SLICE_LENGTH(slice)); /* a session's secret is in one */
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    return message;
}

static int take_replies(const struct ros2i_control *control, struct ros2i_call *call,
                        struct attempt *attempt)
{
    if (call->replies_max == 0 && attempt->message_count != 1)
        return ros2i_fail(EPROTO, "%s %s: an empty answer; is it a ros2d of this version?",
                          control->peer, call->method);
    for (unsigned i = 0; i < attempt->message_count; i++) {
        void *reply = unpack(call->reply_type, attempt->message[i]);

        if (!reply) {
            ros2i_call_free(call);
            return ros2i_fail(EPROTO,
                              "%s %s: the answer cannot be read; is it a ros2d of this version?",
                              control->peer, call->method);
        }
        call->reply[call->reply_count++] = reply;
    }
    call->stream_ended = !attempt->stopped;
    return 0;
}

void ros2i_call_free(struct ros2i_call *call)
{
    for (unsigned i = 0; i < call->reply_count; i++)
        protobuf_c_message_free_unpacked(call->reply[i], NULL);
    call->reply_count = 0;
}

/* An error that the daemon gave before it looked for an earlier attempt's answer, or while it waited for that. */
static bool is_before_replay(const struct attempt *attempt, int rc)
{
    return rc == -ENOKEY || rc == -ETIMEDOUT || attempt->status == GRPC_STATUS_UNAUTHENTICATED;
}

/* 0 or -errno; *again_p: nothing came of it: the connection was the cause, or the daemon asks for another attempt. */
static int conclude(struct ros2i_control *control, struct ros2i_call *call, struct attempt *attempt,
                    struct ros2i_outcome *outcome, bool *again_p)
{
    int rc;

    if (attempt->status == GRPC_STATUS_OK || attempt->stopped) {
        atomic_store_explicit(&control->answered, true, memory_order_relaxed);
        return take_replies(control, call, attempt);
    }
    rc = take_error(attempt);
    if (rc < 0) {
        atomic_store_explicit(&control->answered, true, memory_order_relaxed);
        *again_p = attempt->status == GRPC_STATUS_UNAVAILABLE; /* its own word that this may pass */
        call->in_doubt = call->in_doubt && is_before_replay(attempt, rc);
        return rc;
    }
    char *details = grpc_slice_to_c_string(attempt->details);
    outcome->status = attempt->status;
    outcome->details = details;
    *again_p = ros2i_explain_transient(outcome);
    call->in_doubt = call->in_doubt || (attempt->sent && ros2i_explain_in_doubt(outcome));
    rc = ros2i_explain(control, call->method, outcome);
    gpr_free(details);
    outcome->details = NULL;
    return rc;
}

/* --- the loop -------------------------------------------------------------------------------------------- */

static int run_attempt(struct ros2i_control *control, struct ros2i_call *call, uint64_t left_ns,
                       struct ros2i_outcome *outcome, bool *interrupted_p, bool *again_p)
{
    struct attempt attempt = {.details = grpc_empty_slice(), .status = GRPC_STATUS_UNKNOWN};
    int rc = ros2i_runtime_enter(&control->grpc, call->deadline_ns, &attempt.use);

    if (rc < 0)
        return rc;
    outcome->started_ns = ros2i_now_ns();
    grpc_metadata_array_init(&attempt.initial);
    grpc_metadata_array_init(&attempt.trailing);
    add_metadata(control, call, &attempt);
    attempt.request = pack(call->request);
    attempt.call = grpc_channel_create_call(attempt.use.channel, NULL, 0, attempt.use.queue,
                                            grpc_slice_from_static_string(call->method), NULL,
                                            grpc_deadline(left_ns), NULL);
    if (ros2i_runtime_publish(&attempt.use, attempt.call)) {
        if (call->replies_max)
            run_stream(&attempt, call->replies_max);
        else
            run_unary(&attempt);
    }
    rc = conclude(control, call, &attempt, outcome, again_p);
    /* Without this the channel would wait out its own, longer pause before it connects again. */
    if (*again_p)
        grpc_channel_reset_connect_backoff(attempt.use.channel);
    ros2i_runtime_withdraw(&attempt.use);
    free_attempt(&attempt);
    *interrupted_p = ros2i_runtime_leave(&attempt.use) && rc < 0;
    return rc;
}

static void pause_for(uint64_t ns)
{
    struct timespec left = {.tv_sec = (time_t)(ns / ROS2I_NS_PER_S),
                            .tv_nsec = (long)(ns % ROS2I_NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

static uint64_t left_until(uint64_t deadline_ns)
{
    uint64_t now_ns = ros2i_now_ns();
    uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

    return left_ns < TIMEOUT_MAX_NS ? left_ns : TIMEOUT_MAX_NS;
}

static int run_attempts(struct ros2i_control *control, struct ros2i_call *call)
{
    struct ros2i_outcome outcome = {.timeout_ns = left_until(call->deadline_ns)};
    uint64_t backoff_ns = BACKOFF_FIRST_NS;
    int rc = 0;

    call->reply_count = 0;
    call->sent_twice = call->in_doubt = false;
    for (;;) {
        bool interrupted = false, again = false;
        uint64_t left_ns = left_until(call->deadline_ns);

        if (left_ns == 0) /* keeps the last attempt's cause: it says more than that time ran out */
            return rc < 0 ? rc
                          : ros2i_fail(ETIMEDOUT, "%s %s: the deadline had passed before it began",
                                       control->peer, call->method);
        rc = run_attempt(control, call, left_ns, &outcome, &interrupted, &again);
        if (rc == 0 || !(interrupted || (again && (call->flags & ROS2I_CALL_RETRY))))
            return rc;
        call->sent_twice = true;
        if (interrupted)
            continue;
        left_ns = left_until(call->deadline_ns);
        pause_for(backoff_ns < left_ns ? backoff_ns : left_ns);
        backoff_ns = backoff_ns < BACKOFF_MAX_NS / 2 ? backoff_ns * 2 : BACKOFF_MAX_NS;
    }
}

int ros2i_call_run(struct ros2i_control *control, struct ros2i_call *call)
{
    int cancel_state;

    /* A cancellation in here would leave gRPC's objects behind, and fork() waiting for the attempt's end. */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
    int rc = run_attempts(control, call);
    pthread_setcancelstate(cancel_state, NULL);
    if (rc == 0 || !call->in_doubt || !(call->flags & ROS2I_CALL_CHANGES))
        return rc;
    char text[ROS2I_ERROR_MAX - sizeof ROS2I_IN_DOUBT];
    snprintf(text, sizeof text, "%s", ros2i_error());
    return ros2i_fail(-rc, "%s" ROS2I_IN_DOUBT, text);
}

/* --- request ids ----------------------------------------------------------------------------------------- */

int ros2i_call_request_id(struct ros2i_control *control, Ros2__V1__RequestId *id,
                          uint8_t nonce[ROS2I_NONCE_LEN])
{
    int rc = 0;

    ros2i_runtime_lock();
    if (!control->has_nonce) {
        rc = ros2i_random(control->request_nonce, sizeof control->request_nonce);
        control->has_nonce = rc == 0;
    }
    memcpy(nonce, control->request_nonce, ROS2I_NONCE_LEN);
    ros2i_runtime_unlock();
    ros2__v1__request_id__init(id);
    id->process_nonce = (ProtobufCBinaryData){.len = ROS2I_NONCE_LEN, .data = nonce};
    id->sequence = 1 + atomic_fetch_add_explicit(&control->next_sequence, 1, memory_order_relaxed);
    return rc;
}
