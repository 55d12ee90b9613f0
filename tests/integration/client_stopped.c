/* SPDX-License-Identifier: Apache-2.0 */
/* ros2d is stopped (SIGSTOP) around reads, at whatever instant: their deadline ends them, and nothing lands in their buffers
 * from then on, also not once ros2d goes on. An end by deadline takes 10 ms of grace, so several daemons are stopped in turn,
 * each with a client of its own, and then waited for together. A round is one stop of one daemon. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/integration/client_daemon.h"

#define US        1000ull
#define MS        1000000ull
#define S         1000000000ull
#define LANES     8
#define READS_MAX 8
#define FILE_LEN  (2u << 20)
#define AREA_LEN  FILE_LEN
#define FILL      0xee /* what the owner writes into a buffer that came back */

/* How a round reads. */
struct manner {
    const char *path;
    size_t len; /* of each read */
    unsigned reads;
    uint64_t timeout_ns;
    uint64_t within_ns; /* ros2d is stopped so long after the submit, at most */
    bool reaping;       /* until then the client takes what comes */
};

static const struct manner manners[] = {
    {"/data", 1000, 8, MS, 100 * US, false}, /* answered inline */
    {"/data", 65536, 8, MS, 300 * US, false},
    /* More than a socket takes (narrow_sockets()): on tcp most stops are within a frame. */
    {"/data", 512u << 10, 4, 3 * MS, 800 * US, false},
    {"/data", 512u << 10, 4, 3 * MS, 1000 * US, true},
    /* In ros2d's engine for some ms: on shm the client's memory is mapped all that time. */
    {"/held", 65536, 4, MS, 300 * US, false},
    {"/held", 70000, 8, MS, 300 * US, true}, /* pages that two reads share */
};
#define MANNERS (sizeof(manners) / sizeof(manners[0]))

enum {
    SHARED,
    PLAIN,
    REGISTERED,
    AREAS
}; /* of ros2_buf_alloc(); of malloc(), which shm does not register */

struct kept {
    uint8_t *buf;
    size_t len; /* 0: nothing to see there */
};

struct lane {
    struct daemon d;
    int memfds; /* that the daemon had without a channel */
    struct ros2_client *client;
    struct ros2_queue *queue;
    struct ros2_file *data, *held;
    struct ros2_buf *shared, *registered;
    uint8_t *area[AREAS];
    uint8_t *beyond;                    /* where the read that follows a stop lands */
    struct kept kept[AREAS][READS_MAX]; /* buffers that came back at a deadline, and are filled */
    const struct manner *manner;        /* of the round, with its area: */
    int where;
    uint64_t begin_ns, timeout_ns;
    unsigned left; /* reads that have not ended */
};

static struct lane lanes[LANES];
static uint8_t content[FILE_LEN], fill[AREA_LEN];
static unsigned rounds = 200; /* ROS2_TEST_STOPS; ./check --full asks for 10,000 */
static unsigned timed_out, well;

/* -- set up -- */

/* Files in memory, as shm passes them around. */
static int memfds(pid_t pid)
{
    char path[300], target[100];
    int count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        count += strncmp(target, "/memfd:", 7) == 0;
    }
    closedir(dir);
    return count;
}

static void lane_setup(struct lane *lane)
{
    daemon_start(&lane->d, "read:path=held:delay_ms=1");
    store_write(&lane->d, "data", content, FILE_LEN);
    store_write(&lane->d, "held", content, FILE_LEN);
    lane->client = daemon_connect(&lane->d);
    lane->memfds = memfds(lane->d.pid);
    lane->data = must_open(lane->client, "/data", O_RDONLY);
    lane->held = must_open(lane->client, "/held", O_RDONLY);
    assert_ok(ros2_queue_create(lane->client, READS_MAX, NULL, &lane->queue));
    assert_ok(ros2_buf_alloc(lane->client, AREA_LEN, NULL, &lane->shared));
    lane->area[SHARED] = ros2_buf_addr(lane->shared);
    lane->area[PLAIN] = malloc(AREA_LEN);
    lane->area[REGISTERED] = malloc(AREA_LEN);
    lane->beyond = malloc(AREA_LEN);
    assert_true(lane->area[PLAIN] && lane->area[REGISTERED] && lane->beyond);
    /* The queue is there, so the daemon knows the memory when this returns. */
    assert_ok(ros2_prepare_read(lane->queue, lane->data, lane->beyond, 1, 0, 0, 0));
    assert_int_equal(ros2_queue_submit(lane->queue), 1);
    struct ros2_completion done;
    assert_int_equal(ros2_queue_reap(lane->queue, &done, 1, 1, ROS2_FOREVER), 1);
    int rc = ros2_buf_register(lane->client, lane->area[REGISTERED], AREA_LEN, ROS2_BUF_TARGET,
                               ROS2_BUF_HOST, &lane->registered);
    if (rc != -ENOTSUP || strcmp(test_transport(), "shm") != 0)
        assert_ok(rc);
}

