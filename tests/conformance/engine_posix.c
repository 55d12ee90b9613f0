/* SPDX-License-Identifier: Apache-2.0 */
/* What only engine posix promises: its configuration, which way an I/O takes, and that it works where the kernel refuses
 * the better ways. */
#include "config.h"

#include "tests/conformance/engine_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/error.h"

#define RW_CREATE (ROS2_OPEN_READ | ROS2_OPEN_WRITE | ROS2_OPEN_CREATE)

enum { BIG = 1 << 20 };

static int try_config(const char *config, struct world **world_p)
{
    return world_open(&(struct world_settings){.engine = "posix", .config = config}, world_p);
}

/* NULL, and the case is skipped, where the kernel refuses what config forces. */
static struct world *open_config(const char *config)
{
    struct world *w;
    int rc = try_config(config, &w);
    if (rc == -ENOSYS || rc == -EPERM) {
        print_message("# %s\n", ros2i_error());
        skip();
    }
    assert_int_equal(rc, 0);
    return w;
}

static void wrong_configuration_is_named(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"io=fast", "io=fast"},
        {"confine=jail", "confine=jail"},
        {"io", "io"},
        {"direct=writes", "direct=writes"},
        {"speed=high", "speed"},
        {"threads=0", "threads=0"},
        {"threads=1000", "threads=1000"},
        {"threads=", "threads="},
        {"threads=4x", "threads=4x"},
        {"io=auto,x=y", "unknown key x"},
        {"io=autox", "io=autox"},
        {"i=auto", "unknown key i"},
    };
    struct world *w;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(try_config(wrong[i][0], &w), -EINVAL);
        assert_non_null(strstr(ros2i_error(), wrong[i][1]));
    }
}

static void right_configuration_is_taken(void **state)
{
    (void)state;
    static const char *const right[] = {
        "",  "direct=off", "io=auto", "threads=1", "confine=walk,io=threads,threads=256",
        ",", "io=nowait,"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        world_close(open_config(right[i]));
}

/* -- which way an I/O takes -- */

/* Descriptors of this process whose link contains text ("" counts all). */
static int count_descriptors(const char *text)
{
    char path[280], link[256];
    struct dirent *entry;
    int count = 0;

    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
        ssize_t n = readlink(path, link, sizeof(link) - 1);
        if (n < 0)
            continue;
        link[n] = '\0';
        count += strstr(link, text) != NULL;
    }
    closedir(dir);
    return count;
}

/* A file of BIG bytes, on the disk. */
static struct ros2_node *make_big(struct world *w, unsigned char **content_p)
{
    unsigned char *content = malloc(BIG);
    uint64_t seed = 7;
    for (size_t i = 0; i < BIG; i++)
        content[i] = (unsigned char)world_random(&seed);
    struct ros2_node *node = world_node(w, "big", RW_CREATE);
    assert_int_equal(world_write(w, node, content, BIG, 0), BIG);
    assert_int_equal(world_fsync(w, node, 0), 0);
    *content_p = content;
    return node;
}

static size_t pages_in_memory(const char *path)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t pages = BIG / (size_t)page, resident = 0;
    unsigned char *in_memory = malloc(pages);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, BIG, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, BIG, in_memory), 0);
    for (size_t i = 0; i < pages; i++)
        resident += in_memory[i] & 1;
    munmap(map, BIG);
    close(fd);
    free(in_memory);
    return resident;
}

/* Drops the file's pages. false: the file system keeps them all (tmpfs). */
static bool make_cold(struct world *w)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/big", w->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    return pages_in_memory(path) < 16;
}

/* Begins and ends a read of it all, checks the bytes; what read() returned. */
static int read_big(struct world *w, struct ros2_node *node, const unsigned char *content)
{
    struct counted_io io;
    unsigned char *buf = aligned_alloc(4096, BIG);
    memset(buf, 0, BIG);
    counted_io_init(&io);
    int begin = w->ops->read(w->context, node, buf, BIG, 0, &io.io);
    counted_io_wait(w->ops, w->context, &io, begin);
    assert_int_equal(io.io.result, BIG);
    assert_memory_equal(buf, content, BIG);
    free(buf);
    return begin;
}

static void reads_in_memory_are_done_at_once(void **state)
{
    (void)state;
    static const char *const configs[] = {"io=auto", "io=nowait"};
    for (size_t i = 0; i < 2; i++) {
        unsigned char *content;
        struct world *w = open_config(configs[i]);
        struct ros2_node *node = make_big(w, &content);
        assert_int_equal(read_big(w, node, content), 1);
        w->ops->close(node);
        world_close(w);
        free(content);
    }
}

static void reads_from_the_disk_do_not_hold_the_caller(void **state)
{
    (void)state;
    static const char *const configs[] = {"io=auto", "io=nowait", "io=uring", "io=threads"};
    for (size_t i = 0; i < 4; i++) {
        unsigned char *content;
        struct world *w;
        int rc = try_config(configs[i], &w);
        if (rc == -ENOSYS || rc == -EPERM)
            continue; /* forced_io_uring_is_taken reports it */
        assert_int_equal(rc, 0);
        struct ros2_node *node = make_big(w, &content);
        bool cold = make_cold(w);
        int begin = read_big(w, node, content);
        w->ops->close(node);
        world_close(w);
        free(content);
        if (!cold) {
            print_message("# the file system under TMPDIR keeps files in memory\n");
            skip();
        }
        assert_int_equal(begin, 0);
    }
}

