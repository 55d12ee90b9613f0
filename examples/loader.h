/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the loader example. Functions that return int give 0 or a negative errno, and have said on stderr what
 * failed. */
#ifndef EXAMPLES_LOADER_H
#define EXAMPLES_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ros2/ros2.h>

#define LOADER_PATH_MAX    4096
#define LOADER_WORKERS_MAX 256u

/* -- loader.c -- */
struct loader_options {
    const char *dir, *from; /* explode: where to, where the IDX files are */
    const char *path;       /* run: the data set in the store */
    uint32_t workers, epochs, batch, seed;
    uint64_t checksum;
    bool check, refresh; /* check: checksum was given */
};

/* Says "loader: text" on stderr; returns err. */
int loader_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* From here on this process speaks as "loader: worker N". */
void loader_name_worker(unsigned number);

/* -- loader_sum.c: checksums that tell whether bytes are those that were written -- */
/* The sum of one sample: of its name (from the data set's directory on) and of its bytes. Sums of samples are added up, so
 * that the total does not depend on the order in which they came. */
uint64_t loader_sum_name(const char *name);
uint64_t loader_sum_sample(uint64_t sum_of_name, const void *bytes, size_t len);

/* -- loader_idx.c: a local file in the IDX format, or the same compressed as NAME.gz -- */
struct loader_idx;

/* dimensions: 1 for labels, 3 for images. */
int loader_idx_open(const char *folder, const char *name, unsigned dimensions,
                    struct loader_idx **idx_p);
uint32_t loader_idx_count(const struct loader_idx *idx);
uint32_t loader_idx_record_len(const struct loader_idx *idx);
/* The next record into record[record_len]. */
int loader_idx_next(struct loader_idx *idx, uint8_t *record);
/* After the last record: that nothing follows, and that it was uncompressed without an error. */
int loader_idx_check_end(struct loader_idx *idx);
void loader_idx_close(struct loader_idx *idx);

/* -- loader_explode.c -- */
int loader_explode(const struct loader_options *options);

/* -- loader_set.c: the data set. Filled before any fork(), then fixed: all processes use it -- */
struct loader_set {
    struct ros2_client *client;
    struct ros2_index *index;
    char prefix[LOADER_PATH_MAX]; /* what stands in front of '/' and a path of the index */
    uint32_t count;               /* samples */
    uint32_t batch;               /* samples that are read at a time */
    uint32_t seed;
    uint64_t bytes;   /* of all samples */
    uint64_t largest; /* of one */
    size_t path_len;  /* of the longest whole path, with its '\0' */
    uint64_t names;   /* sum of all names: what an epoch must come to that reads each sample once */
};

int loader_set_open(const struct loader_options *options, struct loader_set *set);
void loader_set_close(struct loader_set *set);

/* -- loader_reader.c: reads batches, in a worker or, without workers, in the parent -- */
/* What the parent hears of a batch. A real loader would hand over the samples themselves here. */
struct loader_news {
    int32_t error; /* negative errno; the worker has said what failed */
    uint32_t samples;
    uint64_t names, sum; /* of these samples: loader_sum_name(), loader_sum_sample() */
    bool ended;          /* that was this worker's share of the epoch */
};

/* Negative: stop, pass it on. */
typedef int loader_news_fn(void *arg, const struct loader_news *news);

struct loader_reader;

/* Made in the process that reads: its buffer would not survive a fork(). */
int loader_reader_create(const struct loader_set *set, struct loader_reader **reader_p);
/* Reads share number "share" of "shares" of an epoch, and calls fn after each batch and at the end. */
int loader_reader_epoch(struct loader_reader *reader, unsigned epoch, unsigned share,
                        unsigned shares, loader_news_fn *fn, void *arg);
void loader_reader_destroy(struct loader_reader *reader);

/* -- loader_workers.c: the processes that read -- */
struct loader_workers;

/* Forks count workers, which wait. 0: epochs are read by the process that asks for them. */
int loader_workers_start(const struct loader_set *set, unsigned count,
                         struct loader_workers **workers_p);
/* Has the workers read one epoch; calls fn with all that they say, until each has ended or something failed. */
int loader_workers_epoch(struct loader_workers *workers, unsigned epoch, loader_news_fn *fn,
                         void *arg);
/* Ends them; those that still read are not waited for. */
void loader_workers_stop(struct loader_workers *workers);

/* -- loader_run.c -- */
int loader_run(const struct loader_options *options);

#endif
