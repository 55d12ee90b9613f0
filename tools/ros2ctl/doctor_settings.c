/* SPDX-License-Identifier: Apache-2.0 */
/* Settings with where they are from, and the files that they name: who may read them, until when they are valid. */
#include "config.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/error.h"
#include "lib/base/secret.h"
#include "tools/ros2ctl/doctor.h"
#include "tools/ros2ctl/text.h"

#define TOKEN_MAX   8192
#define SOON_S      (14 * 86400)
#define MAKE_SECRET "only its owner may read it: chmod 600"

struct settings {
    struct doctor *doctor;
    char url[1024], token_file[4096], ca_file[4096], cert_file[4096], key_file[4096];
};

static void take(void *arg, const char *name, const char *value, const char *source)
{
    struct settings *settings = arg;
    const struct {
        const char *name;
        char *value;
        size_t len;
    } kept[] = {
        {"url", settings->url, sizeof(settings->url)},
        {"token_file", settings->token_file, sizeof(settings->token_file)},
        {"ca_file", settings->ca_file, sizeof(settings->ca_file)},
        {"cert_file", settings->cert_file, sizeof(settings->cert_file)},
        {"key_file", settings->key_file, sizeof(settings->key_file)},
    };

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (strcmp(name, kept[i].name) == 0)
            snprintf(kept[i].value, kept[i].len, "%s", value);
    doctor_say(settings->doctor, DOCTOR_OK, "setting", NULL, "%s %s (%s)", name, value, source);
}

/* -- certificates -- */

/* Seconds since 1970, UTC; -1 when there is no such time. */
static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : -1;
}

static void check_validity(struct doctor *doctor, const char *what, const char *path,
                           const X509 *certificate)
{
    const int64_t now = time(NULL), from = seconds_of(X509_get0_notBefore(certificate)),
                  until = seconds_of(X509_get0_notAfter(certificate));
    char day[CTL_TEXT_MAX];

    if (from > now)
        doctor_say(doctor, DOCTOR_BAD, what, "set this machine's clock, or make a new one",
                   "%s is not valid before %s", path, ctl_format_time(day, from));
    else if (until < now)
        doctor_say(doctor, DOCTOR_BAD, what,
                   "make a new one: ros2ctl tls init; or set this machine's clock",
                   "%s has expired at %s", path, ctl_format_time(day, until));
    else
        doctor_say(doctor, until - now < SOON_S ? DOCTOR_WARN : DOCTOR_OK, what,
                   until - now < SOON_S ? "make a new one before that: ros2ctl tls init" : NULL,
                   "%s is valid until %s", path, ctl_format_time(day, until));
}

/* The first certificate of the file, or NULL. All of them are looked at. */
static X509 *check_certificates(struct doctor *doctor, const char *what, const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *first = NULL, *certificate;

    if (!file) {
        doctor_say(doctor, DOCTOR_BAD, what, NULL, "%s: %s", path, strerror(errno));
        return NULL;
    }
    while ((certificate = PEM_read_X509(file, NULL, NULL, NULL)) != NULL) {
        check_validity(doctor, what, path, certificate);
        if (first)
            X509_free(certificate);
        else
            first = certificate;
    }
    fclose(file);
    if (!first)
        doctor_say(doctor, DOCTOR_BAD, what, "it has to be PEM, with BEGIN CERTIFICATE",
                   "%s has no certificate", path);
    return first;
}

/* Else OpenSSL asks on the terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static void check_key(struct doctor *doctor, const char *path, X509 *certificate)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
    struct stat st;

    if (!file)
        doctor_say(doctor, DOCTOR_BAD, "key_file", NULL, "%s: %s", path, strerror(errno));
    else if (fstat(fileno(file), &st) == 0 && (st.st_mode & 077) != 0)
        doctor_say(doctor, DOCTOR_BAD, "key_file", MAKE_SECRET,
                   "%s: others than its owner can read it", path);
    else if (!key)
        doctor_say(doctor, DOCTOR_BAD, "key_file", "it has to be PEM, and not encrypted",
                   "%s has no private key", path);
    else if (certificate && X509_check_private_key(certificate, key) != 1)
        doctor_say(doctor, DOCTOR_BAD, "key_file", "cert_file and key_file have to be a pair",
                   "%s is not the key of the certificate", path);
    else
        doctor_say(doctor, DOCTOR_OK, "key_file", NULL, "%s", path);
    EVP_PKEY_free(key);
    if (file)
        fclose(file);
}

/* -- all -- */

static void check_token(struct doctor *doctor, const char *path)
{
    char *token;

    if (ros2i_secret_read_file(path, "token", TOKEN_MAX, &token) < 0) {
        doctor_say(doctor, DOCTOR_BAD, "token_file", NULL, "%s", ros2i_error());
        return;
    }
    ros2i_secret_free(token);
    doctor_say(doctor, DOCTOR_OK, "token_file", NULL, "%s has a token", path);
}

static void check_files(struct settings *settings)
{
    struct doctor *doctor = settings->doctor;
    X509 *certificate = NULL;

    if (settings->token_file[0])
        check_token(doctor, settings->token_file);
    else if (!settings->cert_file[0])
        doctor_say(doctor, DOCTOR_WARN, "credentials",
                   "set ROS2_TOKEN_FILE, or ROS2_CERT_FILE and ROS2_KEY_FILE",
                   "no setting names a token or a client certificate");
    if (settings->ca_file[0])
        X509_free(check_certificates(doctor, "ca_file", settings->ca_file));
    else if (!(doctor->ctl->connect.flags & ROS2_CONNECT_PLAINTEXT))
        doctor_say(doctor, DOCTOR_OK, "ca_file", NULL,
                   "not set: this machine's certificate authorities are trusted");
    if (settings->cert_file[0])
        certificate = check_certificates(doctor, "cert_file", settings->cert_file);
    if (settings->key_file[0])
        check_key(doctor, settings->key_file, certificate);
    X509_free(certificate);
}

bool doctor_settings(struct doctor *doctor)
{
    struct settings settings = {.doctor = doctor};

    if (ros2_settings(doctor->ctl->url, &doctor->ctl->connect, take, &settings) < 0) {
        doctor_say(doctor, DOCTOR_BAD, "settings", NULL, "%s", ros2_error());
        return false;
    }
    check_files(&settings);
    if (settings.url[0])
        return true;
    doctor_say(doctor, DOCTOR_BAD, "settings", "set ROS2_URL, or give --url ros2://HOST[:PORT]",
               "nothing says which daemon to use");
    return false;
}
