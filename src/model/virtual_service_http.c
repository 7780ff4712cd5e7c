/* HTTP routes of a VirtualService. Next: virtual_service_match, _target, _fault. */
#include "codec/base64.h"
#include "codec/regex.h"
#include "model/kinds_int.h"
#include "model/virtual_service_int.h"

static void no_fit(struct reader *r, const struct doc_node *at, const char *below, const char *what,
                   const char *why, const char *fix)
{
    struct finding *found = reader_say(r, 2033, at, below, "%s", what);
    found->why = span_of(why);
    found->fix = span_of(fix);
}

/* --- HTTPRedirect --- */

static const struct reader_enum port_sources[] = {
    {"FROM_PROTOCOL_DEFAULT", VIRTUAL_SERVICE_PORT_BY_PROTOCOL},
    {"FROM_REQUEST_PORT", VIRTUAL_SERVICE_PORT_OF_REQUEST},
    {NULL, 0}};

static bool check_scheme(struct reader *r, const struct doc_node *node, struct span text)
{
    if (span_is(text, "http") || span_is(text, "https")) {
        return true;
    }
    struct finding *found = reader_say(r, 2015, node, NULL, "'scheme' is %s, which is not allowed",
                                       reader_show(r, node));
    found->why = SPAN("allowed: http or https");
    found->fix = SPAN("write 'scheme: https'");
    return false;
}

static void read_status(struct reader *r, const struct doc_node *node, void *to)
{
    static const int allowed[] = {301, 302, 303, 307, 308}; /* what Envoy can answer */
    for (size_t i = 0; node->kind == DOC_INT && i < ARRAY_LEN(allowed); i++) {
        if (node->integer == allowed[i]) {
            *(unsigned *)to = (unsigned)allowed[i];
            return;
        }
    }
    struct finding *found = reader_say(
        r, 2030, node, NULL, "'redirectCode' is %s, which is no redirect", reader_show(r, node));
    found->why = SPAN("allowed: 301, 302, 303, 307 or 308");
    found->fix = SPAN("write 301 (for ever) or 302 (for now)");
}

static void start_redirect(void *out)
{
    struct virtual_service_redirect *redirect = out;
    redirect->set = true;
    redirect->status = 301;
}

static void check_redirect(struct reader *r, const struct doc_node *node, void *out)
{
    struct virtual_service_redirect *redirect = out;
    if (redirect->port > 0) {
        redirect->port_from = VIRTUAL_SERVICE_PORT_NUMBER;
    }
    bool something = redirect->uri.len || redirect->authority.len || redirect->scheme.len ||
                     redirect->prefix_rewrite.len || redirect->port ||
                     reader_has(node, "derivePort");
    if (something) {
        return;
    }
    struct finding *found = reader_say(r, 2025, node, NULL, "'redirect' leads back to itself");
    found->why = SPAN("it wants one of uri, authority, scheme, port or prefixRewrite");
    found->fix = SPAN("add 'uri' or 'authority'");
}

static const struct reader_field redirect_fields[] = {
    READER_FIELD("uri", TEXT, struct virtual_service_redirect, uri, .one_of = 1),
    READER_FIELD("prefixRewrite", TEXT, struct virtual_service_redirect, prefix_rewrite,
                 .one_of = 1),
    READER_FIELD("authority", TEXT, struct virtual_service_redirect, authority),
    READER_FIELD("scheme", TEXT, struct virtual_service_redirect, scheme, .check = check_scheme),
    READER_FIELD("port", PORT, struct virtual_service_redirect, port, .one_of = 2),
    READER_FIELD("derivePort", ENUM, struct virtual_service_redirect, port_from, .one_of = 2,
                 .names = port_sources),
    READER_FIELD("redirectCode", CUSTOM, struct virtual_service_redirect, status,
                 .read = read_status),
};
static const struct reader_table redirect_table = {
    READER_TABLE(struct virtual_service_redirect, redirect_fields), .start = start_redirect,
    .check = check_redirect};

/* --- HTTPDirectResponse --- */

struct body {
    struct span string, bytes;
};

static const struct reader_field body_fields[] = {
    READER_FIELD("string", TEXT, struct body, string, .one_of = 1),
    READER_FIELD("bytes", TEXT, struct body, bytes, .one_of = 1),
};
static const struct reader_table body_table = {READER_TABLE(struct body, body_fields)};

#define BODY_BYTES_MAX (1UL << 20) /* Istio's limit */

