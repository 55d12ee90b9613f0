/* SPDX-License-Identifier: Apache-2.0 */
/* A list under a mutex that nobody holds for longer than a few instructions and a system call that does not block; the
 * eventfd wakes a sleeping owner. Always holds under the mutex: `full`, and the eventfd is readable, while there are
 * letters. */
#include "config.h"

#include "daemon/data/mailbox.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/error.h"

int ros2d_mailbox_init(struct ros2d_mailbox *box)
{
    box->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (box->fd < 0)
        return ros2i_fail(errno, "data thread: eventfd: %s", ros2i_strerror(errno));
    pthread_mutex_init(&box->mutex, NULL);
    box->first = NULL;
    box->last_p = &box->first;
    atomic_init(&box->full, false);
    return 0;
}

void ros2d_mailbox_fini(struct ros2d_mailbox *box)
{
    struct ros2d_letter *next;

    for (struct ros2d_letter *letter = box->first; letter; letter = next) {
        next = letter->next;
        ros2d_letter_free(letter);
    }
    pthread_mutex_destroy(&box->mutex);
    close(box->fd);
}

int ros2d_mailbox_post(struct ros2d_mailbox *box, enum ros2d_letter_kind kind,
                       struct ros2d_session *session, uint64_t deadline_ns)
{
    const uint64_t one = 1;
    struct ros2d_letter *letter = malloc(sizeof(*letter));

    if (!letter)
        return ros2i_fail(ENOMEM, "data thread: out of memory for a message");
    if (session)
        atomic_fetch_add_explicit(&session->refs, 1, memory_order_relaxed);
    *letter = (struct ros2d_letter){.kind = kind, .session = session, .deadline_ns = deadline_ns};
    pthread_mutex_lock(&box->mutex);
    *box->last_p = letter;
    box->last_p = &letter->next;
    atomic_store_explicit(&box->full, true, memory_order_release);
    /* Under the mutex: between the flag and a later write the owner could take the letter and find nothing to read. The
     * descriptor would then stay readable with the flag down, and the owner never sleep again. */
    while (write(box->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ; /* EAGAIN: it is readable already */
    pthread_mutex_unlock(&box->mutex);
    return 0;
}

struct ros2d_letter *ros2d_mailbox_take(struct ros2d_mailbox *box)
{
    struct ros2d_letter *first;
    uint64_t count;

    /* Each turn of the loop looks here: the lock and the system call are for when there is something. */
    if (!atomic_load_explicit(&box->full, memory_order_acquire))
        return NULL;
    pthread_mutex_lock(&box->mutex);
    first = box->first;
    box->first = NULL;
    box->last_p = &box->first;
    atomic_store_explicit(&box->full, false, memory_order_relaxed);
    while (read(box->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    pthread_mutex_unlock(&box->mutex);
    return first;
}

void ros2d_letter_free(struct ros2d_letter *letter)
{
    if (letter->session)
        ros2d_session_put(letter->session);
    free(letter);
}
