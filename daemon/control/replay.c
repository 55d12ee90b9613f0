/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of entries, also linked from most to least recently used; one lock guards all but the answers, which are
 * fixed once `done` is set. Each entry counts its users and the table: eviction takes it out of the table only. Entries
 * that still run are never evicted: there are as many as control threads. */
#include "config.h"

#include "daemon/control/replay.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/random.h"

#define BUCKETS 4096u

struct ros2d_replay_entry {
    struct ros2d_replay_key key;
    uint32_t method;
    unsigned refs;
    bool done;
    bool forgotten; /* not in the table any more, and never done */
    struct ros2d_answer answer;
    struct ros2d_replay_entry *next;          /* in its bucket */
    struct ros2d_replay_entry *newer, *older; /* by use */
};

struct ros2d_replay {
    pthread_mutex_t lock;
    pthread_cond_t finished; /* done, forgotten or stopped */
    bool stopped;
    uint32_t max_answers, count;
    size_t max_bytes, bytes;
    uint64_t seed; /* clients choose the keys: their buckets must not be foreseen */
    struct ros2d_replay_entry *newest, *oldest;
    struct ros2d_replay_entry *bucket[BUCKETS];
};

int ros2d_replay_create(uint32_t max_answers, size_t max_bytes, struct ros2d_replay **replay_p)
{
    struct ros2d_replay *replay = calloc(1, sizeof *replay);
    pthread_condattr_t attr;

    if (!replay)
        return ros2i_fail(ENOMEM, "no memory for the table of answers");
    int rc = ros2i_random(&replay->seed, sizeof replay->seed);
    if (rc < 0) {
        free(replay);
        return rc;
    }
    replay->max_answers = max_answers;
    replay->max_bytes = max_bytes;
    pthread_mutex_init(&replay->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&replay->finished, &attr);
    pthread_condattr_destroy(&attr);
    *replay_p = replay;
    return 0;
}

static size_t weight(const struct ros2d_replay_entry *entry)
{
    return sizeof *entry + entry->answer.len +
           (entry->answer.text ? strlen(entry->answer.text) + 1 : 0);
}

static void unref(struct ros2d_replay_entry *entry)
{
    if (--entry->refs > 0)
        return;
    free(entry->answer.text);
    free(entry->answer.body);
    free(entry);
}

static struct ros2d_replay_entry **bucket_of(struct ros2d_replay *replay,
                                             const struct ros2d_replay_key *key)
{
    uint64_t word[2], hash = replay->seed;

    memcpy(word, key->process_nonce, sizeof word);
    const uint64_t part[] = {key->session_serial, word[0], word[1], key->sequence};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        hash = (hash ^ part[i]) * 0x9e3779b97f4a7c15ull; /* 2^64 / golden ratio */
        hash ^= hash >> 29;
    }
    return &replay->bucket[hash % BUCKETS];
}

static bool same_key(const struct ros2d_replay_key *a, const struct ros2d_replay_key *b)
{
    return a->session_serial == b->session_serial && a->sequence == b->sequence &&
           memcmp(a->process_nonce, b->process_nonce, sizeof a->process_nonce) == 0;
}

static void unlink_use(struct ros2d_replay *replay, struct ros2d_replay_entry *entry)
{
    *(entry->newer ? &entry->newer->older : &replay->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &replay->oldest) = entry->newer;
}

static void link_newest(struct ros2d_replay *replay, struct ros2d_replay_entry *entry)
{
    entry->newer = NULL;
    entry->older = replay->newest;
    *(replay->newest ? &replay->newest->newer : &replay->oldest) = entry;
    replay->newest = entry;
}

static void remove_entry(struct ros2d_replay *replay, struct ros2d_replay_entry *entry)
{
    struct ros2d_replay_entry **link = bucket_of(replay, &entry->key);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    unlink_use(replay, entry);
    replay->count--;
    replay->bytes -= weight(entry);
    unref(entry);
}

static void evict_some(struct ros2d_replay *replay, const struct ros2d_replay_entry *keep,
                       bool same_session)
{
    struct ros2d_replay_entry *entry = replay->oldest;

    while (entry && (replay->count > replay->max_answers || replay->bytes > replay->max_bytes)) {
        struct ros2d_replay_entry *newer = entry->newer;

        if (entry->done && entry != keep &&
            (!same_session || entry->key.session_serial == keep->key.session_serial))
            remove_entry(replay, entry);
        entry = newer;
    }
}

/* Makes room for `entry`: one that makes many calls loses its own answers, not those that others may still need. */
static void evict(struct ros2d_replay *replay, const struct ros2d_replay_entry *entry)
{
    evict_some(replay, entry, true);
    evict_some(replay, entry, false);
}

void ros2d_replay_destroy(struct ros2d_replay *replay)
{
    if (!replay)
        return;
    while (replay->oldest)
        remove_entry(replay, replay->oldest);
    pthread_cond_destroy(&replay->finished);
    pthread_mutex_destroy(&replay->lock);
    free(replay);
}

