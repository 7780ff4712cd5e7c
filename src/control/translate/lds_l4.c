/* Chains for connections that are not HTTP, as the `tls` (by SNI) and `tcp` rules of a VirtualService send them.
 * In: world_l4_route. Out: FilterChain with tcp_proxy.
 * Source: Istio pilot/pkg/networking/core (networkfilter.go, tls.go: buildSidecarOutboundTLSFilterChainOpts, ...TCPFilterChainOpts). */
#include "control/translate/translate_int.h"
#include "proto/listener.pb.h"

static bool of_gateway(const struct world_l4_match *m, struct span gateway)
{
    for (size_t i = 0; i < m->gateway_count; i++) {
        if (span_eq(m->gateways[i], gateway.len > 0 ? gateway : SPAN("mesh"))) {
            return true;
        }
    }
    return m->gateway_count == 0;
}

static bool concerns(struct translation *t, const struct world_l4_match *m,
                     const struct lds_l4_from *from)
{
    if ((m->port != 0 && m->port != from->port) || !of_gateway(m, from->gateway) ||
        (m->source_namespace.len > 0 && !span_eq(m->source_namespace, t->n->namespace))) {
        return false;
    }
    t->for_node = t->for_node || m->source_label_count > 0;
    for (size_t i = 0; i < m->source_label_count; i++) {
        struct span value =
            selector_label(t->n->labels, t->n->label_count, m->source_labels[i].key);
        if (!value.at || !span_eq(value, m->source_labels[i].value)) {
            return false;
        }
    }
    return true;
}

/* The first chain of a match counts; a second one of the same would be refused. */
bool lds_l4_is_taken(const struct pb_listener_Listener *l,
                     const struct pb_listener_FilterChainMatch *m)
{
    static const struct pb_listener_FilterChainMatch none;
    for (uint32_t i = 0; i < l->filter_chains.count; i++) {
        const struct pb_listener_FilterChainMatch *other =
            l->filter_chains.at[i]->filter_chain_match;
        if (pb_equal(&pb_listener_FilterChainMatch_desc, m, other ? other : &none)) {
            return true;
        }
    }
    return false;
}

static struct pb_listener_FilterChainMatch *match_of(struct translation *t,
                                                     const struct world_l4_match *m)
{
    struct pb_listener_FilterChainMatch *out =
        arena_new(t->arena, struct pb_listener_FilterChainMatch);
    for (size_t i = 0; m && i < m->range_count; i++) {
        PB_ADD(t->arena, &out->prefix_ranges, message_cidr(t->arena, &m->ranges[i]));
    }
    for (size_t i = 0; m && i < m->sni_count; i++) {
        if (!span_is(m->sni[i], "*")) {
            PB_ADD(t->arena, &out->server_names, m->sni[i]);
        }
    }
    return out;
}

static void add_chain(struct translation *t, struct pb_listener_Listener *l,
                      const struct lds_l4_from *from, const struct world_l4_route *r,
                      const struct world_l4_match *m)
{
    struct pb_listener_FilterChainMatch *match = match_of(t, m);
    if (from->tls || from->socket) {
        match->transport_protocol = SPAN("tls");
    }
    for (size_t i = 0; from->socket && i < from->sni_count; i++) {
        PB_ADD(t->arena, &match->server_names, from->sni[i]);
    }
    if (lds_l4_is_taken(l, match)) {
        return;
    }
    struct pb_listener_FilterChain *chain = lds_chain(t, l, SPAN_EMPTY);
    chain->filter_chain_match = match;
    chain->transport_socket = from->socket;
    lds_tcp_weighted(t, chain, r->backends, r->backend_count);
}

void lds_l4_add(struct translation *t, struct pb_listener_Listener *l,
                const struct lds_l4_from *from)
{
    for (size_t i = 0; from->rules && i < from->rules->l4_count; i++) {
        const struct world_l4_route *r = &from->rules->l4[i];
        if (r->tls != from->tls || r->backend_count == 0) {
            continue;
        }
        if (r->match_count == 0) {
            add_chain(t, l, from, r, NULL);
        }
        for (size_t k = 0; k < r->match_count; k++) {
            if (concerns(t, &r->matches[k], from)) {
                add_chain(t, l, from, r, &r->matches[k]);
            }
        }
    }
}
