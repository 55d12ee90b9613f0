/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a path, as open flags and as each request message: they are refused with a text, or what comes out keeps the
 * promises that engines rely on. First byte: which of them. */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/arena.h"
#include "daemon/control/path.h"
#include "lib/base/error.h"
#include "ros2/v1/memory.pb-c.h"
#include "ros2/v1/namespace.pb-c.h"
#include "ros2/v1/session.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* No leading or trailing '/', no empty name, no "." or "..", nothing too long. */
static void check_taken(const char *path, size_t sent_len)
{
    size_t len = strlen(path);

    must(len <= ROS2D_PATH_MAX && len < (sent_len ? sent_len : 1));
    for (const char *name = path; *path;) {
        size_t name_len = strcspn(name, "/");

        must(name_len > 0 && name_len <= 255);
        must(!(name_len == 1 && name[0] == '.') &&
             !(name_len == 2 && name[0] == '.' && name[1] == '.'));
        if (!name[name_len])
            break;
        name += name_len + 1;
    }
}

static void try_path(const uint8_t *data, size_t len)
{
    char path[ROS2D_PATH_MAX + 1];
    int rc = ros2d_path_take(data, len, path);

    must(rc == 0 || ((rc == -EINVAL || rc == -ENAMETOOLONG) && ros2i_error()[0]));
    if (rc == 0)
        check_taken(path, len);
}

static void try_open(const uint8_t *data, size_t len)
{
    uint32_t word[2] = {0};

    memcpy(word, data, len < sizeof word ? len : sizeof word);
    int rc = ros2d_path_check_open(word[0], word[1]);
    must(rc == 0 || (rc == -EINVAL && ros2i_error()[0]));
    must(rc < 0 || ((word[0] & 3) && word[0] < 256 && word[1] <= 07777));
}

static void try_message(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
    struct ros2d_arena arena;

    ros2d_arena_init(&arena, 1u << 20);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, &arena.allocator, len, data);
    if (message && type == &ros2__v1__open_many_request__descriptor) {
        const Ros2__V1__OpenManyRequest *request = (const Ros2__V1__OpenManyRequest *)message;

        for (size_t i = 0; i < request->n_items; i++)
            try_path(request->items[i]->path.data, request->items[i]->path.len);
    }
    ros2d_arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &ros2__v1__open_session_request__descriptor, &ros2__v1__attach_request__descriptor,
        &ros2__v1__open_many_request__descriptor,    &ros2__v1__close_many_request__descriptor,
        &ros2__v1__stat_request__descriptor,         &ros2__v1__mkdir_request__descriptor,
        &ros2__v1__unlink_request__descriptor,       &ros2__v1__rename_request__descriptor,
        &ros2__v1__list_request__descriptor,         &ros2__v1__register_request__descriptor,
        &ros2__v1__unregister_request__descriptor,
    };
    const size_t count = sizeof types / sizeof *types;

    if (len == 0)
        return 0;
    unsigned which = data[0] % (count + 2);
    if (which == count)
        try_path(data + 1, len - 1);
    else if (which == count + 1)
        try_open(data + 1, len - 1);
    else
        try_message(types[which], data + 1, len - 1);
    return 0;
}
