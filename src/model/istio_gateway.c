/* Gateway of Istio. */
#include "model/istio_gateway.h"

#include "model/kinds_int.h"

static void no_fit(struct reader *r, const struct doc_node *at, const char *below, const char *what,
                   const char *why, const char *fix)
{
    struct finding *found = reader_say(r, 2033, at, below, "%s", what);
    found->why = span_of(why);
    found->fix = span_of(fix);
}

/* --- port --- */

static void read_protocol(struct reader *r, const struct doc_node *node, void *to)
{
    static const char *const known[] = {"HTTP", "HTTPS", "HTTP2", "GRPC",  "GRPC-WEB",
                                        "TCP",  "TLS",   "MONGO", "MYSQL", "REDIS"};
    if (node->kind != DOC_TEXT) {
        (void)reader_wrong_kind(r, node, "text"); /* is said */
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (span_eq_nocase(node->text, span_of(known[i]))) {
            *(struct span *)to = span_of(known[i]);
            return;
        }
    }
    struct finding *found = reader_say(
        r, 2015, node, NULL, "'protocol' is %s, which is not allowed", reader_show(r, node));
    found->why =
        SPAN("allowed: HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP, TLS, MONGO, MYSQL or REDIS");
    found->fix = SPAN("write 'protocol: HTTP', or 'HTTPS' with tls");
}

static const struct reader_field port_fields[] = {
    READER_FIELD("number", PORT, struct istio_gateway_server, port, .required = true),
    READER_FIELD("name", TEXT, struct istio_gateway_server, port_name, .required = true,
                 .check = reader_text_label),
    READER_FIELD("protocol", CUSTOM, struct istio_gateway_server, protocol, .required = true,
                 .read = read_protocol, .note = "add 'protocol: HTTP'"),
    READER_WARN("targetPort", "the gateway listens on 'number'"),
};
static const struct reader_table port_table = {
    READER_TABLE(struct istio_gateway_server, port_fields)};

static void read_port(struct reader *r, const struct doc_node *node, void *to)
{
    struct istio_gateway_server *s = to;
    struct istio_gateway_server read;
    reader_map(r, node, &port_table, &read);
    s->port = read.port;
    s->port_name = read.port_name;
    s->protocol = read.protocol;
}

/* --- tls --- */

static const struct reader_enum modes[] = {{"PASSTHROUGH", ISTIO_GATEWAY_TLS_PASSTHROUGH},
                                           {"SIMPLE", ISTIO_GATEWAY_TLS_SIMPLE},
                                           {"MUTUAL", ISTIO_GATEWAY_TLS_MUTUAL},
                                           {"AUTO_PASSTHROUGH", ISTIO_GATEWAY_TLS_AUTO_PASSTHROUGH},
                                           {"ISTIO_MUTUAL", ISTIO_GATEWAY_TLS_ISTIO_MUTUAL},
                                           {"OPTIONAL_MUTUAL", ISTIO_GATEWAY_TLS_OPTIONAL_MUTUAL},
                                           {NULL, 0}};
static const struct reader_enum versions[] = {{"TLS_AUTO", 0}, {"TLSV1_0", 1}, {"TLSV1_1", 2},
                                              {"TLSV1_2", 3},  {"TLSV1_3", 4}, {NULL, 0}};

static void read_version(struct reader *r, const struct doc_node *node, void *to)
{
    int which = 0;
    const struct reader_field field = {.name = "", .type = READER_ENUM, .names = versions};
    reader_value(r, node, &field, &which);
    *(struct span *)to = which > 0 ? span_of(versions[which].name) : SPAN_EMPTY;
}

static void start_tls(void *out)
{
    ((struct istio_gateway_server *)out)->tls = ISTIO_GATEWAY_TLS_PASSTHROUGH;
}

