#ifndef BASE_OPT_INT_H
#define BASE_OPT_INT_H
/* What opt.c and opt_help.c share. */
#include "base/opt.h"

/* The environment variable of a row; "" when it has none. */
void opt_env_name(const struct opt *row, char *to, size_t room);
#endif
