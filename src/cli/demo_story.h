#ifndef CLI_DEMO_STORY_H
#define CLI_DEMO_STORY_H
/* mesh demo --check: a story in chapters on a running demo, each of which looks whether a promise holds. A chapter leaves the demo as it
 * found it, so that each can be told alone. */
#include "base/compiler.h"
#include "cli/demo.h"

/* Where a chapter says what it found. */
struct demo_story {
    struct demo *demo;
    struct err err;  /* why it failed */
    char found[256]; /* what was measured, for the line of a chapter that holds */
};
struct demo_chapter {
    const char *name;                  /* "mtls" */
    const char *promise;               /* one line */
    int (*tell)(struct demo_story *s); /* 0 holds; -EINTR; other codes with s->err: it does not */
};
/* Prints a line for each chapter; the exit status. */
int demo_story_tell(struct demo *d);
/* Prints names and promises. */
void demo_story_list(void);
#endif
