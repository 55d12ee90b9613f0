/* SPDX-License-Identifier: Apache-2.0 */
/* Listing a directory. A few messages of the stream are read, then the stream is cancelled (the daemon reads no page
 * that nobody takes) and the caller's function runs over what came, with no call open: it may fork, or call us. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "lib/base/error.h"
#include "lib/control/attributes.h"
#include "lib/control/call.h"
#include "lib/control/control.h"
#include "ros2/v1/namespace.pb-c.h"

#define NAME_MAX_LEN 255
/* Messages (about 256 entries each) of the first stream, and of those behind it, when the caller goes on. */
#define FIRST_MESSAGES 4
#define NEXT_MESSAGES  ROS2I_CALL_REPLIES_MAX

struct walk {
    ros2_readdir_fn *fn;
    void *arg;
    uint64_t cookie; /* of the last entry that fn has seen */
    bool with_attributes;
    bool stopped;
    size_t entries; /* that came in this stream */
};

static int check_name(const struct ros2i_control *control, const ProtobufCBinaryData *name)
{
    bool good = name->len > 0 && name->len <= NAME_MAX_LEN &&
                !memchr(name->data, '\0', name->len) && !memchr(name->data, '/', name->len) &&
                !(name->len == 1 && name->data[0] == '.') &&
                !(name->len == 2 && name->data[0] == '.' && name->data[1] == '.');

    return good ? 0 : ros2i_fail(EPROTO, "%s: a directory's entry that is no name", control->peer);
}

/* Gives the entries to the caller until it stops; nothing of gRPC is held meanwhile. */
static int give_entries(const struct ros2i_control *control, struct walk *walk,
                        const Ros2__V1__ListResponse *page)
{
    char name[NAME_MAX_LEN + 1];

    for (size_t i = 0; i < page->n_entries && !walk->stopped; i++) {
        const Ros2__V1__ListEntry *entry = page->entries[i];
        struct ros2_attr attr = ros2i_attributes_take(entry->attributes);
        int rc = check_name(control, &entry->name);

        if (rc < 0)
            return rc;
        memcpy(name, entry->name.data, entry->name.len);
        name[entry->name.len] = '\0';
        walk->cookie = entry->cookie;
        walk->entries++;
        walk->stopped =
            walk->fn(walk->arg, name, entry->name.len,
                     walk->with_attributes && entry->attributes ? &attr : NULL, entry->cookie) != 0;
    }
    return 0;
}

/* One stream: *end_p when the directory has ended and the caller has seen all of it. */
static int run_stream(struct ros2i_control *control, const char *path, struct walk *walk,
                      unsigned messages, uint64_t deadline_ns, bool *end_p)
{
    Ros2__V1__ListRequest request;

    ros2__v1__list_request__init(&request);
    request.path = (ProtobufCBinaryData){.len = strlen(path), .data = (uint8_t *)(uintptr_t)path};
    request.cookie = walk->cookie;
    request.with_attributes = walk->with_attributes;
    struct ros2i_call call = {.method = "/ros2.v1.Namespace/List",
                              .flags = ROS2I_CALL_RETRY,
                              .request = &request.base,
                              .reply_type = &ros2__v1__list_response__descriptor,
                              .deadline_ns = deadline_ns,
                              .replies_max = messages};
    int rc = ros2i_call_run(control, &call);

    walk->entries = 0;
    for (unsigned i = 0; rc == 0 && i < call.reply_count && !walk->stopped; i++)
        rc = give_entries(control, walk, call.reply[i]);
    *end_p = call.stream_ended && !walk->stopped;
    ros2i_call_free(&call);
    return rc;
}

int ros2i_control_list(struct ros2i_control *control, const char *path, uint64_t cookie,
                       bool with_attributes, ros2_readdir_fn *fn, void *arg, uint64_t deadline_ns,
                       bool *end_p)
{
    struct walk walk = {.fn = fn, .arg = arg, .cookie = cookie, .with_attributes = with_attributes};
    unsigned messages = FIRST_MESSAGES;
    bool end = false;

    while (!end && !walk.stopped) {
        int rc = run_stream(control, path, &walk, messages, deadline_ns, &end);

        if (rc < 0)
            return rc;
        if (!end && !walk.stopped && walk.entries == 0)
            return ros2i_fail(EPROTO, "%s: pages of a directory without entries", control->peer);
        messages = NEXT_MESSAGES;
    }
    *end_p = end;
    return 0;
}
