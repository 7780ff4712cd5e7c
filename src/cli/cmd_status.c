/* mesh status: the state of the mesh in five lines. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh status",
    .section = "cli",
    .summary = "The state of the mesh in five lines.",
    .examples = "mesh status\n"
                "mesh status -o json\n"
                "mesh status --addr 127.0.0.1:15080\n",
    .rows = verb_plain_rows,
};

static const char *uptime(struct verb *v, const struct doc_node *status)
{
    const struct doc_node *n = doc_get(status, "uptime");
    double s = doc_is(n, DOC_DOUBLE) ? n->number : doc_is(n, DOC_INT) ? (double)n->integer : 0;
    long long whole = (long long)s;
    return whole < 120    ? arena_printf(&v->arena, "%llds", whole)
           : whole < 7200 ? arena_printf(&v->arena, "%lldm", whole / 60)
                          : arena_printf(&v->arena, "%lldh", whole / 3600);
}

static void print(struct verb *v, const struct doc_node *s)
{
    const struct doc_node *proxies = doc_get(s, "proxies");
    const struct doc_node *ca = doc_get(s, "ca");
    const struct doc_node *findings = doc_get(s, "findings");
    printf("control    %s · up %s · %s\n", cell_text(v, s, "version"), uptime(v, s), v->target);
    printf("objects    %s · %s services · %s workloads\n", cell_text(v, s, "objects"),
           cell_text(v, s, "services"), cell_text(v, s, "workloads"));
    printf("proxies    %s connected · %s in sync · %s refuse something\n",
           cell_text(v, proxies, "connected"), cell_text(v, proxies, "synced"),
           cell_text(v, proxies, "refusing"));
    printf("identity   %s · %s certificates issued · root ends %s\n",
           cell_text(v, s, "trustDomain"), cell_text(v, ca, "issued"),
           cell_age(v, ca, "rootNotAfter"));
    printf("findings   %s errors · %s warnings\n", cell_text(v, findings, "errors"),
           cell_text(v, findings, "warnings"));
}

int cmd_status(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    struct doc_node *answer = NULL;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = verb_get(&v, "/api/v1/status", &answer);
        if (status == 0 && !verb_print_doc(&v, answer)) {
            print(&v, answer);
        }
    }
    verb_close(&v);
    return status;
}