static void direct_reads_leave_the_page_cache_alone(void **state)
{
    (void)state;
    static const char *const configs[] = {"direct=reads", "direct=reads,io=threads"};
    for (size_t i = 0; i < 2; i++) {
        unsigned char *content;
        char path[256];
        struct world *w = open_config(configs[i]);
        struct ros2_node *node = make_big(w, &content);
        int descriptors = count_descriptors("/big");
        bool cold = make_cold(w);
        int begin = read_big(w, node, content);
        snprintf(path, sizeof(path), "%s/big", w->dir);
        size_t pages = pages_in_memory(path);
        w->ops->close(node);
        int left = count_descriptors("/big");
        world_close(w);
        free(content);
        if (descriptors < 2 || !cold) {
            print_message("# the file system under TMPDIR refuses O_DIRECT\n");
            skip();
        }
        assert_int_equal(begin, 0);
        assert_in_range(pages, 0, 15);
        assert_int_equal(left, 0);
    }
}

static void forced_threads_are_taken(void **state)
{
    (void)state;
    unsigned char *content;
    struct world *w = open_config("io=threads");
    struct ros2_node *node = make_big(w, &content);
    assert_int_equal(count_descriptors("io_uring"), 0);
    assert_int_equal(read_big(w, node, content), 0);
    w->ops->close(node);
    world_close(w);
    free(content);
}

static void forced_io_uring_is_taken(void **state)
{
    (void)state;
    unsigned char *content;
    struct world *w = open_config("io=uring");
    struct ros2_node *node = make_big(w, &content);
    assert_int_equal(count_descriptors("io_uring"), 1); /* the context's */
    assert_int_equal(read_big(w, node, content), 0);
    w->ops->close(node);
    world_close(w);
    free(content);
}

static void failures_leave_no_descriptor_behind(void **state)
{
    (void)state;
    static const char *const paths[] = {"absent",    "file/x",        "loop", "../x",
                                        "d/../../x", "d/e/../absent", "fifo", "d/fifo/"};
    struct ros2_attr attr;
    struct ros2_node *node;
    char fifo[256];

    for (int walk = 0; walk < 2; walk++) {
        struct world *w = open_config(walk ? "confine=walk" : "confine=auto");
        world_create(w, "file", "x");
        world_symlink(w, "loop", "loop");
        assert_int_equal(w->ops->mkdir(w->root, "d", 0755), 0);
        assert_int_equal(w->ops->mkdir(w->root, "d/e", 0755), 0);
        snprintf(fifo, sizeof(fifo), "%s/fifo", w->dir);
        assert_int_equal(mkfifo(fifo, 0600), 0);
        int before = count_descriptors("");
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
            assert_true(w->ops->open(w->root, paths[i], ROS2_OPEN_READ, 0, &node, NULL) < 0);
            if (i != 6)
                assert_true(w->ops->stat(w->root, paths[i], 1, &attr) < 0);
            assert_true(w->ops->rename(w->root, paths[i], "d/../../x") < 0);
            assert_true(w->ops->rmdir(w->root, paths[i]) < 0);
        }
        assert_int_equal(count_descriptors(""), before);
        world_close(w);
    }
}

/* -- a kernel that refuses: system calls numbered a and b fail with err in this process from now on -- */

static bool refuse_calls(unsigned a, unsigned b, int err)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, b, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum verdict { GOOD, NO_SECCOMP, NO_CLEAR_ERROR, NO_FALLBACK, WRONG_RESULT };

/* In a child: 0 or what went wrong. No cmocka: its state belongs to the parent. */
static enum verdict live_with_refusal(int err)
{
    struct world *w;
    struct ros2_node *node;
    char buf[8];
    uint64_t offset;

    if (!refuse_calls(SYS_io_uring_setup, SYS_openat2, err))
        return NO_SECCOMP;
    int rc = try_config("io=uring", &w); /* -ENOSYS: built without it */
    if ((rc != -err && rc != -ENOSYS) || !strstr(ros2i_error(), "io=uring"))
        return NO_CLEAR_ERROR;
    if (try_config("confine=openat2", &w) != -err || !strstr(ros2i_error(), "confine=openat2"))
        return NO_CLEAR_ERROR;
    if (try_config("io=auto,confine=auto", &w) != 0)
        return NO_FALLBACK;
    if (w->ops->open(w->root, "./d/../f", RW_CREATE, 0644, &node, NULL) != -ENOENT ||
        w->ops->open(w->root, "f", RW_CREATE, 0644, &node, NULL) != 0)
        return NO_FALLBACK;
    bool good = world_append(w, node, "data", 4, &offset) == 4 && offset == 0 &&
                world_fsync(w, node, 0) == 0 && world_read(w, node, buf, 8, 0) == 4 &&
                memcmp(buf, "data", 4) == 0;
    w->ops->close(node);
    world_close(w);
    return good ? GOOD : WRONG_RESULT;
}

static void it_works_where_the_kernel_refuses(void **state)
{
    (void)state;
    static const int errs[] = {EPERM, ENOSYS};
    for (size_t i = 0; i < 2; i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(live_with_refusal(errs[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == NO_SECCOMP) {
            print_message("# seccomp is refused\n");
            skip();
        }
        assert_int_equal(WEXITSTATUS(status), GOOD);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            it_works_where_the_kernel_refuses), /* first: it forks, before there are threads */
        cmocka_unit_test(wrong_configuration_is_named),
        cmocka_unit_test(right_configuration_is_taken),
        cmocka_unit_test(reads_in_memory_are_done_at_once),
        cmocka_unit_test(reads_from_the_disk_do_not_hold_the_caller),
        cmocka_unit_test(direct_reads_leave_the_page_cache_alone),
        cmocka_unit_test(forced_threads_are_taken),
        cmocka_unit_test(forced_io_uring_is_taken),
        cmocka_unit_test(failures_leave_no_descriptor_behind),
    };
    umask(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
