/* SPDX-License-Identifier: Apache-2.0 */
/* An address is the absolute path of a Unix socket. */
#ifndef SHM_ADDRESS_H
#define SHM_ADDRESS_H

#include <stddef.h>
#include <sys/un.h>

#define SHM_ADDRESS_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1) /* bytes of a path */

/* 0, or -EINVAL and *why_p. */
int shm_address_parse(const char *text, struct sockaddr_un *address_p, const char **why_p);
/* Copies text with its NUL: 0 or -ENOSPC. */
int shm_address_copy(const char *text, char *buf, size_t len);

#endif
