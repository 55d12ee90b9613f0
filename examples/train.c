/* SPDX-License-Identifier: Apache-2.0 */
/* Trains a classifier on Fashion-MNIST that lies in a store, as a training job would: the first epoch reads every sample
 * by a read of its own in random order, the following ones read shards in random order; at the end a checkpoint is
 * written, read back and compared.
 *
 *   train --prefix /fashion-mnist [--epochs N] [--threads N] [--verify-sha256 FILE=HEX]...
 *
 * Where the store is comes from the environment (ROS2_URL, ...) or the config file. Exit status: 0 when all is well. */
#include "examples/train.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define MINIBATCH 64
#define RATE      0.1f
#define FILES     4

enum { TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS };

static const char *const file_names[FILES] = {
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
};

struct train {
    const char *prefix;
    unsigned epochs, threads;
    const char *sha256[FILES]; /* what it should be, or NULL */
    struct ros2_client *client;
    struct train_idx files[FILES];
    uint8_t *bytes[FILES]; /* the files as they were read; the training images piece by piece */
    struct train_model model;
    uint64_t samples;
    double seconds;
};

int train_fail(int err, const char *what)
{
    fprintf(stderr, "train: %s: %s\n", what, ros2_error());
    return err;
}

int train_fail_text(int err, const char *fmt, ...)
{
    va_list args;

    fputs("train: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return err;
}

int train_path(char path[TRAIN_PATH_MAX], const char *prefix, const char *name)
{
    if (snprintf(path, TRAIN_PATH_MAX, "%s/%s", prefix, name) >= TRAIN_PATH_MAX)
        return train_fail_text(-ENAMETOOLONG, "%s: is too long", prefix);
    return 0;
}

double train_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int open_files(struct train *t)
{
    for (int i = 0; i < FILES; i++) {
        bool images = i == TRAIN_IMAGES || i == TEST_IMAGES;
        int rc = train_idx_open(t->client, t->prefix, file_names[i], images ? 3 : 1, &t->files[i]);
        if (rc < 0)
            return rc;
        if (images && t->files[i].record_len != TRAIN_PIXELS)
            return train_fail_text(-EINVAL, "%s: its images are not 28 x 28", file_names[i]);
        if (!images && t->files[i].count != t->files[i - 1].count)
            return train_fail_text(-EINVAL, "%s: not one label for each image", file_names[i]);
    }
    return 0;
}

static int check_labels(const struct train *t, int file)
{
    const uint8_t *labels = t->bytes[file] + t->files[file].data_offset;

    for (uint32_t i = 0; i < t->files[file].count; i++) {
        if (labels[i] >= TRAIN_CLASSES)
            return train_fail_text(-EINVAL, "%s: label %u of sample %u is no class",
                                   file_names[file], labels[i], i);
    }
    return 0;
}

/* Labels and test images in big reads. Of the training images only the header: the samples come while training. */
static int read_whole_files(struct train *t)
{
    const struct train_idx *images = &t->files[TRAIN_IMAGES];

    for (int i = 0; i < FILES; i++) {
        if (i == TRAIN_IMAGES)
            continue;
        int rc = train_idx_read_all(&t->files[i], &t->bytes[i]);
        if (rc < 0)
            return rc;
    }
    int rc = check_labels(t, TRAIN_LABELS);
    if (rc == 0)
        rc = check_labels(t, TEST_LABELS);
    if (rc < 0)
        return rc;
    t->bytes[TRAIN_IMAGES] = calloc(1, train_idx_size(images));
    if (!t->bytes[TRAIN_IMAGES])
        return train_fail_text(-ENOMEM, "out of memory");
    ssize_t got = ros2_pread(images->file, t->bytes[TRAIN_IMAGES], images->data_offset, 0);
    return got < 0 ? train_fail((int)got, images->name) : 0;
}

/* Puts the samples of a batch where they are in the file, to compare it as a whole later. */
static void keep_samples(struct train *t, const struct train_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        memcpy(t->bytes[TRAIN_IMAGES] + t->files[TRAIN_IMAGES].data_offset +
                   (size_t)batch->index[i] * TRAIN_PIXELS,
               batch->pixels[i], TRAIN_PIXELS);
}

static double train_on(struct train *t, const struct train_batch *batch)
{
    const uint8_t *labels = t->bytes[TRAIN_LABELS] + t->files[TRAIN_LABELS].data_offset;
    double loss = 0;

    for (uint32_t i = 0; i < batch->count; i += MINIBATCH) {
        uint32_t count = batch->count - i < MINIBATCH ? batch->count - i : MINIBATCH;
        loss += count * train_model_step(&t->model, batch->pixels + i, batch->index + i, labels,
                                         count, RATE);
    }
    return loss;
}

static void show_progress(const struct train *t, unsigned epoch, uint32_t done)
{
    static int terminal = -1;

    if (terminal < 0)
        terminal = isatty(STDOUT_FILENO);
    if (terminal) {
        printf("\repoch %u/%u  %3u %%", epoch, t->epochs,
               100 * done / t->files[TRAIN_IMAGES].count);
        fflush(stdout);
    }
}

static int run_batches(struct train *t, unsigned epoch, struct train_loader *loader, double *loss)
{
    const struct train_batch *batch;
    uint32_t done = 0, shown = 0;
    int rc;

    while ((rc = train_loader_next(loader, &batch)) > 0) {
        if (epoch == 1)
            keep_samples(t, batch);
        *loss += train_on(t, batch);
        done += batch->count;
        if (done - shown >= 2048) {
            show_progress(t, epoch, done);
            shown = done;
        }
    }
    return rc;
}

static int run_epoch(struct train *t, unsigned epoch)
{
    const struct train_idx *images = &t->files[TRAIN_IMAGES];
    enum train_order order = epoch == 1 ? TRAIN_BY_SAMPLE : TRAIN_BY_SHARD;
    struct train_loader *loader;
    double loss = 0, start = train_seconds();

    int rc = train_loader_begin(images, order, t->threads, epoch, &loader);
    if (rc < 0)
        return rc;
    rc = run_batches(t, epoch, loader, &loss);
    train_loader_end(loader);
    if (rc < 0)
        return rc;
    double seconds = train_seconds() - start;
    t->samples += images->count;
    t->seconds += seconds;
    printf("%sepoch %u/%u  loss %.3f  %.0f samples/s  (%s)\n", isatty(STDOUT_FILENO) ? "\r" : "",
           epoch, t->epochs, loss / images->count, images->count / seconds,
           epoch == 1 ? "a read of 784 bytes for each, shuffled" : "shuffled shards of 196 KiB");
    fflush(stdout);
    return 0;
}

#define READ_LEN (8u << 20) /* bytes: several requests in flight at a time */
#define PASSES   4

/* Reads the training images once in big reads, and compares them with what the small ones gave. *seconds_p: of the reads
 * alone. */
static int read_in_order(const struct train *t, uint8_t *buf, double *seconds_p)
{
    const struct train_idx *images = &t->files[TRAIN_IMAGES];
    double seconds = 0;

    for (uint64_t offset = 0; offset < train_idx_size(images);) {
        double start = train_seconds();
        ssize_t got = ros2_pread(images->file, buf, READ_LEN, offset);
        seconds += train_seconds() - start;
        if (got < 0)
            return train_fail((int)got, images->name);
        if (got == 0 || memcmp(buf, t->bytes[TRAIN_IMAGES] + offset, (size_t)got) != 0)
            return train_fail_text(-EIO, "%s: a big read gave other bytes than the small ones",
                                   images->name);
        offset += (uint64_t)got;
    }
    *seconds_p = seconds;
    return 0;
}

/* How fast the store gives the training images alone, without a model that computes beside it: the best of a few passes,
 * as the first one touches the buffer for the first time. */
static int measure_reads(const struct train *t)
{
    uint8_t *buf = malloc(READ_LEN);
    double best = 0;
    int rc = 0;

    if (!buf)
        return train_fail_text(-ENOMEM, "out of memory");
    for (int i = 0; rc == 0 && i < PASSES; i++) {
        double seconds = 0;
        rc = read_in_order(t, buf, &seconds);
        if (rc == 0 && (best == 0 || seconds < best))
            best = seconds;
    }
    free(buf);
    if (rc == 0)
        printf("read throughput    %.2f GiB/s (in reads of 8 MiB)\n",
               (double)train_idx_size(&t->files[TRAIN_IMAGES]) / best / (1 << 30));
    return rc;
}

static int verify(const struct train *t, int file)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[2 * 32 + 1];
    unsigned len;

    if (!t->sha256[file])
        return 0;
    if (EVP_Digest(t->bytes[file], train_idx_size(&t->files[file]), hash, &len, EVP_sha256(),
                   NULL) != 1)
        return train_fail_text(-EIO, "OpenSSL failed to digest");
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    if (strcasecmp(hex, t->sha256[file]) != 0)
        return train_fail_text(-EIO, "%s: SHA-256 is %s, but should be %s", file_names[file], hex,
                               t->sha256[file]);
    printf("sha256 as given    %s\n", file_names[file]);
    return 0;
}

