/* SPDX-License-Identifier: Apache-2.0 */
/* One call: from a protobuf-c message to a protobuf-c message or an errno with its text. */
#ifndef ROS2I_CALL_H
#define ROS2I_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "lib/control/credentials.h"
#include "ros2/v1/common.pb-c.h"

#define ROS2I_CALL_REPLIES_MAX 32

enum ros2i_call_flag {
    ROS2I_CALL_RETRY =
        1 << 0, /* may be sent again when the connection breaks: idempotent, or has a request id */
    ROS2I_CALL_NO_SESSION = 1 << 1, /* needs none */
    ROS2I_CALL_CHANGES = 1 << 2, /* a failure that leaves it open whether it took effect says so */
};

struct ros2i_call {
    const char *method; /* "/ros2.v1.Namespace/Stat"; static */
    unsigned flags;     /* enum ros2i_call_flag */
    const ProtobufCMessage *request;
    const ProtobufCMessageDescriptor *reply_type;
    uint64_t deadline_ns;
    unsigned
        replies_max; /* 0: a unary call; else of a server stream: after so many it is cancelled */
    /* Results, set when the call returned 0: */
    void *reply[ROS2I_CALL_REPLIES_MAX]; /* unary: 1; end with ros2i_call_free() */
    unsigned reply_count;
    bool stream_ended; /* no more would have come */
    /* Results, set always: */
    bool sent_twice; /* whether a broken connection hides a first answer */
    bool
        in_doubt; /* an attempt may have reached the daemon, and nothing that came says what became of it */
};

/* Any thread; blocks up to the deadline. */
int ros2i_call_run(struct ros2i_control *control, struct ros2i_call *call);
void ros2i_call_free(struct ros2i_call *call);

/* A fresh request id: *id and nonce are the caller's, and live as long as its request. 0 or -EIO (no entropy). */
int ros2i_call_request_id(struct ros2i_control *control, Ros2__V1__RequestId *id,
                          uint8_t nonce[ROS2I_NONCE_LEN]);

#endif
