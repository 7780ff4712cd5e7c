/* Certificates in use: see proxy_certs.h. */
#include "proxy/proxy_certs.h"

#include <inttypes.h>

#include "base/instant.h"
#include "codec/date.h"
#include "tls/x509.h"

static int write_one(const struct x509_facts *f, bool first, struct buf *out)
{
    char from[DATE_TEXT_BYTES], to[DATE_TEXT_BYTES];
    date_format_rfc3339(f->not_before_s * 1000000, 0, from);
    date_format_rfc3339(f->not_after_s * 1000000, 0, to);
    int64_t days = (f->not_after_s - instant_wall_s()) / 86400;
    int code = buf_printf(out, "%s\n   {\"serial_number\": \"%.*s\", \"subject_alt_names\": [",
                          first ? "" : ",", SPAN_ARG(f->serial_hex));
    for (size_t i = 0; i < f->uri_count && code == 0; i++) {
        code = buf_printf(out, "%s{\"uri\": \"%.*s\"}", i > 0 ? ", " : "", SPAN_ARG(f->uris[i]));
    }
    for (size_t i = 0; i < f->dns_count && code == 0; i++) {
        code = buf_printf(out, "%s{\"dns\": \"%.*s\"}", i + f->uri_count > 0 ? ", " : "",
                          SPAN_ARG(f->dns[i]));
    }
    return code ? code
                : buf_printf(out,
                             "], \"days_until_expiration\": \"%" PRId64
                             "\", \"valid_from\": \"%s\", \"expiration_time\": \"%s\"}",
                             i64_max(days, 0), from, to);
}

static int write_list(const char *name, struct span pem, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, 4096);
    struct x509_facts *facts = NULL;
    size_t count = 0;
    int code = buf_printf(out, "\"%s\": [", name);
    if (pem.len > 0 && x509_read(&arena, pem, &facts, &count, NULL) != 0) {
        count = 0; /* it was refused when it came; nothing to show */
    }
    for (size_t i = 0; i < count && code == 0; i++) {
        code = write_one(&facts[i], i == 0, out);
    }
    arena_dispose(&arena);
    return code ? code : buf_append_span(out, SPAN("]"));
}

/* One entry with the certificates of one place; empty texts are empty lists. */
static int write_entry(struct span chain, const struct tls_trust *trust, size_t trust_count,
                       bool *first, struct buf *out)
{
    int code = buf_printf(out, "%s\n  {", *first ? "" : ",");
    *first = false;
    code =
        code ? code : write_list("ca_cert", trust_count > 0 ? trust[0].roots_pem : SPAN_EMPTY, out);
    code = code ? code : buf_append_span(out, SPAN(", "));
    code = code ? code : write_list("cert_chain", chain, out);
    return code ? code : buf_append_span(out, SPAN("}"));
}

static int write_tls(const struct conf_tls *tls, bool *first, struct buf *out)
{
    if (tls == NULL || (tls->chain_pem.len == 0 && tls->trust_count == 0)) {
        return 0; /* by secret: told there */
    }
    return write_entry(tls->chain_pem, tls->trust, tls->trust_count, first, out);
}

int proxy_certs_write(const struct snapshot *s, struct buf *out)
{
    bool first = true;
    int code = buf_append_span(out, SPAN("{\n \"certificates\": ["));
    for (size_t i = 0; s != NULL && i < s->slots && code == 0; i++) {
        const struct conf_secret *secret = s->secrets[i];
        if (secret != NULL) {
            code = write_entry(secret->chain_pem, secret->trust, secret->trust_count, &first, out);
        }
        if (code == 0 && s->clusters[i] != NULL) {
            code = write_tls(s->clusters[i]->tls, &first, out);
        }
    }
    for (size_t i = 0; s != NULL && i < s->listener_count && code == 0; i++) {
        const struct conf_listener *l = s->listeners[i];
        for (size_t k = 0; k < l->chain_count && code == 0; k++) {
            code = write_tls(l->chains[k].tls, &first, out);
        }
    }
    return code ? code : buf_append_span(out, SPAN("\n ]\n}\n"));
}