static double test_accuracy(const struct train *t, const struct train_model *model)
{
    const uint8_t *pixels = t->bytes[TEST_IMAGES] + t->files[TEST_IMAGES].data_offset;
    const uint8_t *labels = t->bytes[TEST_LABELS] + t->files[TEST_LABELS].data_offset;
    uint32_t count = t->files[TEST_IMAGES].count, right = 0;

    for (uint32_t i = 0; i < count; i++)
        right += train_model_classify(model, pixels + (size_t)i * TRAIN_PIXELS) == labels[i];
    return 100.0 * right / count;
}

static int check_checkpoint(struct train *t)
{
    struct train_model *loaded = calloc(1, sizeof(*loaded));

    if (!loaded)
        return train_fail_text(-ENOMEM, "out of memory");
    int rc = train_checkpoint_save(t->client, t->prefix, &t->model);
    if (rc == 0)
        rc = train_checkpoint_load(t->client, t->prefix, loaded);
    if (rc == 0 && memcmp(loaded, &t->model, sizeof(*loaded)) != 0)
        rc = train_fail_text(-EIO, "checkpoint: what was read back differs");
    if (rc == 0)
        printf("checkpoint         %s/checkpoint.bin read back, equal\n"
               "test accuracy      %.2f %%\n",
               t->prefix, test_accuracy(t, loaded));
    free(loaded);
    return rc;
}

