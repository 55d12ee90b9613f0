/* SPDX-License-Identifier: Apache-2.0 */
/* The files behind own regions, as peers are told of them. */
#ifndef SHM_SHARE_H
#define SHM_SHARE_H

#include "ros2/transport.h"

/* The index of the range's file; when it is new, all peers are told of it first. 0, -EMFILE. */
int shm_share_file(struct ros2_domain *domain, const struct ros2_shared_range *range,
                   uint32_t *index_p);
/* Tells those who could not be told so far. */
void shm_share_retry(struct ros2_domain *domain);

/* region lies in the file of this index; no more. */
void shm_share_use(struct ros2_region *region, uint32_t index);
void shm_share_unuse(struct ros2_region *region);

#endif
