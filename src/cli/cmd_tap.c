/* mesh tap [WORKLOAD]: requests as they happen.
 * In: server-sent events of GET /api/v1/tap, each with Envoy's HTTPAccessLogEntry in JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/verb_int.h"

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
    .examples = "mesh tap reviews --limit 20\n"
                "mesh tap --status 5xx\n"
                "mesh tap ratings-v1 --limit 10 -o jsonl\n",
    .operands = "[WORKLOAD]",
    .rows = rows,
};

struct tap {
    struct verb *verb;
    const struct settings *set;
    int64_t seen;
    bool is_app; /* the name is that of several workloads, or the beginning of one's */
};

static long status_of(const struct doc_node *http)
{
    const struct doc_node *n = doc_path(http, "response.responseCode");
    return doc_is(n, DOC_INT) ? (long)n->integer : 0;
}

static bool status_fits(const char *wanted, long status)
{
    char text[16];
    snprintf(text, sizeof text, "%ld", status);
    for (size_t i = 0; i < sizeof text && wanted[i]; i++) {
        if (wanted[i] != 'x' && wanted[i] != text[i]) {
            return false;
        }
    }
    return true;
}

/* Over the whole mesh each request is told by both ends: then the server's word counts, and the client's only of what failed. */
static bool is_told_twice(const struct tap *t, const struct doc_node *http)
{
    return t->verb->operands.count == 0 &&
           span_is(item_text(http, "commonProperties.customTags.reporter"), "source") &&
           !doc_path(http, "commonProperties.responseFlags");
}

static bool is_wanted(const struct tap *t, const struct doc_node *event,
                      const struct doc_node *http)
{
    const struct settings *set = t->set;
    struct span name = span_of(t->verb->operands.count > 0 ? t->verb->operands.items[0] : "");
    struct span node = item_text(event, "node.workload");
    bool is_named = t->is_app ? span_starts(node, name) : true;
    return is_named && !is_told_twice(t, http) &&
           (!set->status || status_fits(set->status, status_of(http))) &&
           (!set->method || span_is(item_text(http, "request.requestMethod"), set->method)) &&
           (!set->path || span_starts(item_text(http, "request.path"), span_of(set->path)));
}

static struct span end_name(const struct doc_node *http, const char *key)
{
    struct span name = item_text(http, key);
    return name.len > 0 ? name : SPAN("unknown");
}

/* "0.000436s" in milliseconds. */
static const char *duration_of(struct verb *v, const struct doc_node *http)
{
    struct span text = item_text(http, "commonProperties.duration");
    struct doc_node *map = doc_new_map(&v->arena);
    double s =
        text.len > 1 ? strtod(arena_cstr(&v->arena, span_first(text, text.len - 1)), NULL) : 0;
    doc_set(&v->arena, map, "ms", doc_double(&v->arena, s * 1000));
    return cell_ms(v, map, "ms");
}

/* "UH": the flags that are set, in the words of Envoy's JSON. */
static const char *flags_of(struct verb *v, const struct doc_node *http)
{
    const struct doc_node *flags = doc_path(http, "commonProperties.responseFlags");
    const char *text = "";
    for (size_t i = 0; i < doc_count(flags); i++) {
        text = arena_printf(&v->arena, "%s  %.*s", text, SPAN_ARG(flags->entries[i].key));
    }
    return text;
}

static void print_line(struct verb *v, const struct doc_node *http)
{
    struct span start = item_text(http, "commonProperties.startTime");
    struct span time = span_first(span_from_offset(start, 11), 12);
    long status = status_of(http);
    enum table_tone tone = status >= 500 || status == 0 ? TONE_BAD : TONE_PLAIN;
    printf("%.*s  %16.*s > %-14.*s %-5.*s %.*s  %s%ld%s  %s%s  %.*s\n", SPAN_ARG(time),
           SPAN_ARG(end_name(http, "commonProperties.customTags.source_workload")),
           SPAN_ARG(end_name(http, "commonProperties.customTags.destination_workload")),
           SPAN_ARG(item_text(http, "request.requestMethod")),
           SPAN_ARG(span_first(item_text(http, "request.path"), 60)), table_tone_on(v, tone),
           status, table_tone_off(v, tone), duration_of(v, http), flags_of(v, http),
           SPAN_ARG(span_first(item_text(http, "request.requestId"), 8)));
}

static bool on_event(void *arg, struct doc_node *event)
{
    struct tap *t = arg;
    const struct doc_node *http = doc_get(event, "http");
    if (!http || !is_wanted(t, event, http)) {
        return false;
    }
    if (!verb_print_doc(t->verb, event)) {
        print_line(t->verb, http);
    }
    fflush(stdout);
    t->seen++;
    return t->set->most > 0 && t->seen >= t->set->most;
}

/* A workload of that very name is watched alone; else all of the namespace are, and those that are called so are shown. */
static int watch(struct verb *v, struct tap *tap)
{
    struct doc_node *answer = NULL;
    const char *name = v->operands.count > 0 ? v->operands.items[0] : "";
    const char *ns = v->flags->all_namespaces ? "" : verb_namespace(v);
    if (*name) {
        int status = verb_get(v, arena_printf(&v->arena, "/api/v1/stat%s", verb_namespace_query(v)),
                              &answer);
        const struct doc_node *items = doc_get(answer, "items");
        bool is_known = false;
        tap->is_app = true;
        for (size_t i = 0; i < doc_count(items); i++) {
            is_known = is_known || item_is_called(doc_at(items, i), span_of(name));
            tap->is_app = tap->is_app && !span_is(item_text(doc_at(items, i), "workload"), name);
        }
        if (status != EXIT_DONE) {
            return status;
        }
        if (!is_known) {
            return verb_fail(v, EXIT_MISSING, 1008, "mesh stat -A", "there is no workload \"%s\"",
                             name);
        }
    }
    const char *target = arena_printf(&v->arena, "%s/%s", ns, tap->is_app ? "" : name);
    return verb_stream(
        v, arena_printf(&v->arena, "/api/v1/tap?target=%s", verb_escape(v, span_of(target))),
        on_event, tap);
}

int cmd_tap(int argc, char **argv)
{
    struct settings set = {.most = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        struct tap tap = {.verb = &v, .set = &set};
        status = v.operands.count <= 1
                     ? watch(&v, &tap)
                     : verb_fail(&v, EXIT_USAGE, 1004, "mesh tap --help", "tap takes one workload");
    }
    verb_close(&v);
    return status;
}