static int train(struct train *t)
{
    int rc = open_files(t);

    if (rc == 0)
        rc = read_whole_files(t);
    for (unsigned epoch = 1; rc == 0 && epoch <= t->epochs; epoch++)
        rc = run_epoch(t, epoch);
    if (rc == 0)
        printf("training           %.0f samples/s\n", (double)t->samples / t->seconds);
    if (rc == 0)
        rc = measure_reads(t);
    for (int i = 0; rc == 0 && i < FILES; i++)
        rc = verify(t, i);
    if (rc == 0)
        rc = check_checkpoint(t);
    return rc;
}

static int set_sha256(struct train *t, const char *argument)
{
    for (int i = 0; i < FILES; i++) {
        size_t len = strlen(file_names[i]);
        if (strncmp(argument, file_names[i], len) == 0 && argument[len] == '=') {
            t->sha256[i] = argument + len + 1;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse(struct train *t, int argc, char **argv)
{
    static const struct option options[] = {
        {"prefix", required_argument, NULL, 'p'},
        {"epochs", required_argument, NULL, 'e'},
        {"threads", required_argument, NULL, 't'},
        {"verify-sha256", required_argument, NULL, 'v'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            t->prefix = optarg;
        else if (option == 'e')
            t->epochs = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 't')
            t->threads = (unsigned)strtoul(optarg, NULL, 10);
        else if (option != 'v' || set_sha256(t, optarg) < 0)
            return -EINVAL;
    }
    if (!t->prefix || optind != argc || t->epochs < 1 || t->epochs > 1000 || t->threads < 1)
        return -EINVAL;
    return 0;
}

int main(int argc, char **argv)
{
    struct train *t = calloc(1, sizeof(*t));

    if (!t)
        return 1;
    t->epochs = 3;
    t->threads = 2;
    if (parse(t, argc, argv) < 0) {
        fprintf(stderr, "usage: train --prefix PATH [--epochs N] [--threads N] "
                        "[--verify-sha256 FILE=HEX]...\n");
        free(t);
        return 2;
    }
    int rc = ros2_connect(NULL, NULL, &t->client);
    if (rc < 0)
        train_fail(rc, "connect");
    else
        rc = train(t);
    for (int i = 0; i < FILES; i++) {
        train_idx_close(&t->files[i]);
        free(t->bytes[i]);
    }
    ros2_disconnect(t->client);
    free(t);
    return rc < 0 ? 1 : 0;
}
