/* SPDX-License-Identifier: Apache-2.0 */
/* Playing a peer of transport shm by hand. Owner: the test's thread. */
#include "config.h"

#include "tests/unit/shm_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "transports/shm/file.h"
#include "transports/shm/ring.h"

/* -- the peer -- */

void shm_peer_open(struct shm_peer_hand *peer, int socket_fd)
{
    void *table, *ring;

    *peer = (struct shm_peer_hand){.socket = socket_fd};
    peer->fds[0] = shm_file_create("hostile-table", SHM_TABLE_LEN, &table);
    peer->fds[1] = shm_file_create("hostile-ring", SHM_RING_LEN, &ring);
    peer->fds[2] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    peer->victim_doorbell = -1;
    assert_true(peer->fds[0] >= 0 && peer->fds[1] >= 0 && peer->fds[2] >= 0);
    peer->table = table;
    peer->ring = ring;
    peer->mine = &peer->ring->head.side[0];
    peer->theirs = &peer->ring->head.side[1];
}

void shm_peer_close(struct shm_peer_hand *peer)
{
    close(peer->socket);
    for (int i = 0; i < SHM_HELLO_FDS; i++)
        close(peer->fds[i]);
    if (peer->victim_doorbell >= 0)
        close(peer->victim_doorbell);
    munmap(peer->table, SHM_TABLE_LEN);
    munmap(peer->ring, SHM_RING_LEN);
    if (peer->victim_table)
        munmap(peer->victim_table, SHM_TABLE_LEN);
}

