/* SPDX-License-Identifier: Apache-2.0 */
/** The transport interface: messages plus one-sided put/get between two processes.
 *
 * A transport knows no files, sessions or tenants. A plugin exports one symbol, ros2_transport_plugin.
 *
 * Threads: a domain and all that was made from it belong to one thread (its owner, unless it is lent), which makes every call
 * and gets every callback. Callbacks run only from progress(), ep_abort(), ep_close() and domain_close(), never from another
 * call. No call blocks. Two domains never share state that needs a lock.
 *
 * Order: what one endpoint sends arrives in the order in which it was queued. The message of a put becomes visible to
 * the peer's handler only after all its data has landed. send, put and get may hold frames back until flush() or the
 * owner's next progress() or arm(), so that many replies leave with one doorbell.
 *
 * Trust: the peer is hostile, but where the flag EXPOSES says that it must not be. A put or get from it is executed only when
 * it lies inside a region that this side registered with that right; anything else closes the endpoint and reports -EPROTO. */
#ifndef ROS2_TRANSPORT_H
#define ROS2_TRANSPORT_H

#include <sys/uio.h>

#include "ros2/plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ROS2_TRANSPORT_ABI          1
#define ROS2_TRANSPORT_SYMBOL       "ros2_transport_plugin"
#define ROS2_TRANSPORT_KEY_MAX      256 /* bytes of a packed region key */
#define ROS2_TRANSPORT_SEGMENTS_MAX 64
#define ROS2_SHARED_MEMORY_ALIGN \
    4096u /* of replace(); the page size that shared memory is handled in */

enum ros2_transport_flag {
    ROS2_TRANSPORT_POLL_ONLY = 1 << 0, /* domain_fd gives -ENOTSUP: the owner must poll */
    ROS2_TRANSPORT_TOKENS =
        1 << 1, /* a region is named by a 64-bit token that this plugin checks at the target;
                                          registering is cheap enough to do for each operation, without key exchange */
    ROS2_TRANSPORT_MAP_PEER = 1 << 2, /* the peer's regions can be mapped (region_map) */
    ROS2_TRANSPORT_REVOKES =
        1
        << 3, /* region_deregister ends remote access at once, also in the middle of a put. Without it a transfer of
                   the peer that has begun may still touch the memory: before it is used for anything else, the peer has
                   said that it is done, or the endpoints of its peers are aborted. */
    ROS2_TRANSPORT_LOCAL_REGIONS =
        1
        << 4, /* put and get are fast from and to memory that is in one region of this domain (no rights are needed: 0);
                   other memory is registered for each transfer */
    ROS2_TRANSPORT_EXPOSES =
        1
        << 5, /* whoever can reach this process's ports, or is connected to, can read and write all of its memory: only
                   where everybody there is trusted */
};

enum ros2_memory_kind { ROS2_MEMORY_HOST = 0, ROS2_MEMORY_CUDA = 1 };

enum ros2_region_right {
    ROS2_REGION_REMOTE_READ = 1 << 0,  /* the peer may get */
    ROS2_REGION_REMOTE_WRITE = 1 << 1, /* the peer may put */
};

struct ros2_domain;
struct ros2_listener;
struct ros2_ep;
struct ros2_region;
struct ros2_rkey;

/** An asynchronous transfer. Embedded in the caller's own struct; zero it but for done before first use.
 * done runs exactly once after the call that took the op returned 0; status 0, or -ECANCELED (abort, close),
 * -ECONNRESET, -EPIPE (peer gone), -EACCES or -ERANGE (get refused by the peer), -EPROTO. */
struct ros2_op {
    void (*done)(struct ros2_op *op, int status);
    uint64_t plugin[20]; /* the transport's own while the op is in flight */
};

/** A piece of a region of the peer. rkey (from rkey_import), or NULL and token where the transport has TOKENS. */
struct ros2_remote {
    struct ros2_rkey *rkey;
    uint64_t token;
    uint64_t offset; /* from the region's start */
    uint64_t len;
};

