/* Join tokens as text. */
#include "ca/token.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/rng.h"

enum {
    ID_CHARS = 10,
    ID_CHARS_MIN = 6,
    ID_CHARS_MAX = 16,
    SECRET_CHARS = 26,
    SECRET_CHARS_MAX = 52,
};

static const char prefix[] = "mesh1";

/* 32 characters, so that five random bits are one of them with no bias; none that look alike. */
static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
_Static_assert(sizeof(alphabet) == 33, "five bits a character");

static void put_random(char *to, size_t count)
{
    unsigned char bytes[SECRET_CHARS];
    ASSERT(count <= sizeof(bytes));
    rng_fill_secret(bytes, count);
    for (size_t i = 0; i < count; i++) {
        to[i] = alphabet[bytes[i] & 31];
    }
    to[count] = '\0';
    mem_wipe(bytes, sizeof(bytes));
}

void token_make(struct token *t, char *text)
{
    char secret[SECRET_CHARS + 1];
    put_random(t->id, ID_CHARS);
    put_random(secret, SECRET_CHARS);
    digest_sha256(span_from(secret, SECRET_CHARS), t->hash);
    int len = snprintf(text, TOKEN_TEXT_BYTES, "%s.%s.%s", prefix, t->id, secret);
    ASSERT(len > 0 && len < TOKEN_TEXT_BYTES);
    mem_wipe(secret, sizeof(secret));
}

static bool is_word(struct span s, size_t min, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
            return false;
        }
    }
    return s.len >= min && s.len <= max;
}

bool token_parse(struct span text, struct token *out)
{
    struct span rest = text;
    struct span first = span_cut(&rest, '.');
    struct span id = span_cut(&rest, '.');
    struct span secret = rest;
    if (!span_is(first, prefix) || !is_word(id, ID_CHARS_MIN, ID_CHARS_MAX) ||
        !is_word(secret, SECRET_CHARS, SECRET_CHARS_MAX)) {
        return false;
    }
    (void)span_to_cstr(id, out->id, sizeof(out->id));
    digest_sha256(secret, out->hash);
    return true;
}
