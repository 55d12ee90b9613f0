/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own files (Documentation/ABI/stable/sysfs-class-infiniband): ports with their state, and the network interfaces
 * that their addresses belong to. Owner: none, any thread. */
#include "config.h"

#include "transports/rdma_device.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "transports/address.h"

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

/* The address that this host would talk to the peer from. */
static int local_address(const union ip_address *peer, union ip_address *local_p)
{
    socklen_t len = sizeof *local_p;
    int fd = socket(peer->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = -1;

    if (fd < 0)
        return -1;
    if (connect(fd, &peer->any, ip_address_len(peer)) == 0)
        rc = getsockname(fd, &local_p->any, &len);
    close(fd);
    return rc;
}

static bool is_same_host(const union ip_address *a, const struct sockaddr *other)
{
    const union ip_address *b = (const void *)other;

    if (!other || other->sa_family != a->any.sa_family)
        return false;
    if (other->sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

static int find_interface(const union ip_address *local, char name[IFNAMSIZ])
{
    struct ifaddrs *list;
    int rc = -1;

    if (getifaddrs(&list) < 0)
        return -1;
    for (const struct ifaddrs *at = list; at && rc < 0; at = at->ifa_next) {
        if (!is_same_host(local, at->ifa_addr))
            continue;
        snprintf(name, IFNAMSIZ, "%s", at->ifa_name);
        rc = 0;
    }
    freeifaddrs(list);
    return rc;
}

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
    union ip_address address, local;
    char interface[IFNAMSIZ];

    if (ip_address_parse(peer, &address) < 0 || local_address(&address, &local) < 0 ||
        find_interface(&local, interface) < 0 || has_device(interface))
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
