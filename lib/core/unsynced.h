/* SPDX-License-Identifier: Apache-2.0 */
/* What fsync vouches for: remembers under which durability epoch a file's acknowledged, not yet synced writes were made.
 * Threads: any, at once. */
#ifndef ROS2I_UNSYNCED_H
#define ROS2I_UNSYNCED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ros2i_unsynced {
    pthread_mutex_t lock;
    /* Guarded by lock: */
    bool dirty;      /* there are such writes */
    bool lost;       /* some of them are gone for certain: two epochs were seen among them */
    uint64_t epoch;  /* of the latest of them; valid with dirty */
    uint64_t writes; /* acknowledged so far; tells whether one came during an fsync */
};

/* As it was when an fsync began: what that fsync covers. */
struct ros2i_unsynced_mark {
    bool dirty, lost;
    uint64_t epoch, writes;
};

void ros2i_unsynced_init(struct ros2i_unsynced *unsynced);
void ros2i_unsynced_fini(struct ros2i_unsynced *unsynced);
/* A write was acknowledged under epoch; changed: its pieces under different ones. */
void ros2i_unsynced_wrote(struct ros2i_unsynced *unsynced, uint64_t epoch, bool changed);
struct ros2i_unsynced_mark ros2i_unsynced_mark(struct ros2i_unsynced *unsynced);
/* An fsync that began at mark succeeded under epoch. 0: all that mark covers is durable. -EIO, once: writes may be lost. */
int ros2i_unsynced_synced(struct ros2i_unsynced *unsynced, const struct ros2i_unsynced_mark *mark,
                          uint64_t epoch);

#endif
