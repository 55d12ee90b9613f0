/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "lib/base/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define PAGE 4096u

static struct ros2i_shared_view *view_of(const struct ros2_shared_memory **memory_p)
{
    struct ros2i_shared_view *view = NULL;

    assert_int_equal(ros2i_shared_view_create(&view), 0);
    *memory_p = ros2i_shared_view_memory(view);
    return view;
}

static char *alloc(size_t len)
{
    void *addr = NULL;

    assert_int_equal(ros2i_shared_alloc(len, 0, -1, &addr), 0);
    assert_int_equal((uintptr_t)addr % PAGE, 0);
    return addr;
}

static void bad_lengths_and_nodes_are_refused(void **state)
{
    void *addr = NULL;

    (void)state;
    assert_int_equal(ros2i_shared_alloc(0, 0, -1, &addr), -EINVAL);
    assert_int_equal(ros2i_shared_alloc(SIZE_MAX, 0, -1, &addr), -EINVAL);
    assert_int_equal(ros2i_shared_alloc(PAGE, 0, -2, &addr), -EINVAL);
    assert_int_equal(ros2i_shared_alloc(PAGE, 0, 1024, &addr), -EINVAL);
    assert_null(addr);
}

static void memory_is_found_up_to_its_last_byte(void **state)
{
    const struct ros2_shared_memory *memory;
    struct ros2i_shared_view *view = view_of(&memory);
    struct ros2_shared_range range;
    char *addr = alloc(3 * PAGE - 100); /* whole pages are taken */
    char other[16];

    (void)state;
    assert_int_equal(memory->find(memory->arg, addr, 3 * PAGE, &range), 0);
    assert_int_equal(range.offset, 0);
    assert_int_equal(range.file_len, 3 * PAGE);
    assert_int_equal(memory->find(memory->arg, addr + 5000, 100, &range), 0);
    assert_int_equal(range.offset, 5000);
    assert_int_equal(memory->find(memory->arg, addr + 1, 3 * PAGE, &range), -ENOENT);
    assert_int_equal(memory->find(memory->arg, addr - 1, 2, &range), -ENOENT);
    assert_int_equal(memory->find(memory->arg, other, sizeof(other), &range), -ENOENT);
    ros2i_shared_free(addr, 3 * PAGE - 100);
    ros2i_shared_view_destroy(view);
}

static void the_file_is_the_memory_and_sealed(void **state)
{
    const struct ros2_shared_memory *memory;
    struct ros2i_shared_view *view = view_of(&memory);
    struct ros2_shared_range range;
    char *addr = alloc(2 * PAGE);
    char byte = 0;

    (void)state;
    addr[PAGE + 7] = 'x';
    assert_int_equal(memory->find(memory->arg, addr + PAGE + 7, 1, &range), 0);
    assert_int_equal(pread(range.fd, &byte, 1, (off_t)range.offset), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(fcntl(range.fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW),
                     F_SEAL_SHRINK | F_SEAL_GROW);
    assert_int_equal(ftruncate(range.fd, PAGE), -1);
    ros2i_shared_free(addr, 2 * PAGE);
    ros2i_shared_view_destroy(view);
}

static void freed_memory_is_found_no_more_and_gives_its_pages_back(void **state)
{
    const struct ros2_shared_memory *memory;
    struct ros2i_shared_view *view = view_of(&memory);
    struct ros2_shared_range range;
    char *addr = alloc(4 * PAGE);
    struct stat st;

    (void)state;
    assert_int_equal(memory->find(memory->arg, addr, 1, &range), 0);
    assert_int_equal(memory->is_live(memory->arg, range.serial), 1);
    int peer = dup(range.fd);
    ros2i_shared_free(addr, 4 * PAGE);
    assert_int_equal(memory->is_live(memory->arg, range.serial), 0);
    assert_int_equal(memory->find(memory->arg, addr, 1, &range), -ENOENT);
    assert_int_equal(fstat(peer, &st), 0);
    assert_int_equal(st.st_blocks, 0); /* though a peer has it open */
    close(peer);
    ros2i_shared_view_destroy(view);
}

static void replaced_pages_keep_their_content_and_are_another_file(void **state)
{
    const struct ros2_shared_memory *memory;
    struct ros2i_shared_view *view = view_of(&memory);
    struct ros2_shared_range before, after;
    char *addr = alloc(5 * PAGE);

    (void)state;
    for (unsigned i = 0; i < 5 * PAGE; i++)
        addr[i] = (char)(i / 7);
    assert_int_equal(memory->find(memory->arg, addr, 5 * PAGE, &before), 0);
    char *peer = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, before.fd, 0);
    assert_true(peer != MAP_FAILED);
    /* Pages 2 and 3 are touched. */
    assert_int_equal(memory->replace(memory->arg, addr + 2 * PAGE + 100, PAGE), 0);
    memset(peer, 0xee, 5 * PAGE);
    for (unsigned i = 0; i < 5 * PAGE; i++) {
        bool fresh = i / PAGE == 2 || i / PAGE == 3;
        assert_int_equal((unsigned char)addr[i], fresh ? (i / 7) & 0xff : 0xee);
    }
    /* One stretch has become three. */
    assert_int_equal(memory->find(memory->arg, addr, 5 * PAGE, &after), -ENOENT);
    assert_int_equal(ros2i_shared_view_run(view, addr + 1, 5 * PAGE), 2 * PAGE - 1);
    assert_int_equal(ros2i_shared_view_run(view, addr + 2 * PAGE, PAGE), PAGE);
    assert_int_equal(memory->find(memory->arg, addr + PAGE, PAGE, &after), 0);
    assert_int_equal(after.serial, before.serial);
    assert_int_equal(memory->find(memory->arg, addr + 2 * PAGE, 2 * PAGE, &after), 0);
    assert_true(after.serial != before.serial);
    assert_int_equal(after.offset, 0);
    assert_int_equal(memory->find(memory->arg, addr + 4 * PAGE, PAGE, &after), 0);
    assert_int_equal(after.serial, before.serial);
    assert_int_equal(after.offset, 4 * PAGE);
    munmap(peer, 5 * PAGE);
    ros2i_shared_free(addr, 5 * PAGE);
    assert_int_equal(ros2i_shared_view_run(view, addr, 1), 0);
    ros2i_shared_view_destroy(view);
}

