/* Whole documents for programs, and what stands below a table.
 * In: verbs. Out: stdout. */
#include <stdio.h>
#include <string.h>

#include "cli/verb_int.h"

#define PRINT_MAX (256u << 20)

void verb_footer(struct verb *v, const char *fmt, ...)
{
    va_list args;
    if (v->flags->output != OUTPUT_TABLE && v->flags->output != OUTPUT_WIDE) {
        return;
    }
    char text[512];
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fputs(table_tone_on(v, TONE_DIM), stdout);
    for (const char *at = text; *at; at++) {
        bool is_dot = v->is_ascii && strncmp(at, "\u00b7", 2) == 0;
        putchar(is_dot ? '-' : *at);
        at += is_dot;
    }
    printf("%s\n", table_tone_off(v, TONE_DIM));
}

static void print_name(const struct doc_node *item)
{
    const struct doc_node *meta = doc_get(item, "metadata");
    const struct doc_node *from = meta ? meta : item;
    static const char *const keys[] = {"name", "workload", "id", "serial", "code", "word"};
    struct span source = item_text(item, "source.workload");
    struct span destination = item_text(item, "destination.workload");
    if (source.len > 0 || destination.len > 0) {
        printf("%.*s>%.*s\n", SPAN_ARG(source), SPAN_ARG(destination));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct doc_node *n = doc_get(from, keys[i]);
        if (doc_is(n, DOC_TEXT)) {
            const struct doc_node *ns = doc_get(from, "namespace");
            printf("%.*s%s%.*s\n", doc_is(ns, DOC_TEXT) ? (int)ns->text.len : 0,
                   doc_is(ns, DOC_TEXT) ? ns->text.at : "", doc_is(ns, DOC_TEXT) ? "/" : "",
                   SPAN_ARG(n->text));
            return;
        }
    }
}

/* An answer that is no list: a line for each member that is a scalar, "proxies.connected,7". */
static void print_csv(struct verb *v, const char *prefix, const struct doc_node *map)
{
    for (size_t i = 0; i < doc_count(map) && doc_is(map, DOC_MAP); i++) {
        const struct doc_entry *e = &map->entries[i];
        const char *key = arena_cstr(&v->arena, e->key);
        if (doc_is(e->value, DOC_MAP)) {
            print_csv(v, arena_printf(&v->arena, "%s%s.", prefix, key), e->value);
        } else if (!doc_is(e->value, DOC_LIST)) {
            const char *text = doc_is(e->value, DOC_DOUBLE)
                                   ? arena_printf(&v->arena, "%.6g", e->value->number)
                                   : cell_text(v, map, key);
            printf("%s%s,", prefix, key);
            table_csv_field(text);
            putchar('\n');
        }
    }
}

bool verb_print_doc(struct verb *v, const struct doc_node *answer)
{
    const struct doc_node *items = doc_get(answer, "items");
    struct buf text;
    buf_init(&text, PRINT_MAX);
    int code = 0;
    switch (v->flags->output) {
    case OUTPUT_JSON:
        code = doc_write_json(answer, true, &text);
        break;
    case OUTPUT_YAML:
        code = doc_write_yaml(answer, &text);
        break;
    case OUTPUT_JSONL:
        for (size_t i = 0; i < (items ? doc_count(items) : 1) && code == 0; i++) {
            code = doc_write_json(items ? doc_at(items, i) : answer, false, &text);
            code = code ? code : buf_append_byte(&text, '\n');
        }
        break;
    case OUTPUT_NAME:
        for (size_t i = 0; i < (items ? doc_count(items) : 1); i++) {
            print_name(items ? doc_at(items, i) : answer);
        }
        break;
    case OUTPUT_CSV:
        if (items) {
            return false;
        }
        print_csv(v, "", answer);
        break;
    default:
        buf_dispose(&text);
        return false;
    }
    ASSERT(code == 0); /* answers are smaller than PRINT_MAX */
    fwrite(buf_span(&text).at ? buf_span(&text).at : "", 1, buf_len(&text), stdout);
    buf_dispose(&text);
    return true;
}
