/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/integration/batch_store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_LEN    16
#define PATIENCE_NS 60000000000ull
#define LARGEST     (3u << 20)

size_t batch_size(unsigned i)
{
    static const size_t sizes[] = {784, 0, 1, 4096, 100, 12000, 4095, 2047, 65536, 3};
    return i % 500 == 499 ? LARGEST - i : sizes[i % 10] + i / 10 % 7;
}

const uint8_t *batch_bytes(unsigned i)
{
    static uint8_t bytes[LARGEST];
    pattern(bytes, batch_size(i), i);
    return bytes;
}

void batch_write_files(const struct daemon *d, unsigned count)
{
    char name[PATH_LEN];
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "f%u", i);
        store_write(d, name, batch_bytes(i), batch_size(i));
    }
}

void batch_make(struct batch *b, size_t count, unsigned first, unsigned step, size_t slot,
                size_t gap)
{
    *b = (struct batch){.count = count};
    for (size_t i = 0; i < count; i++)
        b->memory_len += (slot ? slot : batch_size(first + (unsigned)i * step)) + gap;
    b->item = calloc(count, sizeof(*b->item));
    b->file = calloc(count, sizeof(*b->file));
    b->paths = malloc(count * PATH_LEN);
    b->memory = malloc(b->memory_len + 1);
    memset(b->memory, UNSET, b->memory_len + 1);
    uint8_t *at = b->memory;
    for (size_t i = 0; i < count; i++) {
        b->file[i] = first + (unsigned)i * step;
        snprintf(b->paths + i * PATH_LEN, PATH_LEN, "/f%u", b->file[i]);
        size_t len = slot ? slot : batch_size(b->file[i]);
        b->item[i] =
            (struct ros2_batch_item){.path = b->paths + i * PATH_LEN, .buf = at, .len = len};
        at += len + gap;
    }
}

void batch_free(struct batch *b)
{
    free(b->item);
    free(b->file);
    free(b->paths);
    free(b->memory);
}

void batch_check(const struct batch *b, size_t i)
{
    const struct ros2_batch_item *item = &b->item[i];
    size_t size = batch_size(b->file[i]), left = size > item->offset ? size - item->offset : 0;
    size_t want = left < item->len ? left : item->len;
    if (item->result != (int64_t)want || (item->path && item->size != size))
        fail_msg("item %zu: result %lld size %llu, the file has %zu; %s", i,
                 (long long)item->result, (unsigned long long)item->size, size, ros2_error());
    if (want > 0 && memcmp(item->buf, batch_bytes(b->file[i]) + item->offset, want) != 0)
        fail_msg("item %zu has other bytes", i);
}

void batch_check_all(const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct ros2_batch_item *item = &b->item[i];
        batch_check(b, i);
        const uint8_t *end = (const uint8_t *)item->buf + item->len;
        const uint8_t *next = i + 1 < b->count ? b->item[i + 1].buf : b->memory + b->memory_len;
        for (; end < next; end++)
            assert_int_equal(*end, UNSET);
    }
    assert_int_equal(b->memory[b->memory_len], UNSET);
}

int batch_open_at_daemon(const struct daemon *d)
{
    char folder[64], link[400], target[700];
    int count = 0;
    snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)d->pid);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(link, sizeof(link), "%s/%s", folder, entry->d_name);
        ssize_t len = readlink(link, target, sizeof(target) - 1);
        if (len < 0)
            continue;
        target[len] = '\0';
        count +=
            strncmp(target, d->store, strlen(d->store)) == 0 && target[strlen(d->store)] == '/';
    }
    closedir(dir);
    return count;
}

void batch_await_closed(const struct daemon *d, struct ros2_client *client)
{
    struct ros2_batch_item none = {.path = "/nowhere"};
    uint64_t until_ns = real_ns() + PATIENCE_NS;
    while (batch_open_at_daemon(d) > 0) {
        if (real_ns() > until_ns)
            fail_msg("%d files stay open at the daemon", batch_open_at_daemon(d));
        assert_error(ros2_batch_read(client, &none, 1, NULL), ENOENT); /* opening reaps */
    }
}
