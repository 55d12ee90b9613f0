/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the training example. All bytes come and go through libros2. Functions that return int give 0 or a
 * negative errno, and have said on stderr what failed. */
#ifndef EXAMPLES_TRAIN_H
#define EXAMPLES_TRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include <ros2/ros2.h>

#define TRAIN_PIXELS  784 /* 28 x 28 bytes: one sample */
#define TRAIN_CLASSES 10
#define TRAIN_BATCH   256 /* samples that the loader hands over at a time */

/* Says "train: what: ros2_error()" on stderr; returns err. */
int train_fail(int err, const char *what);
/* The same with a text. */
int train_fail_text(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define TRAIN_PATH_MAX 4096
/* "prefix/name"; -ENAMETOOLONG. */
int train_path(char path[TRAIN_PATH_MAX], const char *prefix, const char *name);
double train_seconds(void);

/* -- train_idx.c: a file in the IDX format: a header, then count records of equal size -- */
struct train_idx {
    struct ros2_file *file;
    const char *name;
    uint32_t count, record_len; /* bytes */
    uint32_t data_offset;       /* bytes: length of the header */
};

/* dimensions: 1 for labels, 3 for images. */
int train_idx_open(struct ros2_client *client, const char *prefix, const char *name,
                   unsigned dimensions, struct train_idx *idx);
void train_idx_close(struct train_idx *idx);
/* Bytes of header and records together. */
uint64_t train_idx_size(const struct train_idx *idx);
/* The whole file in big reads, malloc'ed; record i is at data_offset + i * record_len. */
int train_idx_read_all(const struct train_idx *idx, uint8_t **bytes_p);

/* -- train_loader.c: threads that read ahead -- */
struct train_batch {
    uint32_t count;
    uint32_t index[TRAIN_BATCH]; /* which samples */
    uint8_t pixels[TRAIN_BATCH][TRAIN_PIXELS];
};

enum train_order {
    TRAIN_BY_SAMPLE, /* every sample by a read of its own, in random order */
    TRAIN_BY_SHARD,  /* TRAIN_BATCH neighbours by one read, shards in random order */
};

struct train_loader;

/* Starts reading all samples of images once. images is borrowed until train_loader_end(). */
int train_loader_begin(const struct train_idx *images, enum train_order order, unsigned threads,
                       uint64_t seed, struct train_loader **loader_p);
/* 1: *batch_p is the next one, valid until the next call; 0: that was all; or a negative errno. */
int train_loader_next(struct train_loader *loader, const struct train_batch **batch_p);
void train_loader_end(struct train_loader *loader);

/* -- train_model.c: linear softmax -- */
#define TRAIN_LANES 16 /* classes, padded so that the compiler can use vectors */

struct train_model {
    float weight[TRAIN_PIXELS][TRAIN_LANES];
    float bias[TRAIN_LANES];
};

/* One step of gradient descent over count samples; label(i) is labels[index[i]]. Returns the mean loss before it. */
double train_model_step(struct train_model *model, const uint8_t (*pixels)[TRAIN_PIXELS],
                        const uint32_t *index, const uint8_t *labels, uint32_t count, float rate);
unsigned train_model_classify(const struct train_model *model, const uint8_t *pixels);

/* -- train_checkpoint.c -- */
/* Writes prefix/checkpoint.bin: whole and durable, or as it was before. */
int train_checkpoint_save(struct ros2_client *client, const char *prefix,
                          const struct train_model *model);
/* Reads it back; -EIO when it is not what save wrote. */
int train_checkpoint_load(struct ros2_client *client, const char *prefix,
                          struct train_model *model);

#endif
