/* SPDX-License-Identifier: Apache-2.0 */
/* Namespace.List. The directory stays open for the stream; a page is read from the engine only when the one before has
 * been sent, so a client that stops reading costs one page of memory. */
#include "config.h"

#include "daemon/control/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/attributes.h"
#include "daemon/control/path.h"
#include "lib/base/error.h"
#include "ros2/v1/namespace.pb-c.h"

#define PAGE_ENTRIES 256u

struct listing {
    const struct ros2_engine_ops *ops;
    struct ros2_node *directory;
    uint64_t cookie; /* of the last entry given */
    bool with_attributes;
    bool ended;
};

struct page {
    struct ros2d_call *call;
    struct listing *listing;
    Ros2__V1__ListEntry *entry[PAGE_ENTRIES];
    size_t count;
    bool no_memory;
};

int ros2d_list_handle(struct ros2d_call *call, const void *message, ProtobufCMessage **reply_p)
{
    const Ros2__V1__ListRequest *request = message;
    const struct ros2d_tenant *tenant = call->principal.tenant;
    struct listing *listing = ros2d_call_alloc(call, sizeof *listing);
    char path[ROS2D_PATH_MAX + 1];

    (void)reply_p;
    if (!listing)
        return -ENOMEM;
    int rc = ros2d_path_take(request->path.data, request->path.len, path);
    if (rc < 0)
        return rc;
    listing->ops = tenant->engine_ops;
    listing->cookie = request->cookie;
    listing->with_attributes = request->with_attributes;
    rc = listing->ops->open(tenant->root, path, ROS2_OPEN_READ | ROS2_OPEN_DIRECTORY, 0,
                            &listing->directory, NULL);
    if (rc == 0)
        call->stream = listing;
    return rc;
}

static Ros2__V1__ListEntry *make_entry(struct ros2d_arena *arena, const char *name, size_t name_len,
                                       const struct ros2_attr *attr, uint64_t cookie)
{
    Ros2__V1__ListEntry *entry = ros2d_arena_alloc(arena, sizeof *entry);
    uint8_t *copy = ros2d_arena_alloc(arena, name_len);

    if (!entry || !copy)
        return NULL;
    ros2__v1__list_entry__init(entry);
    memcpy(copy, name, name_len);
    entry->name = (ProtobufCBinaryData){.len = name_len, .data = copy};
    entry->cookie = cookie;
    if (attr) {
        entry->attributes = ros2d_arena_alloc(arena, sizeof *entry->attributes);
        if (!entry->attributes)
            return NULL;
        ros2d_attributes_fill(entry->attributes, attr);
    }
    return entry;
}

static int add_entry(void *arg, const char *name, size_t name_len, const struct ros2_attr *attr,
                     uint64_t cookie)
{
    struct page *page = arg;
    Ros2__V1__ListEntry *entry = make_entry(&page->call->page_arena, name, name_len, attr, cookie);

    if (!entry) {
        page->no_memory = true;
        return 1;
    }
    page->entry[page->count++] = entry;
    page->listing->cookie = cookie;
    return page->count == PAGE_ENTRIES;
}

static int read_page(struct ros2d_call *call, struct listing *listing, struct page *page)
{
    int rc = listing->ops->readdir(listing->directory, listing->cookie, listing->with_attributes,
                                   add_entry, page);

    if (rc < 0)
        return rc;
    if (page->no_memory)
        return ros2i_fail(ENOMEM, "no memory for a page of the directory");
    listing->ended = page->count < PAGE_ENTRIES;
    (void)call;
    return 0;
}

int ros2d_list_next(struct ros2d_call *call, ProtobufCMessage **reply_p)
{
    struct listing *listing = call->stream;
    struct page page = {.call = call, .listing = listing};

    if (listing->ended)
        return 0;
    int rc = read_page(call, listing, &page);
    if (rc < 0 || page.count == 0)
        return rc;
    Ros2__V1__ListResponse *reply = ros2d_arena_alloc(&call->page_arena, sizeof *reply);
    Ros2__V1__ListEntry **entries =
        ros2d_arena_alloc(&call->page_arena, page.count * sizeof *entries);
    if (!reply || !entries)
        return ros2i_fail(ENOMEM, "no memory for a page of the directory");
    memcpy(entries, page.entry, page.count * sizeof *entries);
    ros2__v1__list_response__init(reply);
    reply->entries = entries;
    reply->n_entries = page.count;
    *reply_p = &reply->base;
    return 0;
}

void ros2d_list_end(struct ros2d_call *call)
{
    struct listing *listing = call->stream;

    listing->ops->close(listing->directory);
}
