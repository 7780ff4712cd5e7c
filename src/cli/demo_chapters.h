#ifndef CLI_DEMO_CHAPTERS_H
#define CLI_DEMO_CHAPTERS_H
/* What the chapters of mesh demo --check share: those about traffic are in demo_chapters.c, those about
 * processes, certificates and files in demo_chapters_life.c. The table of all is in demo_story.c. */
#include "base/instant.h"
#include "cli/demo_story.h"

static inline int64_t demo_chapters_now(void)
{
    return instant_mono_ms();
}

/* The end of a chapter that came so far: takes "virtualservices/default/reviews" away again. Answers `so_far`, or that this failed. */
MUST_USE int demo_chapters_delete(struct demo_story *s, int so_far, const char *key);
/* The same for what else was undone with that result: the chapter's own failure counts first. */
MUST_USE int demo_chapters_undo(struct demo_story *s, int so_far, int undone);

#define DEMO_PODS 4 /* reviews-v1 ... */
struct demo_shares {
    unsigned asked, failed, last_status;
    unsigned pods[DEMO_PODS]; /* who answered */
    unsigned unrated;         /* answers without the stars that they should have */
};
void demo_chapters_count(void *arg, const struct http_answer *answer);
/* Asks the shop for reviews so many times, as nobody or with a cookie. */
MUST_USE int demo_chapters_ask_reviews(struct demo_story *s, unsigned count, const char *cookie,
                                       struct demo_shares *shares);

int demo_chapters_mtls(struct demo_story *s);
int demo_chapters_jason(struct demo_story *s);
int demo_chapters_shares(struct demo_story *s);
int demo_chapters_deny(struct demo_story *s);
int demo_chapters_retry(struct demo_story *s);
int demo_chapters_eject(struct demo_story *s);
int demo_chapters_delay(struct demo_story *s);

/* demo_chapters_life.c */
int demo_chapters_bad_file(struct demo_story *s);
int demo_chapters_rotation(struct demo_story *s);
int demo_chapters_proxy(struct demo_story *s);
int demo_chapters_control(struct demo_story *s);
int demo_chapters_memory(struct demo_story *s);
#endif
