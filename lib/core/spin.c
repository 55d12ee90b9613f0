/* SPDX-License-Identifier: Apache-2.0 */
/* Polling pays only where answers come within it. A wait that outlasts it halves it, so that where the daemon needs this
 * very CPU, or is far away, next to nothing is polled for; one that is answered within it restores it. That alone would
 * never find out that answers have become quick, but not as quick as the little that is left: so now and then some waits
 * try the whole again, ever less often while that fails. The first of them may find the daemon asleep.
 *
 * One late answer among many means nothing, and to sleep makes the next ones late, too: so a few in a row are forgiven. */
#include "config.h"

#include "lib/core/spin.h"

#define LEAST_NS         1250u
#define TRIAL_AFTER      64u
#define TRIAL_AFTER_MOST 4096u
#define TRIAL_WAITS      4u
#define FORGIVEN         3u

void ros2i_spin_init(struct ros2i_spin *spin, uint32_t most_ns)
{
    *spin = (struct ros2i_spin){.now_ns = most_ns, .most_ns = most_ns, .trial_after = TRIAL_AFTER};
}

static void lose_trial(struct ros2i_spin *spin)
{
    spin->now_ns = LEAST_NS;
    if (spin->trial_after < TRIAL_AFTER_MOST)
        spin->trial_after *= 2;
}

/* An answer that was there at once, or came while this thread did not run, is no merit of polling: where both ends share a CPU
 * there are many such. */
static bool was_worth_it(const struct ros2i_spin *spin, uint64_t polled_ns)
{
    return polled_ns > 0 && polled_ns <= spin->now_ns;
}

void ros2i_spin_learn(struct ros2i_spin *spin, uint64_t polled_ns, bool slept)
{
    if (!slept) {
        if (was_worth_it(spin, polled_ns))
            ros2i_spin_init(spin, spin->most_ns);
    } else if (spin->trial > 0) {
        if (--spin->trial == 0)
            lose_trial(spin);
    } else if (spin->now_ns > LEAST_NS) {
        if (++spin->missed <= FORGIVEN)
            return;
        spin->now_ns = spin->now_ns / 2 > LEAST_NS ? spin->now_ns / 2 : LEAST_NS;
    } else if (++spin->slept >= spin->trial_after) {
        spin->slept = 0;
        spin->trial = TRIAL_WAITS;
        spin->now_ns = spin->most_ns;
    }
}