void shm_peer_say(struct shm_peer_hand *peer, const void *bytes, size_t len, const int *fds,
                  int count)
{
    char control[CMSG_SPACE(100 * sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec iov = {(void *)(uintptr_t)bytes, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (len == 0)
        return;
    if (count > 0) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, (size_t)count * sizeof(int));
    }
    ssize_t n = sendmsg(peer->socket, &msg, MSG_NOSIGNAL);
    assert_true(n == (ssize_t)len || errno == EPIPE || errno == ECONNRESET);
}

struct shm_greeting shm_peer_greeting(uint32_t kind)
{
    return (struct shm_greeting){
        .magic = SHM_MAGIC,
        .version = SHM_VERSION,
        .kind = kind,
        .ring_len = SHM_RING_LEN,
        .slots = SHM_SLOTS,
        .table_len = SHM_TABLE_LEN,
    };
}

void shm_peer_hello(struct shm_peer_hand *peer)
{
    const struct shm_greeting greeting = shm_peer_greeting(SHM_HELLO);

    shm_peer_say(peer, &greeting, sizeof greeting, peer->fds, SHM_HELLO_FDS);
}

bool shm_peer_welcomed(struct shm_peer_hand *peer)
{
    int fds[SHM_WELCOME_FDS];
    char control[CMSG_SPACE(sizeof fds)] __attribute__((aligned(8)));
    struct shm_greeting greeting;
    struct iovec iov = {&greeting, sizeof greeting};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    const char *why;
    void *map;

    if (recvmsg(peer->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return false;
    assert_int_equal(greeting.kind, SHM_WELCOME);
    const struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    if (!cmsg || cmsg->cmsg_len != CMSG_LEN(sizeof fds)) {
        fail_msg("WELCOME came without its descriptors");
        return false;
    }
    memcpy(fds, CMSG_DATA(cmsg), sizeof fds);
    assert_int_equal(shm_file_map(fds[0], SHM_TABLE_LEN, &map, &why), 0);
    peer->victim_table = map;
    close(fds[0]);
    peer->victim_doorbell = fds[1];
    return true;
}

void shm_peer_record(struct shm_peer_hand *peer, uint32_t type, uint32_t len, uint64_t total,
                     const void *bytes, uint32_t there)
{
    const struct shm_record record = {.len = len, .type = type, .total = total};
    uint64_t tail = atomic_load(&peer->mine->tail);
    uint8_t *out = peer->ring->ring[0];

    for (size_t i = 0; i < sizeof record; i++)
        out[(tail + i) % SHM_RING_BYTES] = ((const uint8_t *)&record)[i];
    for (size_t i = 0; i < there; i++)
        out[(tail + sizeof record + i) % SHM_RING_BYTES] = ((const uint8_t *)bytes)[i];
    atomic_store(&peer->mine->tail, tail + shm_ring_need(there));
    if (atomic_exchange(&peer->theirs->sleep, SHM_AWAKE) != SHM_AWAKE) {
        const uint64_t one = 1;
        assert_int_equal(write(peer->victim_doorbell, &one, sizeof one), sizeof one);
    }
}

/* Values that tend to slip through. */
static uint64_t odd_value(uint32_t *seed)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   15,
                                   16,
                                   32,
                                   4095,
                                   4096,
                                   65520,
                                   65535,
                                   65536,
                                   65552,
                                   1ull << 31,
                                   UINT32_MAX,
                                   1ull << 32,
                                   1ull << 62,
                                   1ull << 63,
                                   UINT64_MAX - 15,
                                   UINT64_MAX};
    const uint64_t value = odd[pair_random(seed) % (sizeof odd / sizeof odd[0])];

    return pair_random(seed) % 4 == 0 ? (uint64_t)pair_random(seed) << 16 | pair_random(seed)
                                      : value;
}

void shm_peer_scribble(struct shm_peer_hand *peer, uint32_t *seed)
{
    volatile uint8_t *head = peer->ring->head.page;
    uint64_t tail = atomic_load(&peer->mine->tail);

    switch (pair_random(seed) % 8) {
    case 0:
        atomic_store(&peer->mine->tail, odd_value(seed));
        break;
    case 1:
        atomic_store(&peer->mine->head, odd_value(seed));
        break;
    case 2:
        atomic_store(&peer->mine->gate, (uint32_t)odd_value(seed));
        break;
    case 3: /* what belongs to the victim */
        atomic_store(&peer->theirs->tail, odd_value(seed));
        atomic_store(&peer->theirs->head, odd_value(seed));
        atomic_store(&peer->theirs->sleep, (uint32_t)odd_value(seed));
        break;
    case 4: /* any byte of the page */
        head[pair_random(seed) % SHM_PAGE] = (uint8_t)pair_random(seed);
        break;
    case 5: /* the header of the last record or of one before */
        peer->ring->ring[0][(tail - 32 + pair_random(seed) % 32) % SHM_RING_BYTES] =
            (uint8_t)pair_random(seed);
        break;
    default: /* records at random, and the tail behind them */
        for (int i = 0; i < 64; i++)
            peer->ring->ring[0][(tail + (uint64_t)i) % SHM_RING_BYTES] =
                (uint8_t)(pair_random(seed) % 3 ? 0 : pair_random(seed));
        atomic_store(&peer->mine->tail, tail + 16 * (pair_random(seed) % 5));
        break;
    }
}

/* -- its regions -- */

void shm_peer_share(struct shm_peer_hand *peer)
{
    const struct shm_notice notice = {.type = SHM_FILE, .serial = 1, .len = 16384};
    struct shm_entry *entry = &peer->table->entry[0];
    int fd = shm_peer_make_file(SHM_PEER_GOOD, notice.len);

    assert_true(fd >= 0);
    shm_peer_say(peer, &notice, sizeof notice, &fd, 1);
    close(fd);
    atomic_store(&entry->serial, 1);
    atomic_store(&entry->len, notice.len);
    atomic_store(&entry->rights, ROS2_REGION_REMOTE_READ | ROS2_REGION_REMOTE_WRITE);
    atomic_store(&entry->state, 1 << SHM_ENTRY_BITS | SHM_ENTRY_LIVE);
}

void shm_peer_scribble_table(struct shm_peer_hand *peer, uint32_t *seed)
{
    struct shm_entry *entry = &peer->table->entry[0];

    switch (pair_random(seed) % 8) {
    case 0:
        atomic_store(&entry->state, odd_value(seed));
        break;
    case 1:
        atomic_store(&entry->serial, odd_value(seed));
        break;
    case 2:
        atomic_store(&entry->file, (uint32_t)odd_value(seed));
        break;
    case 3:
        atomic_store(&entry->rights, (uint32_t)odd_value(seed));
        break;
    case 4:
    case 5:
        atomic_store(&entry->len, odd_value(seed));
        break;
    default:
        atomic_store(&entry->offset, odd_value(seed));
        break;
    }
}

/* -- files -- */

static int sealed(unsigned flags, uint64_t len, int seals)
{
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)len) < 0 || (seals && fcntl(fd, F_ADD_SEALS, seals) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int read_only(uint64_t len)
{
    char path[64];
    int writable = sealed(0, len, F_SEAL_SHRINK | F_SEAL_GROW);

    snprintf(path, sizeof path, "/proc/self/fd/%d", writable);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    close(writable);
    return fd;
}

static int plain(uint64_t len)
{
    char path[] = "/tmp/shm-hostile-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    return fd;
}

int shm_peer_make_file(enum shm_peer_file kind, uint64_t len)
{
    const int both = F_SEAL_SHRINK | F_SEAL_GROW;
    int fds[2];

    switch (kind) {
    case SHM_PEER_UNSEALED:
        return sealed(0, len, 0);
    case SHM_PEER_GROW_SEALED:
        return sealed(0, len, F_SEAL_GROW);
    case SHM_PEER_SHORT:
        return sealed(0, len - 1, both);
    case SHM_PEER_LONG:
        return sealed(0, len + 1, both);
    case SHM_PEER_EMPTY:
        return sealed(0, 0, both);
    case SHM_PEER_HUGE:
        return sealed(MFD_HUGETLB, (len + (2 << 20) - 1) & ~((uint64_t)(2 << 20) - 1), both);
    case SHM_PEER_READ_ONLY:
        return read_only(len);
    case SHM_PEER_WRITE_SEALED:
        return sealed(0, len, both | F_SEAL_WRITE);
    case SHM_PEER_PLAIN:
        return plain(len);
    case SHM_PEER_PIPE:
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        close(fds[1]);
        return fds[0];
    case SHM_PEER_DEVICE:
        return open("/dev/zero", O_RDWR | O_CLOEXEC);
    case SHM_PEER_GOOD:
        break;
    }
    return sealed(0, len, both);
}

int shm_peer_count_maps(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    int count = 0;

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps))
        count += strstr(line, "/memfd:") != NULL;
    fclose(maps);
    return count;
}

