/* mesh status: the state of the mesh in five lines; mesh alone: the same, and the commands people use. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

static const struct opt_spec spec = {
    .command = "mesh status",
    .section = "cli",
    .summary = "The state of the mesh in five lines.",
    .examples = "mesh status\n"
                "mesh status --watch\n"
                "mesh status -o json\n",
    .rows = verb_watch_rows,
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
    const char *dot = v->is_ascii ? "-" : "\u00b7";
    printf("control    %s %s up %s %s %s\n", cell_text(v, s, "version"), dot, uptime(v, s), dot,
           v->target);
    printf("objects    %s %s %s services %s %s workloads\n", cell_text(v, s, "objects"), dot,
           cell_text(v, s, "services"), dot, cell_text(v, s, "workloads"));
    printf("proxies    %s connected %s %s in sync %s %s refuse something\n",
           cell_text(v, proxies, "connected"), dot, cell_text(v, proxies, "synced"), dot,
           cell_text(v, proxies, "refusing"));
    printf("identity   %s %s %s certificates issued %s root ends %s\n",
           cell_text(v, s, "trustDomain"), dot, cell_text(v, ca, "issued"), dot,
           cell_age(v, ca, "rootNotAfter"));
    printf("findings   %s errors %s %s warnings\n", cell_text(v, findings, "errors"), dot,
           cell_text(v, findings, "warnings"));
}

static int draw(struct verb *v, void *arg)
{
    UNUSED(arg);
    struct doc_node *answer = NULL;
    int status = verb_get(v, "/api/v1/status", &answer);
    if (status == EXIT_DONE && !verb_print_doc(v, answer)) {
        print(v, answer);
    }
    return status;
}

int cmd_status(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = verb_watch(&v, draw, NULL);
    }
    verb_close(&v);
    return status;
}

int cmd_status_home(void)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    char word[] = "status";
    char *argv[] = {word, NULL};
    int status;
    if (verb_open(&v, &spec, &set, 1, argv, &status) == 0) {
        if (verb_finds_control(&v)) {
            status = draw(&v, NULL);
        } else {
            printf("no mesh runs here; `mesh demo` starts a whole one, Ctrl-C removes it\n");
        }
        printf("\n"
               "  mesh demo            a whole mesh on this machine\n"
               "  mesh stat            golden numbers of every workload\n"
               "  mesh edges           who calls whom, and by which identities\n"
               "  mesh tap NAME        requests as they happen\n"
               "  mesh routes HOST     rules, weights and what really happens\n"
               "  mesh apply -f FILE   create or change objects\n"
               "  mesh authz check A B would a call be allowed\n"
               "  mesh explain WORD    codes, response flags, ports, metrics\n"
               "\n"
               "mesh help lists all verbs, mesh help tour shows the way\n");
    }
    verb_close(&v);
    return status;
}