/* Its engine may be in the middle of writing them to a file: zeros would be written, and remembered as done. */
static void who_has_replaced_pages_mapped_still_sees_their_content(void **state)
{
    struct ros2i_shared_view *view;
    struct ros2_shared_range range;
    (void)state;
    char *addr = alloc(2 * PAGE);
    memset(addr, 'x', 2 * PAGE);
    assert_int_equal(ros2i_shared_view_create(&view), 0);
    const struct ros2_shared_memory *memory = ros2i_shared_view_memory(view);
    assert_int_equal(memory->find(memory->arg, addr, 2 * PAGE, &range), 0);
    char *peer = mmap(NULL, range.file_len, PROT_READ | PROT_WRITE, MAP_SHARED, range.fd, 0);
    assert_true(peer != MAP_FAILED);
    assert_int_equal(memory->replace(memory->arg, addr, 2 * PAGE), 0); /* all of its file */
    memset(addr, 'y', 2 * PAGE);
    assert_int_equal(peer[0], 'x');
    assert_int_equal(peer[2 * PAGE - 1], 'x');
    munmap(peer, range.file_len);
    ros2i_shared_free(addr, 2 * PAGE);
    ros2i_shared_view_destroy(view);
}

/* A buffer that a stuck daemon holds on to is replaced again and again. */
static void replacing_the_same_pages_forever_leaks_nothing(void **state)
{
    const struct ros2_shared_memory *memory;
    struct ros2i_shared_view *view = view_of(&memory);
    struct ros2_shared_range range;
    char *addr = alloc(8 * PAGE);
    int fd = dup(0);

    (void)state;
    for (int i = 0; i < 2000; i++) {
        size_t at = (size_t)(rand() % 8) * PAGE;
        assert_int_equal(memory->replace(memory->arg, addr + at, PAGE), 0);
        assert_int_equal(memory->find(memory->arg, addr + at, PAGE, &range), 0);
        assert_true(range.fd < fd + 16);
        assert_true(ros2i_shared_view_run(view, addr + at, PAGE) == PAGE);
    }
    close(fd);
    ros2i_shared_free(addr, 8 * PAGE);
    assert_int_equal(ros2i_shared_view_run(view, addr, 1), 0);
    fd = dup(0);
    assert_true(fd < 16);
    close(fd);
    ros2i_shared_view_destroy(view);
}

static void a_forked_child_has_none_of_it(void **state)
{
    const struct ros2_shared_memory *memory;
    struct ros2i_shared_view *view = view_of(&memory);
    struct ros2_shared_range range;
    char *addr = alloc(PAGE);

    (void)state;
    *addr = 'x';
    assert_int_equal(memory->find(memory->arg, addr, 1, &range), 0);
    ros2i_shared_fork_prepare();
    pid_t child = fork();
    if (child == 0) {
        ros2i_shared_fork_child();
        bool mapped = msync(addr, PAGE, MS_ASYNC) == 0;
        bool found = memory->find(memory->arg, addr, 1, &range) == 0;
        ros2i_shared_free(addr, PAGE);
        _exit(mapped || found || fcntl(range.fd, F_GETFD) >= 0);
    }
    ros2i_shared_fork_parent();
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(*addr, 'x');
    ros2i_shared_free(addr, PAGE);
    ros2i_shared_view_destroy(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_lengths_and_nodes_are_refused),
        cmocka_unit_test(memory_is_found_up_to_its_last_byte),
        cmocka_unit_test(the_file_is_the_memory_and_sealed),
        cmocka_unit_test(freed_memory_is_found_no_more_and_gives_its_pages_back),
        cmocka_unit_test(replaced_pages_keep_their_content_and_are_another_file),
        cmocka_unit_test(who_has_replaced_pages_mapped_still_sees_their_content),
        cmocka_unit_test(replacing_the_same_pages_forever_leaks_nothing),
        cmocka_unit_test(a_forked_child_has_none_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
