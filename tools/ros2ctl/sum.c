/* SPDX-License-Identifier: Apache-2.0 */
/* ros2ctl sum: SHA-256 of files, printed as sha256sum does, so that its -c can check the copy or the original. */
#include "config.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ros2ctl/output.h"
#include "tools/ros2ctl/paths.h"
#include "tools/ros2ctl/remote.h"
#include "tools/ros2ctl/verbs.h"

#define BUFFER (4u << 20) /* bytes; several requests in flight at a time */

struct sum {
    struct ctl_paths paths;
    bool recursive;
    EVP_MD_CTX *digest;
    void *buf;
    size_t printed; /* items of the JSON array */
};

static const struct argp_option options[] = {
    {"recursive", 'r', 0, 0, "All files below directories", 0},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct sum *sum = state->input;

    (void)arg;
    if (key == 'r') {
        sum->recursive = true;
        return 0;
    }
    return ctl_paths_parse(&sum->paths, key, state, 1);
}

static int digest_file(struct sum *sum, struct ros2_file *file, unsigned char *hash,
                       uint64_t *size_p)
{
    const struct ctl *ctl = sum->paths.ctl;
    uint64_t offset = 0;
    ssize_t got;

    if (EVP_DigestInit_ex(sum->digest, EVP_sha256(), NULL) != 1)
        return ctl_error(ctl, "OpenSSL has no SHA-256");
    while ((got = ros2_pread(file, sum->buf, BUFFER, offset)) > 0) {
        if (EVP_DigestUpdate(sum->digest, sum->buf, (size_t)got) != 1)
            return ctl_error(ctl, "OpenSSL failed to digest");
        offset += (uint64_t)got;
    }
    if (got < 0)
        return ctl_fail_ros2(ctl);
    if (EVP_DigestFinal_ex(sum->digest, hash, NULL) != 1)
        return ctl_error(ctl, "OpenSSL failed to digest");
    *size_p = offset;
    return CTL_OK;
}

/* As sha256sum does it: a name with a line end or a backslash is escaped, and a backslash in front says so. */
static void print_line(const char *hex, const char *path)
{
    if (!strpbrk(path, "\\\n\r")) {
        printf("%s  %s\n", hex, path);
        return;
    }
    printf("\\%s  ", hex);
    for (; *path != '\0'; path++) {
        switch (*path) {
        case '\\':
            fputs("\\\\", stdout);
            break;
        case '\n':
            fputs("\\n", stdout);
            break;
        case '\r':
            fputs("\\r", stdout);
            break;
        default:
            putchar(*path);
        }
    }
    putchar('\n');
}

static int print_json(struct sum *sum, const char *hex, const char *path, uint64_t size)
{
    json_t *item = json_object();

    if (!item || ctl_json_set_bytes(item, "path", path) < 0 ||
        json_object_set_new(item, "sha256", json_string(hex)) < 0 ||
        json_object_set_new(item, "size", json_integer((json_int_t)size)) < 0) {
        json_decref(item);
        return ctl_fail_memory(sum->paths.ctl);
    }
    ctl_json_array_item(item, &sum->printed);
    return CTL_OK;
}

static int sum_file(struct sum *sum, const char *path)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    char hex[2 * 32 + 1];
    struct ros2_file *file;
    uint64_t size = 0;

    if (ros2_open(sum->paths.ctl->client, path, O_RDONLY, 0, &file) < 0)
        return ctl_fail_ros2(sum->paths.ctl);
    int code = digest_file(sum, file, hash, &size);
    ros2_close(file);
    if (code != CTL_OK)
        return code;
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    if (sum->paths.ctl->json)
        return print_json(sum, hex, path, size);
    print_line(hex, path);
    return CTL_OK;
}

static int visit(void *arg, const char *path, const char *rel, const struct stat *st)
{
    struct sum *sum = arg;

    (void)rel;
    if (!S_ISDIR(st->st_mode))
        return sum_file(sum, path);
    if (!sum->recursive)
        return ctl_error(sum->paths.ctl, "%s: is a directory; sum what is in it with -r", path);
    return CTL_OK;
}

int ctl_sum(struct ctl *ctl, int argc, char **argv)
{
    struct sum sum = {.paths = {.ctl = ctl}};
    const struct argp argp = {options,
                              parse,
                              "PATH...",
                              "Prints SHA-256 sums of files in the form of sha256sum.",
                              CTL_GLOBAL_CHILDREN,
                              0,
                              0};

    argp_parse(&argp, argc, argv, 0, NULL, &sum);
    int result = ctl_connect(ctl);
    if (result != CTL_OK)
        return result;
    sum.digest = EVP_MD_CTX_new();
    sum.buf = malloc(BUFFER);
    if (!sum.digest || !sum.buf)
        result = ctl_fail_memory(ctl);
    for (size_t i = 0; result != CTL_FAILURE && i < sum.paths.count; i++) {
        if (ctl_remote_walk(ctl, sum.paths.path[i], sum.recursive, visit, &sum) != CTL_OK)
            result = CTL_FAILURE;
    }
    if (ctl->json)
        ctl_json_array_end(sum.printed);
    free(sum.buf);
    EVP_MD_CTX_free(sum.digest);
    return result;
}