/* validateTLSOptions of Istio. */
static void check_tls(struct reader *r, const struct doc_node *node, void *out)
{
    struct istio_gateway_server *s = out;
    bool own = s->tls == ISTIO_GATEWAY_TLS_SIMPLE || s->tls == ISTIO_GATEWAY_TLS_MUTUAL ||
               s->tls == ISTIO_GATEWAY_TLS_OPTIONAL_MUTUAL;
    bool mutual = own && s->tls != ISTIO_GATEWAY_TLS_SIMPLE;
    if (s->https_redirect && !reader_has(node, "mode")) {
        s->tls = ISTIO_GATEWAY_TLS_NONE;
    }
    if (own && s->credential.len == 0 && s->certificate_file.len == 0) {
        reader_missing(r, node, "credentialName",
                       "add 'credentialName', or 'serverCertificate' and 'privateKey'");
    } else if (own && s->credential.len == 0 && s->key_file.len == 0) {
        reader_missing(r, node, "privateKey", "add 'privateKey', the path of a file");
    } else if (mutual && s->credential.len == 0 && s->ca_file.len == 0) {
        reader_missing(r, node, "caCertificates", "add 'caCertificates', the path of a file");
    }
    if (!own && (s->credential.len > 0 || s->certificate_file.len > 0 || s->key_file.len > 0)) {
        const char *key = s->credential.len > 0         ? "credentialName"
                          : s->certificate_file.len > 0 ? "serverCertificate"
                                                        : "privateKey";
        no_fit(r, doc_get(node, key), key, "a certificate is given, and would not be used",
               s->tls == ISTIO_GATEWAY_TLS_ISTIO_MUTUAL
                   ? "ISTIO_MUTUAL uses the mesh's certificates"
                   : "TLS is not terminated in this mode",
               "write 'mode: SIMPLE', or remove it");
    }
}

static const struct reader_field tls_fields[] = {
    READER_FIELD("httpsRedirect", BOOL, struct istio_gateway_server, https_redirect),
    READER_FIELD("mode", ENUM, struct istio_gateway_server, tls, .names = modes),
    READER_FIELD("serverCertificate", TEXT, struct istio_gateway_server, certificate_file,
                 .check = reader_text_file),
    READER_FIELD("privateKey", TEXT, struct istio_gateway_server, key_file,
                 .check = reader_text_file),
    READER_FIELD("caCertificates", TEXT, struct istio_gateway_server, ca_file,
                 .check = reader_text_file),
    READER_FIELD("credentialName", TEXT, struct istio_gateway_server, credential,
                 .check = reader_text_not_empty),
    READER_FIELD("subjectAltNames", TEXTS, struct istio_gateway_server, subject_alt_names,
                 .check = reader_text_not_empty),
    READER_FIELD("minProtocolVersion", CUSTOM, struct istio_gateway_server, min_version,
                 .read = read_version),
    READER_FIELD("maxProtocolVersion", CUSTOM, struct istio_gateway_server, max_version,
                 .read = read_version),
    READER_FIELD("cipherSuites", TEXTS, struct istio_gateway_server, cipher_suites,
                 .check = reader_text_not_empty),
    READER_REFUSE("credentialNames", "write 'credentialName' with one name"),
    READER_REFUSE("tlsCertificates", "write 'serverCertificate' and 'privateKey'"),
    READER_REFUSE("caCertCredentialName", "write 'caCertificates', or put the CA into the Secret"),
    READER_REFUSE("caCrl", "remove it, and renew certificates often"),
    READER_REFUSE("verifyCertificateSpki", "write 'subjectAltNames'"),
    READER_REFUSE("verifyCertificateHash", "write 'subjectAltNames'"),
    READER_REFUSE("insecureSkipVerify", "write 'mode: SIMPLE', which asks for no certificate"),
};
static const struct reader_table tls_table = {READER_TABLE(struct istio_gateway_server, tls_fields),
                                              .strict = true, .start = start_tls,
                                              .check = check_tls};

static void read_tls(struct reader *r, const struct doc_node *node, void *to)
{
    struct istio_gateway_server *s = to;
    struct istio_gateway_server read;
    reader_map(r, node, &tls_table, &read);
    s->tls = read.tls;
    s->https_redirect = read.https_redirect;
    s->certificate_file = read.certificate_file;
    s->key_file = read.key_file;
    s->ca_file = read.ca_file;
    s->credential = read.credential;
    s->subject_alt_names = read.subject_alt_names;
    s->min_version = read.min_version;
    s->max_version = read.max_version;
    s->cipher_suites = read.cipher_suites;
}

/* --- servers --- */

/* [namespace/]host, with "*" and "." for the namespace. */
static bool check_host(struct reader *r, const struct doc_node *node, struct span text)
{
    ssize_t slash = span_find_byte(text, '/');
    struct span host = slash < 0 ? text : span_from_offset(text, (size_t)slash + 1);
    struct span namespace = slash < 0 ? SPAN("*") : span_first(text, (size_t)slash);
    if (!span_is(namespace, "*") && !span_is(namespace, ".") && !reader_text_is_label(namespace)) {
        struct finding *found = reader_say(r, 2019, node, NULL, "'%s' is %s, which is not a host",
                                           reader_here(r), reader_show(r, node));
        found->why = SPAN("what stands before '/' is a namespace, '*' or '.'");
        found->fix = SPAN("write it like 'default/shop.example.com'");
        return false;
    }
    return reader_text_host(r, node, host);
}

