/* SPDX-License-Identifier: Apache-2.0 */
/* Local files in the IDX format: bytes 0 0 8 (unsigned bytes), the number of dimensions, then each dimension as 32 bits, most
 * significant byte first, then the records. Compressed ones come through a pipe from gzip. */
#include "examples/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER_MAX 16
#define RECORD_MAX 65536u

extern char **environ;

struct loader_idx {
    char path[LOADER_PATH_MAX];
    FILE *stream;
    pid_t gzip; /* 0: none runs */
    uint32_t count, record_len, next;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Starts gzip with its output in idx->stream. */
static int uncompress(struct loader_idx *idx)
{
    char program[] = "gzip", how[] = "-dc", files[] = "--";
    char *argv[] = {program, how, files, idx->path, NULL};
    posix_spawn_file_actions_t actions;
    int fd[2];

    if (pipe(fd) < 0)
        return loader_fail(-errno, "pipe to gzip: %s", strerror(errno));
    /* Else the next gzip would keep this one's pipe open. */
    fcntl(fd[0], F_SETFD, FD_CLOEXEC);
    fcntl(fd[1], F_SETFD, FD_CLOEXEC);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd[1], STDOUT_FILENO);
    int err = posix_spawnp(&idx->gzip, program, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fd[1]);
    if (err != 0) {
        idx->gzip = 0;
        close(fd[0]);
        return loader_fail(-err, "%s: gzip, which would uncompress it: %s", idx->path,
                           strerror(err));
    }
    idx->stream = fdopen(fd[0], "rb");
    return idx->stream ? 0 : loader_fail(-ENOMEM, "out of memory");
}

static int open_stream(struct loader_idx *idx, const char *folder, const char *name)
{
    int len = snprintf(idx->path, sizeof(idx->path), "%s/%s", folder, name);

    if (len < 0 || len >= LOADER_PATH_MAX - (int)sizeof(".gz"))
        return loader_fail(-ENAMETOOLONG, "%s: is too long", folder);
    idx->stream = fopen(idx->path, "rb");
    if (idx->stream)
        return 0;
    if (errno != ENOENT)
        return loader_fail(-errno, "%s: %s", idx->path, strerror(errno));
    strcpy(idx->path + len, ".gz");
    if (access(idx->path, R_OK) == 0)
        return uncompress(idx);
    return loader_fail(-errno,
                       "%s: %s, nor is it there uncompressed; install Debian's package "
                       "dataset-fashion-mnist, or name another folder by --from",
                       idx->path, strerror(errno));
}

static int read_header(struct loader_idx *idx, unsigned dimensions)
{
    uint8_t header[HEADER_MAX];
    size_t len = 4 + 4 * (size_t)dimensions;

    if (fread(header, 1, len, idx->stream) != len || header[0] != 0 || header[1] != 0 ||
        header[2] != 8 || header[3] != dimensions)
        return loader_fail(-EINVAL, "%s: is no IDX file of bytes with %u dimensions", idx->path,
                           dimensions);
    idx->count = be32(header + 4);
    idx->record_len = 1;
    for (unsigned i = 1; i < dimensions; i++) {
        uint32_t extent = be32(header + 4 + 4 * i);
        if (extent == 0 || extent > RECORD_MAX || idx->record_len > RECORD_MAX / extent)
            return loader_fail(-EINVAL, "%s: its records are not of 1 to %u bytes", idx->path,
                               RECORD_MAX);
        idx->record_len *= extent;
    }
    return 0;
}

int loader_idx_open(const char *folder, const char *name, unsigned dimensions,
                    struct loader_idx **idx_p)
{
    struct loader_idx *idx = calloc(1, sizeof(*idx));

    if (!idx)
        return loader_fail(-ENOMEM, "out of memory");
    int rc = open_stream(idx, folder, name);
    if (rc == 0)
        rc = read_header(idx, dimensions);
    if (rc < 0) {
        loader_idx_close(idx);
        return rc;
    }
    *idx_p = idx;
    return 0;
}

uint32_t loader_idx_count(const struct loader_idx *idx)
{
    return idx->count;
}

uint32_t loader_idx_record_len(const struct loader_idx *idx)
{
    return idx->record_len;
}

int loader_idx_next(struct loader_idx *idx, uint8_t *record)
{
    if (fread(record, 1, idx->record_len, idx->stream) != idx->record_len)
        return loader_fail(-EIO, "%s: ends after %u of %u records", idx->path, idx->next,
                           idx->count);
    idx->next++;
    return 0;
}

int loader_idx_check_end(struct loader_idx *idx)
{
    int status = 0;

    if (fgetc(idx->stream) != EOF)
        return loader_fail(-EINVAL, "%s: is longer than the %u records that it promises", idx->path,
                           idx->count);
    /* A wrong checksum of the compressed file shows in the status only. */
    if (idx->gzip) {
        waitpid(idx->gzip, &status, 0);
        idx->gzip = 0;
    }
    return status == 0 ? 0 : loader_fail(-EIO, "%s: gzip finds it damaged", idx->path);
}

void loader_idx_close(struct loader_idx *idx)
{
    if (!idx)
        return;
    if (idx->stream)
        fclose(idx->stream); /* first: gzip may wait to write more */
    if (idx->gzip)
        waitpid(idx->gzip, NULL, 0);
    free(idx);
}
