/* VirtualService. Next: virtual_service_http. */
#include "model/virtual_service.h"

#include "model/kinds_int.h"
#include "model/virtual_service_int.h"

/* "mesh" is meant when no gateways are told. */
static bool is_for_sidecars(const struct virtual_service_spec *s)
{
    for (size_t i = 0; i < s->gateways.count; i++) {
        if (span_is(s->gateways.items[i], "mesh")) {
            return true;
        }
    }
    return s->gateways.count == 0;
}

/* ValidateVirtualService of Istio. */
static void check_hosts(struct reader *r, const struct doc_node *node,
                        const struct virtual_service_spec *s)
{
    const struct doc_node *list = doc_get(node, "hosts");
    reader_unique(r, list, "hosts", NULL, "host");
    for (size_t i = 0; i < s->hosts.count; i++) {
        if (!span_is(s->hosts.items[i], "*") || !is_for_sidecars(s)) {
            continue;
        }
        struct finding *found =
            reader_say(r, 2033, doc_at(list, i), arena_printf(r->findings->arena, "hosts[%zu]", i),
                       "host '*' would take all requests of all sidecars");
        found->why = SPAN("gateway 'mesh' is meant when no 'gateways' are told");
        found->fix = SPAN("write the name of a service, or add 'gateways'");
    }
}

static bool takes_all(const struct virtual_service_match *m)
{
    return m->uri.kind == SPEC_MATCH_NONE && m->scheme.kind == SPEC_MATCH_NONE &&
           m->method.kind == SPEC_MATCH_NONE && m->authority.kind == SPEC_MATCH_NONE &&
           m->headers.count == 0 && m->without_headers.count == 0 && m->queries.count == 0 &&
           m->port == 0 && m->source_labels.count == 0 && m->source_namespace.len == 0 &&
           m->gateways.count == 0;
}

/* Routes behind one that takes every request. */
static void check_reach(struct reader *r, const struct doc_node *node,
                        const struct virtual_service_spec *s)
{
    for (size_t i = 0; i + 1 < s->http_count; i++) {
        bool all = s->http[i].match_count == 0;
        for (size_t k = 0; k < s->http[i].match_count; k++) {
            all |= takes_all(&s->http[i].matches[k]);
        }
        if (!all) {
            continue;
        }
        struct finding *found = reader_say(r, 2038, doc_at(doc_get(node, "http"), i + 1),
                                           arena_printf(r->findings->arena, "http[%zu]", i + 1),
                                           "a route is never reached");
        found->why = finding_text(r->findings, "http[%zu] takes all requests", i);
        found->fix =
            finding_text(r->findings, "move it before http[%zu], or give that one a 'match'", i);
        return;
    }
}

static void check_spec(struct reader *r, const struct doc_node *node, void *out)
{
    const struct virtual_service_spec *s = out;
    check_hosts(r, node, s);
    check_reach(r, node, s);
    if (s->http_count + s->tls_count + s->tcp_count == 0) {
        struct finding *found = reader_say(r, 2025, node, NULL, "the VirtualService has no routes");
        found->why = SPAN("it wants one of http, tls or tcp");
        found->fix = SPAN("add 'http' with a 'route'");
    }
}

/* Routes are read into a larger struct (virtual_service_http.c), and then packed. */
static void read_http(struct reader *r, const struct doc_node *node, void *to)
{
    struct virtual_service_spec *s = to;
    size_t size = virtual_service_http_table.size;
    struct {
        const char *items;
        size_t count;
    } read = {NULL, 0};
    const struct reader_field field = {
        .name = "", .type = READER_LIST, .table = &virtual_service_http_table};
    reader_value(r, node, &field, &read);
    struct virtual_service_http *http = arena_array(r->arena, read.count, sizeof(http[0]));
    for (size_t i = 0; i < read.count; i++) {
        memcpy(&http[i], read.items + i * size, sizeof(http[i]));
    }
    s->http = http;
    s->http_count = read.count;
}

static const struct reader_field spec_fields[] = {
    READER_FIELD("hosts", TEXTS, struct virtual_service_spec, hosts, .required = true, .min = 1,
                 .check = reader_text_host, .note = "add 'hosts', the names of services"),
    READER_FIELD("gateways", TEXTS, struct virtual_service_spec, gateways,
                 .check = virtual_service_check_gateway),
    {.name = "http", .type = READER_CUSTOM, .read = read_http},
    READER_FIELD("tls", LIST, struct virtual_service_spec, tls,
                 .table = &virtual_service_tls_table),
    READER_FIELD("tcp", LIST, struct virtual_service_spec, tcp,
                 .table = &virtual_service_tcp_table),
    READER_FIELD("exportTo", TEXTS, struct virtual_service_spec, export_to,
                 .check = reader_text_export),
};
const struct reader_table virtual_service_table = {
    READER_TABLE(struct virtual_service_spec, spec_fields), .check = check_spec};
