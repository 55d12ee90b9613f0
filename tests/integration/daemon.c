/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and ending a ros2d. Its stdout is a pipe that is read until "ready"; its log is dir/log. */
#include "config.h"

#include "tests/integration/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_MS 60000

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int complain(const char *what)
{
    fprintf(stderr, "daemon: %s: %s\n", what, strerror(errno));
    return -1;
}

int daemon_prepare(struct daemon *d)
{
    memset(d, 0, sizeof *d);
    d->out = -1;
    const char *tmp = getenv("TMPDIR");
    int len = snprintf(d->dir, sizeof d->dir, "%s/ros2-test-XXXXXX",
                       tmp && strlen(tmp) < 32 ? tmp : "/tmp");
    if (len < 0 || !mkdtemp(d->dir))
        return complain(d->dir);
    snprintf(d->store, sizeof d->store, "%s/store", d->dir);
    return mkdir(d->store, 0755) < 0 ? complain(d->store) : 0;
}

int daemon_write_file(const struct daemon *d, const char *name, mode_t mode, const char *text)
{
    char path[256];
    ssize_t len = (ssize_t)strlen(text);

    snprintf(path, sizeof path, "%s/%s", d->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return complain(path);
    int rc = write(fd, text, (size_t)len) == len && fchmod(fd, mode) == 0 ? 0 : complain(path);
    close(fd);
    return rc;
}

/* --- start ----------------------------------------------------------------------------------------------- */

static void run_child(const struct daemon *d, const char *ros2d, const char *option,
                      const char *value, int out)
{
    char path[128];
    sigset_t none;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no daemon behind */
    snprintf(path, sizeof path, "%s/log", d->dir);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(out, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execl(ros2d, ros2d, option, value, (char *)NULL);
    _exit(127);
}

/* The value of `export NAME=value`, with or without quotes. */
static void take_value(const char *line, const char *name, char *value, size_t len)
{
    char prefix[64];
    int n = snprintf(prefix, sizeof prefix, "export %s=", name);

    if (strncmp(line, prefix, (size_t)n) != 0)
        return;
    line += n;
    size_t quote = *line == '\'' || *line == '"';
    snprintf(value, len, "%.*s", (int)(strlen(line + quote) - quote), line + quote);
}

static void take_line(struct daemon *d, const char *line)
{
    take_value(line, "ROS2_URL", d->url, sizeof d->url);
    take_value(line, "ROS2_TOKEN_FILE", d->token_file, sizeof d->token_file);
    take_value(line, "ROS2_CA_FILE", d->ca_file, sizeof d->ca_file);
}

/* Reads lines until "ready". */
static int wait_ready(struct daemon *d)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    char buf[4096];
    size_t have = 0;

    for (;;) {
        struct pollfd fd = {.fd = d->out, .events = POLLIN};
        char *newline = memchr(buf, '\n', have);

        if (newline) {
            *newline = '\0';
            if (strncmp(buf, "ready", 5) == 0) {
                if (buf[5] == ' ') /* with a config file: the address */
                    snprintf(d->url, sizeof d->url, "ros2://%.100s", buf + 6);
                return 0;
            }
            take_line(d, buf);
            have -= (size_t)(newline + 1 - buf);
            memmove(buf, newline + 1, have);
            continue;
        }
        if (have == sizeof buf || now_ms() >= deadline ||
            poll(&fd, 1, (int)(deadline - now_ms())) <= 0)
            return -1;
        ssize_t n = read(d->out, buf + have, sizeof buf - have);
        if (n <= 0)
            return -1;
        have += (size_t)n;
    }
}

static int read_token(struct daemon *d)
{
    FILE *stream = d->token_file[0] ? fopen(d->token_file, "r") : NULL;

    if (!d->token_file[0])
        return 0;
    if (!stream || !fgets(d->token, sizeof d->token, stream)) {
        if (stream)
            fclose(stream);
        return complain(d->token_file);
    }
    fclose(stream);
    d->token[strcspn(d->token, "\n")] = '\0';
    return 0;
}

static int start(struct daemon *d, const char *option, const char *value)
{
    const char *ros2d = getenv("ROS2D");
    int pipe_fd[2];

    if (!ros2d || pipe2(pipe_fd, O_CLOEXEC) < 0)
        return complain(ros2d ? "pipe" : "ROS2D is not set");
    d->asked = 0;
    d->pid = fork();
    if (d->pid == 0)
        run_child(d, ros2d, option, value, pipe_fd[1]);
    close(pipe_fd[1]);
    d->out = pipe_fd[0];
    if (d->pid < 0)
        return complain("fork");
    if (wait_ready(d) < 0) {
        fprintf(stderr, "daemon: %s %s %s was not ready in time\n", ros2d, option, value);
        daemon_print_log(d);
        daemon_kill(d);
        return -1;
    }
    const char *colon = strrchr(d->url, ':');
    d->port = colon ? (uint16_t)atoi(colon + 1) : 0;
    return read_token(d);
}

int daemon_start(struct daemon *d)
{
    return start(d, "--ephemeral", d->store);
}

int daemon_start_config(struct daemon *d)
{
    char path[96];

    snprintf(path, sizeof path, "%s/ros2d.yaml", d->dir);
    return start(d, "--config", path);
}

/* --- end ------------------------------------------------------------------------------------------------- */

static int wait_end(struct daemon *d)
{
    int64_t deadline = now_ms() + DEADLINE_MS;
    int status = -1;
    pid_t pid = 0;

    while ((pid = waitpid(d->pid, &status, WNOHANG)) == 0 && now_ms() < deadline)
        poll(NULL, 0, 5);
    if (pid == 0) {
        fprintf(stderr, "daemon: does not end\n");
        daemon_print_log(d);
        kill(d->pid, SIGKILL);
        waitpid(d->pid, &status, 0);
        status = -1;
    }
    d->pid = 0;
    close(d->out);
    d->out = -1;
    return status;
}

int daemon_ask_to_stop(struct daemon *d)
{
    d->asked = 1;
    return kill(d->pid, SIGTERM) < 0 ? complain("kill") : 0;
}

int daemon_stop(struct daemon *d)
{
    if (d->pid <= 0)
        return -1;
    if (!d->asked)
        daemon_ask_to_stop(d);
    int status = wait_end(d);
    if (status != -1 && WIFEXITED(status)) {
        if (WEXITSTATUS(status) != 0)
            daemon_print_log(d);
        return WEXITSTATUS(status);
    }
    daemon_print_log(d);
    return -1;
}

void daemon_kill(struct daemon *d)
{
    if (d->pid <= 0)
        return;
    kill(d->pid, SIGKILL);
    wait_end(d);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void daemon_free(struct daemon *d)
{
    daemon_kill(d);
    if (d->dir[0])
        nftw(d->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void daemon_export(const struct daemon *d)
{
    setenv("ROS2_URL", d->url, 1);
    if (d->token_file[0])
        setenv("ROS2_TOKEN_FILE", d->token_file, 1);
    if (d->ca_file[0])
        setenv("ROS2_CA_FILE", d->ca_file, 1);
}

void daemon_print_log(const struct daemon *d)
{
    char path[128], line[1024];

    snprintf(path, sizeof path, "%s/log", d->dir);
    FILE *stream = fopen(path, "r");
    while (stream && fgets(line, sizeof line, stream))
        fprintf(stderr, "# ros2d: %s", line);
    if (stream)
        fclose(stream);
}
