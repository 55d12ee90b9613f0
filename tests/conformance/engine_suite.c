/* SPDX-License-Identifier: Apache-2.0 */
/* Runs all topics on the engine that the environment names; an argument is a pattern of cases ("append*"). */
#include "config.h"

#include "tests/conformance/engine_suite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/error.h"

static const struct topic *const topics[] = {
    &engine_namespace, &engine_confinement, &engine_data,
    &engine_inflight,  &engine_append,      &engine_readdir,
};
#define TOPICS (sizeof(topics) / sizeof(topics[0]))

/* A configuration that this kernel refuses cannot be tested; any other failure is the first case's to show. */
static bool is_refused(void)
{
    struct world_settings settings = world_environment();
    struct world *w;
    int rc = world_open(&settings, &w);
    if (rc == 0)
        world_close(w);
    return rc == -ENOSYS || rc == -EPERM;
}

int main(int argc, char **argv)
{
    struct CMUnitTest all[256];
    size_t count = 0;

    umask(0); /* as ros2d: the mode of a new file is the caller's */
    if (is_refused()) {
        printf("1..0 # SKIP %s\n", ros2i_error());
        return 0;
    }
    for (size_t i = 0; i < TOPICS; i++) {
        if (count + topics[i]->count > sizeof(all) / sizeof(all[0]))
            abort();
        memcpy(&all[count], topics[i]->tests, topics[i]->count * sizeof(all[0]));
        count += topics[i]->count;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return _cmocka_run_group_tests("engine", all, count, NULL, NULL);
}
