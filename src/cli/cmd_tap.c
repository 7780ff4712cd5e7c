/* mesh tap [WORKLOAD]: requests as they happen.
 * In: server-sent events of GET /api/v1/tap, each with Envoy's HTTPAccessLogEntry in JSON. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"

struct settings {
    struct verb_flags common;
    const char *status, *method, *path;
    int64_t most;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "status",
     .type = OPT_TEXT,
     .offset = AT(status),
     .arg = "CODE",
     .help = "only these answers: 503, 5xx"},
    {.name = "method",
     .type = OPT_TEXT,
     .offset = AT(method),
     .arg = "METHOD",
     .help = "only this method"},
    {.name = "path",
     .type = OPT_TEXT,
     .offset = AT(path),
     .arg = "PREFIX",
     .help = "only paths that begin so"},
    {.name = "limit",
     .type = OPT_INT,
     .offset = AT(most),
     .arg = "N",
     .fallback = "0",
     .min = 0,
     .max = 1000000000,
     .help = "end after so many; 0 = Ctrl-C ends it"},
    VERB_ROWS(struct settings),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh tap",
    .section = "cli",
    .summary = "Requests as they happen, from the proxies that carry them.",
    .examples = "mesh tap reviews-v3\n"
                "mesh tap --status 5xx\n"
                "mesh tap ratings-v1 --limit 10 -o jsonl\n",
    .operands = "[WORKLOAD]",
    .rows = rows,
};

struct tap {
    struct verb *verb;
    const struct settings *set;
    int64_t seen;
};

static struct span text_at(const struct doc_node *node, const char *path)
{
    const struct doc_node *n = node ? doc_path(node, path) : NULL;
    return doc_is(n, DOC_TEXT) ? n->text : SPAN_EMPTY;
}

static long status_of(const struct doc_node *http)
{
    const struct doc_node *n = doc_path(http, "response.responseCode");
    return doc_is(n, DOC_INT) ? (long)n->integer : 0;
}

static bool status_fits(const char *wanted, long status)
{
    char text[16];
    snprintf(text, sizeof text, "%ld", status);
    for (size_t i = 0; wanted[i] && i < sizeof text; i++) {
        if (wanted[i] != 'x' && wanted[i] != text[i]) {
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct tap *t, const struct doc_node *http)
{
    const struct settings *set = t->set;
    return (!set->status || status_fits(set->status, status_of(http))) &&
           (!set->method || span_is(text_at(http, "request.requestMethod"), set->method)) &&
           (!set->path || span_starts(text_at(http, "request.path"), span_of(set->path)));
}

static void print_line(const struct doc_node *event, const struct doc_node *http)
{
    struct span start = text_at(http, "commonProperties.startTime");
    struct span time = span_first(span_from_offset(start, 11), 12);
    printf("%.*s  %-16.*s %3ld %-6.*s %.*s%.*s  %.*s  %.*s\n", SPAN_ARG(time),
           SPAN_ARG(text_at(event, "node.workload")), status_of(http),
           SPAN_ARG(text_at(http, "request.requestMethod")),
           SPAN_ARG(text_at(http, "request.authority")), SPAN_ARG(text_at(http, "request.path")),
           SPAN_ARG(text_at(http, "commonProperties.duration")),
           SPAN_ARG(text_at(http, "commonProperties.upstreamCluster")));
    fflush(stdout);
}

static bool on_event(void *arg, struct doc_node *event)
{
    struct tap *t = arg;
    const struct doc_node *http = doc_get(event, "http");
    if (!http || !is_wanted(t, http)) {
        return false;
    }
    if (!verb_print_doc(t->verb, event)) {
        print_line(event, http);
    }
    fflush(stdout);
    t->seen++;
    return t->set->most > 0 && t->seen >= t->set->most;
}

int cmd_tap(int argc, char **argv)
{
    struct settings set = {.most = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        struct tap tap = {.verb = &v, .set = &set};
        const char *name = v.operands.count > 0 ? v.operands.items[0] : "";
        const char *ns = set.common.all_namespaces ? ""
                         : set.common.namespace    ? set.common.namespace
                                                   : "default";
        const char *target = arena_printf(&v.arena, "%s/%s", ns, name);
        status = verb_stream(
            &v, arena_printf(&v.arena, "/api/v1/tap?target=%s", verb_escape(&v, span_of(target))),
            on_event, &tap);
    }
    verb_close(&v);
    return status;
}
