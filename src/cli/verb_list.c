/* Verbs that are one GET and one table, and verbs that are run again and again. In: cmd_*.c. Out: table. */
#include <stdio.h>
#include <time.h>

#include "cli/verb_int.h"

#define WATCH_S 2

struct plain {
    struct verb_flags common;
};
const struct opt verb_plain_rows[] = {VERB_ROWS(struct plain), {.name = NULL}};
const struct opt verb_watch_rows[] = {
    VERB_WATCH_ROW(struct plain), VERB_ROWS(struct plain), {.name = NULL}};

int verb_watch(struct verb *v, int (*draw)(struct verb *v, void *arg), void *arg)
{
    if (!v->flags->watch) {
        return draw(v, arg);
    }
    if (!v->is_tty && v->flags->output == OUTPUT_TABLE) {
        v->flags->output = OUTPUT_JSONL;
    }
    int status = verb_connect(v); /* before the first round, whose memory does not last */
    while (status == EXIT_DONE) {
        struct arena kept = v->arena;
        arena_init(&v->arena, 65536);
        fputs(v->is_tty ? "\033[H\033[2J" : "", stdout);
        status = draw(v, arg);
        arena_dispose(&v->arena);
        v->arena = kept;
        if (fflush(stdout) != 0) {
            break; /* nobody reads any more */
        }
        (void)nanosleep(&(struct timespec){.tv_sec = WATCH_S}, NULL);
    }
    return status;
}

static int draw_list(struct verb *v, void *arg)
{
    const struct verb_list *l = arg;
    struct doc_node *answer = NULL;
    int status = verb_get(v, l->path, &answer);
    struct doc_node *items = doc_get(answer, "items");
    if (status == EXIT_DONE && l->order) {
        items_sort(items, l->order);
    }
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        struct table *t = table_new(v, l->columns, l->column_count);
        for (size_t i = 0; i < doc_count(items); i++) {
            l->row(v, t, doc_at(items, i));
        }
        table_print(t);
        if (l->footer) {
            verb_footer(v, "%s", l->footer);
        }
    }
    return status;
}

int verb_list_main(const struct verb_list *l, int argc, char **argv)
{
    struct plain set = {.common = {.timeout_ms = 0}};
    struct verb v;
    int status;
    if (verb_open(&v, l->spec, &set, argc, argv, &status) == 0) {
        status = verb_watch(&v, draw_list, (void *)l);
    }
    verb_close(&v);
    return status;
}
