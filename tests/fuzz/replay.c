/* SPDX-License-Identifier: Apache-2.0 */
/* main() of a fuzz program where libFuzzer is not: gives each kept input, and the empty one, to the program once.
 * Prints TAP, one result per input. Without arguments the corpus is the folder of the program's name. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay(const char *path)
{
    FILE *stream = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t len;
    int rc = -1;

    if (!stream)
        return -1;
    /* An allocation of the exact size lets the address sanitizer see a read past the end. */
    if (fseek(stream, 0, SEEK_END) < 0)
        goto close_stream;
    len = (size_t)ftell(stream);
    if (len > INPUT_MAX)
        goto close_stream;
    rewind(stream);
    data = malloc(len ? len : 1);
    if (!data || fread(data, 1, len, stream) != len)
        goto free_data;
    rc = LLVMFuzzerTestOneInput(data, len);
free_data:
    free(data);
close_stream:
    fclose(stream);
    return rc;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_folder(const char *folder)
{
    struct dirent **entries;
    char path[PATH_MAX];
    int failed = 0;
    int n = scandir(folder, &entries, not_hidden, alphasort);

    if (n < 0) {
        printf("1..0 # SKIP no corpus %s: %s\n", folder, strerror(errno));
        return 0;
    }
    printf("1..%d\n", n + 1);
    for (int i = 0; i < n; i++) {
        int len = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        int bad = len < 0 || (size_t)len >= sizeof(path) || replay(path) != 0;

        failed |= bad;
        printf("%sok %d - %s\n", bad ? "not " : "", i + 1, entries[i]->d_name);
        fflush(stdout);
        free(entries[i]);
    }
    free(entries);
    printf("%sok %d - the empty input\n", LLVMFuzzerTestOneInput(NULL, 0) ? "not " : "", n + 1);
    return failed;
}

int main(int argc, char **argv)
{
    const char *srcdir = getenv("abs_top_srcdir");
    const char *name = strrchr(argv[0], '/');
    char folder[PATH_MAX];

    if (argc > 1)
        return replay_folder(argv[1]);
    snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".",
             name ? name + 1 : argv[0]);
    return replay_folder(folder);
}
