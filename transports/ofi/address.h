/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text: "HOST:PORT" or "[V6]:PORT", numeric. */
#ifndef OFI_ADDRESS_H
#define OFI_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>

#define OFI_ADDRESS_TEXT 96 /* bytes, with the NUL */

union ofi_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

size_t ofi_address_len(const union ofi_address *address);
/* 0 or -EINVAL. */
int ofi_address_parse(const char *text, union ofi_address *address_p);
/* 0, or -ENOSPC. */
int ofi_address_format(const union ofi_address *address, char *buf, size_t len);

#endif
