/* mesh explain WORD: codes of messages, response flags, ports, metrics and words; all in the binary. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"
#include "mesh/codes.h"

struct word {
    const char *name;
    const char *text;
};

/* Envoy's response flags, as access logs and metrics have them. */
static const struct word words[] = {
    {"UH",
     "no healthy upstream: every endpoint of the destination is down, ejected, or there is none"},
    {"UF", "upstream connection failure: the endpoint did not take the connection"},
    {"UC", "upstream connection termination: the endpoint closed before it had answered"},
    {"UO", "upstream overflow: a circuit breaker of the destination is open"},
    {"UR", "upstream remote reset: the endpoint reset the request"},
    {"UT", "upstream request timeout: the route's timeout passed"},
    {"URX", "upstream retry limit exceeded: all tries failed"},
    {"UPE", "upstream protocol error: the answer was no valid HTTP"},
    {"NR", "no route: no rule of the route table fits the request"},
    {"NC", "no cluster: the route names a destination that is not known"},
    {"DC",
     "downstream connection termination: the client went away before the answer was complete"},
    {"DPE", "downstream protocol error: the client's request was no valid HTTP"},
    {"DI", "delay injected by a fault rule"},
    {"FI", "the answer was injected by a fault rule"},
    {"RL", "rate limited"},
    {"UAEX", "unauthorized: a policy refused the request"},
    {"SI", "stream idle timeout"},
    {"LR", "local reset by the proxy"},
    {"15000", "port of a proxy's admin pages; on loopback, or a unix socket"},
    {"15001", "port of a proxy that takes what the application sends (redirected by mesh init)"},
    {"15006",
     "port of a proxy that takes what is sent to the application (redirected by mesh init)"},
    {"15008", "port of a proxy for HTTP/2 CONNECT tunnels over mutual TLS (HBONE)"},
    {"15010", "port of control for xDS without TLS; off unless asked for"},
    {"15012", "port of control for xDS, certificates and telemetry over mutual TLS"},
    {"15014", "port of control for its own metrics"},
    {"15020",
     "port of a proxy in a pod: the application's probes, and its metrics with the proxy's"},
    {"15021", "port of a proxy that says whether it is ready: /healthz/ready"},
    {"15053", "port of a proxy that answers DNS for the application"},
    {"15080", "port of control for the API"},
    {"15090", "port of a proxy for its own metrics"},
    {"istio_requests_total",
     "counter of finished requests by source, destination, code, flags and security policy; each edge is told by both reporters"},
    {"istio_request_duration_milliseconds",
     "histogram of how long requests took, with the labels of istio_requests_total"},
    {"istio_tcp_connections_opened_total",
     "counter of opaque connections by source and destination"},
    {"mtls",
     "mutual TLS: both sides of a connection prove by certificate who they are; between sidecars it needs no configuration"},
    {"permissive",
     "a workload takes mutual TLS and plain connections alike; the default, see PeerAuthentication"},
    {"strict", "a workload takes mutual TLS only, see PeerAuthentication"},
    {"spiffe",
     "the form of identities: spiffe://<trust domain>/ns/<namespace>/sa/<service account>"},
};

static const struct opt_spec spec = {
    .command = "mesh explain",
    .section = "cli",
    .summary = "What a code, response flag, port, metric or word means.",
    .examples = "mesh explain MESH2001\n"
                "mesh explain UH\n"
                "mesh explain 15012\n",
    .operands = "WORD",
    .rows = verb_plain_rows,
};

static const struct code_row *code_of(const char *text)
{
    struct span digits = span_of(text);
    uint64_t number;
    if (span_starts_nocase(digits, SPAN("MESH"))) {
        digits = span_from_offset(digits, 4);
    } else if (digits.len != 4) {
        return NULL;
    }
    return span_to_u64(digits, &number) ? codes_find((unsigned)number) : NULL;
}

/* Long lines, cut at blanks for a terminal of 100 columns. */
static void print_wrapped(const char *name, const char *text)
{
    const int room = 88;
    printf("  %-8s", name);
    while ((int)strlen(text) > room) {
        int at = room;
        while (at > 0 && text[at] != ' ') {
            at--;
        }
        at = at ? at : room;
        printf("%.*s\n%10s", at, text, "");
        text += at + (text[at] == ' ');
    }
    printf("%s\n", text);
}

static int explain(struct verb *v, const char *word)
{
    const struct code_row *row = code_of(word);
    struct doc_node *doc = doc_new_map(&v->arena);
    if (row) {
        const char *name = arena_printf(&v->arena, "MESH%04u", row->number);
        doc_set(&v->arena, doc, "code", doc_cstr(&v->arena, name));
        doc_set(&v->arena, doc, "severity",
                doc_cstr(&v->arena, codes_severity_name(row->severity)));
        doc_set(&v->arena, doc, "meaning", doc_cstr(&v->arena, row->meaning));
        doc_set(&v->arena, doc, "remedy", doc_cstr(&v->arena, row->remedy));
        if (!verb_print_doc(v, doc)) {
            printf("%s  %s\n", name, codes_severity_name(row->severity));
            print_wrapped("what", row->meaning);
            print_wrapped("fix", row->remedy);
        }
        return EXIT_DONE;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (span_eq_nocase(span_of(words[i].name), span_of(word))) {
            doc_set(&v->arena, doc, "word", doc_cstr(&v->arena, words[i].name));
            doc_set(&v->arena, doc, "meaning", doc_cstr(&v->arena, words[i].text));
            if (!verb_print_doc(v, doc)) {
                printf("%s\n", words[i].name);
                print_wrapped("what", words[i].text);
            }
            return EXIT_DONE;
        }
    }
    return verb_fail(v, EXIT_MISSING, 1005, "mesh help", "there is nothing to explain \"%s\" with",
                     word);
}

int cmd_explain(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = v.operands.count == 1
                     ? explain(&v, v.operands.items[0])
                     : verb_fail(&v, EXIT_USAGE, 1004, "mesh explain UH", "explain needs one word");
    }
    verb_close(&v);
    return status;
}