/* -- what it attacks -- */

static void accept_victim(void *arg, struct ros2_listener *listener, struct ros2_ep *ep)
{
    struct hostile *h = arg;

    (void)listener;
    if (h->victim.ep)
        pair_ops->ep_abort(h->victim.ep);
    h->victim = (struct pair_side){.domain = h->pair.b.domain, .ep = ep};
    h->accepted++;
    pair_ops->ep_set_handler(ep, &pair_handler, &h->victim);
}

int hostile_setup(void **state)
{
    struct hostile *h = calloc(1, sizeof *h);

    assert_non_null(h);
    pair_open(&h->pair, &(struct pair_options){.b_max_message = 60000});
    assert_int_equal(
        pair_ops->listen(h->pair.b.domain, pair_listen_address(), accept_victim, h, &h->listener),
        0);
    assert_int_equal(pair_ops->listener_address(h->listener, h->address, sizeof h->address), 0);
    pair_region_open(&h->region, &h->pair.b, &h->pair.a, 64, ROS2_REGION_REMOTE_WRITE);
    *state = h;
    return 0;
}

int hostile_teardown(void **state)
{
    struct hostile *h = *state;

    if (h->victim.ep)
        pair_ops->ep_abort(h->victim.ep);
    pair_region_check(&h->region, 0, 0);
    pair_region_close(&h->region);
    pair_close(&h->pair);
    free(h);
    return 0;
}

void hostile_others_go_on(struct hostile *h)
{
    const uint64_t messages = h->pair.b.messages;

    pair_send(&h->pair, &h->pair.a, "good", 4);
    pair_until(&h->pair, h->pair.b.messages == messages + 1);
    assert_int_equal(h->pair.a.closed + h->pair.b.closed, 0);
}

int hostile_dial(struct hostile *h)
{
    const int before = h->accepted;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(to.sun_path, h->address, strlen(h->address));
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    pair_until(&h->pair, h->accepted == before + 1);
    return fd;
}

void hostile_join(struct hostile *h, struct shm_peer_hand *peer)
{
    shm_peer_open(peer, hostile_dial(h));
    shm_peer_hello(peer);
    pair_until(&h->pair, shm_peer_welcomed(peer));
}

void hostile_leave(struct hostile *h, struct shm_peer_hand *peer)
{
    shm_peer_close(peer);
    pair_until(&h->pair, h->victim.closed);
    pair_ops->ep_abort(h->victim.ep);
    h->victim.ep = NULL;
}

void hostile_is_refused(struct hostile *h)
{
    pair_until(&h->pair, h->victim.closed);
    assert_int_equal(h->victim.closed_err, -EPROTO);
    hostile_others_go_on(h);
}

struct hostile_usage hostile_usage(struct hostile *h)
{
    pair_settle(&h->pair);
    return (struct hostile_usage){pair_open_fds(), shm_peer_count_maps()};
}

void hostile_is_as_before(struct hostile *h, struct hostile_usage before)
{
    struct hostile_usage now = hostile_usage(h);
    const uint64_t end_ns = pair_now_ns() + PAIR_DEADLINE_NS;

    /* What should not have been passed is closed by another thread. */
    while (now.fds > before.fds && pair_now_ns() < end_ns)
        now = hostile_usage(h);
    assert_int_equal(now.fds, before.fds);
    assert_int_equal(now.maps, before.maps);
}
