/* Steps, as they are done. In: verbs. Out: stdout. */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "cli/verb_int.h"

#define WIDTH 88 /* where seconds end */
#define TEXT_BYTES 600
#define REPAINT_MS 100

void progress_init(struct progress *p, struct verb *v)
{
    int output = v->flags->output;
    *p = (struct progress){.verb = v,
                           .steps = doc_new_list(&v->arena),
                           .started_ms = instant_mono_ms(),
                           .step = "",
                           .is_live = v->is_tty,
                           .is_quiet = output != OUTPUT_TABLE && output != OUTPUT_WIDE};
}

void progress_clear(struct progress *p)
{
    if (p->is_drawn) {
        fputs("\r\033[K", stdout);
        fflush(stdout);
        p->is_drawn = false;
    }
}

void progress_step(struct progress *p, const char *name)
{
    p->step = name;
    p->told_ms = instant_mono_ms(); /* nothing moves on the screen for what is done at once */
}

/* Signs on the screen; every character of ours is one wide. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

/* Middle dots and the like, where the terminal has none. */
static void put_text(const struct progress *p, const char *text)
{
    for (; *text; text++) {
        if (!p->verb->is_ascii || (unsigned char)*text < 0x80) {
            putchar(*text);
        } else if (((unsigned char)*text & 0xc0) != 0x80) {
            putchar('-');
        }
    }
}

static void put_line(struct progress *p, enum table_tone tone, const char *sign, const char *text)
{
    double seconds = (double)(instant_mono_ms() - p->started_ms) / 1000;
    size_t used = 13 + width_of(text);
    progress_clear(p);
    printf("  %s%s%s %-8s ", table_tone_on(p->verb, tone), sign, table_tone_off(p->verb, tone),
           p->step);
    put_text(p, text);
    printf("%*s%.1f s", used + 9 < WIDTH ? (int)(WIDTH - used - 8) : 2, "", seconds);
}

static void finish(struct progress *p, const char *result, const char *text)
{
    struct arena *a = &p->verb->arena;
    struct doc_node *one = doc_list_add(a, p->steps, doc_new_map(a));
    doc_set(a, one, "step", doc_cstr(a, p->step));
    doc_set(a, one, "result", doc_cstr(a, result));
    doc_set(a, one, "text", doc_cstr(a, text));
    doc_set(a, one, "seconds", doc_double(a, (double)(instant_mono_ms() - p->started_ms) / 1000));
    if (p->is_quiet) {
        return;
    }
    bool is_ascii = p->verb->is_ascii;
    if (strcmp(result, "done") == 0) {
        put_line(p, TONE_GOOD, is_ascii ? "+" : "\u2714", text);
    } else if (strcmp(result, "warning") == 0) {
        put_line(p, TONE_WARN, "!", text);
    } else {
        put_line(p, TONE_BAD, is_ascii ? "x" : "\u2718", text);
    }
    putchar('\n');
    fflush(stdout);
}

void progress_say(struct progress *p, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    if (!p->is_live || p->is_quiet || instant_mono_ms() - p->told_ms < REPAINT_MS) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    size_t room = p->verb->width > 30 ? p->verb->width - 24 : 56;
    text[size_min(room, sizeof text - 1)] = '\0';
    put_line(p, TONE_DIM, p->verb->is_ascii ? "." : "\u00b7", text);
    fflush(stdout);
    p->is_drawn = true;
    p->told_ms = instant_mono_ms();
}

#define FINISH(RESULT)                       \
    char text[TEXT_BYTES];                   \
    va_list args;                            \
    va_start(args, fmt);                     \
    vsnprintf(text, sizeof text, fmt, args); \
    va_end(args);                            \
    finish(p, RESULT, text)

void progress_done(struct progress *p, const char *fmt, ...)
{
    FINISH("done");
}

void progress_warn(struct progress *p, const char *fmt, ...)
{
    FINISH("warning");
}

void progress_fail(struct progress *p, const char *fmt, ...)
{
    FINISH("failed");
}
