/* SPDX-License-Identifier: Apache-2.0 */
/* Each open file is a descriptor, and each connection is one or, over shm, three. A client that opens all files it may must
 * not keep others from connecting, nor make their opens fail for want of descriptors where the limit of open files has not
 * been reached. */
#include "config.h"

#include "daemon/descriptors.h"

#include <inttypes.h>
#include <sys/resource.h>

#include "lib/base/log.h"

/* For connections and all else: half, and not less than this. */
#define KEPT_MIN 128u

void ros2d_descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint32_t ros2d_descriptors_for_files(uint32_t wanted, unsigned each_takes)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    uint64_t all = limit.rlim_cur, kept = all / 2 > KEPT_MIN ? all / 2 : KEPT_MIN;
    uint64_t files = all > kept + each_takes ? (all - kept) / each_takes : 1;
    if (wanted <= files)
        return wanted;
    ros2i_log(ROS2_LOG_INFO, "daemon",
              "open files are limited by descriptors: limits.open_files %" PRIu32
              " RLIMIT_NOFILE %" PRIu64 " files %" PRIu64,
              wanted, all, files);
    return (uint32_t)files;
}
