/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own files (Documentation/ABI/stable/sysfs-class-infiniband): ports with their state, and the network interfaces
 * that their addresses belong to. Owner: none, any thread. */
#include "config.h"

#include "transports/rdma_device.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transports/interface.h"

#define PORT_STATES "/sys/class/infiniband/*/ports/*/state"
#define INTERFACES  "/sys/class/infiniband/*/ports/*/gid_attrs/ndevs/*"
#define CONNECTIONS "/dev/infiniband/rdma_cm"
/* Bytes: bounce memory of a client's channel, fragments and queues. */
#define NEEDED (5u << 20)

/* Whether a file that the pattern names begins with text. */
static bool any_begins(const char *pattern, const char *text)
{
    const size_t len = strlen(text);
    glob_t files = {0};
    bool found = false;

    if (glob(pattern, GLOB_NOSORT, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc && !found; i++) {
        char line[IFNAMSIZ + 1];
        int fd = open(files.gl_pathv[i], O_RDONLY | O_CLOEXEC);
        ssize_t n = fd >= 0 ? read(fd, line, sizeof line) : -1; /* unused addresses: an error */
        found = n >= (ssize_t)len && memcmp(line, text, len) == 0;
        if (fd >= 0)
            close(fd);
    }
    globfree(&files);
    return found;
}

/* -- the way to a peer -- */

/* Of an Ethernet port the interface is with its addresses, of an InfiniBand port the device is with the interface. */
static bool has_device(const char *interface)
{
    char path[sizeof "/sys/class/net/" + IFNAMSIZ + sizeof "/device/infiniband"];
    char line[IFNAMSIZ + 1];

    snprintf(path, sizeof path, "/sys/class/net/%s/device/infiniband", interface);
    snprintf(line, sizeof line, "%s\n", interface);
    return access(path, F_OK) == 0 || any_begins(INTERFACES, line);
}

static int check_way(const struct ros2_host *host, const char *peer)
{
    union ip_address address;
    char interface[IFNAMSIZ];

    if (ip_address_parse(peer, &address) < 0 || interface_towards(&address, interface) < 0 ||
        has_device(interface))
        return 0; /* or cannot be told here: to connect says more */
    return host->fail(EHOSTUNREACH,
                      "the way to %s is interface %s, which is no RDMA device's; let "
                      "data.listen or data.advertise of ros2d name an address of its device",
                      peer, interface);
}

/* -- memory -- */

/* As the kernel asks when it pins memory for a device. */
static bool may_lock_any(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK)) != 0;
}

static int check_lock_limit(const struct ros2_host *host)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur >= NEEDED || may_lock_any())
        return 0;
    return host->fail(ENOMEM,
                      "this process may lock %llu KiB of memory, and each connection "
                      "needs %u; raise the limit (ulimit -l, LimitMEMLOCK=)",
                      (unsigned long long)limit.rlim_cur >> 10, NEEDED >> 10);
}

int rdma_device_available(const struct ros2_host *host, const char *peer)
{
    if (!any_begins(PORT_STATES, "4")) /* 4: ACTIVE */
        return host->fail(ENODEV, "no port of an RDMA device is up here; rdma link lists them");
    if (access(CONNECTIONS, R_OK | W_OK) < 0)
        return host->fail(errno,
                          "%s: %s; connections are made through it (module "
                          "rdma_ucm)",
                          CONNECTIONS, strerrordesc_np(errno));
    int rc = check_lock_limit(host);
    return rc < 0 || !peer ? rc : check_way(host, peer);
}