static int add_entry(struct ros2d_replay *replay, const struct ros2d_replay_key *key,
                     uint32_t method, struct ros2d_replay_entry **entry_p)
{
    struct ros2d_replay_entry *entry = calloc(1, sizeof *entry);
    struct ros2d_replay_entry **bucket = bucket_of(replay, key);

    if (!entry)
        return ros2i_fail(ENOMEM, "no memory to keep a call's answer");
    entry->key = *key;
    entry->method = method;
    entry->refs = 2; /* the table and the caller */
    entry->next = *bucket;
    *bucket = entry;
    link_newest(replay, entry);
    replay->count++;
    replay->bytes += weight(entry);
    evict(replay, entry);
    *entry_p = entry;
    return 1;
}

/* Locked. The entry's reference is the caller's. */
static int wait_done(struct ros2d_replay *replay, struct ros2d_replay_entry *entry,
                     uint64_t deadline_ns)
{
    while (!entry->done && !entry->forgotten) {
        struct timespec until;
        uint64_t now_ns = ros2i_now_ns();

        if (replay->stopped)
            return ros2i_fail(EAGAIN, "a first call with the same request id still runs, and ros2d "
                                      "is ending; call again");
        if (now_ns >= deadline_ns)
            return ros2i_fail(ETIMEDOUT, "a first call with the same request id still runs");
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t at_ns = (uint64_t)until.tv_sec * ROS2I_NS_PER_S + (uint64_t)until.tv_nsec +
                         (deadline_ns - now_ns);
        until.tv_sec = (time_t)(at_ns / ROS2I_NS_PER_S);
        until.tv_nsec = (long)(at_ns % ROS2I_NS_PER_S);
        pthread_cond_timedwait(&replay->finished, &replay->lock, &until);
    }
    return 0;
}

int ros2d_replay_begin(struct ros2d_replay *replay, const struct ros2d_replay_key *key,
                       uint32_t method, uint64_t deadline_ns, struct ros2d_replay_entry **entry_p,
                       const struct ros2d_answer **answer_p)
{
    struct ros2d_replay_entry *entry;
    int rc;

    pthread_mutex_lock(&replay->lock);
look:
    entry = *bucket_of(replay, key);
    while (entry && !same_key(&entry->key, key))
        entry = entry->next;
    if (!entry) {
        rc = add_entry(replay, key, method, entry_p);
        goto unlock;
    }
    if (entry->method != method) {
        rc = ros2i_fail(EINVAL, "request id: it was used before, for another method");
        goto unlock;
    }
    entry->refs++;
    unlink_use(replay, entry);
    link_newest(replay, entry);
    rc = wait_done(replay, entry, deadline_ns);
    bool forgotten = entry->forgotten;
    if (rc < 0 || forgotten)
        unref(entry);
    if (rc < 0)
        goto unlock;
    if (forgotten)
        goto look;
    *entry_p = entry;
    *answer_p = &entry->answer;
unlock:
    pthread_mutex_unlock(&replay->lock);
    return rc;
}

/* Out of memory the outcome is lost, and a repeated call must not take that for success. */
static struct ros2d_answer make_answer(int err, const char *text, const void *body, size_t len)
{
    struct ros2d_answer answer = {.err = err};

    if (err) {
        answer.text = strdup(text);
        return answer;
    }
    answer.body = malloc(len ? len : 1);
    if (!answer.body) {
        answer.err = ENOMEM;
        return answer;
    }
    if (len > 0)
        memcpy(answer.body, body, len);
    answer.len = len;
    return answer;
}

void ros2d_replay_finish(struct ros2d_replay *replay, struct ros2d_replay_entry *entry, int err,
                         const char *text, const void *body, size_t len)
{
    struct ros2d_answer answer = make_answer(err, text, body, len);

    pthread_mutex_lock(&replay->lock);
    replay->bytes -= weight(entry);
    entry->answer = answer;
    replay->bytes += weight(entry);
    entry->done = true;
    pthread_cond_broadcast(&replay->finished);
    evict(replay, entry);
    unref(entry);
    pthread_mutex_unlock(&replay->lock);
}

void ros2d_replay_forget(struct ros2d_replay *replay, struct ros2d_replay_entry *entry)
{
    pthread_mutex_lock(&replay->lock);
    entry->forgotten = true;
    remove_entry(replay, entry);
    pthread_cond_broadcast(&replay->finished);
    unref(entry);
    pthread_mutex_unlock(&replay->lock);
}

void ros2d_replay_stop(struct ros2d_replay *replay)
{
    pthread_mutex_lock(&replay->lock);
    replay->stopped = true;
    pthread_cond_broadcast(&replay->finished);
    pthread_mutex_unlock(&replay->lock);
}

void ros2d_replay_release(struct ros2d_replay *replay, struct ros2d_replay_entry *entry)
{
    pthread_mutex_lock(&replay->lock);
    unref(entry);
    pthread_mutex_unlock(&replay->lock);
}
