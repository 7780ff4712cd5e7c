/* Telling chapters in order.
 * Next: demo_chapters, demo_chapters_life. */
#include "cli/demo_story.h"

#include <stdio.h>

#include "cli/demo_chapters.h"

/* In this order: what breaks most comes last. */
static const struct demo_chapter chapters[] = {
    {"mtls", "every edge is mutual TLS between the right identities", demo_chapters_mtls},
    {"memory", "all processes together take less than 60 MiB", demo_chapters_memory},
    {"jason", "jason gets v2", demo_chapters_jason},
    {"shares", "90 to 10 over 5,000 requests", demo_chapters_shares},
    {"deny", "who may not is answered 403, and the policy is named", demo_chapters_deny},
    {"retry", "a retry hides an endpoint that fails", demo_chapters_retry},
    {"eject", "an ejected endpoint gets no traffic, and returns", demo_chapters_eject},
    {"delay", "an injected delay shows in p99", demo_chapters_delay},
    {"bad-file", "a bad file changes nothing and is explained", demo_chapters_bad_file},
    {"rotation", "certificates rotate under load", demo_chapters_rotation},
    {"proxy", "a killed proxy is noticed and started again", demo_chapters_proxy},
    {"control", "without control nothing stops; then newcomers join", demo_chapters_control},
    {NULL, NULL, NULL},
};

static bool is_wanted(const char *names, const char *name)
{
    struct span rest = span_of(names);
    if (names == NULL) {
        return true;
    }
    while (rest.at != NULL) {
        if (span_is(span_trim(span_cut(&rest, ',')), name)) {
            return true;
        }
    }
    return false;
}

static void say(const char *line)
{
    printf("%s", line);
    (void)fflush(stdout); /* nobody may be reading */
}

int demo_story_tell(struct demo *d)
{
    unsigned told = 0, failed = 0;

    for (const struct demo_chapter *c = chapters; c->name != NULL; c++) {
        struct demo_story s = {.demo = d};
        char line[1024];
        if (!is_wanted(d->options->chapters, c->name)) {
            continue;
        }
        int64_t begin = demo_chapters_now();
        int code = c->tell(&s);
        double seconds = (double)(demo_chapters_now() - begin) / 1000;
        if (code == -EINTR || demo_asker_is_interrupted(d->asker)) {
            return 130;
        }
        told++;
        failed += code < 0 ? 1 : 0;
        (void)snprintf(line, sizeof(line), "  %-6s %-11s %5.1f s  %s%s%s\n",
                       code < 0 ? "FAILED" : "ok", c->name, seconds, c->promise,
                       code < 0 || s.found[0] != '\0' ? ": " : "", code < 0 ? s.err.text : s.found);
        say(line);
    }
    if (told == 0) {
        fprintf(stderr,
                "error[MESH1116]: there is no chapter '%s'\n"
                "  fix     mesh demo --chapters list\n  more    mesh explain MESH1116\n",
                d->options->chapters);
        return 2;
    }
    printf("%s: %u of %u\n", failed == 0 ? "all promises hold" : "not all promises hold",
           told - failed, told);
    return failed == 0 ? 0 : 1;
}

void demo_story_list(void)
{
    for (const struct demo_chapter *c = chapters; c->name != NULL; c++) {
        printf("%-11s %s\n", c->name, c->promise);
    }
}
