/* Secrets of gateways: certificates that servers show and roots that they check clients with, from Secret objects.
 * A proxy gets what a Gateway that it serves names, or a DestinationRule for its way out; of its own namespace, but for certificateRefs
 * (which a ReferenceGrant permits). In a cluster its labels are those of its Pod, not what it says of itself.
 * Source: Istio pilot/pkg/xds/sds.go (proxyAuthorizedForSecret), pilot/pkg/model/credentials (names). */
#include "control/translate/translate_int.h"
#include "model/secret.h"
#include "proto/tls.pb.h"

#define ROOTS_SUFFIX SPAN("-cacert")

struct asked {
    const struct translation *t;
    struct span credential; /* without the suffix */
    bool found;
};

static void on_server(void *arg, const struct world_gateway *g, const struct world_server *s)
{
    struct asked *a = arg;
    UNUSED(g);
    a->found = a->found || (s->credential.len > 0 && span_eq(s->credential, a->credential));
}

static bool names_it(const struct asked *a, const struct world_traffic *p)
{
    struct span name = span_from_offset(a->credential, strlen(WORLD_CREDENTIAL));
    return p->tls_credential.len > 0 && span_eq(p->tls_credential, name);
}

static bool is_of_rule(const struct asked *a, const struct world_rule *r, size_t port_count)
{
    bool found = names_it(a, r->traffic);
    for (size_t p = 0; p < port_count; p++) {
        found = found || names_it(a, r->by_port[p]);
    }
    for (size_t i = 0; i < r->subset_count; i++) {
        found = found || names_it(a, r->subsets[i].traffic);
        for (size_t p = 0; p < port_count; p++) {
            found = found || names_it(a, r->subsets[i].by_port[p]);
        }
    }
    return found;
}

/* Of rules that this node sees. */
static bool is_of_rules(const struct asked *a)
{
    const struct world_config *c = a->t->w->config;
    bool found = false;
    for (size_t i = 0; i < c->service_count && !found; i++) {
        if (c->services[i]->rule_count > 0) {
            const struct world_rule *r =
                world_rule_for(a->t->w, c->services[i], a->t->n->namespace);
            found = r->object != NULL && is_of_rule(a, r, c->services[i]->port_count);
        }
    }
    return found;
}

static bool may_have(struct translation *t, struct span credential)
{
    struct asked a = {.t = t, .credential = credential};
    if (t->n->kind != NODE_GATEWAY || (t->w->knows_pods && lds_pod(t) == NULL)) {
        return false;
    }
    lds_gateway_each(t, on_server, &a);
    return a.found || (span_starts(credential, SPAN(WORLD_CREDENTIAL)) && is_of_rules(&a));
}

static struct pb_core_DataSource *inlined(struct arena *arena, struct span bytes)
{
    struct pb_core_DataSource *source = arena_new(arena, struct pb_core_DataSource);
    source->specifier_case = PB_CORE_DATA_SOURCE_SPECIFIER_INLINE_BYTES;
    source->inline_bytes = bytes;
    return source;
}

struct pb_tls_Secret *sds_secret(struct translation *t, struct span name)
{
    bool is_roots = span_ends(name, ROOTS_SUFFIX);
    struct span credential = is_roots ? span_first(name, name.len - ROOTS_SUFFIX.len) : name;
    const char *fault;
    t->for_node = true;
    if (!may_have(t, credential)) {
        return NULL;
    }
    const struct object *o =
        is_roots ? world_credential_roots(t->w->config, credential, t->n->namespace, &fault)
                 : world_credential(t->w->config, credential, t->n->namespace, &fault);
    if (o == NULL) {
        return NULL; /* world_findings says why */
    }
    struct pb_tls_Secret *out = arena_new(t->arena, struct pb_tls_Secret);
    out->name = name;
    if (is_roots) {
        out->type_case = PB_TLS_SECRET_TYPE_VALIDATION_CONTEXT;
        out->validation_context = arena_new(t->arena, struct pb_tls_CertificateValidationContext);
        out->validation_context->trusted_ca = inlined(t->arena, secret_of(o)->ca);
    } else {
        out->type_case = PB_TLS_SECRET_TYPE_TLS_CERTIFICATE;
        out->tls_certificate = arena_new(t->arena, struct pb_tls_TlsCertificate);
        out->tls_certificate->certificate_chain = inlined(t->arena, secret_of(o)->cert);
        out->tls_certificate->private_key = inlined(t->arena, secret_of(o)->key);
    }
    return out;
}
