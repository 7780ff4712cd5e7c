#ifndef BASE_INI_H
#define BASE_INI_H
/* INI files, by inih, which is included in ini.c and nowhere else. */
#include "base/compiler.h"
#include "base/err.h"

/* Called for each `key = value`; a negative answer (with err filled) stops. Text is borrowed. */
typedef int (*ini_on_pair)(void *arg, const char *section, const char *key, const char *value,
                           int line, struct err *err);
/* 0; -errno if the file can not be read; -ERR_CONFIG with `file:line: reason`. */
MUST_USE int ini_load(const char *path, ini_on_pair on_pair, void *arg, struct err *err);
#endif
