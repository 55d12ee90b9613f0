/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses. Absolute paths only: what a relative one means changes with chdir(). Owner: none, pure functions. */
#include "config.h"

#include "transports/shm/address.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int shm_address_parse(const char *text, struct sockaddr_un *address_p, const char **why_p)
{
    size_t len = strlen(text);

    if (text[0] != '/' || text[len - 1] == '/') {
        *why_p = "not an address; write the absolute path of a socket";
        return -EINVAL;
    }
    if (len > SHM_ADDRESS_MAX) {
        *why_p = "the path is longer than the 107 bytes that the system takes for a socket; choose "
                 "a shorter one";
        return -EINVAL;
    }
    *address_p = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address_p->sun_path, text, len);
    return 0;
}

int shm_address_copy(const char *text, char *buf, size_t len)
{
    size_t need = strlen(text) + 1;

    if (need > len)
        return -ENOSPC;
    memcpy(buf, text, need);
    return 0;
}
