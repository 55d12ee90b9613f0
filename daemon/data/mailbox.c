/* SPDX-License-Identifier: Apache-2.0 */
/* A list under a mutex and an eventfd. Mail is rare (a session closed, a stop); per I/O the owner reads one flag. */
#include "config.h"

#include "daemon/data/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/error.h"

int ros2d_mailbox_init(struct ros2d_mailbox *box)
{
    memset(box, 0, sizeof(*box));
    box->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (box->event_fd < 0)
        return ros2i_fail(errno, "data thread: eventfd: %s", ros2i_strerror(errno));
    pthread_mutex_init(&box->mutex, NULL);
    return 0;
}

void ros2d_mailbox_fini(struct ros2d_mailbox *box)
{
    close(box->event_fd);
    pthread_mutex_destroy(&box->mutex);
}

void ros2d_mailbox_post(struct ros2d_mailbox *box, struct ros2d_mail *mail)
{
    const uint64_t one = 1;

    mail->next = NULL;
    pthread_mutex_lock(&box->mutex);
    if (box->last)
        box->last->next = mail;
    else
        box->first = mail;
    box->last = mail;
    atomic_store_explicit(&box->pending, true, memory_order_release);
    pthread_mutex_unlock(&box->mutex);
    while (write(box->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ; /* EAGAIN: the counter is full, so the owner will wake all the same */
}

int ros2d_mailbox_run(struct ros2d_mailbox *box, struct ros2d_thread *thread)
{
    struct ros2d_mail *mail, *next;
    uint64_t count;
    int handled = 0;

    if (!atomic_load_explicit(&box->pending, memory_order_acquire))
        return 0;
    /* Drained before the list is taken: a post in between leaves the descriptor readable. */
    while (read(box->event_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&box->mutex);
    mail = box->first;
    box->first = box->last = NULL;
    atomic_store_explicit(&box->pending, false, memory_order_relaxed);
    pthread_mutex_unlock(&box->mutex);
    for (; mail; mail = next, handled++) {
        next = mail->next;
        mail->handle(thread, mail);
    }
    return handled;
}
