/* SPDX-License-Identifier: Apache-2.0 */
/* Reads events and completions and hands them to those they are about. */
#ifndef OFI_PROGRESS_H
#define OFI_PROGRESS_H

#include "ros2/transport.h"

int ofi_progress(struct ros2_domain *domain);

#endif
