/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that take effect once, deadlines, and what becomes of calls when ros2d ends or is started anew. Operations are held
 * in the engine by layer fault while a file exists. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/control/call.h"
#include "ros2/v1/namespace.pb-c.h"
#include "tests/integration/control_world.h"

static struct daemon ros2d;

static void configure(void)
{
    char control[1024], engine[1024];

    snprintf(control, sizeof control, "  cert_file: %s\n  key_file: %s\n",
             world_path(&ros2d, "tls/server.pem"), world_path(&ros2d, "tls/server.key"));
    /* Each rule holds its calls while the file is there; stat is counted as let through. */
    snprintf(engine, sizeof engine,
             "  layers: fault\n  layer_config: \"mkdir:path=held:while=%s\"\n",
             world_path(&ros2d, "hold"));
    world_write_config(&ros2d, control, engine, 1);
}

static int start(void **state)
{
    (void)state;
    if (daemon_prepare(&ros2d) < 0)
        return -1;
    configure();
    world_start_config(&ros2d, 1);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    int status = ros2d.pid ? daemon_stop(&ros2d) : 0;
    daemon_free(&ros2d);
    return status;
}

static void hold(void)
{
    assert_int_equal(daemon_write_file(&ros2d, "hold", 0644, ""), 0);
}

static void release(void)
{
    unlink(world_path(&ros2d, "hold"));
}

static int exists(const char *name)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "store/%s", name);
    return lstat(world_path(&ros2d, path), &st) == 0;
}

/* --- request ids ----------------------------------------------------------------------------------------- */

static uint8_t nonce[ROS2I_NONCE_LEN] = "a process nonce";

static Ros2__V1__RequestId *id_of(uint64_t sequence, Ros2__V1__RequestId *id)
{
    ros2__v1__request_id__init(id);
    id->process_nonce = (ProtobufCBinaryData){.len = sizeof nonce, .data = nonce};
    id->sequence = sequence;
    return id;
}

static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

static unsigned call_flags; /* of enum ros2i_call_flag, changed while no call runs */

static int run(struct ros2i_control *control, const char *method, const ProtobufCMessage *request,
               const ProtobufCMessageDescriptor *reply_type)
{
    struct ros2i_call call = {.method = method,
                              .flags = call_flags,
                              .request = request,
                              .reply_type = reply_type,
                              .deadline_ns = world_deadline()};
    int rc = ros2i_call_run(control, &call);

    if (rc == 0)
        ros2i_call_free(&call);
    return rc;
}

static int mkdir_with_id(struct ros2i_control *control, const char *path, uint64_t sequence)
{
    Ros2__V1__MkdirRequest request;
    Ros2__V1__RequestId id;

    ros2__v1__mkdir_request__init(&request);
    request.path = bytes_of(path);
    request.mode = 0755;
    request.request_id = id_of(sequence, &id);
    return run(control, "/ros2.v1.Namespace/Mkdir", &request.base,
               &ros2__v1__mkdir_response__descriptor);
}

static int rename_with_id(struct ros2i_control *control, const char *from, const char *to,
                          uint64_t sequence)
{
    Ros2__V1__RenameRequest request;
    Ros2__V1__RequestId id;

    ros2__v1__rename_request__init(&request);
    request.from = bytes_of(from);
    request.to = bytes_of(to);
    request.request_id = id_of(sequence, &id);
    return run(control, "/ros2.v1.Namespace/Rename", &request.base,
               &ros2__v1__rename_response__descriptor);
}

static int rmdir_with_id(struct ros2i_control *control, const char *path, uint64_t sequence)
{
    Ros2__V1__UnlinkRequest request;
    Ros2__V1__RequestId id;

    ros2__v1__unlink_request__init(&request);
    request.path = bytes_of(path);
    request.directory = 1;
    request.request_id = id_of(sequence, &id);
    return run(control, "/ros2.v1.Namespace/Unlink", &request.base,
               &ros2__v1__unlink_response__descriptor);
}

static void a_repeated_change_gets_the_first_answer(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);

    (void)state;
    world_assert_ok(mkdir_with_id(control, "/once", 1));
    world_assert_ok(mkdir_with_id(control, "/once", 1));
    world_assert_failed(mkdir_with_id(control, "/once", 2), EEXIST, "once");
    world_assert_failed(mkdir_with_id(control, "/once", 2), EEXIST, "once");
    world_assert_ok(rename_with_id(control, "/once", "/twice", 3));
    world_assert_ok(rename_with_id(control, "/once", "/twice", 3));
    world_assert_ok(rmdir_with_id(control, "/twice", 4));
    world_assert_ok(rmdir_with_id(control, "/twice", 4));
    world_assert_failed(rmdir_with_id(control, "/twice", 5), ENOENT, "twice");
    /* An error is an answer too: it stays although the call would now succeed. */
    world_assert_failed(mkdir_with_id(control, "/once", 2), EEXIST, "once");
    assert_false(exists("once"));
    world_assert_failed(rmdir_with_id(control, "/once", 1), EINVAL, "request id");
    ros2i_control_destroy(control);
}

