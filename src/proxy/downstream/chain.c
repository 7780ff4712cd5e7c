/* Filter chain matching: see chain.h. Each criterion gives a score to a chain: 0 = does not match, 1 = does not
 * care, more = more specific. Criterion by criterion only the best stay, and there is no way back (as in Envoy): where
 * one chain names this port, those that name none are out, whatever comes later. */
#include "proxy/downstream/chain.h"

#define CRITERIA 8
#define SCORE_EXACT_NAME 100000
#define ALPN_SCORE 1000
#define CHAINS_MAX 4096 /* ingest refuses more */

static unsigned score_port(const struct conf_chain_match *m, const struct chain_facts *f)
{
    return m->destination_port == 0 ? 1 : m->destination_port == f->destination_port ? 2 : 0;
}

/* Longest matching prefix + 2. */
static unsigned score_prefix(const struct cidr *list, size_t count, const struct ip *ip)
{
    unsigned best = count == 0 ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        unsigned score = list[i].bits + 2u;
        if (cidr_contains(&list[i], ip) && score > best) {
            best = score;
        }
    }
    return best;
}

static unsigned score_name(const struct conf_chain_match *m, struct span name)
{
    unsigned best = m->server_name_count == 0 ? 1 : 0;
    for (size_t i = 0; i < m->server_name_count; i++) {
        struct span want = m->server_names[i];
        if (span_eq(want, name) && name.len > 0) {
            return SCORE_EXACT_NAME;
        }
        if (span_starts(want, SPAN("*.")) && name.len > want.len - 1 &&
            span_ends(name, span_from_offset(want, 1))) {
            unsigned score = (unsigned)want.len + 1;
            best = score > best ? score : best;
        }
    }
    return best;
}

static unsigned score_transport(const struct conf_chain_match *m, const struct chain_facts *f)
{
    switch (m->transport) {
    case CONF_TRANSPORT_ANY:
        return 1;
    case CONF_TRANSPORT_RAW:
        return f->tls ? 0 : 2;
    case CONF_TRANSPORT_TLS:
        return f->tls ? 2 : 0;
    }
    return 0;
}

static unsigned score_alpn(const struct conf_chain_match *m, const struct chain_facts *f)
{
    if (m->alpn_count == 0) {
        return 1;
    }
    for (size_t i = 0; i < m->alpn_count; i++) {
        for (size_t j = 0; j < f->alpn_count; j++) {
            if (span_eq(m->alpn[i], f->alpn[j])) {
                return ALPN_SCORE - (unsigned)j; /* what the client prefers wins */
            }
        }
    }
    return 0;
}

static unsigned score_source_type(const struct conf_chain_match *m, const struct chain_facts *f)
{
    if (!m->source_local_only && !m->source_external_only) {
        return 1;
    }
    bool local = ip_is_loopback(&f->source_ip) || ip_eq(&f->source_ip, &f->destination_ip);
    return local == m->source_local_only ? 2 : 0;
}

static unsigned score_source_port(const struct conf_chain_match *m, const struct chain_facts *f)
{
    for (size_t i = 0; i < m->source_port_count; i++) {
        if (m->source_ports[i] == f->source_port) {
            return 2;
        }
    }
    return m->source_port_count == 0 ? 1 : 0;
}

static unsigned score(int criterion, const struct conf_chain_match *m, const struct chain_facts *f)
{
    switch (criterion) {
    case 0:
        return score_port(m, f);
    case 1:
        return score_prefix(m->destinations, m->destination_count, &f->destination_ip);
    case 2:
        return score_name(m, f->server_name);
    case 3:
        return score_transport(m, f);
    case 4:
        return score_alpn(m, f);
    case 5:
        return score_source_type(m, f);
    case 6:
        return score_prefix(m->sources, m->source_count, &f->source_ip);
    default:
        return score_source_port(m, f);
    }
}

/* Keeps of `left` those with the best score; false when none matches. */
static bool narrow(const struct conf_listener *conf, const struct chain_facts *facts, int criterion,
                   uint16_t *left, size_t *count)
{
    unsigned best = 0;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        unsigned s = score(criterion, &conf->chains[left[i]].match, facts);
        if (s == 0 || s < best) {
            continue;
        }
        kept = s > best ? 0 : kept;
        best = s;
        left[kept++] = left[i];
    }
    *count = kept;
    return kept > 0;
}

int chain_find(const struct conf_listener *conf, const struct chain_facts *facts)
{
    uint16_t left[CHAINS_MAX];
    size_t count = size_min(conf->chain_count, CHAINS_MAX);
    for (size_t i = 0; i < count; i++) {
        left[i] = (uint16_t)i;
    }
    for (int criterion = 0; criterion < CRITERIA && count > 0; criterion++) {
        if (!narrow(conf, facts, criterion, left, &count)) {
            break;
        }
    }
    if (count > 0) {
        return left[0];
    }
    return conf->default_chain != NULL ? CHAIN_DEFAULT : CHAIN_NONE;
}

const struct conf_chain *chain_at(const struct conf_listener *conf, int index)
{
    if (index == CHAIN_DEFAULT) {
        return conf->default_chain;
    }
    return index >= 0 && (size_t)index < conf->chain_count ? &conf->chains[index] : NULL;
}