static void read_body(struct reader *r, const struct doc_node *node, void *to)
{
    struct body body;
    struct span *out = to;
    reader_map(r, node, &body_table, &body);
    *out = body.string;
    if (body.bytes.len > 0) {
        char *bytes = arena_bytes(r->arena, base64_decoded_max(body.bytes.len));
        ssize_t len = base64_decode(BASE64_STANDARD, body.bytes, bytes);
        *out = span_from(bytes, len < 0 ? 0 : (size_t)len);
        if (len < 0) {
            struct finding *found =
                reader_say(r, 2013, doc_get(node, "bytes"), "bytes", "'bytes' is not base64");
            found->why = SPAN("bytes are written in base64 (RFC 4648)");
            found->fix = SPAN("write the text as 'string', or encode it");
        }
    }
    if (out->len > BODY_BYTES_MAX) {
        struct finding *found = reader_say(r, 2032, node, NULL, "the body is too large");
        found->why = finding_text(r->findings, "it has %zu bytes, and at most %lu are allowed",
                                  out->len, BODY_BYTES_MAX);
        found->fix = SPAN("serve it from a service");
    }
}

static void start_direct(void *out)
{
    ((struct virtual_service_direct *)out)->set = true;
}

static const struct reader_field direct_fields[] = {
    READER_FIELD("status", U32, struct virtual_service_direct, status, .required = true, .min = 200,
                 .max = 599),
    READER_FIELD("body", CUSTOM, struct virtual_service_direct, body, .read = read_body),
};
static const struct reader_table direct_table = {
    READER_TABLE(struct virtual_service_direct, direct_fields), .start = start_direct};

/* --- HTTPRewrite --- */

static void check_regex_rewrite(struct reader *r, const struct doc_node *node, void *out)
{
    const struct virtual_service_rewrite *w = out;
    const struct regex *re;
    struct arena arena;
    struct err err = {.code = 0};
    arena_init(&arena, 16384);
    bool compiled = regex_compile(&re, w->regex, 0, &arena, &err) == 0;
    if (!compiled || regex_check_substitution(re, w->substitution, &err) != 0) {
        const char *key = compiled ? "rewrite" : "match";
        struct finding *found =
            reader_say(r, 2027, doc_get(node, key), key, "'%s' is %s, which is not %s", key,
                       reader_show(r, doc_get(node, key)),
                       compiled ? "a substitution" : "a regular expression");
        found->why = finding_text(r->findings, "%s", err.text);
        found->fix = compiled
                         ? SPAN("write groups of 'match' as \\1 to \\9, and '\\\\' for a backslash")
                         : SPAN("write it in RE2 syntax");
    }
    arena_dispose(&arena);
}

static const struct reader_field regex_rewrite_fields[] = {
    READER_FIELD("match", TEXT, struct virtual_service_rewrite, regex, .required = true,
                 .check = reader_text_not_empty),
    READER_FIELD("rewrite", TEXT, struct virtual_service_rewrite, substitution, .required = true),
};
static const struct reader_table regex_rewrite_table = {
    READER_TABLE(struct virtual_service_rewrite, regex_rewrite_fields),
    .check = check_regex_rewrite};

static void read_regex_rewrite(struct reader *r, const struct doc_node *node, void *to)
{
    struct virtual_service_rewrite *w = to;
    struct virtual_service_rewrite read;
    reader_map(r, node, &regex_rewrite_table, &read);
    w->regex = read.regex;
    w->substitution = read.substitution;
}

static void start_rewrite(void *out)
{
    ((struct virtual_service_rewrite *)out)->set = true;
}

static void check_rewrite(struct reader *r, const struct doc_node *node, void *out)
{
    const struct virtual_service_rewrite *w = out;
    if (w->uri.len || w->authority.len || w->regex.len) {
        return;
    }
    struct finding *found = reader_say(r, 2025, node, NULL, "'rewrite' changes nothing");
    found->why = SPAN("it wants one of uri, uriRegexRewrite or authority");
    found->fix = SPAN("add 'uri', or remove 'rewrite'");
}

static const struct reader_field rewrite_fields[] = {
    READER_FIELD("uri", TEXT, struct virtual_service_rewrite, uri, .one_of = 1,
                 .check = reader_text_path),
    {.name = "uriRegexRewrite", .type = READER_CUSTOM, .one_of = 1, .read = read_regex_rewrite},
    READER_FIELD("authority", TEXT, struct virtual_service_rewrite, authority,
                 .check = reader_text_header_value),
};
static const struct reader_table rewrite_table = {
    READER_TABLE(struct virtual_service_rewrite, rewrite_fields), .start = start_rewrite,
    .check = check_rewrite};

/* --- mirrors --- */

static void start_mirror(void *out)
{
    ((struct virtual_service_mirror *)out)->percent = 100;
}

static const struct reader_field mirror_fields[] = {
    READER_FIELD("destination", MAP, struct virtual_service_mirror, destination, .required = true,
                 .table = &virtual_service_destination_table),
    READER_FIELD("percentage", MAP, struct virtual_service_mirror, percent,
                 .table = &spec_percent_table),
};
static const struct reader_table mirror_table = {
    READER_TABLE(struct virtual_service_mirror, mirror_fields), .start = start_mirror};

/* `mirror`, with its percentage in a field beside it. */
struct http {
    struct virtual_service_http http; /* first: what is kept */
    struct virtual_service_destination mirror;
    double mirror_percent;
};