/** What an endpoint tells its user. arg: as given to connect or ep_set_handler. Any of them may call ep_abort or
 * ep_close on its own endpoint; the memory of an endpoint lives until progress() has returned. */
struct ros2_ep_handler {
    /* connect() succeeded. Not called on accepted endpoints. */
    void (*connected)(void *arg, struct ros2_ep *ep);
    /* A whole message. msg is borrowed until return. */
    void (*message)(void *arg, struct ros2_ep *ep, const void *msg, size_t len);
    /* The endpoint is dead: every op of it has been completed before. err: -ECONNREFUSED, -ECONNRESET, -EPIPE
     * (orderly end by the peer), -ETIMEDOUT, -EPROTO (peer broke the protocol), ... Called at most once, never after
     * ep_close or ep_abort. The user must still call ep_close or ep_abort to free it. */
    void (*closed)(void *arg, struct ros2_ep *ep, int err);
};

/** A stretch of this process's memory, as the file behind it. */
struct ros2_shared_range {
    uint64_t serial; /* of the file; never used again in this process */
    int fd; /* a memfd that is sealed against shrinking and growing; borrowed while the memory is in use */
    uint64_t offset;   /* in the file, of the address that was asked for */
    uint64_t file_len; /* bytes */
};

/** Which memory of this process a peer on the same machine can map, for transports with MAP_PEER. Called by the domain's
 * owner. find() takes no lock and makes no system call as long as no shared memory is allocated or freed. */
struct ros2_shared_memory {
    size_t size; /* sizeof(struct ros2_shared_memory) */
    void *arg;
    /* The file behind [addr, addr + len). -ENOENT: it is not wholly in one shared file. */
    int (*find)(void *arg, const void *addr, size_t len, struct ros2_shared_range *range_p);
    /* 1: memory of that file is still in use, 0: it was freed, and no find() will name it again. */
    int (*is_live)(void *arg, uint64_t serial);
    /* Puts another file's pages, with equal content, under every page that [addr, addr + len) touches: whoever has mapped
     * the old file reaches this process no more. 0 or -ENOMEM: nothing has changed. */
    int (*replace)(void *arg, void *addr, size_t len);
};

/** A piece of a peer's memory that is mapped here. Embedded in the caller's own struct. */
struct ros2_mapping {
    uint64_t plugin[4];
};

struct ros2_domain_options {
    size_t size;
    const struct ros2_host *host; /* borrowed for the domain's life */
    uint32_t max_message; /* bytes; a longer message from a peer closes its endpoint. 0: 64 KiB */
    uint32_t send_queue;  /* bytes one endpoint may hold for unsent copied messages. 0: 256 KiB */
    /* Which device, where a transport has several: the one with the address `local` (as listen() takes it) or on the way to
     * `peer` (as connect() does). Borrowed for the call; NULL: any. */
    const char *local, *peer;
    const struct ros2_shared_memory
        *memory; /* borrowed for the domain's life; NULL: no memory is shared */
};

typedef void ros2_accept_fn(void *arg, struct ros2_listener *listener, struct ros2_ep *ep);

struct ros2_transport_ops {
    uint32_t abi;   /* ROS2_TRANSPORT_ABI */
    uint32_t flags; /* enum ros2_transport_flag */
    size_t
        size; /* sizeof(struct ros2_transport_ops) as the plugin was built; entries past it are absent */
    const char *name; /* "tcp", "ofi+tcp" */

