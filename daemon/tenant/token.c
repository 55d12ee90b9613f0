/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens. Only digests are kept; a check always compares with every one of them. Written before the threads start,
 * read-only afterwards. */
#include "config.h"

#include "daemon/tenant/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/secret.h"

#define TOKEN_LEN_MIN 16
#define DIGEST_LEN    32

struct token {
    struct ros2d_principal principal;
    uint8_t digest[DIGEST_LEN];
};

struct ros2d_tokens {
    struct token *token;
    size_t count;
};

int ros2d_tokens_create(struct ros2d_tokens **tokens_p)
{
    struct ros2d_tokens *tokens = calloc(1, sizeof(*tokens));

    if (!tokens)
        return ros2i_fail(ENOMEM, "tokens: no memory");
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

static int digest(const void *secret, size_t len, uint8_t out[DIGEST_LEN])
{
    unsigned out_len = 0;

    if (EVP_Digest(secret, len, out, &out_len, EVP_sha256(), NULL) != 1 || out_len != DIGEST_LEN)
        return ros2i_fail(EIO, "token: SHA-256 failed in libcrypto");
    return 0;
}

int ros2d_tokens_add(struct ros2d_tokens *tokens, const char *name, const char *secret,
                     struct ros2d_tenant *tenant, uint32_t rights, int64_t expiry_ns)
{
    struct token *grown, *token;
    int rc;

    if (strlen(name) >= sizeof(token->principal.name))
        return ros2i_fail(EINVAL, "token %.64s...: a name has at most %zu bytes", name,
                          sizeof(token->principal.name) - 1);
    if (strlen(secret) < TOKEN_LEN_MIN)
        return ros2i_fail(EINVAL,
                          "token %s: shorter than %d bytes; make one with `openssl rand -hex 32`",
                          name, TOKEN_LEN_MIN);
    for (size_t i = 0; i < tokens->count; i++) {
        if (strcmp(tokens->token[i].principal.name, name) == 0)
            return ros2i_fail(EEXIST, "token %s: there is one of that name already", name);
    }
    grown = realloc(tokens->token, (tokens->count + 1) * sizeof(*grown));
    if (!grown)
        return ros2i_fail(ENOMEM, "token %s: no memory", name);
    tokens->token = grown;
    token = &grown[tokens->count];
    memset(token, 0, sizeof(*token));
    rc = digest(secret, strlen(secret), token->digest);
    if (rc < 0)
        return rc;
    strcpy(token->principal.name, name);
    token->principal.tenant = tenant;
    token->principal.rights = rights;
    token->principal.expiry_ns = expiry_ns;
    tokens->count++;
    return 0;
}

int ros2d_tokens_check(const struct ros2d_tokens *tokens, const char *secret, size_t len,
                       struct ros2d_principal *principal)
{
    uint8_t got[DIGEST_LEN];
    const struct token *found = NULL;
    int rc = digest(secret, len, got);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < tokens->count; i++) {
        if (ros2i_secret_equal(got, tokens->token[i].digest, DIGEST_LEN))
            found = &tokens->token[i]; /* goes on: the time must not tell which one it was */
    }
    ros2i_wipe(got, sizeof(got));
    if (!found)
        return ros2i_fail(EACCES, "the token is unknown to the daemon; check the token file");
    if (ros2i_wall_clock_ns() >= found->principal.expiry_ns)
        return ros2i_fail(EKEYEXPIRED, "token %s has expired; ask the administrator for a new one",
                          found->principal.name);
    *principal = found->principal;
    return 0;
}
