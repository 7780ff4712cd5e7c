/* Who asks for a certificate.
 * In: csr_service. Out: a proof. */
#include "ca/authenticate.h"

#include "codec/hex.h"

/* RFC 7519 section 3 in its compact form: three parts of base64url with dots between them. Join tokens look so, too. */
static bool is_jwt(struct span text)
{
    size_t parts = 0;
    while (text.at != NULL) {
        struct span part = span_cut(&text, '.');
        for (size_t i = 0; i < part.len; i++) {
            char c = part.at[i];
            if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_')) {
                return false;
            }
        }
        parts += part.len > 0 ? 1 : 4;
    }
    return parts == 3;
}

/* RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1). */
static int read_token(struct span authorization, struct authenticate_proof *out, struct err *err)
{
    static const char scheme[] = "Bearer ";
    struct span text = span_trim(authorization);
    bool is_bearer = span_starts_nocase(text, span_of(scheme));
    struct span bearer = span_trim(span_from_offset(text, sizeof(scheme) - 1));
    if (is_bearer && !span_starts(bearer, SPAN("mesh1.")) && is_jwt(bearer)) {
        if (bearer.len > AUTHENTICATE_JWT_BYTES_MAX) {
            return err_set(err, -ERR_DENIED,
                           "MESH3051 the ServiceAccount token has %zu bytes; at most %d",
                           bearer.len, AUTHENTICATE_JWT_BYTES_MAX);
        }
        out->kind = AUTHENTICATE_ACCOUNT;
        out->jwt = bearer;
        return 0;
    }
    if (!is_bearer || !token_parse(bearer, &out->token)) {
        return err_set(err, -ERR_DENIED,
                       "MESH3003 the authorization is no join token of this mesh; send 'Bearer "
                       "mesh1.<id>.<secret>' as 'mesh ca token create' printed it");
    }
    out->kind = AUTHENTICATE_TOKEN;
    return 0;
}

static int read_certificate(const struct authenticate_call *call, struct authenticate_proof *out,
                            struct err *err)
{
    const struct tls_peer *peer = call->peer;
    if (identity_parse(peer->spiffe_id, &out->identity) != 0 || out->identity.ns.len == 0) {
        return err_set(err, -ERR_DENIED,
                       "MESH3005 the client certificate names no workload "
                       "(spiffe://%.*s/ns/NAMESPACE/sa/ACCOUNT)",
                       SPAN_ARG(call->trust_domain));
    }
    /* The handshake has seen to it already, as the roots are bound to our trust domain. */
    if (!span_eq(out->identity.trust_domain, call->trust_domain)) {
        return err_set(err, -ERR_DENIED,
                       "MESH3005 the client certificate is of trust domain '%.*s'; this is '%.*s'",
                       SPAN_ARG(span_first(out->identity.trust_domain, 128)),
                       SPAN_ARG(call->trust_domain));
    }
    if (peer->not_after_s <= call->now_s) {
        return err_set(err, -ERR_DENIED,
                       "MESH3005 the client certificate has ended while the connection lived; "
                       "join again with a token");
    }
    if (2 * peer->serial.len >= sizeof(out->serial)) {
        return err_set(err, -ERR_DENIED, "MESH3005 the client certificate's serial is too long");
    }
    out->serial[hex_encode(peer->serial, out->serial)] = '\0';
    out->kind = AUTHENTICATE_CERTIFICATE;
    out->spiffe_id = peer->spiffe_id;
    out->not_before_s = peer->not_before_s;
    return 0;
}

int authenticate_read(const struct authenticate_call *call, struct authenticate_proof *out,
                      struct err *err)
{
    *out = (struct authenticate_proof){.not_before_s = 0};
    if (call->peer == NULL) {
        return err_set(err, -ERR_DENIED,
                       "MESH3006 certificates are given over TLS only; use the TLS port");
    }
    if (call->authorization.len > 0) {
        return read_token(call->authorization, out, err);
    }
    if (call->peer->verified) {
        return read_certificate(call, out, err);
    }
    return err_set(err, -ERR_DENIED,
                   "MESH3003 no proof of identity: send a join token (authorization: Bearer "
                   "mesh1...), or to renew, connect with the certificate in hand");
}