static void request_ids_of_two_sessions_do_not_meet(void **state)
{
    struct ros2i_control *a = world_connect(&ros2d), *b = world_connect(&ros2d);

    (void)state;
    world_assert_ok(mkdir_with_id(a, "/apart", 10));
    world_assert_failed(mkdir_with_id(b, "/apart", 10), EEXIST, "apart");
    world_assert_ok(rmdir_with_id(a, "/apart", 11));
    ros2i_control_destroy(b);
    ros2i_control_destroy(a);
}

struct caller {
    pthread_t thread;
    struct ros2i_control *control;
    const char *path;
    uint64_t sequence;
    int rc;
    char text[256];
    _Atomic bool done;
};

static void *call_mkdir(void *arg)
{
    struct caller *caller = arg;

    caller->rc = mkdir_with_id(caller->control, caller->path, caller->sequence);
    snprintf(caller->text, sizeof caller->text, "%.255s", ros2i_error());
    atomic_store(&caller->done, true);
    return NULL;
}

static void begin(struct caller *caller, struct ros2i_control *control, const char *path,
                  uint64_t sequence)
{
    *caller = (struct caller){.control = control, .path = path, .sequence = sequence};
    assert_int_equal(pthread_create(&caller->thread, NULL, call_mkdir, caller), 0);
}

/* Both are sent while the first is held in the engine: one effect, two good answers. */
static void a_repeated_change_waits_for_the_first(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);
    struct caller caller[2];

    (void)state;
    call_flags = ROS2I_CALL_RETRY; /* no thread may be free to wait on */
    hold();
    begin(&caller[0], control, "/held-a", 20);
    begin(&caller[1], control, "/held-a", 20);
    poll(NULL, 0, 50); /* likely that both have arrived; the answers must not depend on it */
    assert_false(exists("held-a"));
    assert_false(atomic_load(&caller[0].done) || atomic_load(&caller[1].done));
    release();
    for (int i = 0; i < 2; i++) {
        pthread_join(caller[i].thread, NULL);
        assert_int_equal(caller[i].rc, 0);
    }
    call_flags = 0;
    assert_true(exists("held-a"));
    ros2i_control_destroy(control);
}

/* As many as there are control threads: were all to wait for the first, nobody else would be served. */
static void repeated_changes_leave_a_thread_for_others(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d), *other = world_connect(&ros2d);
    struct caller caller[6];
    struct ros2_attr attr;

    (void)state;
    call_flags = ROS2I_CALL_RETRY;
    hold();
    for (int i = 0; i < 6; i++)
        begin(&caller[i], control, "/held-d", 25);
    poll(NULL, 0, 50); /* likely that all have arrived; the answers must not depend on it */
    world_assert_ok(ros2i_control_stat(other, "/", false, world_deadline_ms(20000), &attr));
    release();
    for (int i = 0; i < 6; i++) {
        pthread_join(caller[i].thread, NULL);
        assert_int_equal(caller[i].rc, 0);
    }
    call_flags = 0;
    assert_true(exists("held-d"));
    ros2i_control_destroy(other);
    ros2i_control_destroy(control);
}

/* --- deadlines ------------------------------------------------------------------------------------------- */

static void a_held_call_ends_with_its_deadline(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);

    (void)state;
    hold();
    uint64_t start_ns = ros2i_now_ns();
    world_assert_failed(ros2i_control_mkdir(control, "/held-b", 0755, world_deadline_ms(100)),
                        ETIMEDOUT, "no answer within");
    assert_non_null(strstr(ros2i_error(), ROS2I_IN_DOUBT));
    assert_true(ros2i_now_ns() - start_ns < 20 * ROS2I_NS_PER_S);
    world_assert_failed(ros2i_control_mkdir(control, "/held-b", 0755, ros2i_now_ns()), ETIMEDOUT,
                        "deadline");
    assert_null(strstr(ros2i_error(), ROS2I_IN_DOUBT));
    release();
    world_assert_ok(ros2i_control_mkdir(control, "/there", 0755, world_deadline()));
    world_assert_failed(ros2i_control_mkdir(control, "/there", 0755, world_deadline()), EEXIST,
                        "there");
    assert_null(strstr(ros2i_error(), ROS2I_IN_DOUBT));
    world_assert_ok(ros2i_control_health(control, world_deadline()));
    ros2i_control_destroy(control);
}

