/* SPDX-License-Identifier: Apache-2.0 */
/* PEM through libcrypto; its error queue is left empty. */
#include "config.h"

#include "lib/base/pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdint.h>

#include "lib/base/error.h"

static X509 *parse_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    return x509;
}

/* A key with a passphrase is refused: the empty one is tried instead of a prompt on the terminal. */
static EVP_PKEY *parse_key(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;

    BIO_free(bio);
    return key;
}

int ros2i_pem_check_certificate(const char *pem, const char *what, const char *path)
{
    X509 *x509 = parse_certificate(pem);

    ERR_clear_error();
    if (!x509)
        return ros2i_fail(EINVAL,
                          "%s file %s holds no PEM certificate (\"-----BEGIN CERTIFICATE-----\")",
                          what, path);
    X509_free(x509);
    return 0;
}

int ros2i_pem_check_pair(const char *cert_pem, const char *key_pem, const char *what,
                         const char *cert_path, const char *key_path)
{
    int rc = 0;
    X509 *x509 = parse_certificate(cert_pem);
    EVP_PKEY *key = parse_key(key_pem);

    if (!x509)
        rc = ros2i_fail(EINVAL, "%s certificate file %s holds no PEM certificate", what, cert_path);
    else if (!key)
        rc = ros2i_fail(EINVAL, "%s key file %s holds no PEM private key without a passphrase",
                        what, key_path);
    else if (X509_check_private_key(x509, key) != 1)
        rc = ros2i_fail(EINVAL, "%s key file %s does not belong to the certificate in %s", what,
                        key_path, cert_path);
    ERR_clear_error();
    X509_free(x509);
    EVP_PKEY_free(key);
    return rc;
}
