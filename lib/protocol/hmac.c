/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 with libcrypto's EVP_MAC. Any thread; used per handshake, never per request. */
#include "config.h"

#include "lib/protocol/hmac.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "lib/base/error.h"
#include "lib/base/secret.h"

static int fail_libcrypto(const char *step)
{
    char reason[160];

    ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
    ERR_clear_error();
    return ros2i_fail(EIO,
                      "HMAC-SHA256: %s: %s; check libcrypto's providers (openssl list -providers)",
                      step, reason);
}

static int start(EVP_MAC_CTX *ctx, const void *key, size_t key_len)
{
    char digest[] = "SHA256"; /* OSSL_PARAM wants it writable */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_init(ctx, key, key_len, params) == 1 ? 0 : fail_libcrypto("init");
}

static int finish(EVP_MAC_CTX *ctx, const struct iovec *part, int count,
                  uint8_t mac[ROS2I_HMAC_LEN])
{
    uint8_t out[ROS2I_HMAC_LEN];
    size_t len = 0;

    for (int i = 0; i < count; i++) {
        if (EVP_MAC_update(ctx, part[i].iov_base, part[i].iov_len) != 1)
            return fail_libcrypto("update");
    }
    if (EVP_MAC_final(ctx, out, &len, sizeof out) != 1 || len != sizeof out)
        return fail_libcrypto("final");
    memcpy(mac, out, sizeof out);
    ros2i_wipe(out, sizeof out);
    return 0;
}

int ros2i_hmac_sha256(const void *key, size_t key_len, const struct iovec *part, int count,
                      uint8_t mac[ROS2I_HMAC_LEN])
{
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    int rc;

    if (!algorithm)
        return fail_libcrypto("fetch");
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(algorithm);
    if (!ctx) {
        rc = fail_libcrypto("new");
        goto free_algorithm;
    }
    rc = start(ctx, key, key_len);
    if (rc == 0)
        rc = finish(ctx, part, count, mac);
    EVP_MAC_CTX_free(ctx); /* libcrypto wipes its copy of the key here */
free_algorithm:
    EVP_MAC_free(algorithm);
    return rc;
}
