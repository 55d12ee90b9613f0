/* SPDX-License-Identifier: Apache-2.0 */
/* An index as a file: built in memory, written whole, mapped and checked. docs: the layout is private to libros2 and may
 * change with any release; a file of another layout is no index, and is made anew. */
#ifndef ROS2I_INDEX_FILE_H
#define ROS2I_INDEX_FILE_H

#include <stddef.h>
#include <stdint.h>

/* What the indexed directory was like. */
struct ros2i_index_root {
    uint64_t dev, ino;
    int64_t mtime_ns, ctime_ns;
};

struct ros2i_index_header {
    char magic[8];
    uint32_t version;
    uint32_t crc; /* CRC-32C of all behind the header */
    uint64_t count, names_len;
    int64_t made_ns; /* real time */
    struct ros2i_index_root root;
};

struct ros2i_index_record {
    uint64_t size;
    int64_t mtime_ns;
    uint64_t at; /* of the path, with NUL, in the names */
};

/* Header, records in the order of their paths, names: as in the file. */
struct ros2i_index_image {
    const struct ros2i_index_header *header;
    const struct ros2i_index_record *record;
    const char *names;
    size_t len;
};

/* In the making. Zeroed by the caller. */
struct ros2i_index_builder {
    struct ros2i_index_record *record;
    size_t count, capacity;
    char *names;
    size_t names_len, names_capacity;
};

/* 0 or -ENOMEM. */
int ros2i_index_add(struct ros2i_index_builder *builder, const char *path, uint64_t size,
                    int64_t mtime_ns);
/* Sorts, and writes the whole file. 0, or -ENOSPC, -EIO. */
int ros2i_index_write(struct ros2i_index_builder *builder, const struct ros2i_index_root *root,
                      int64_t made_ns, int fd);
void ros2i_index_builder_fini(struct ros2i_index_builder *builder);

/* Maps fd, and checks every length, offset and byte. 0; -EILSEQ: it is no whole index; -ENOMEM. */
int ros2i_index_map(int fd, struct ros2i_index_image *image_p);
void ros2i_index_unmap(struct ros2i_index_image *image);

#endif