/* --- the daemon goes --------------------------------------------------------------------------------------- */

static void calls_in_flight_end_well_when_ros2d_stops(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);
    struct caller caller;

    (void)state;
    hold();
    begin(&caller, control, "/held-c", 30);
    poll(NULL, 0, 50);
    assert_int_equal(daemon_ask_to_stop(&ros2d), 0);
    poll(NULL, 0, 50);
    assert_int_equal(kill(ros2d.pid, SIGUSR1), 0); /* asks for figures, at whatever time */
    release();
    pthread_join(caller.thread, NULL);
    /* It was there before the end, so it is answered; if the signal was faster it was refused. Both leave no doubt. */
    if (caller.rc == 0)
        assert_true(exists("held-c"));
    else
        assert_true(caller.rc == -ECONNREFUSED || caller.rc == -ECONNRESET);
    assert_int_equal(daemon_stop(&ros2d), 0);
    uint64_t start_ns = ros2i_now_ns();
    world_assert_failed(ros2i_control_health(control, world_deadline()), ECONNREFUSED,
                        "nothing listens");
    struct ros2_attr attr;
    int rc = ros2i_control_stat(control, "/", false, world_deadline_ms(300),
                                &attr); /* retried to the end */
    assert_true(rc == -ECONNREFUSED || rc == -ETIMEDOUT);
    assert_true(ros2i_now_ns() - start_ns < 30 * ROS2I_NS_PER_S);
    ros2i_control_destroy(control);
}

/* Needs the case above: ros2d is down. */
static void a_new_ros2d_says_that_the_session_is_gone(void **state)
{
    (void)state;
    world_start_config(&ros2d, 1);
    struct ros2i_control *control = world_connect(&ros2d);
    uint64_t handle = (uint64_t)1 << 32;
    struct ros2_attr attr;

    world_assert_ok(ros2i_control_stat(control, "/", false, world_deadline(), &attr));
    world_assert_ok(ros2i_control_close_session(control, world_deadline()));
    world_assert_failed(ros2i_control_fstat(control, handle, world_deadline(), &attr), ENOKEY,
                        "connect again");
    ros2i_control_destroy(control);
}

/* --- a change that nobody can tell about ------------------------------------------------------------------- */

static void *change(void *arg)
{
    struct caller *caller = arg;

    caller->rc = ros2i_control_mkdir(caller->control, caller->path, 0755, world_deadline_ms(3000));
    snprintf(caller->text, sizeof caller->text, "%.255s", ros2i_error());
    return NULL;
}

/* Whether a connection to the control port holds a request that ros2d has not read: more than gRPC's own frames. */
static int has_unread_request(void *arg)
{
    FILE *file = fopen("/proc/net/tcp6", "re"); /* gRPC's sockets are of both kinds */
    char line[512];
    unsigned port, state, unread;
    int found = 0;

    (void)arg;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, " %*d: %*32[0-9A-F]:%4x %*32[0-9A-F]:%*4x %2x %*8x:%8x", &port, &state,
                   &unread) == 3)
            found |= port == ros2d.port && state == 1 && unread > 200;
    }
    fclose(file);
    return found;
}

static void a_change_that_died_with_ros2d_is_in_doubt(void **state)
{
    struct ros2i_control *control = world_connect(&ros2d);
    char path[256] = "/";
    struct caller caller = {.control = control, .path = path};

    (void)state;
    memset(path + 1, 'x', 250);
    kill(ros2d.pid, SIGSTOP);
    waitpid(ros2d.pid, NULL, WUNTRACED);
    assert_int_equal(pthread_create(&caller.thread, NULL, change, &caller), 0);
    world_wait(has_unread_request, NULL);
    daemon_kill(&ros2d);
    pthread_join(caller.thread, NULL);
    assert_true(caller.rc < 0);
    assert_non_null(strstr(caller.text, ROS2I_IN_DOUBT));
    ros2i_control_destroy(control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeated_change_gets_the_first_answer),
        cmocka_unit_test(request_ids_of_two_sessions_do_not_meet),
        cmocka_unit_test(a_repeated_change_waits_for_the_first),
        cmocka_unit_test(repeated_changes_leave_a_thread_for_others),
        cmocka_unit_test(a_held_call_ends_with_its_deadline),
        cmocka_unit_test(calls_in_flight_end_well_when_ros2d_stops),
        cmocka_unit_test(a_new_ros2d_says_that_the_session_is_gone),
        cmocka_unit_test(a_change_that_died_with_ros2d_is_in_doubt),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
