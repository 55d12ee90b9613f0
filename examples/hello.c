/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a file of the store: the README's example. ros2d --ephemeral prints the environment that it needs. */
#include <ros2/ros2.h>
#include <stdio.h>

int main(void)
{
    struct ros2_client *client;
    struct ros2_file *file;
    static char buf[1 << 20];

    if (ros2_connect(NULL, NULL, &client) < 0) /* ROS2_URL, ROS2_TOKEN_FILE, ROS2_CA_FILE */
        return fprintf(stderr, "%s\n", ros2_error()), 1;
    if (ros2_open(client, "/dataset/hello.txt", O_RDONLY, 0, &file) < 0)
        return fprintf(stderr, "%s\n", ros2_error()), 1;
    ssize_t n = ros2_pread(file, buf, sizeof(buf), 0); /* short only at end of file */
    if (n < 0)
        return fprintf(stderr, "%s\n", ros2_error()), 1;
    fwrite(buf, 1, (size_t)n, stdout);
    ros2_close(file);
    ros2_disconnect(client);
    return 0;
}
