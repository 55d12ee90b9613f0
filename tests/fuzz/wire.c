/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes: they are refused with -EPROTO and a text, or they are a message that encodes to just those bytes. */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/protocol/wire.h"
#include "tests/unit/wire_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static uint8_t again[ROS2I_WIRE_MESSAGE_MAX];
    struct ros2i_msg msg, back;
    int rc = ros2i_wire_decode(data, len, &msg);

    if (rc != 0) {
        must(rc == -EPROTO && ros2i_error()[0] != '\0');
        return 0;
    }
    must(wire_whole(&msg, again) == (int)len);
    must(memcmp(again, data, len) == 0);
    must(ros2i_wire_decode(again, len, &back) == 0 && wire_equal(&msg, &back));
    return 0;
}
