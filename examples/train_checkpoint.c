/* SPDX-License-Identifier: Apache-2.0 */
/* The checkpoint: a model as bytes, little-endian. Written under another name, made durable and renamed in one call, so
 * that a crash leaves the old one or the new one. */
#include "examples/train.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC  "ROS2TRN1"
#define FLOATS (TRAIN_PIXELS * TRAIN_CLASSES + TRAIN_CLASSES)
#define SIZE   (8 + 4 * (size_t)FLOATS)

static float *value_at(struct train_model *model, size_t i)
{
    if (i < TRAIN_CLASSES)
        return &model->bias[i];
    i -= TRAIN_CLASSES;
    return &model->weight[i / TRAIN_CLASSES][i % TRAIN_CLASSES];
}

static void put_float(uint8_t *p, float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(bits >> 8 * i);
}

static float get_float(const uint8_t *p)
{
    uint32_t bits = 0;
    float value;

    for (int i = 0; i < 4; i++)
        bits |= (uint32_t)p[i] << 8 * i;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static int write_file(struct ros2_client *client, const char *path, const uint8_t *bytes,
                      size_t len)
{
    struct ros2_file *file;
    int rc = ros2_open(client, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &file);

    if (rc < 0)
        return train_fail(rc, "checkpoint");
    ssize_t wrote = ros2_pwrite(file, bytes, len, 0);
    rc = wrote < 0 ? (int)wrote : ros2_fsync(file);
    if (rc < 0) {
        train_fail(rc, "checkpoint");
        ros2_close(file);
        return rc;
    }
    rc = ros2_close(file);
    return rc < 0 ? train_fail(rc, "checkpoint") : 0;
}

int train_checkpoint_save(struct ros2_client *client, const char *prefix,
                          const struct train_model *model)
{
    char tmp[TRAIN_PATH_MAX], final[TRAIN_PATH_MAX];
    struct train_model copy = *model;
    int rc = train_path(tmp, prefix, ".checkpoint.tmp");

    if (rc == 0)
        rc = train_path(final, prefix, "checkpoint.bin");
    if (rc < 0)
        return rc;
    uint8_t *bytes = malloc(SIZE);
    if (!bytes)
        return train_fail_text(-ENOMEM, "out of memory");
    memcpy(bytes, MAGIC, 8);
    for (size_t i = 0; i < FLOATS; i++)
        put_float(bytes + 8 + 4 * i, *value_at(&copy, i));
    rc = write_file(client, tmp, bytes, SIZE);
    free(bytes);
    if (rc < 0)
        return rc;
    rc = ros2_publish(client, tmp, final);
    return rc < 0 ? train_fail(rc, "checkpoint") : 0;
}

static int read_file(struct ros2_client *client, const char *path, uint8_t *bytes, size_t len)
{
    struct ros2_file *file;
    int rc = ros2_open(client, path, O_RDONLY, 0, &file);

    if (rc < 0)
        return train_fail(rc, "checkpoint");
    ssize_t got = ros2_pread(file, bytes, len, 0);
    ros2_close(file);
    if (got < 0)
        return train_fail((int)got, "checkpoint");
    if ((size_t)got != SIZE || memcmp(bytes, MAGIC, 8) != 0)
        return train_fail_text(-EIO, "%s: is no checkpoint of this model", path);
    return 0;
}

int train_checkpoint_load(struct ros2_client *client, const char *prefix, struct train_model *model)
{
    char path[TRAIN_PATH_MAX];
    int rc = train_path(path, prefix, "checkpoint.bin");

    if (rc < 0)
        return rc;
    /* One more than there should be, to notice a file that is too long. */
    uint8_t *bytes = malloc(SIZE + 1);
    if (!bytes)
        return train_fail_text(-ENOMEM, "out of memory");
    rc = read_file(client, path, bytes, SIZE + 1);
    if (rc == 0) {
        memset(model, 0, sizeof(*model));
        for (size_t i = 0; i < FLOATS; i++)
            *value_at(model, i) = get_float(bytes + 8 + 4 * i);
    }
    free(bytes);
    return rc;
}
