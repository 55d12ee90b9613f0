/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the first corpus of tests/fuzz/wire.c: make tests/fuzz/seed_wire, then seed_wire tests/fuzz/corpus/wire.
 * Each of the unit tests' messages, and a spoiled copy of each, so that the ways to be refused are there too. */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/protocol/wire.h"
#include "tests/unit/wire_samples.h"

#define SEED_MAX 1024 /* the long messages differ from short ones in their payload only */

static int write_seed(const char *folder, const char *name, const uint8_t *bytes, size_t len)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "wb");
    if (!stream) {
        perror(path);
        return 1;
    }
    size_t written = fwrite(bytes, 1, len, stream);
    return fclose(stream) != 0 || written != len;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[ROS2I_WIRE_MESSAGE_MAX];
    struct ros2i_msg msg;
    char name[64];
    int failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (const struct wire_sample *s = wire_samples; s->name; s++) {
        wire_sample_get(s, &msg);
        size_t len = (size_t)wire_whole(&msg, bytes);
        if (len > SEED_MAX)
            continue;
        failed |= write_seed(argv[1], s->name, bytes, len);
        memset(bytes + len - 4, 0xff, 4);
        bytes[18] ^= 0x80;
        snprintf(name, sizeof name, "spoiled_%s", s->name);
        failed |= write_seed(argv[1], name, bytes, len);
    }
    return failed;
}
