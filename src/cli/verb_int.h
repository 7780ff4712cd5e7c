#ifndef CLI_VERB_INT_H
#define CLI_VERB_INT_H
/* Between verb.c, verb_call.c and table.c. */
#include "cli/verb.h"

/* Finds control and makes the client: 0, or the exit code after the error was printed. */
MUST_USE int verb_connect(struct verb *v);
/* The escape that begins a tone, or "" without colour. */
const char *table_tone_on(const struct verb *v, enum table_tone tone);
const char *table_tone_off(const struct verb *v, enum table_tone tone);
/* Quoted where it must be; "-" is empty. */
void table_csv_field(const char *text);
#endif
