/* Filter chain matching: see chain.h. Each criterion gives a score to a chain: 0 = does not match, 1 = does not
 * care, more = more specific; the chains are compared criterion by criterion, the first difference decides. */
#include "proxy/downstream/chain.h"

#define CRITERIA 8
#define SCORE_EXACT_NAME 100000

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
                return 2;
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

/* False when a criterion does not match. */
static bool score_all(const struct conf_chain_match *m, const struct chain_facts *f, unsigned scores[CRITERIA])
{
    scores[0] = score_port(m, f);
    scores[1] = score_prefix(m->destinations, m->destination_count, &f->destination_ip);
    scores[2] = score_name(m, f->server_name);
    scores[3] = score_transport(m, f);
    scores[4] = score_alpn(m, f);
    scores[5] = score_source_type(m, f);
    scores[6] = score_prefix(m->sources, m->source_count, &f->source_ip);
    scores[7] = score_source_port(m, f);
    for (size_t i = 0; i < CRITERIA; i++) {
        if (scores[i] == 0) {
            return false;
        }
    }
    return true;
}

static bool is_better(const unsigned scores[CRITERIA], const unsigned best[CRITERIA])
{
    for (size_t i = 0; i < CRITERIA; i++) {
        if (scores[i] != best[i]) {
            return scores[i] > best[i];
        }
    }
    return false; /* equal: the first in order stays */
}

int chain_find(const struct conf_listener *conf, const struct chain_facts *facts)
{
    int best = CHAIN_NONE;
    unsigned best_scores[CRITERIA] = {0};
    for (size_t i = 0; i < conf->chain_count; i++) {
        unsigned scores[CRITERIA];
        if (score_all(&conf->chains[i].match, facts, scores) && is_better(scores, best_scores)) {
            best = (int)i;
            memcpy(best_scores, scores, sizeof(scores));
        }
    }
    return best == CHAIN_NONE && conf->default_chain != NULL ? CHAIN_DEFAULT : best;
}

const struct conf_chain *chain_at(const struct conf_listener *conf, int index)
{
    if (index == CHAIN_DEFAULT) {
        return conf->default_chain;
    }
    return index >= 0 && (size_t)index < conf->chain_count ? &conf->chains[index] : NULL;
}
