/* SPDX-License-Identifier: Apache-2.0 */
/* The write verifier. Any thread; one uncontended lock per write and per fsync, none per read.
 *
 * The engine's durability epoch changes when acknowledged writes that were not synced may be gone. An fsync only vouches for
 * writes of the epoch it runs under; a difference is reported once, then the file starts anew. */
#include "config.h"

#include "lib/core/unsynced.h"

#include <errno.h>

#include "lib/base/error.h"

void ros2i_unsynced_init(struct ros2i_unsynced *unsynced)
{
    *unsynced = (struct ros2i_unsynced){.dirty = false};
    pthread_mutex_init(&unsynced->lock, NULL);
}

void ros2i_unsynced_fini(struct ros2i_unsynced *unsynced)
{
    pthread_mutex_destroy(&unsynced->lock);
}

void ros2i_unsynced_wrote(struct ros2i_unsynced *unsynced, uint64_t epoch, bool changed)
{
    pthread_mutex_lock(&unsynced->lock);
    if (changed || (unsynced->dirty && unsynced->epoch != epoch))
        unsynced->lost = true;
    unsynced->dirty = true;
    unsynced->epoch = epoch;
    unsynced->writes++;
    pthread_mutex_unlock(&unsynced->lock);
}

struct ros2i_unsynced_mark ros2i_unsynced_mark(struct ros2i_unsynced *unsynced)
{
    pthread_mutex_lock(&unsynced->lock);
    struct ros2i_unsynced_mark mark = {.dirty = unsynced->dirty,
                                       .lost = unsynced->lost,
                                       .epoch = unsynced->epoch,
                                       .writes = unsynced->writes};
    pthread_mutex_unlock(&unsynced->lock);
    return mark;
}

int ros2i_unsynced_synced(struct ros2i_unsynced *unsynced, const struct ros2i_unsynced_mark *mark,
                          uint64_t epoch)
{
    bool lost = mark->dirty && (mark->lost || mark->epoch != epoch);
    pthread_mutex_lock(&unsynced->lock);
    if (unsynced->writes == mark->writes)
        unsynced->dirty = unsynced->lost = false;
    else if (lost)
        unsynced->lost = false; /* reported below; a write since then is judged by its own epoch */
    pthread_mutex_unlock(&unsynced->lock);
    if (!lost)
        return 0;
    return ros2i_fail(
        EIO,
        "the storage was restarted after writes that were acknowledged and not synced; they may be "
        "lost: write them again");
}
