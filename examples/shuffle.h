/* SPDX-License-Identifier: Apache-2.0 */
/* A random order that a seed decides, the same in every process and on every machine. */
#ifndef EXAMPLES_SHUFFLE_H
#define EXAMPLES_SHUFFLE_H

#include <stdint.h>

/* Fills order with 0..n-1. */
void shuffle(uint32_t *order, uint32_t n, uint64_t seed);

#endif
