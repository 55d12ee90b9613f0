/* SPDX-License-Identifier: Apache-2.0 */
/* What call_count.c has counted. */
#ifndef TESTS_CALL_COUNT_H
#define TESTS_CALL_COUNT_H

#include <stdint.h>

struct call_count {
    uint64_t allocations; /* and frees */
    uint64_t locks;       /* taken, or tried to */
};

/* Of the calling thread. */
struct call_count call_count_own(void);

#endif
