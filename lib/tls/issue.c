/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are made here and leave only as files of mode 0600. Always holds: a file is either new and whole, or not there. */
#include "config.h"

#include "lib/tls/issue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/error.h"

#define DAYS_MAX      36500
#define SERIAL_BITS   128
#define CLOCK_SKEW_S  300
#define NAME_MAX_LEN  64 /* upper bound of a common name, RFC 5280 appendix A */
#define ALT_NAMES_MAX 8192

/* libcrypto's first reason, e.g. "no start line"; clears its queue. */
static int crypto_failed(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    int rc = ros2i_fail(EIO, "%s: libcrypto: %s", what, reason ? reason : "unknown error");

    ERR_clear_error();
    return rc;
}

static int file_name(const char *dir, const char *name, const char *suffix, char path[PATH_MAX])
{
    int len = snprintf(path, PATH_MAX, "%s/%s%s", dir, name, suffix);

    return len < PATH_MAX ? 0 : ros2i_fail(ENAMETOOLONG, "%s: the path is too long", dir);
}

/* -- files -- */

enum content { KEY, CERTIFICATE };

static int write_pem(FILE *stream, enum content content, void *object)
{
    return content == KEY ? PEM_write_PrivateKey(stream, object, NULL, NULL, 0, NULL, NULL)
                          : PEM_write_X509(stream, object);
}

static int write_file(const char *path, enum content content, void *object)
{
    mode_t mode = content == KEY ? 0600 : 0644;
    FILE *stream;
    int rc = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0 && errno == EEXIST)
        return ros2i_fail(
            EEXIST,
            "%s: is there already and is not overwritten; move it away or name another folder",
            path);
    if (fd < 0)
        return ros2i_fail(errno, "%s: %s", path, ros2i_strerror(errno));
    stream = fdopen(fd, "w");
    if (!stream) {
        rc = ros2i_fail(errno, "%s: %s", path, ros2i_strerror(errno));
        close(fd);
        goto remove;
    }
    if (fchmod(fd, mode) < 0) /* whatever umask says */
        rc = ros2i_fail(errno, "%s: chmod: %s", path, ros2i_strerror(errno));
    else if (write_pem(stream, content, object) != 1)
        rc = crypto_failed(path);
    if (fclose(stream) != 0 && rc == 0)
        rc = ros2i_fail(errno, "%s: write: %s", path, ros2i_strerror(errno));
    if (rc == 0)
        return 0;
remove:
    unlink(path);
    return rc;
}

/* Both or none. */
static int write_pair(const char *dir, const char *name, EVP_PKEY *key, X509 *certificate)
{
    char key_path[PATH_MAX], path[PATH_MAX];
    int rc = file_name(dir, name, ".key", key_path);

    if (rc == 0)
        rc = file_name(dir, name, ".pem", path);
    if (rc == 0)
        rc = write_file(key_path, KEY, key);
    if (rc < 0)
        return rc;
    rc = write_file(path, CERTIFICATE, certificate);
    if (rc < 0)
        unlink(key_path);
    return rc;
}

static int read_file(const char *dir, const char *suffix, enum content content, void **object_p)
{
    char path[PATH_MAX];
    FILE *stream;
    void *object;
    int rc = file_name(dir, "ca", suffix, path);

    if (rc < 0)
        return rc;
    stream = fopen(path, "re");
    if (!stream)
        return ros2i_fail(errno, "%s: %s", path, ros2i_strerror(errno));
    object = content == KEY ? (void *)PEM_read_PrivateKey(stream, NULL, NULL, NULL)
                            : (void *)PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    if (!object)
        return crypto_failed(path);
    *object_p = object;
    return 0;
}

/* -- certificates -- */

static int set_serial(X509 *certificate)
{
    BIGNUM *serial = BN_new();
    /* The top bit set: always of full length, and never 0. */
    int ok = serial && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
             BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate));

    BN_free(serial);
    return ok;
}

static int set_times(X509 *certificate, X509 *issuer, int days)
{
    const ASN1_TIME *end = X509_get0_notAfter(issuer);

    if (!X509_gmtime_adj(X509_getm_notBefore(certificate), -CLOCK_SKEW_S) ||
        !X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL))
        return 0;
    if (issuer != certificate && ASN1_TIME_compare(X509_get0_notAfter(certificate), end) > 0)
        return X509_set1_notAfter(certificate, end);
    return 1;
}

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    int ok;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ok = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

struct extension {
    int nid;
    const char *value;
};

/* issuer == NULL: signs itself. */
static int make_certificate(const char *common_name, EVP_PKEY *key, X509 *issuer,
                            EVP_PKEY *issuer_key, int days, const struct extension *extension,
                            X509 **certificate_p)
{
    X509 *certificate = X509_new(), *signer = issuer ? issuer : certificate;
    X509_NAME *subject;

    if (!certificate)
        return crypto_failed(common_name);
    subject = X509_get_subject_name(certificate);
    if (!X509_set_version(certificate, X509_VERSION_3) || !set_serial(certificate) ||
        !X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                    (const unsigned char *)common_name, -1, -1, 0) ||
        !X509_set_issuer_name(certificate, X509_get_subject_name(signer)) ||
        !set_times(certificate, signer, days) || !X509_set_pubkey(certificate, key))
        goto free_certificate;
    for (; extension->nid; extension++)
        if (!add_extension(certificate, signer, extension->nid, extension->value))
            goto free_certificate;
    if (!X509_sign(certificate, issuer_key, EVP_sha256()))
        goto free_certificate;
    *certificate_p = certificate;
    return 0;