static int teardown(void **state)
{
    (void)state;
    for (struct lane *lane = lanes; lane < lanes + LANES; lane++) {
        ros2_queue_destroy(lane->queue);
        ros2_buf_free(lane->shared);
        ros2_buf_unregister(lane->registered);
        ros2_close(lane->data);
        ros2_close(lane->held);
        ros2_disconnect(lane->client);
        free(lane->area[PLAIN]);
        free(lane->area[REGISTERED]);
        free(lane->beyond);
        daemon_stop(&lane->d);
    }
    return 0;
}

/* -- a round's steps -- */

static uint64_t random_below(uint64_t end)
{
    static uint64_t x = 88172645463325252ull; /* the same in each run */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x % end;
}

static void stop(const struct lane *lane)
{
    int status = 0;
    assert_int_equal(kill(lane->d.pid, SIGSTOP), 0);
    /* All its threads have stopped, not only been told to. */
    assert_int_equal(waitpid(lane->d.pid, &status, WUNTRACED), lane->d.pid);
    assert_true(WIFSTOPPED(status));
}

static void go_on(const struct lane *lane)
{
    assert_int_equal(kill(lane->d.pid, SIGCONT), 0);
}

static void check_kept(struct lane *lane, int where)
{
    for (struct kept *kept = lane->kept[where]; kept < lane->kept[where] + READS_MAX; kept++) {
        if (kept->len > 0 && memcmp(kept->buf, fill, kept->len) != 0) {
            size_t at = 0;
            while (kept->buf[at] == FILL)
                at++;
            fail_msg("byte %zu of %zu in %s memory was written after the deadline", at, kept->len,
                     where == SHARED  ? "shared"
                     : where == PLAIN ? "plain"
                                      : "registered");
        }
    }
}

static struct ros2_file *file_of(const struct lane *lane)
{
    return strcmp(lane->manner->path, "/held") == 0 ? lane->held : lane->data;
}

static void submit(struct lane *lane)
{
    const struct manner *m = lane->manner;
    uint8_t *area = lane->area[lane->where];
    /* What came back in an earlier round is the library's again. */
    check_kept(lane, lane->where);
    memset(lane->kept[lane->where], 0, sizeof(lane->kept[lane->where]));
    memset(area, FILL, m->len * m->reads);
    for (unsigned i = 0; i < m->reads; i++)
        assert_ok(ros2_prepare_read(lane->queue, file_of(lane), area + i * m->len, m->len,
                                    i * m->len, i, lane->timeout_ns));
    lane->begin_ns = real_ns();
    assert_int_equal(ros2_queue_submit(lane->queue), m->reads);
    lane->left = m->reads;
}

/* user_data READS_MAX: the one that follows a stop. */
static void take(struct lane *lane, const struct ros2_completion *done)
{
    size_t len = lane->manner->len, at = done->user_data * len;
    uint8_t *buf = lane->area[lane->where] + at;
    assert_true(lane->left > 0 && done->user_data <= READS_MAX);
    lane->left--;
    if (done->user_data == READS_MAX) {
        buf = lane->beyond;
        at = 0;
    } else if (done->result == -ETIMEDOUT) {
        assert_in_range(real_ns() - lane->begin_ns, lane->timeout_ns, lane->timeout_ns + 30 * S);
        memset(buf, FILL, len);
        lane->kept[lane->where][done->user_data] = (struct kept){buf, len};
        timed_out++;
        return;
    }
    if (done->result != (int64_t)len)
        fail_msg("%lld, %s", (long long)done->result, done->error);
    assert_memory_equal(buf, content + at, len);
    well++;
}

static void reap(struct lane *lane)
{
    struct ros2_completion done[READS_MAX];
    int n = ros2_queue_reap(lane->queue, done, READS_MAX, 0, 0);
    assert_ok(n);
    for (int i = 0; i < n; i++)
        take(lane, &done[i]);
}

static void reap_all(void)
{
    struct pollfd polled[LANES];
    struct lane *of[LANES];
    for (;;) {
        nfds_t n = 0;
        for (struct lane *lane = lanes; lane < lanes + LANES; lane++) {
            if (lane->left == 0)
                continue;
            of[n] = lane;
            polled[n++] = (struct pollfd){.fd = ros2_queue_fd(lane->queue), .events = POLLIN};
        }
        if (n == 0)
            return;
        assert_true(poll(polled, n, 60000) > 0);
        for (nfds_t i = 0; i < n; i++)
            if (polled[i].revents)
                reap(of[i]);
    }
}

