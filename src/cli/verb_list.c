/* Verbs that are one GET and one table. In: cmd_*.c. Out: table. */
#include "cli/verb.h"

struct plain {
    struct verb_flags common;
};
const struct opt verb_plain_rows[] = {VERB_ROWS(struct plain), {.name = NULL}};

int verb_list_main(const struct verb_list *l, int argc, char **argv)
{
    struct plain set = {.common = {.timeout_ms = 0}};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, l->spec, &set, argc, argv, &status) == 0) {
        const char *query = l->by_namespace ? verb_namespace_query(&v) : "";
        status = verb_get(&v, arena_printf(&v.arena, "%s%s", l->path, query), &answer);
        if (status == EXIT_DONE && !verb_print_doc(&v, answer)) {
            struct table *t = table_new(&v, l->columns, l->column_count);
            const struct doc_node *items = doc_get(answer, "items");
            for (size_t i = 0; i < doc_count(items); i++) {
                l->row(&v, t, doc_at(items, i));
            }
            table_print(t);
            if (l->footer) {
                verb_footer(&v, "%s", l->footer);
            }
        }
    }
    verb_close(&v);
    return status;
}
