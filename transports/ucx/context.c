/* SPDX-License-Identifier: Apache-2.0 */
/* Each domain has a context of its own, so that no two share a lock, and its settings are UCX's own environment variables: what
 * a user has set stays, but for the choice of transports, which is the name's. Owner: the domain's thread. */
#include "config.h"

#include "transports/ucx/context.h"

#include <errno.h>
#include <glob.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucs/debug/log_def.h>

/* -- what UCX logs -- */

static __thread const struct ros2_host *log_host;

const struct ros2_host *ucx_context_log_to(const struct ros2_host *host)
{
    const struct ros2_host *was = log_host;

    log_host = host;
    return was;
}

/* UCX prints to the application's standard output. What it says of our calls is for our log; anything else is not ours. */
static ucs_log_func_rc_t log_line(const char *file, unsigned line, const char *function,
                                  ucs_log_level_t level,
                                  const ucs_log_component_config_t *component, const char *format,
                                  va_list ap)
{
    char text[512];

    (void)file;
    (void)line;
    (void)function;
    (void)component;
    if (!log_host)
        return UCS_LOG_FUNC_RC_CONTINUE;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    vsnprintf(text, sizeof text, format, ap);
#pragma GCC diagnostic pop
    log_host->log(level <= UCS_LOG_LEVEL_ERROR ? ROS2_LOG_INFO : ROS2_LOG_DEBUG, "transport/ucx",
                  "UCX: %s", text);
    return UCS_LOG_FUNC_RC_STOP;
}

static void take_log(void)
{
    ucs_log_push_handler(log_line);
}

/* -- settings -- */

struct setting {
    const char *name; /* UCX_... */
    const char *value;
    const char *
        inner; /* as UCX 1.13 calls it where the setting belongs to one of its transports; or NULL */
    bool rdma; /* only for devices */
};

static const struct setting settings[] = {
    /* A cached registration would leave its key behind. */
    {"IB_REG_METHODS", "direct", "REG_METHODS", true},
    {"RCACHE_ENABLE", "n", NULL, false},
    /* A peer that is gone is noticed within seconds; see also oob.c and heartbeat.c. */
    {"KEEPALIVE_INTERVAL", "2s", NULL, true},
    {"TCP_KEEPIDLE", "5s", "KEEPIDLE", false},
    {"TCP_KEEPINTVL", "2s", "KEEPINTVL", false},
    {"TCP_KEEPCNT", "3", "KEEPCNT", false},
    /* The device that has the address, or the way to the peer; no others that happen to be there. */
    {"CM_USE_ALL_DEVICES", "n", NULL, true},
    /* A port is free as soon as its listener is gone. */
    {"CM_REUSEADDR", "y", "REUSEADDR", true},
};

static bool is_set(const char *name)
{
    char variable[64];

    snprintf(variable, sizeof variable, "UCX_%s", name);
    return getenv(variable) != NULL;
}

static int set(const struct ros2_domain *domain, ucp_config_t *config,
               const struct setting *setting)
{
    unsigned major, minor, release;
    ucs_status_t status = UCS_OK;

    /* Later versions take the name of the variable here too; this one warns of it. */
    ucp_get_version(&major, &minor, &release);
    if (!setting->inner || major > 1 || minor > 13)
        status = ucp_config_modify(config, setting->name, setting->value);
    if (status == UCS_OK && setting->inner)
        status = ucp_config_modify(config, setting->inner, setting->value);
    return status == UCS_OK ? 0 : ucx_domain_complain(domain, setting->name, status);
}

/* What the promises of this transport rest on, whatever a user sets. */
static const struct setting fixed[] = {
    /* See ucx_domain_parse(). */
    {"TCP_AF_PRIO", "inet", "AF_PRIO", false},
    /* Messages of one endpoint keep their order on one connection only, as this version's protocols send them. */
    {"MAX_EAGER_RAILS", "1", NULL, false},
    {"PROTO_ENABLE", "n", NULL, false},
    /* Connections of devices are the kernel's; UCX's own way over tcp is not to be had, see oob.c. */
    {"SOCKADDR_TLS_PRIORITY", "rdmacm", NULL, true},
};

/* When an endpoint is closed while UCX sends from memory in place, or puts, assertions of this version end the process
 * (uct_iface.h:884, tcp_ep.c:939). So it copies. */
