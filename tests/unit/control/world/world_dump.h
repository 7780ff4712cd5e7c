#ifndef UNIT_WORLD_DUMP_H
#define UNIT_WORLD_DUMP_H
/* Routes as short text, one a line: "exact /a GET h:x=1 -> 90 reviews/v1:9080, 10 reviews/v2:9080 timeout=500". */
#include "unit/control/world/world_test.h"

struct world_dump {
    char text[4096];
    size_t len;
};

static inline void PRINTF_LIKE(2, 3) world_dump_add(struct world_dump *d, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    d->len += (size_t)vsnprintf(d->text + d->len, sizeof(d->text) - d->len, fmt, args);
    va_end(args);
    assert_true(d->len < sizeof(d->text));
}

static inline const char *world_dump_kind(const struct world_string_match *m)
{
    static const char *const kinds[] = {"=", "^", "~", "*", "!*"};
    return kinds[m->kind];
}

static inline void world_dump_match(struct world_dump *d, const struct world_match *m)
{
    if (m->has_path) {
        world_dump_add(d, "%s%s%s%.*s ", world_dump_kind(&m->path), m->path_segments ? "/" : "",
                       m->path.ignore_case ? "i" : "", SPAN_ARG(m->path.text));
    }
    if (m->has_method) {
        world_dump_add(d, "%.*s ", SPAN_ARG(m->method.text));
    }
    if (m->has_authority) {
        world_dump_add(d, "a:%.*s ", SPAN_ARG(m->authority.text));
    }
    if (m->has_scheme) {
        world_dump_add(d, "s:%.*s ", SPAN_ARG(m->scheme.text));
    }
    for (size_t i = 0; i < m->header_count; i++) {
        world_dump_add(d, "h:%s%.*s%s%.*s ", m->headers[i].value.inverted ? "not " : "",
                       SPAN_ARG(m->headers[i].name), world_dump_kind(&m->headers[i].value),
                       SPAN_ARG(m->headers[i].value.text));
    }
    for (size_t i = 0; i < m->query_count; i++) {
        world_dump_add(d, "q:%.*s%s%.*s ", SPAN_ARG(m->queries[i].name),
                       world_dump_kind(&m->queries[i].value), SPAN_ARG(m->queries[i].value.text));
    }
    if (m->port != 0) {
        world_dump_add(d, "port:%u ", m->port);
    }
    for (size_t i = 0; i < m->source_label_count; i++) {
        world_dump_add(d, "from:%.*s ", SPAN_ARG(m->source_labels[i].value));
    }
    if (m->source_namespace.len > 0) {
        world_dump_add(d, "ns:%.*s ", SPAN_ARG(m->source_namespace));
    }
    for (size_t i = 0; i < m->gateway_count; i++) {
        world_dump_add(d, "at:%.*s ", SPAN_ARG(m->gateways[i]));
    }
}

static inline void world_dump_ops(struct world_dump *d, const struct world_header_ops *ops)
{
    static const char signs[] = {
        [WORLD_HEADER_SET] = '=', [WORLD_HEADER_ADD] = '+', [WORLD_HEADER_REMOVE] = '-'};
    for (size_t i = 0; i < ops->request_count; i++) {
        world_dump_add(d, " %c%.*s:%.*s", signs[ops->request[i].op], SPAN_ARG(ops->request[i].name),
                       SPAN_ARG(ops->request[i].value));
    }
    for (size_t i = 0; i < ops->response_count; i++) {
        world_dump_add(d, " resp%c%.*s:%.*s", signs[ops->response[i].op],
                       SPAN_ARG(ops->response[i].name), SPAN_ARG(ops->response[i].value));
    }
}

static inline void world_dump_backend(struct world_dump *d, const struct world_backend *b)
{
    struct span rest = b->host, name = span_cut(&rest, '.');
    world_dump_add(d, "%s%.*s", b->service != NULL ? "" : "missing ", SPAN_ARG(name));
    if (b->subset.len > 0) {
        world_dump_add(d, "/%.*s", SPAN_ARG(b->subset));
    }
    if (b->port != 0) {
        world_dump_add(d, ":%u", b->port);
    }
    world_dump_ops(d, &b->headers);
}

