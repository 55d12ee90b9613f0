/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an index. The caller's own; no locks. */
#include "config.h"

#include "lib/core/index_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"
#include "lib/protocol/checksum.h"

#define MAGIC  "ROS2INDX"
#define LAYOUT 1u

/* -- building -- */

static bool make_room(void **array_p, size_t item, size_t *capacity_p, size_t wanted)
{
    if (wanted <= *capacity_p)
        return true;
    size_t capacity = *capacity_p ? *capacity_p : 1024;
    while (capacity < wanted)
        capacity *= 2;
    void *grown = reallocarray(*array_p, capacity, item);
    if (!grown)
        return false;
    *array_p = grown;
    *capacity_p = capacity;
    return true;
}

int ros2i_index_add(struct ros2i_index_builder *builder, const char *path, uint64_t size,
                    int64_t mtime_ns)
{
    size_t len = strlen(path) + 1;
    if (!make_room((void **)&builder->record, sizeof(*builder->record), &builder->capacity,
                   builder->count + 1) ||
        !make_room((void **)&builder->names, 1, &builder->names_capacity, builder->names_len + len))
        return ros2i_fail(ENOMEM, "index of %zu files: out of memory", builder->count);
    builder->record[builder->count++] =
        (struct ros2i_index_record){.size = size, .mtime_ns = mtime_ns, .at = builder->names_len};
    memcpy(builder->names + builder->names_len, path, len);
    builder->names_len += len;
    return 0;
}

void ros2i_index_builder_fini(struct ros2i_index_builder *builder)
{
    free(builder->record);
    free(builder->names);
    *builder = (struct ros2i_index_builder){0};
}

static int by_path(const void *a, const void *b, void *names)
{
    const struct ros2i_index_record *x = a, *y = b;
    return strcmp((const char *)names + x->at, (const char *)names + y->at);
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ros2i_fail(n < 0 ? errno : EIO, "write: %s",
                              ros2i_strerror(n < 0 ? errno : EIO));
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int ros2i_index_write(struct ros2i_index_builder *builder, const struct ros2i_index_root *root,
                      int64_t made_ns, int fd)
{
    size_t records = builder->count * sizeof(*builder->record);
    struct ros2i_index_header header = {.magic = MAGIC,
                                        .version = LAYOUT,
                                        .count = builder->count,
                                        .names_len = builder->names_len,
                                        .made_ns = made_ns,
                                        .root = *root};
    if (builder->count > 0)
        qsort_r(builder->record, builder->count, sizeof(*builder->record), by_path, builder->names);
    header.crc = ros2i_crc32c(0, builder->record, records);
    header.crc = ros2i_crc32c(header.crc, builder->names, builder->names_len);
    int rc = write_all(fd, &header, sizeof(header));
    if (rc == 0)
        rc = write_all(fd, builder->record, records);
    return rc < 0 ? rc : write_all(fd, builder->names, builder->names_len);
}

/* -- mapping -- */

static bool is_whole(const struct ros2i_index_image *image)
{
    const struct ros2i_index_header *header = image->header;
    if (memcmp(header->magic, MAGIC, sizeof(header->magic)) != 0 || header->version != LAYOUT)
        return false;
    size_t body = image->len - sizeof(*header);
    if (header->count > body / sizeof(struct ros2i_index_record) ||
        header->names_len != body - header->count * sizeof(struct ros2i_index_record))
        return false;
    if (header->names_len > 0 && image->names[header->names_len - 1] != '\0')
        return false;
    for (uint64_t i = 0; i < header->count; i++)
        if (image->record[i].at >= header->names_len)
            return false;
    return ros2i_crc32c(0, image->record, body) == header->crc;
}

int ros2i_index_map(int fd, struct ros2i_index_image *image_p)
{
    struct ros2i_index_image image;
    struct stat st;
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(*image.header))
        return -EILSEQ;
    image.len = (size_t)st.st_size;
    /* It is only ever replaced by another file, never cut: only its owner could, and nobody else may write. */
    const char *base = mmap(NULL, image.len, PROT_READ, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return ros2i_fail(ENOMEM, "map of %zu bytes: %s", image.len, ros2i_strerror(errno));
    image.header = (const void *)base;
    image.record = (const void *)(base + sizeof(*image.header));
    image.names = "";
    uint64_t count = image.header->count;
    if (count <= (image.len - sizeof(*image.header)) / sizeof(*image.record))
        image.names = base + sizeof(*image.header) + count * sizeof(*image.record);
    if (!is_whole(&image)) {
        ros2i_index_unmap(&image);
        return -EILSEQ;
    }
    *image_p = image;
    return 0;
}

void ros2i_index_unmap(struct ros2i_index_image *image)
{
    munmap((void *)(uintptr_t)image->header, image->len);
}
