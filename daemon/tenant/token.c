/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens are known by their digests only. A check hashes what it was given and compares it with every token there is:
 * how long it takes says nothing about any of them. Owner: main while adding; then fixed, read by any thread. */
#include "config.h"

#include "daemon/tenant/token.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"

#define DIGEST_LEN 32
#define SECRET_MIN 16

struct token {
    uint8_t digest[DIGEST_LEN];
    struct ros2d_principal principal;
};

struct ros2d_tokens {
    struct token *token;
    size_t count;
};

static int digest_of(const char *secret, size_t len, uint8_t digest[DIGEST_LEN])
{
    if (EVP_Digest(secret, len, digest, NULL, EVP_sha256(), NULL) != 1)
        return ros2i_fail(EIO, "token: libcrypto refuses SHA-256");
    return 0;
}

int ros2d_tokens_create(struct ros2d_tokens **tokens_p)
{
    struct ros2d_tokens *tokens = calloc(1, sizeof(*tokens));

    if (!tokens)
        return ros2i_fail(ENOMEM, "tokens: out of memory");
    *tokens_p = tokens;
    return 0;
}

void ros2d_tokens_destroy(struct ros2d_tokens *tokens)
{
    if (!tokens)
        return;
    if (tokens->token)
        ros2i_wipe(tokens->token, tokens->count * sizeof(*tokens->token));
    free(tokens->token);
    free(tokens);
}

/* realloc() would leave a copy of the digests behind. */
static int grow(struct ros2d_tokens *tokens)
{
    struct token *token = calloc(tokens->count + 1, sizeof(*token));

    if (!token)
        return ros2i_fail(ENOMEM, "tokens: out of memory");
    if (tokens->count > 0) {
        memcpy(token, tokens->token, tokens->count * sizeof(*token));
        ros2i_wipe(tokens->token, tokens->count * sizeof(*token));
    }
    free(tokens->token);
    tokens->token = token;
    return 0;
}

int ros2d_tokens_add(struct ros2d_tokens *tokens, const char *name, const char *secret,
                     struct ros2d_tenant *tenant, uint32_t rights, int64_t expiry_ns)
{
    struct ros2d_principal principal = {.tenant = tenant, .rights = rights, .expiry_ns = expiry_ns};
    int rc;

    if (name[0] == '\0' || strlen(name) >= sizeof(principal.name))
        return ros2i_fail(EINVAL, "token %s: a name has 1 to %zu bytes", name,
                          sizeof(principal.name) - 1);
    if (strlen(secret) < SECRET_MIN)
        return ros2i_fail(EINVAL,
                          "token %s: shorter than %d bytes; make one with: openssl rand -hex 32",
                          name, SECRET_MIN);
    for (size_t i = 0; i < tokens->count; i++)
        if (strcmp(tokens->token[i].principal.name, name) == 0)
            return ros2i_fail(EEXIST, "token %s: there is another of that name; rename one", name);
    strcpy(principal.name, name);
    rc = grow(tokens);
    if (rc < 0)
        return rc;
    rc = digest_of(secret, strlen(secret), tokens->token[tokens->count].digest);
    if (rc < 0)
        return rc;
    tokens->token[tokens->count++].principal = principal;
    return 0;
}

static int expired(const struct ros2d_principal *principal)
{
    time_t when = (time_t)(principal->expiry_ns / (int64_t)ROS2I_NS_PER_S);
    struct tm tm;
    char text[32] = "?";

    if (gmtime_r(&when, &tm))
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return ros2i_fail(EKEYEXPIRED,
                      "token %s expired at %s; ask the daemon's operator for a new one",
                      principal->name, text);
}

int ros2d_tokens_check(const struct ros2d_tokens *tokens, const char *secret, size_t len,
                       struct ros2d_principal *principal)
{
    const struct token *found = NULL;
    uint8_t digest[DIGEST_LEN];
    int rc = digest_of(secret, len, digest);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < tokens->count; i++)
        if (ros2i_secret_equal(digest, tokens->token[i].digest, DIGEST_LEN))
            found = &tokens->token[i];
    ros2i_wipe(digest, sizeof(digest));
    if (!found)
        return ros2i_fail(
            EACCES, "the daemon does not know this token; use one that its configuration names");
    if (found->principal.expiry_ns <= ros2i_wall_clock_ns())
        return expired(&found->principal);
    *principal = found->principal;
    return 0;
}
