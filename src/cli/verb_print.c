/* Whole documents for programs, and what stands below a table.
 * In: verbs. Out: stdout. */
#include <stdio.h>

#include "cli/verb_int.h"

#define PRINT_MAX (256u << 20)

void verb_footer(struct verb *v, const char *fmt, ...)
{
    va_list args;
    if (v->flags->output != OUTPUT_TABLE && v->flags->output != OUTPUT_WIDE) {
        return;
    }
    fputs(table_tone_on(v, TONE_DIM), stdout);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("%s\n", table_tone_off(v, TONE_DIM));
}

static void print_name(const struct doc_node *item)
{
    const struct doc_node *meta = doc_get(item, "metadata");
    const struct doc_node *from = meta ? meta : item;
    static const char *const keys[] = {"name", "workload", "id", "serial"};
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

bool verb_print_doc(struct verb *v, const struct doc_node *answer)
{
    const struct doc_node *items = doc_get(answer, "items");
    struct buf text;
    buf_init(&text, PRINT_MAX);
    int code = 0;
    switch (v->flags->output) {
    case OUTPUT_JSON:
        code = doc_write_json(answer, true, &text);
        code = code ? code : buf_append_byte(&text, '\n');
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
        for (size_t i = 0; i < doc_count(items); i++) {
            print_name(doc_at(items, i));
        }
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