    /* -- domain. 0 or -ENOMEM, -EMFILE, -EINVAL. -- */
    int (*domain_open)(const struct ros2_domain_options *options, struct ros2_domain **domain_p);
    /* Aborts every endpoint and listener left, frees all. Regions must have been deregistered. May be called by another
     * thread than the owner once the owner makes no more calls (ordered by the caller), and in a forked child, where it
     * only closes descriptors and frees: the parent's connections are not touched. */
    void (*domain_close)(struct ros2_domain *domain);
    /* A descriptor that polls readable when progress() has work, once arm() returned 0. Or -ENOTSUP. */
    int (*domain_fd)(struct ros2_domain *domain);
    /* Flushes. 0: the owner may sleep on domain_fd; -EAGAIN: there is work, call progress(). */
    int (*domain_arm)(struct ros2_domain *domain);
    /* Flushes, receives, runs callbacks. Returns the number of events handled, 0 when idle. Bounded work per call. */
    int (*progress)(struct ros2_domain *domain);

    /* -- endpoints -- */
    /* address: "HOST:PORT" or "[V6]:PORT", numeric; port 0 picks one. Of a transport on one machine: the path of a socket
     * that is made (and unlinked by listener_close); one that nobody listens on any more is replaced. on_accept gives each new endpoint, which has no
     * handler yet: set it before returning, or close it. Errors: -EINVAL, -EADDRINUSE, -EACCES, -ENOMEM, -EAFNOSUPPORT (also of
     * connect(): the transport has no IPv6). */
    int (*listen)(struct ros2_domain *domain, const char *address, ros2_accept_fn *on_accept,
                  void *arg, struct ros2_listener **listener_p);
    /* The bound address as text, NUL-terminated. -ENOSPC when buf is too small. */
    int (*listener_address)(struct ros2_listener *listener, char *buf, size_t len);
    /* Stop (1) or resume (0) accepting, for a daemon at its limit of connections. */
    void (*listener_pause)(struct ros2_listener *listener, int paused);
    void (*listener_close)(struct ros2_listener *listener);
    /* Begins to connect; then exactly one of connected and closed. send is allowed after connected. */
    int (*connect)(struct ros2_domain *domain, const char *address,
                   const struct ros2_ep_handler *handler, void *arg, struct ros2_ep **ep_p);
    void (*ep_set_handler)(struct ros2_ep *ep, const struct ros2_ep_handler *handler, void *arg);
    /* The peer's address as text, for messages. */
    int (*ep_peer)(struct ros2_ep *ep, char *buf, size_t len);
    /* Sends what is queued as far as the peer takes it without blocking, then ends; ops complete (what could not be
     * sent: -ECANCELED). Frees ep. No callback of the handler afterwards. */
    void (*ep_close)(struct ros2_ep *ep);
    /* Ends at once: after return nothing reads or writes memory of any op or region for this endpoint; ops have
     * completed with -ECANCELED. Frees ep. */
    void (*ep_abort)(struct ros2_ep *ep);

    /* -- regions: own memory that peers of this domain may put to or get from -- */
    /* addr, len: borrowed until deregistered. rights: enum ros2_region_right. Errors: -EINVAL, -ENOMEM, -ENOTSUP
     * (kind; with MAP_PEER also memory that options.memory does not find), -EMFILE (too many regions). */
    int (*region_register)(struct ros2_domain *domain, void *addr, size_t len, unsigned rights,
                           enum ros2_memory_kind kind, struct ros2_region **region_p);
    /* Ends remote access and frees the region: 0, final. A put that is half received has its rest discarded.
     * -EBUSY: the peer is being sent bytes from it (the frame is half out), or has it mapped; abort that endpoint or
     * progress() until it is out, then call again. After ep_abort() of every endpoint whose peer may have it mapped it is
     * 0: a transport with MAP_PEER then has replaced the pages. */
    int (*region_deregister)(struct ros2_region *region);
    /* The key to hand to the peer over a trusted path. Returns its length, or -ENOSPC. */
    int (*region_pack)(struct ros2_region *region, void *buf, size_t len);
    /* Only with TOKENS: the region's 64-bit token; 0 is never one. */
    uint64_t (*region_token)(struct ros2_region *region);
    /* Key bytes of a peer's region, for use on ep. Bytes are untrusted: -EINVAL. Freed by rkey_release, at the latest
     * before ep is. */
    int (*rkey_import)(struct ros2_ep *ep, const void *key, size_t len, struct ros2_rkey **rkey_p);
    void (*rkey_release)(struct ros2_rkey *rkey);