static bool is_secured(struct span protocol)
{
    return span_is(protocol, "HTTPS") || span_is(protocol, "TLS");
}

static void check_server(struct reader *r, const struct doc_node *node, void *out)
{
    const struct istio_gateway_server *s = out;
    bool http = span_is(s->protocol, "HTTP") || span_is(s->protocol, "HTTP2") ||
                span_is(s->protocol, "GRPC") || span_is(s->protocol, "GRPC-WEB");
    reader_unique(r, doc_get(node, "hosts"), "hosts", NULL, "host");
    if (is_secured(s->protocol) && s->tls == ISTIO_GATEWAY_TLS_NONE) {
        reader_missing(r, node, "tls", "add 'tls' with 'mode: SIMPLE' and a certificate");
    }
    if (http && s->tls != ISTIO_GATEWAY_TLS_NONE) {
        no_fit(r, doc_get(node, "tls"), "tls", "a server without TLS has 'tls'",
               "its protocol is plain HTTP", "write 'protocol: HTTPS', or only 'httpsRedirect'");
    }
    if (s->https_redirect && !http) {
        no_fit(r, doc_path(node, "tls.httpsRedirect"), "tls.httpsRedirect",
               "a server that has TLS redirects to HTTPS", "only plain HTTP can be redirected",
               "move 'httpsRedirect' to the server of protocol HTTP");
    }
}

static const struct reader_field server_fields[] = {
    {.name = "port",
     .type = READER_CUSTOM,
     .required = true,
     .read = read_port,
     .note = "add 'port' with number, name and protocol"},
    READER_FIELD("name", TEXT, struct istio_gateway_server, name),
    READER_FIELD("bind", TEXT, struct istio_gateway_server, bind, .check = reader_text_ip),
    READER_FIELD("hosts", TEXTS, struct istio_gateway_server, hosts, .required = true, .min = 1,
                 .check = check_host, .note = "add 'hosts', for example '*'"),
    {.name = "tls", .type = READER_CUSTOM, .read = read_tls},
    READER_WARN("defaultEndpoint", "requests go where routes send them"),
};
static const struct reader_table server_table = {
    READER_TABLE(struct istio_gateway_server, server_fields), .check = check_server};

/* --- the whole --- */

static void check_gateway(struct reader *r, const struct doc_node *node, void *out)
{
    const struct istio_gateway_spec *g = out;
    const struct doc_node *list = doc_get(node, "servers");
    for (size_t i = 0; i < g->server_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const struct istio_gateway_server *a = &g->servers[i];
            const struct istio_gateway_server *b = &g->servers[k];
            const char *below = arena_printf(r->findings->arena, "servers[%zu].port", i);
            if (a->port == b->port && is_secured(a->protocol) != is_secured(b->protocol)) {
                no_fit(r, doc_path(doc_at(list, i), "port.protocol"),
                       arena_printf(r->findings->arena, "%s.protocol", below),
                       arena_printf(r->findings->arena, "port %u has servers with and without TLS",
                                    a->port),
                       "a port speaks one protocol", "give one of the servers another port");
            } else if (span_eq(a->port_name, b->port_name) && a->port_name.len > 0) {
                struct finding *found =
                    reader_say(r, 2023, doc_path(doc_at(list, i), "port.name"),
                               arena_printf(r->findings->arena, "%s.name", below),
                               "port name '%.*s' is there twice", SPAN_ARG(a->port_name));
                found->why = finding_text(r->findings, "servers[%zu] has it too", k);
                found->fix = SPAN("write another name");
            }
        }
    }
    if (g->selector.count == 0) {
        struct finding *found =
            reader_say(r, 2034, node, "selector", "the gateway selects no proxies");
        found->why = SPAN("without a selector it has no effect");
        found->fix = SPAN("add 'selector', for example 'istio: ingressgateway'");
    }
}

static const struct reader_field gateway_fields[] = {
    READER_FIELD("selector", LABELS, struct istio_gateway_spec, selector),
    READER_FIELD("servers", LIST, struct istio_gateway_spec, servers, .required = true, .min = 1,
                 .table = &server_table),
};
const struct reader_table istio_gateway_table = {
    READER_TABLE(struct istio_gateway_spec, gateway_fields), .check = check_gateway};
