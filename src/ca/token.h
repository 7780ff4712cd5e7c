#ifndef CA_TOKEN_H
#define CA_TOKEN_H
/* The text of a join token: mesh1.ID.SECRET. ID (lower-case letters and digits, 6 to 16) names it in lists and in the ledger, SECRET (26 characters
 * of base32, 130 bits) proves it. Only the hash of SECRET is kept; being the hash of something so random it needs no salt and no
 * slow function, and comparing hashes tells nothing about the secret by the time it takes. */
#include "base/compiler.h"
#include "base/span.h"
#include "tls/digest.h"

#define TOKEN_TEXT_BYTES 64

struct token {
    char id[17];
    unsigned char hash[DIGEST_BYTES];
};

/* A new one; its text in `text` (TOKEN_TEXT_BYTES), which the caller wipes. */
void token_make(struct token *t, char *text);
/* False when the text is no token: wrong form; says nothing about whether it is valid. */
MUST_USE bool token_parse(struct span text, struct token *out);
#endif