    /* -- transfers. 0, or -EAGAIN (no room: progress() first), -EMSGSIZE, -EINVAL, -ENOTCONN. After an error done
     * never runs. -- */
    /* One message, gathered from iov. op NULL: the bytes are copied and free on return. op set: borrowed until done. */
    int (*send)(struct ros2_ep *ep, const struct iovec *iov, int iovcnt, struct ros2_op *op);
    /* Writes src (as one stream) over dst (as one stream; equal lengths), then delivers msg (msg_len may be 0: no
     * message). src, msg and op are borrowed until done; dst is copied. done: src is free, not: the peer has seen it.
     * A region or range that the peer does not have ends the endpoint at the peer's side. */
    int (*put)(struct ros2_ep *ep, const struct iovec *src, int srccnt,
               const struct ros2_remote *dst, int dstcnt, const void *msg, size_t msg_len,
               struct ros2_op *op);
    /* Reads src into dst (equal lengths). done with 0: dst holds the data. -EACCES, -ERANGE: the peer refused. */
    int (*get)(struct ros2_ep *ep, const struct iovec *dst, int dstcnt,
               const struct ros2_remote *src, int srccnt, struct ros2_op *op);
    /* Pushes out what is held back, as far as it goes without blocking. Runs no callback. */
    void (*flush)(struct ros2_ep *ep);
    /* How many endpoints that were closed still see to it that the peer gets what was sent last. Each ends by itself while
     * the owner makes progress; domain_close cuts it short. */
    unsigned (*domain_lingering)(struct ros2_domain *domain);

    /* -- only with MAP_PEER: the peer's memory, in reach of this process's own instructions and system calls -- */
    /* Maps one piece of the peer's region until region_unmap(), also when ep is closed or aborted before. right: what the
     * peer must have granted. While it is mapped, region_deregister() at the peer says -EBUSY. The peer may change the bytes
     * at any time, yet no access faults. Errors: -EACCES, -ERANGE (no such region, right or range: the peer broke the
     * protocol), -ENOMEM, -EMFILE (cannot be mapped). */
    int (*region_map)(struct ros2_ep *ep, unsigned right, const struct ros2_remote *remote,
                      void **addr_p, struct ros2_mapping *mapping);
    /* The domain's owner, before domain_close(). */
    void (*region_unmap)(struct ros2_domain *domain, struct ros2_mapping *mapping);

    /* -- handing a domain over for a while -- */
    /* Lent (1) until it is given back (0), another thread makes calls on the domain while the owner makes none; the caller sees
     * to the order. Either thread. */
    void (*domain_lend)(struct ros2_domain *domain, int lent);
    /* domain_fd polls readable, so that an owner who sleeps on it calls progress(). Of a lent domain, or by the owner. */
    void (*domain_wake)(struct ros2_domain *domain);

    /* -- only where one plugin is several transports; the members between name and here are NULL then -- */
    /* The transport "PLUGIN+NAME", a constant, or NULL: there is none of that name. Any thread. */
    const struct ros2_transport_ops *(*variant)(const char *name);

    /* -- optional: may be NULL -- */
    /* Whether this process can open domains, and connect to peer (as connect() takes it; NULL: to anybody) as far as can be
     * seen without a connection: 0, or with a text -ENODEV, -EACCES, -ENOMEM (too little may be locked), -EHOSTUNREACH, -ENOTSUP
     * (a forked child of one that had devices open). Opens no device and takes no lock. Any thread. */
    int (*available)(const struct ros2_host *host, const char *peer);
};

/** The plugin's entry point. Returns a constant, never NULL. */
typedef const struct ros2_transport_ops *ros2_transport_plugin_fn(void);

#ifdef __cplusplus
}
#endif
#endif
