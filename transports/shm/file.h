/* SPDX-License-Identifier: Apache-2.0 */
/* memfds: own ones to give away, and a peer's, which are checked before a byte of them is touched. */
#ifndef SHM_FILE_H
#define SHM_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A file of len zeros with seals on its size, mapped. Its descriptor, or a negative errno. */
int shm_file_create(const char *name, size_t len, void **map_p);

/* Maps a peer's file, all of it. No access to it will ever fault: 0. Else -EPROTO and *why_p, or -ENOMEM. Closes nothing. */
int shm_file_map(int fd, uint64_t len, void **map_p, const char **why_p);

#endif
