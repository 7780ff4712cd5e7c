#ifndef CLI_INPUT_H
#define CLI_INPUT_H
/* What verbs read: files that -f names. */
#include "base/buf.h"
#include "base/compiler.h"

#define INPUT_MAX (8u << 20)

/* A whole file, or stdin for "-". -errno, -ERR_LIMIT. */
MUST_USE int input_read(const char *path, struct buf *to);
#endif
