/* SPDX-License-Identifier: Apache-2.0 */
/* Files in the IDX format: bytes 0 0 8 (unsigned bytes), the number of dimensions, then each dimension as 32 bits, most
 * significant byte first. */
#include "examples/train.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER_MAX 16

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int read_header(struct train_idx *idx, unsigned dimensions)
{
    uint8_t header[HEADER_MAX];
    struct stat st;

    idx->data_offset = 4 + 4 * dimensions;
    ssize_t got = ros2_pread(idx->file, header, idx->data_offset, 0);
    if (got < 0)
        return train_fail((int)got, idx->name);
    if ((uint32_t)got < idx->data_offset || header[0] != 0 || header[1] != 0 || header[2] != 8 ||
        header[3] != dimensions)
        return train_fail_text(-EINVAL, "%s: is no IDX file of bytes with %u dimensions", idx->name,
                               dimensions);
    idx->count = be32(header + 4);
    idx->record_len = 1;
    for (unsigned i = 1; i < dimensions; i++) {
        uint32_t extent = be32(header + 4 + 4 * i);
        if (extent == 0 || extent > 65536 || idx->record_len > 65536 / extent)
            return train_fail_text(-EINVAL, "%s: its records are too large", idx->name);
        idx->record_len *= extent;
    }
    int rc = ros2_fstat(idx->file, &st);
    if (rc < 0)
        return train_fail(rc, idx->name);
    if ((uint64_t)st.st_size != train_idx_size(idx))
        return train_fail_text(-EINVAL, "%s: its size is not that of %u records", idx->name,
                               idx->count);
    return 0;
}

int train_idx_open(struct ros2_client *client, const char *prefix, const char *name,
                   unsigned dimensions, struct train_idx *idx)
{
    char path[TRAIN_PATH_MAX];
    int rc = train_path(path, prefix, name);

    if (rc == 0)
        rc = ros2_open(client, path, O_RDONLY, 0, &idx->file);
    if (rc < 0)
        return train_fail(rc, name);
    idx->name = name;
    rc = read_header(idx, dimensions);
    if (rc < 0)
        train_idx_close(idx);
    return rc;
}

void train_idx_close(struct train_idx *idx)
{
    if (idx->file)
        ros2_close(idx->file);
    idx->file = NULL;
}

uint64_t train_idx_size(const struct train_idx *idx)
{
    return idx->data_offset + (uint64_t)idx->count * idx->record_len;
}

int train_idx_read_all(const struct train_idx *idx, uint8_t **bytes_p)
{
    uint64_t size = train_idx_size(idx);
    uint8_t *bytes = malloc(size);

    if (!bytes)
        return train_fail_text(-ENOMEM, "out of memory");
    ssize_t got = ros2_pread(idx->file, bytes, size, 0);
    if (got < 0 || (uint64_t)got != size) {
        free(bytes);
        if (got < 0)
            return train_fail((int)got, idx->name);
        return train_fail_text(-EIO, "%s: became shorter", idx->name);
    }
    *bytes_p = bytes;
    return 0;
}