free_certificate:
    X509_free(certificate);
    return crypto_failed(common_name);
}

static int make_key(EVP_PKEY **key_p)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    if (!key)
        return crypto_failed("EC key");
    *key_p = key;
    return 0;
}

/* -- arguments -- */

static int check(const char *name, int days)
{
    if (days < 1 || days > DAYS_MAX)
        return ros2i_fail(EINVAL, "%d days: give 1 to %d", days, DAYS_MAX);
    if (name[0] == '\0' || strlen(name) > NAME_MAX_LEN)
        return ros2i_fail(EINVAL, "certificate name \"%s\": give 1 to %d bytes", name,
                          NAME_MAX_LEN);
    return 0;
}

static int is_address(const char *host)
{
    unsigned char raw[16];

    return inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
}

/* The value goes through libcrypto's configuration parser: nothing that means something to it may be in a name. */
static int check_host(const char *host)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*";
    size_t len = strlen(host);

    if (is_address(host) || (len > 0 && len <= 253 && strspn(host, letters) == len))
        return 0;
    return ros2i_fail(EINVAL, "host \"%s\": give a DNS name or a numeric address", host);
}

static int alt_names(const char *const *hosts, size_t count, char text[ALT_NAMES_MAX])
{
    size_t at = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        int rc = check_host(hosts[i]);
        if (rc < 0)
            return rc;
        int len = snprintf(text + at, ALT_NAMES_MAX - at, "%s%s:%s", i ? "," : "",
                           is_address(hosts[i]) ? "IP" : "DNS", hosts[i]);
        if ((size_t)len >= ALT_NAMES_MAX - at)
            return ros2i_fail(EINVAL, "too many host names for one certificate");
        at += (size_t)len;
    }
    return 0;
}

/* -- interface -- */

int ros2i_issue_ca(const char *dir, const char *common_name, int days)
{
    static const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
        {0, NULL},
    };
    EVP_PKEY *key = NULL;
    X509 *certificate = NULL;
    int rc = check(common_name, days);

    if (rc < 0)
        return rc;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return ros2i_fail(errno, "%s: mkdir: %s", dir, ros2i_strerror(errno));
    rc = make_key(&key);
    if (rc < 0)
        return rc;
    rc = make_certificate(common_name, key, NULL, key, days, extensions, &certificate);
    if (rc < 0)
        goto free_key;
    rc = write_pair(dir, "ca", key, certificate);
    X509_free(certificate);
free_key:
    EVP_PKEY_free(key);
    return rc;
}

static int issue(const char *dir, const char *name, const struct extension *extensions, int days,
                 X509 *ca, EVP_PKEY *ca_key)
{
    EVP_PKEY *key = NULL;
    X509 *certificate = NULL;
    int rc = make_key(&key);

    if (rc < 0)
        return rc;
    rc = make_certificate(name, key, ca, ca_key, days, extensions, &certificate);
    if (rc < 0)
        goto free_key;
    rc = write_pair(dir, name, key, certificate);
    X509_free(certificate);
free_key:
    EVP_PKEY_free(key);
    return rc;
}

int ros2i_issue_leaf(const char *dir, const char *name, enum ros2i_leaf_kind kind,
                     const char *const *hosts, size_t host_count, int days)
{
    char names[ALT_NAMES_MAX];
    struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, kind == ROS2I_LEAF_SERVER ? "serverAuth" : "clientAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
        {host_count ? NID_subject_alt_name : 0, names},
        {0, NULL},
    };
    void *ca, *ca_key;
    int rc = check(name, days);

    if (rc == 0 && (strchr(name, '/') || name[0] == '.'))
        rc = ros2i_fail(
            EINVAL,
            "certificate name \"%s\": it becomes a file name; leave out / and a leading dot", name);
    if (rc == 0 && kind == ROS2I_LEAF_SERVER && host_count == 0)
        rc = ros2i_fail(EINVAL, "certificate %s: a server needs a host name or address", name);
    if (rc == 0)
        rc = alt_names(hosts, host_count, names);
    if (rc < 0)
        return rc;
    rc = read_file(dir, ".pem", CERTIFICATE, &ca);
    if (rc < 0)
        return rc;
    rc = read_file(dir, ".key", KEY, &ca_key);
    if (rc < 0)
        goto free_ca;
    if (X509_check_private_key(ca, ca_key) != 1)
        rc = ros2i_fail(EINVAL, "%s/ca.key is not the key of ca.pem", dir);
    else
        rc = issue(dir, name, extensions, days, ca, ca_key);
    EVP_PKEY_free(ca_key);
free_ca:
    X509_free(ca);
    return rc;
}
