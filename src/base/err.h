#ifndef BASE_ERR_H
#define BASE_ERR_H
/* Failures as values. Functions return 0 or a negative code: an errno value, or one of ours below,
 * which start above every errno. Cold paths also fill a struct err: the code and one sentence, written
 * where the fact is known and prefixed on the way up only with what the upper layer knows. */
#include <errno.h>
#include <stdarg.h>

#include "base/compiler.h"

enum err_code {
    ERR_PROTO = 4096, /* the peer broke its protocol */
    ERR_LIMIT,        /* a named limit was reached */
    ERR_DENIED,       /* identity or policy said no */
    ERR_CONFIG,       /* configuration is wrong; the sentence says where */
    ERR_TLS,          /* handshake or record failure */
    ERR_EOF,          /* the stream ended where it must not */
    ERR_RESET,        /* the peer reset the connection or stream */
    ERR_TIMEOUT,      /* a deadline passed */
    ERR_UNAVAILABLE,  /* nobody there to ask */
};

#define ERR_TEXT_BYTES 512

struct err {
    int code; /* 0 or negative */
    char text[ERR_TEXT_BYTES];
};

static inline void err_clear(struct err *err)
{
    err->code = 0;
    err->text[0] = '\0';
}

/* Fills `err` (may be NULL) and returns `code`, so that one can write `return err_set(...)`. Text is
 * cut to fit. */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "<text>: " before what is there; returns the code. */
int err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Name of a negative code: "connection refused", "limit reached"; thread-safe, static text. */
const char *err_name(int code);
#endif
