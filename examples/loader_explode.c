/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a data set of many small files: sample i of Fashion-MNIST's training part becomes DIR/train/NN/NNNNN, of its test
 * part DIR/t10k/NN/NNNNN, a thousand files to a directory. A file is the label, one byte, and the image, 784 bytes. */
#include "examples/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAN_OUT   1000u
#define NAME_SIZE 64

struct part {
    const char *name; /* of its directory, and how its IDX files begin */
    struct loader_idx *images, *labels;
};

struct explosion {
    int dir; /* descriptor of DIR */
    const char *dir_name;
    uint64_t samples, sum;
};

static int make_dir(const struct explosion *e, const char *name)
{
    if (mkdirat(e->dir, name, 0777) == 0)
        return 0;
    if (errno == EEXIST)
        return loader_fail(-EEXIST, "%s/%s: is there already; remove it, or name another directory",
                           e->dir_name, name);
    return loader_fail(-errno, "%s/%s: %s", e->dir_name, name, strerror(errno));
}

static int write_file(const struct explosion *e, const char *name, const uint8_t *bytes, size_t len)
{
    int fd = openat(e->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return loader_fail(-errno, "%s/%s: %s", e->dir_name, name, strerror(errno));
    ssize_t done = write(fd, bytes, len);
    int err = done < 0 ? errno : (size_t)done < len ? ENOSPC : 0;
    if (close(fd) < 0 && err == 0)
        err = errno;
    return err == 0 ? 0 : loader_fail(-err, "%s/%s: %s", e->dir_name, name, strerror(err));
}

static int write_samples(struct explosion *e, const struct part *part, uint8_t *sample)
{
    size_t len = 1 + (size_t)loader_idx_record_len(part->images);
    char name[NAME_SIZE];
    int rc = make_dir(e, part->name);

    for (uint32_t i = 0; rc == 0 && i < loader_idx_count(part->images); i++) {
        if (i % FAN_OUT == 0) {
            snprintf(name, sizeof(name), "%s/%02u", part->name, i / FAN_OUT);
            rc = make_dir(e, name);
        }
        if (rc == 0)
            rc = loader_idx_next(part->labels, sample);
        if (rc == 0)
            rc = loader_idx_next(part->images, sample + 1);
        if (rc < 0)
            break;
        snprintf(name, sizeof(name), "%s/%02u/%05u", part->name, i / FAN_OUT, i);
        rc = write_file(e, name, sample, len);
        e->samples++;
        e->sum += loader_sum_sample(loader_sum_name(name), sample, len);
    }
    if (rc == 0)
        rc = loader_idx_check_end(part->labels);
    return rc == 0 ? loader_idx_check_end(part->images) : rc;
}

static int open_part(struct part *part, const char *folder)
{
    char name[NAME_SIZE];

    snprintf(name, sizeof(name), "%s-images-idx3-ubyte", part->name);
    int rc = loader_idx_open(folder, name, 3, &part->images);
    if (rc < 0)
        return rc;
    snprintf(name, sizeof(name), "%s-labels-idx1-ubyte", part->name);
    rc = loader_idx_open(folder, name, 1, &part->labels);
    if (rc == 0 && loader_idx_count(part->labels) != loader_idx_count(part->images))
        rc = loader_fail(-EINVAL, "%s/%s: has %u labels for %u images", folder, name,
                         loader_idx_count(part->labels), loader_idx_count(part->images));
    return rc;
}

static int explode_part(struct explosion *e, const char *folder, const char *name)
{
    struct part part = {.name = name};
    uint8_t *sample = NULL;
    int rc = open_part(&part, folder);

    if (rc == 0) {
        sample = malloc(1 + (size_t)loader_idx_record_len(part.images));
        rc = sample ? write_samples(e, &part, sample) : loader_fail(-ENOMEM, "out of memory");
    }
    free(sample);
    loader_idx_close(part.images);
    loader_idx_close(part.labels);
    return rc;
}

int loader_explode(const struct loader_options *options)
{
    struct explosion e = {.dir_name = options->dir};

    if (mkdir(options->dir, 0777) < 0 && errno != EEXIST)
        return loader_fail(-errno, "%s: %s", options->dir, strerror(errno));
    e.dir = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e.dir < 0)
        return loader_fail(-errno, "%s: %s", options->dir, strerror(errno));
    int rc = explode_part(&e, options->from, "train");
    if (rc == 0)
        rc = explode_part(&e, options->from, "t10k");
    close(e.dir);
    if (rc == 0)
        printf("%s: %" PRIu64 " samples, checksum %016" PRIx64 "\n", options->dir, e.samples,
               e.sum);
    return rc;
}