static inline void world_dump_extras(struct world_dump *d, const struct world_route *r)
{
    if (r->rewrite_has_prefix || r->rewrite_has_path) {
        world_dump_add(d, " rewrite%s=%.*s", r->rewrite_has_path ? "-path" : "",
                       SPAN_ARG(r->rewrite_path));
    }
    if (r->rewrite_regex.len > 0) {
        world_dump_add(d, " rewrite~%.*s>%.*s", SPAN_ARG(r->rewrite_regex),
                       SPAN_ARG(r->rewrite_substitution));
    }
    if (r->rewrite_authority.len > 0) {
        world_dump_add(d, " authority=%.*s", SPAN_ARG(r->rewrite_authority));
    }
    if (r->timeout_ms >= 0) {
        world_dump_add(d, " timeout=%lld", (long long)r->timeout_ms);
    }
    if (r->backend_timeout_ms >= 0) {
        world_dump_add(d, " try=%lld", (long long)r->backend_timeout_ms);
    }
    if (r->retry.set) {
        world_dump_add(d, " retry=%u/%lld/%.*s", r->retry.attempts, (long long)r->retry.per_try_ms,
                       SPAN_ARG(r->retry.on));
        for (size_t i = 0; i < r->retry.code_count; i++) {
            world_dump_add(d, "/%u", r->retry.codes[i]);
        }
    }
    for (size_t i = 0; i < r->mirror_count; i++) {
        world_dump_add(d, " mirror %g ", r->mirrors[i].percent);
        world_dump_backend(d, &r->mirrors[i].to);
    }
    if (r->fault.delay_percent > 0) {
        world_dump_add(d, " delay=%g/%lld", r->fault.delay_percent, (long long)r->fault.delay_ms);
    }
    if (r->fault.abort_percent > 0) {
        world_dump_add(d, " abort=%g/%u/%d", r->fault.abort_percent, r->fault.abort_status,
                       r->fault.abort_grpc);
    }
    world_dump_ops(d, &r->headers);
}

static inline void world_dump_route(struct world_dump *d, const struct world_route *r)
{
    for (size_t i = 0; i < r->match_count; i++) {
        world_dump_match(d, &r->matches[i]);
        world_dump_add(d, "%s", i + 1 < r->match_count ? "| " : "");
    }
    world_dump_add(d, "->");
    switch (r->action) {
    case WORLD_FORWARD:
        for (size_t i = 0; i < r->backend_count; i++) {
            world_dump_add(d, "%s %u ", i > 0 ? "," : "", r->backends[i].weight);
            world_dump_backend(d, &r->backends[i]);
        }
        break;
    case WORLD_REDIRECT:
        world_dump_add(d, " %u %.*s://%.*s:%u%s%s%.*s%s%.*s", r->redirect_code,
                       SPAN_ARG(r->redirect_scheme), SPAN_ARG(r->redirect_host), r->redirect_port,
                       r->redirect_port_by_scheme ? "s" : "", r->redirect_has_path ? " path " : "",
                       SPAN_ARG(r->redirect_path), r->redirect_has_prefix ? " prefix " : "",
                       SPAN_ARG(r->redirect_prefix));
        break;
    case WORLD_DIRECT:
        world_dump_add(d, " %u '%.*s'", r->direct_status, SPAN_ARG(r->direct_body));
        break;
    }
    world_dump_extras(d, r);
    world_dump_add(d, "\n");
}

/* "none" where there is no virtual host. */
static inline void world_dump_vhost(struct world_dump *d, const struct world_virtual_host *v)
{
    if (v == NULL) {
        world_dump_add(d, "none\n");
        return;
    }
    for (size_t i = 0; i < v->route_count; i++) {
        world_dump_route(d, &v->routes[i]);
    }
    for (size_t i = 0; i < v->l4_count; i++) {
        const struct world_l4_route *r = &v->l4[i];
        world_dump_add(d, "%s ", r->tls ? "tls" : "tcp");
        for (size_t k = 0; k < r->match_count; k++) {
            for (size_t n = 0; n < r->matches[k].sni_count; n++) {
                world_dump_add(d, "sni:%.*s ", SPAN_ARG(r->matches[k].sni[n]));
            }
            world_dump_add(d, "port:%u ranges:%zu ", r->matches[k].port, r->matches[k].range_count);
        }
        world_dump_add(d, "->");
        for (size_t k = 0; k < r->backend_count; k++) {
            world_dump_add(d, " %u ", r->backends[k].weight);
            world_dump_backend(d, &r->backends[k]);
        }
        world_dump_add(d, "\n");
    }
}

static inline void world_dump_expect(const char *objects, const struct world_dump *d,
                                     const char *want)
{
    if (strcmp(d->text, want) != 0) {
        print_error("of\n%s\ngot\n%swant\n%s", objects, d->text, want);
        fail();
    }
}
#endif
