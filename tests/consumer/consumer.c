/* SPDX-License-Identifier: Apache-2.0 */
/* An application against the installed library, as C99 and as C++: headers, version, one call that fails early. */
#include <ros2/ros2.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    struct ros2_connect_options options;
    struct ros2_client *client = NULL;
    int rc;

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    rc = ros2_connect("http://not-a-ros2d", &options, &client);
    if (rc != -EINVAL || client != NULL) {
        printf("ros2_connect() of a foreign URL returned %d\n", rc);
        return 1;
    }
    if (ros2_error() == NULL || ros2_error()[0] == '\0') {
        printf("ros2_error() has no text\n");
        return 1;
    }
    printf("%s: %s\n", ROS2_VERSION, ros2_error());
    return 0;
}
