/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that read ahead. Batches are numbered; thread takes the next number, reads it into slot number % SLOTS, and the
 * trainer takes them in order: so the result does not depend on which thread was faster. */
#include "examples/train.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "examples/shuffle.h"

#define SLOTS       8
#define THREADS_MAX 64

struct slot {
    bool full;
    struct train_batch batch;
};

struct train_loader {
    const struct train_idx *images; /* fixed */
    enum train_order order;         /* fixed */
    uint32_t *sequence; /* fixed: samples or shards in the order in which they are read */
    uint32_t batches;   /* fixed */
    pthread_t threads[THREADS_MAX];
    unsigned thread_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t next_read, next_taken; /* guarded by lock, as is all below */
    bool taken, ended;              /* taken: the trainer holds slot next_taken */
    int error;
    struct slot slots[SLOTS]; /* batch of a slot: its thread's while it is being filled */
};

static int read_exactly(const struct train_idx *images, void *buf, uint32_t first, uint32_t count)
{
    size_t len = (size_t)count * images->record_len;
    ssize_t got = ros2_pread(images->file, buf, len,
                             images->data_offset + (uint64_t)first * images->record_len);

    if (got < 0)
        return train_fail((int)got, images->name);
    if ((size_t)got != len)
        return train_fail_text(-EIO, "%s: became shorter", images->name);
    return 0;
}

static int read_batch(const struct train_loader *loader, uint32_t number, struct train_batch *batch)
{
    bool by_shard = loader->order == TRAIN_BY_SHARD;
    uint32_t position = by_shard ? loader->sequence[number] : number;
    uint32_t first = position * TRAIN_BATCH;
    uint32_t rest = loader->images->count - first;

    batch->count = rest < TRAIN_BATCH ? rest : TRAIN_BATCH;
    for (uint32_t i = 0; i < batch->count; i++)
        batch->index[i] = by_shard ? first + i : loader->sequence[first + i];
    if (by_shard)
        return read_exactly(loader->images, batch->pixels, first, batch->count);
    for (uint32_t i = 0; i < batch->count; i++) {
        int rc = read_exactly(loader->images, batch->pixels[i], batch->index[i], 1);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void *run(void *arg)
{
    struct train_loader *loader = arg;

    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (!loader->ended && loader->next_read < loader->batches &&
               loader->next_read >= loader->next_taken + SLOTS)
            pthread_cond_wait(&loader->changed, &loader->lock);
        if (loader->ended || loader->next_read >= loader->batches)
            break;
        uint32_t number = loader->next_read++;
        struct slot *slot = &loader->slots[number % SLOTS];
        pthread_mutex_unlock(&loader->lock);
        int rc = read_batch(loader, number, &slot->batch);
        pthread_mutex_lock(&loader->lock);
        slot->full = true;
        if (rc < 0) {
            loader->error = rc;
            loader->ended = true;
        }
        pthread_cond_broadcast(&loader->changed);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static int start_threads(struct train_loader *loader, unsigned threads)
{
    while (loader->thread_count < threads && loader->thread_count < THREADS_MAX) {
        int err = pthread_create(&loader->threads[loader->thread_count], NULL, run, loader);
        if (err != 0)
            return train_fail_text(-err, "cannot start a thread");
        loader->thread_count++;
    }
    return 0;
}

int train_loader_begin(const struct train_idx *images, enum train_order order, unsigned threads,
                       uint64_t seed, struct train_loader **loader_p)
{
    struct train_loader *loader = calloc(1, sizeof(*loader));
    uint32_t batches = (images->count + TRAIN_BATCH - 1) / TRAIN_BATCH;
    uint32_t length = order == TRAIN_BY_SHARD ? batches : images->count;
    uint32_t *sequence = calloc(length, sizeof(*sequence));

    if (!loader || !sequence) {
        free(loader);
        free(sequence);
        return train_fail_text(-ENOMEM, "out of memory");
    }
    shuffle(sequence, length, seed);
    loader->images = images;
    loader->order = order;
    loader->sequence = sequence;
    loader->batches = batches;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->changed, NULL);
    int rc = start_threads(loader, threads);
    if (rc < 0) {
        train_loader_end(loader);
        return rc;
    }
    *loader_p = loader;
    return 0;
}

int train_loader_next(struct train_loader *loader, const struct train_batch **batch_p)
{
    int result = 0;

    pthread_mutex_lock(&loader->lock);
    if (loader->taken) {
        loader->slots[loader->next_taken % SLOTS].full = false;
        loader->next_taken++;
        loader->taken = false;
        pthread_cond_broadcast(&loader->changed);
    }
    if (loader->next_taken < loader->batches) {
        struct slot *slot = &loader->slots[loader->next_taken % SLOTS];
        while (!slot->full && !loader->error)
            pthread_cond_wait(&loader->changed, &loader->lock);
        result = loader->error ? loader->error : 1;
        loader->taken = result == 1;
        if (loader->taken)
            *batch_p = &slot->batch;
    }
    pthread_mutex_unlock(&loader->lock);
    return result;
}

void train_loader_end(struct train_loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    loader->ended = true;
    pthread_cond_broadcast(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    for (unsigned i = 0; i < loader->thread_count; i++)
        pthread_join(loader->threads[i], NULL);
    pthread_cond_destroy(&loader->changed);
    pthread_mutex_destroy(&loader->lock);
    free(loader->sequence);
    free(loader);
}
