/* The rules as nft(8) reads them: for --dry-run, and to compare what the kernel says with what was meant. */
#include "redirect/redirect.h"

static int write_address(const char *side, const struct redirect_match *m, struct buf *out)
{
    char text[IP_TEXT_BYTES + 4];
    bool is_whole = m->cidr.bits == ip_len(&m->cidr.ip) * 8;
    return buf_printf(out, " %s %s %s%s", m->cidr.ip.family == 6 ? "ip6" : "ip", side,
                      m->negated ? "!= " : "",
                      is_whole ? ip_format(&m->cidr.ip, text) : cidr_format(&m->cidr, text));
}

/* nft writes "tcp dport 53" for the pair of protocol and port. */
static int write_match(const struct redirect_rule *r, size_t i, struct buf *out)
{
    const struct redirect_match *m = &r->matches[i];
    bool has_port = i + 1 < r->match_count && r->matches[i + 1].kind == REDIRECT_DPORT;
    const char *no = m->negated ? "!= " : "";
    switch (m->kind) {
    case REDIRECT_IPV6:
        return buf_printf(out, " meta nfproto ipv6");
    case REDIRECT_TCP:
        return buf_printf(out, has_port ? " tcp" : " meta l4proto tcp");
    case REDIRECT_UDP:
        return buf_printf(out, has_port ? " udp" : " meta l4proto udp");
    case REDIRECT_DPORT:
        return buf_printf(out, " dport %s%u", no, m->number);
    case REDIRECT_DADDR:
        return write_address("daddr", m, out);
    case REDIRECT_SADDR:
        return write_address("saddr", m, out);
    case REDIRECT_SKUID:
        return buf_printf(out, " meta skuid %s%u", no, m->number);
    case REDIRECT_SKGID:
        return buf_printf(out, " meta skgid %s%u", no, m->number);
    case REDIRECT_IIF:
        return buf_printf(out, " iifname %s\"%s\"", no, m->name);
    case REDIRECT_OIF:
        return buf_printf(out, " oifname %s\"%s\"", no, m->name);
    }
    return 0;
}

static int write_rule(const struct redirect_rule *r, struct buf *out)
{
    int code = buf_printf(out, "       ");
    for (size_t i = 0; i < r->match_count && code == 0; i++) {
        code = write_match(r, i, out);
    }
    if (code == 0) {
        code = r->to_port ? buf_printf(out, " redirect to :%u\n", r->to_port)
                          : buf_printf(out, " return\n");
    }
    return code;
}

int redirect_write_text(const struct redirect_rules *rules, bool gone, struct buf *out)
{
    int code =
        buf_printf(out, "table inet %s\ndelete table inet %s\n", REDIRECT_TABLE, REDIRECT_TABLE);
    if (gone || code != 0) {
        return code;
    }
    code = buf_printf(out, "table inet %s {\n", REDIRECT_TABLE);
    for (size_t c = 0; c < rules->chain_count && code == 0; c++) {
        const struct redirect_chain *chain = &rules->chains[c];
        code = buf_printf(
            out, "    chain %s {\n        type nat hook %s priority -100; policy accept;\n",
            chain->name, chain->name);
        for (size_t i = 0; i < chain->rule_count && code == 0; i++) {
            code = write_rule(&chain->rules[i], out);
        }
        code = code ? code : buf_printf(out, "    }\n");
    }
    return code ? code : buf_printf(out, "}\n");
}
