#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
/* A verb that works in steps tells each when it is done: a sign, the step's name, facts, and the seconds since the verb began. On a terminal the
 * line of the step in hand is repainted while it lasts; elsewhere only whole lines are printed. With -o json they are kept for the end.
 *
 *   + control  mesh-control 1/1 ready                                                   7.9 s  */
#include "cli/verb.h"

struct progress {
    struct doc_node *steps; /* list of {step, result, text, seconds}: for a report */
    /* private */
    struct verb *verb;
    int64_t started_ms, told_ms;
    const char *step;
    bool is_live;  /* a terminal */
    bool is_quiet; /* documents are printed at the end instead */
    bool is_drawn; /* the step in hand stands on the screen */
};

void progress_init(struct progress *p, struct verb *v);
/* What comes now; the name is kept and has at most 8 letters. */
void progress_step(struct progress *p, const char *name);
/* How it stands. */
void progress_say(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What came of it: good, good but, or bad. */
void progress_done(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void progress_warn(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void progress_fail(struct progress *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Takes the unfinished line away, before others print. */
void progress_clear(struct progress *p);
#endif