static const struct setting over_tcp[] = {
    {"TCP_PUT_ENABLE", "n", "PUT_ENABLE", false},
    {"ZCOPY_THRESH", "inf", NULL, false},
    /* To a host that does not answer a call would wait for the kernel to give up. */
    {"TCP_CONN_NB", "y", "CONN_NB", false},
    /* UCX pairs endpoints of two workers in the order in which each made them, which need not be the same, and would end one when
     * the other's was closed. Nothing here needs its pairs; who is gone is known by oob.c and TCP's own keepalive. */
    {"RESOLVE_REMOTE_EP_ID", "n", NULL, false},
    {"KEEPALIVE_INTERVAL", "inf", NULL, false},
};

static bool has_mlx5(void)
{
    glob_t found;
    const bool has = glob("/sys/class/infiniband/mlx5_*", GLOB_NOSORT, NULL, &found) == 0;

    if (has)
        globfree(&found);
    return has;
}

static int configure(const struct ros2_domain *domain, ucp_config_t *config)
{
    /* Not by the names that bring ud along: that would be the connection that UCX watches, with a timeout of minutes. */
    const bool mlx5 = domain->variant->rdma && has_mlx5();
    const struct setting tls = {.name = "TLS",
                                .value = mlx5 ? "rc_mlx5,rc_verbs" : domain->variant->tls};
    const struct setting devices = {.name = "NET_DEVICES", .value = domain->interface};
    int rc = set(domain, config, &tls);

    for (size_t i = 0; rc == 0 && i < sizeof fixed / sizeof fixed[0]; i++)
        if (!fixed[i].rdma || domain->variant->rdma)
            rc = set(domain, config, &fixed[i]);
    if (rc == 0 && domain->interface[0] && !is_set(devices.name))
        rc = set(domain, config, &devices);
    for (size_t i = 0;
         rc == 0 && !domain->variant->rdma && i < sizeof over_tcp / sizeof over_tcp[0]; i++)
        rc = set(domain, config, &over_tcp[i]);
    for (size_t i = 0; rc == 0 && i < sizeof settings / sizeof settings[0]; i++) {
        if (!is_set(settings[i].name) && (!settings[i].rdma || domain->variant->rdma))
            rc = set(domain, config, &settings[i]);
    }
    return rc;
}

/* -- open and close -- */

static int open_context(struct ros2_domain *domain, const ucp_config_t *config)
{
    const ucp_params_t params = {
        .field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME,
        .features =
            UCP_FEATURE_AM | UCP_FEATURE_WAKEUP | (domain->variant->rdma ? UCP_FEATURE_RMA : 0),
        .name = "libros2",
    };
    ucs_status_t status = ucp_init(&params, config, &domain->context);

    if (status == UCS_OK)
        return 0;
    domain->context = NULL;
    if (status == UCS_ERR_NO_DEVICE)
        return domain->host->fail(ENODEV,
                                  "%s: UCX has no device for \"%s\" here; ucx_info -d lists what "
                                  "it has",
                                  domain->name, domain->variant->tls);
    return ucx_domain_complain(domain, "ucp_init", status);
}

static int open_worker(struct ros2_domain *domain)
{
    const ucp_worker_params_t params = {.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE,
                                        .thread_mode = UCS_THREAD_MODE_SERIALIZED};
    ucs_status_t status = ucp_worker_create(domain->context, &params, &domain->worker);

    if (status == UCS_OK)
        return 0;
    domain->worker = NULL;
    return ucx_domain_complain(domain, "ucp_worker_create", status);
}

int ucx_context_open(struct ros2_domain *domain)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ucp_config_t *config;

    pthread_once(&once, take_log);
    const struct ros2_host *was = ucx_context_log_to(domain->host);
    ucs_status_t status = ucp_config_read(NULL, NULL, &config);
    int rc = status == UCS_OK ? configure(domain, config)
                              : ucx_domain_complain(domain, "ucp_config_read", status);
    if (rc == 0)
        rc = open_context(domain, config);
    if (status == UCS_OK)
        ucp_config_release(config);
    if (rc == 0)
        rc = open_worker(domain);
    ucx_context_log_to(was);
    return rc;
}

void ucx_context_close(struct ros2_domain *domain)
{
    if (domain->worker)
        ucp_worker_destroy(domain->worker);
    if (domain->context)
        ucp_cleanup(domain->context);
    domain->worker = NULL;
    domain->context = NULL;
}
