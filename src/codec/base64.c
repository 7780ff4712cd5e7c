/* Base64 in both alphabets. */
#include "codec/base64.h"

#include "base/err.h"

static const char alphabets[2][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

static int digit_value(enum base64_alphabet alphabet, char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == alphabets[alphabet][62] ? 62 : c == alphabets[alphabet][63] ? 63 : -1;
}

size_t base64_encoded_len(enum base64_alphabet alphabet, size_t len)
{
    return alphabet == BASE64_STANDARD ? (len + 2) / 3 * 4 : len / 3 * 4 + (len % 3 * 8 + 5) / 6;
}

size_t base64_encode(enum base64_alphabet alphabet, struct span from, char *to)
{
    const char *digits = alphabets[alphabet];
    const unsigned char *at = (const unsigned char *)from.at;
    size_t out = 0;
    for (size_t i = 0; i < from.len; i += 3) {
        size_t left = size_min(from.len - i, 3);
        unsigned second = left > 1 ? at[i + 1] : 0;
        unsigned third = left > 2 ? at[i + 2] : 0;
        unsigned group = (unsigned)at[i] << 16 | second << 8 | third;
        for (size_t k = 0; k < 4; k++) {
            if (k <= left) {
                to[out++] = digits[group >> (18 - 6 * k) & 63];
            } else if (alphabet == BASE64_STANDARD) {
                to[out++] = '=';
            }
        }
    }
    return out;
}

/* Without the padding; false when it is wrong: at most two '=', and then a multiple of four in all. */
static bool strip_padding(enum base64_alphabet alphabet, struct span *from)
{
    size_t padding = 0;
    while (padding < 2 && padding < from->len && from->at[from->len - 1 - padding] == '=') {
        padding++;
    }
    bool whole = from->len % 4 == 0;
    from->len -= padding;
    return whole || (alphabet == BASE64_URL && padding == 0);
}

ssize_t base64_decode(enum base64_alphabet alphabet, struct span from, void *to)
{
    unsigned char *out = to;
    size_t len = 0;
    uint32_t bits = 0;
    unsigned held = 0; /* bits not yet written */
    if (!strip_padding(alphabet, &from) || from.len % 4 == 1) {
        return -ERR_PROTO;
    }
    for (size_t i = 0; i < from.len; i++) {
        int value = digit_value(alphabet, from.at[i]);
        if (value < 0) {
            return -ERR_PROTO;
        }
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[len++] = (unsigned char)(bits >> held);
        }
    }
    bool canonical = (bits & ((1U << held) - 1)) == 0;
    return canonical ? (ssize_t)len : -ERR_PROTO;
}