static void start_http(void *out)
{
    struct http *h = out;
    h->http.timeout_ms = SPEC_UNSET;
    h->http.fault.abort_grpc = SPEC_UNSET;
    h->mirror_percent = 100;
}

/* --- the route --- */

static void check_actions(struct reader *r, const struct doc_node *node,
                          const struct virtual_service_http *h)
{
    const char *answer = h->redirect.set ? "redirect" : "directResponse";
    if (h->route_count == 0 && !h->redirect.set && !h->direct.set) {
        struct finding *found = reader_say(r, 2025, node, NULL, "the route leads nowhere");
        found->why = SPAN("it wants one of route, redirect or directResponse");
        found->fix = SPAN("add 'route' with a 'destination'");
        return;
    }
    if (h->route_count > 0) {
        return;
    }
    const char *const needs[] = {"rewrite", "fault", "retries", "mirror", "mirrors"};
    for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
        /* Istio: a direct response may be delayed or aborted. */
        bool fits = i == 1 && h->direct.set;
        if (reader_has(node, needs[i]) && !fits) {
            no_fit(r, doc_get(node, needs[i]), needs[i],
                   arena_printf(r->findings->arena, "'%s' stands beside '%s'", needs[i], answer),
                   "the request is sent nowhere",
                   arena_printf(r->findings->arena, "remove '%s'", needs[i]));
        }
    }
}

static bool is_authority(struct span name)
{
    return span_eq_nocase(name, SPAN("host")) || span_is(name, ":authority");
}

/* validateAuthorityRewrite of Istio. */
static void check_authority(struct reader *r, const struct doc_node *node,
                            const struct virtual_service_http *h)
{
    const struct spec_headers *set = &h->headers.request.set;
    for (size_t i = 0; h->rewrite.authority.len > 0 && i < set->count; i++) {
        if (is_authority(set->items[i].name)) {
            no_fit(r, doc_path(node, "rewrite.authority"), "rewrite.authority",
                   "the host is changed twice", "headers.request.set changes it too",
                   "remove one of the two");
            return;
        }
    }
}

static void check_http(struct reader *r, const struct doc_node *node, void *out)
{
    struct http *h = out;
    check_actions(r, node, &h->http);
    check_authority(r, node, &h->http);
    virtual_service_check_weights(r, node, h->http.routes, h->http.route_count);
    if (reader_has(node, "mirror")) {
        struct virtual_service_mirror *mirror = arena_new(r->arena, struct virtual_service_mirror);
        *mirror = (struct virtual_service_mirror){h->mirror, h->mirror_percent};
        h->http.mirrors = mirror;
        h->http.mirror_count = 1;
    } else if (reader_has(node, "mirrorPercentage")) {
        struct finding *found = reader_say(r, 2034, doc_get(node, "mirrorPercentage"),
                                           "mirrorPercentage", "nothing is mirrored");
        found->why = SPAN("'mirror' is missing");
        found->fix = SPAN("add 'mirror' with a 'host', or write 'mirrors'");
    }
}

static const struct reader_field http_fields[] = {
    READER_FIELD("name", TEXT, struct virtual_service_http, name),
    READER_FIELD("match", LIST, struct virtual_service_http, matches,
                 .table = &virtual_service_match_table),
    READER_FIELD("route", LIST, struct virtual_service_http, routes, .one_of = 1,
                 .table = &virtual_service_target_table),
    READER_FIELD("redirect", MAP, struct virtual_service_http, redirect, .one_of = 1,
                 .table = &redirect_table),
    READER_FIELD("directResponse", MAP, struct virtual_service_http, direct, .one_of = 1,
                 .table = &direct_table),
    READER_REFUSE("delegate", "write the routes of the delegate here"),
    READER_FIELD("rewrite", MAP, struct virtual_service_http, rewrite, .table = &rewrite_table),
    READER_FIELD("timeout", DURATION, struct virtual_service_http, timeout_ms, .zero = true),
    READER_FIELD("retries", MAP, struct virtual_service_http, retry,
                 .table = &virtual_service_retry_table),
    READER_FIELD("fault", MAP, struct virtual_service_http, fault,
                 .table = &virtual_service_fault_table),
    READER_FIELD("mirror", MAP, struct http, mirror, .one_of = 2,
                 .table = &virtual_service_destination_table),
    READER_FIELD("mirrors", LIST, struct virtual_service_http, mirrors, .one_of = 2,
                 .table = &mirror_table),
    READER_FIELD("mirrorPercentage", MAP, struct http, mirror_percent, .one_of = 3,
                 .table = &spec_percent_table),
    READER_FIELD("mirrorPercent", DOUBLE, struct http, mirror_percent, .max = 100, .one_of = 3),
    READER_FIELD("corsPolicy", MAP, struct virtual_service_http, cors,
                 .table = &virtual_service_cors_table),
    READER_FIELD("headers", MAP, struct virtual_service_http, headers,
                 .table = &virtual_service_headers_table),
};
const struct reader_table virtual_service_http_table = {READER_TABLE(struct http, http_fields),
                                                        .start = start_http, .check = check_http};