/* Some time of what the manner allows. */
static void dwell(struct lane *lane)
{
    uint64_t until_ns = lane->begin_ns + random_below(lane->manner->within_ns);
    while (real_ns() < until_ns)
        if (lane->manner->reaping)
            reap(lane);
}

static void begin(unsigned round, struct lane *lane)
{
    /* All of both also in few rounds. */
    unsigned turn = round / LANES;
    lane->manner = &manners[(turn + round) % MANNERS];
    lane->where = (int)((turn + turn / MANNERS + round % LANES) % AREAS);
}

/* Behind what ros2d had to do: reads of one file are served in their order, on a new connection after those of the old one. */
static void submit_one_beyond(struct lane *lane)
{
    assert_ok(ros2_prepare_read(lane->queue, file_of(lane), lane->beyond, lane->manner->len, 0,
                                READS_MAX, 60 * S));
    assert_int_equal(ros2_queue_submit(lane->queue), 1);
    lane->left = 1;
}

/* Little fits into them then, so that ros2d stands in the middle of a frame whenever the client does not read. */
static void narrow_sockets(void)
{
    const int len = 65536;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr address;
        socklen_t address_len = sizeof(address);
        if (getpeername(fd, &address, &address_len) == 0 && address.sa_family == AF_INET)
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &len, sizeof(len));
    }
}

static void connect_all(void)
{
    for (unsigned i = 0; i < LANES; i++) {
        begin(0, &lanes[i]);
        submit_one_beyond(&lanes[i]);
    }
    reap_all();
    narrow_sockets();
}

static int setup(void **state)
{
    (void)state;
    const char *sanitizers = getenv("SANITIZER_FLAGS"), *wanted = getenv("ROS2_TEST_STOPS");
    if (sanitizers && *sanitizers)
        rounds = 96;
    else if (wanted)
        rounds = (unsigned)strtoul(wanted, NULL, 10);
    pattern(content, FILE_LEN, 31);
    memset(fill, FILL, sizeof(fill));
    for (int i = 0; i < LANES; i++)
        lane_setup(&lanes[i]);
    connect_all();
    return 0;
}

/* -- the tests -- */

static void nothing_lands_after_the_deadline(void **state)
{
    (void)state;
    for (unsigned round = 0; round < rounds; round += LANES) {
        for (unsigned i = 0; i < LANES; i++) {
            struct lane *lane = &lanes[i];
            bool first = random_below(8) == 0; /* the reads find it stopped */
            begin(round + i, lane);
            lane->timeout_ns = lane->manner->timeout_ns;
            if (first)
                stop(lane);
            submit(lane);
            if (!first) {
                dwell(lane);
                stop(lane);
            }
        }
        reap_all();
        for (unsigned i = 0; i < LANES; i++) {
            go_on(&lanes[i]);
            submit_one_beyond(&lanes[i]);
        }
        reap_all();
        for (unsigned i = 0; i < LANES; i++)
            for (int where = 0; where < AREAS; where++)
                check_kept(&lanes[i], where);
    }
    print_message("# %u stops: %u reads ended by their deadline, %u well\n", rounds, timed_out,
                  well);
    assert_true(timed_out >= rounds / 4);
}

static void a_stop_that_ends_in_time_only_delays(void **state)
{
    (void)state;
    timed_out = 0;
    for (unsigned round = 0; round < rounds / 4; round += LANES) {
        for (unsigned i = 0; i < LANES; i++) {
            struct lane *lane = &lanes[i];
            begin(round + i, lane);
            lane->timeout_ns = 60 * S;
            submit(lane);
            dwell(lane);
            stop(lane);
            go_on(lane);
        }
        reap_all();
        assert_int_equal(timed_out, 0);
    }
}

/* ros2d learns of a connection's end a little later. */
static void wait_for_memfds(pid_t pid, int most)
{
    uint64_t end_ns = real_ns() + 30 * S;
    int count;
    while ((count = memfds(pid)) > most && real_ns() < end_ns)
        usleep(1000);
    assert_in_range(count, 0, most);
}

static void what_the_stops_took_is_given_back(void **state)
{
    (void)state;
    for (struct lane *lane = lanes; lane < lanes + LANES; lane++) {
        ros2_queue_destroy(lane->queue);
        assert_ok(ros2_buf_free(lane->shared));
        lane->queue = NULL;
        lane->shared = NULL;
        wait_for_memfds(lane->d.pid, lane->memfds);
    }
    assert_int_equal(memfds(getpid()), 0);
}

/* After a failure nobody stays stopped. */
static int end_case(void **state)
{
    (void)state;
    for (int i = 0; i < LANES; i++)
        kill(lanes[i].d.pid, SIGCONT);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_lands_after_the_deadline, end_case),
        cmocka_unit_test_teardown(a_stop_that_ends_in_time_only_delays, end_case),
        cmocka_unit_test(what_the_stops_took_is_given_back),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
