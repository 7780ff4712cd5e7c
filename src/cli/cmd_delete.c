/* mesh delete KIND NAME: removes an object. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh delete",
    .section = "cli",
    .summary = "Removes an object.",
    .examples = "mesh delete virtualservice reviews\n"
                "mesh delete authorizationpolicy deny-ratings -n shop\n"
                "mesh delete vs/reviews\n",
    .operands = "KIND NAME|KIND/NAME",
    .rows = verb_plain_rows,
};

int cmd_delete(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        verb_split_name(&v);
        if (v.operands.count != 2) {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh delete --help",
                               "delete needs a kind and a name");
        } else {
            const char *ns = verb_namespace(&v);
            status = verb_send(&v, "DELETE",
                               arena_printf(&v.arena, "/api/v1/objects/%s/%s/%s",
                                            verb_escape(&v, span_of(v.operands.items[0])),
                                            verb_escape(&v, span_of(ns)),
                                            verb_escape(&v, span_of(v.operands.items[1]))),
                               SPAN_EMPTY, &answer);
            if (status == EXIT_DONE && !verb_print_doc(&v, answer)) {
                printf("%s %s/%s deleted\n", v.operands.items[0], ns, v.operands.items[1]);
            }
        }
    }
    verb_close(&v);
    return status;
}
