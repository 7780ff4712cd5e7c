/* Transport sockets and secrets. */
#include "proxy/config/read_tls.h"

#include "policy/pb_value.h"
#include "proto/internal_upstream.pb.h"
#include "proto/matcher.pb.h"
#include "proto/spiffe.pb.h"
#include "proto/tls.pb.h"

#define TYPE_UPSTREAM "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
#define TYPE_DOWNSTREAM "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
#define TYPE_INTERNAL \
    "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"
#define TYPE_RAW "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
#define TYPE_SPIFFE "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"

/* ---- names that a peer may have ---- */

static int match_text(struct tls_san_match *out, const struct pb_matcher_StringMatcher *m,
                      struct err *err)
{
    out->ignore_case = m->ignore_case;
    switch (m->match_pattern_case) {
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_EXACT:
        out->kind = TLS_MATCH_EXACT;
        out->text = m->exact;
        break;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_PREFIX:
        out->kind = TLS_MATCH_PREFIX;
        out->text = m->prefix;
        break;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_SUFFIX:
        out->kind = TLS_MATCH_SUFFIX;
        out->text = m->suffix;
        break;
    case PB_MATCHER_STRING_MATCHER_MATCH_PATTERN_CONTAINS:
        out->kind = TLS_MATCH_CONTAINS;
        out->text = m->contains;
        break;
    default:
        return err_set(err, -ERR_CONFIG, "use exact, prefix, suffix or contains");
    }
    return out->text.len > 0 ? 0 : err_set(err, -ERR_CONFIG, "the text is empty");
}

static int typed_san(struct tls_san_match *out, const struct pb_tls_SubjectAltNameMatcher *config,
                     struct err *err)
{
    switch (config->san_type) {
    case PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_URI:
        out->san = TLS_SAN_URI;
        break;
    case PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_DNS:
        out->san = TLS_SAN_DNS;
        break;
    case PB_TLS_SUBJECT_ALT_NAME_MATCHER_SAN_TYPE_IP_ADDRESS:
        out->san = TLS_SAN_IP;
        break;
    default:
        return err_set(err, -ERR_CONFIG, "san_type is not supported; use URI, DNS or IP_ADDRESS");
    }
    return config->matcher ? match_text(out, config->matcher, err)
                           : err_set(err, -ERR_CONFIG, "matcher is missing");
}

/* match_subject_alt_names (deprecated) holds for a name of any kind. */
static int allowed_names(struct read *rd, const struct tls_san_match **out, size_t *count,
                         const struct pb_tls_CertificateValidationContext *config, struct err *err)
{
    uint32_t typed = config->match_typed_subject_alt_names.count;
    uint32_t untyped = config->match_subject_alt_names.count;
    struct tls_san_match *list = arena_array(rd->arena, typed + (size_t)untyped * 3, sizeof(*list));
    size_t at = 0;
    int rc = 0;
    for (uint32_t i = 0; i < typed && rc == 0; i++) {
        rc = typed_san(&list[at++], config->match_typed_subject_alt_names.at[i], err);
    }
    for (uint32_t i = 0; i < untyped && rc == 0; i++) {
        static const enum tls_san_kind kinds[] = {TLS_SAN_URI, TLS_SAN_DNS, TLS_SAN_IP};
        for (size_t k = 0; k < ARRAY_LEN(kinds) && rc == 0; k++) {
            list[at].san = kinds[k];
            rc = match_text(&list[at++], config->match_subject_alt_names.at[i], err);
        }
    }
    *out = list;
    *count = at;
    return rc != 0 ? err_prefix(err, "match_typed_subject_alt_names") : 0;
}

/* ---- trial: what TLS itself says of the PEM, so that a broken one never takes a good one's place ---- */

static int try_spec(const struct tls_ctx_spec *spec, struct err *err)
{
    struct tls_ctx *ctx = NULL;
    if (tls_ctx_new(&ctx, spec, err) != 0) {
        return -ERR_CONFIG;
    }
    tls_ctx_put(ctx);
    return 0;
}

static int try_identity(struct span chain, struct span key, struct err *err)
{
    struct tls_ctx_spec spec = {
        .server = true, .chain_pem = chain, .key_pem = key, .peer_mode = TLS_PEER_NONE};
    return try_spec(&spec, err);
}

static int try_trust(const struct tls_trust *trust, size_t count, struct err *err)
{
    struct tls_ctx_spec spec = {
        .trust = trust, .trust_count = count, .peer_mode = TLS_PEER_REQUIRED};
    return try_spec(&spec, err);
}

/* ---- trust ---- */

static int refuse_validation(const struct pb_tls_CertificateValidationContext *config,
                             struct err *err)
{
    const char *field = NULL;
    if (config->trust_chain_verification !=
        PB_TLS_CERTIFICATE_VALIDATION_CONTEXT_TRUST_CHAIN_VERIFICATION_VERIFY_TRUST_CHAIN) {
        field = "trust_chain_verification ACCEPT_UNTRUSTED";
    } else if (config->allow_expired_certificate) {
        field = "allow_expired_certificate";
    } else if (config->verify_certificate_spki.count > 0) {
        field = "verify_certificate_spki";
    } else if (config->verify_certificate_hash.count > 0) {
        field = "verify_certificate_hash";
    } else if (config->crl) {
        field = "crl";
    } else if (pb_value_bool(config->require_signed_certificate_timestamp, false)) {
        field = "require_signed_certificate_timestamp";
    } else if (config->ca_certificate_provider_instance) {
        field = "ca_certificate_provider_instance";
    } else if (config->system_root_certs) {
        field = "system_root_certs";
    } else if (config->max_verify_depth) {
        field = "max_verify_depth";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

static int spiffe_bundles(struct read *rd, const struct tls_trust **out, size_t *count,
                          const struct pb_core_TypedExtensionConfig *config, struct err *err)
{
    struct span type = read_type(rd, config->typed_config);
    if (!span_is(type, TYPE_SPIFFE)) {
        return err_set(err, -ERR_CONFIG, "custom_validator_config '%.*s' is not known",
                       SPAN_ARG(config->name));
    }
    const struct pb_spiffe_SPIFFECertValidatorConfig *c =
        read_any(rd, &pb_spiffe_SPIFFECertValidatorConfig_desc, config->typed_config->value, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    struct tls_trust *list = arena_array(rd->arena, c->trust_domains.count, sizeof(*list));
    for (uint32_t i = 0; i < c->trust_domains.count; i++) {
        list[i].trust_domain = c->trust_domains.at[i]->name;
        if (!c->trust_domains.at[i]->trust_bundle) {
            return err_set(err, -ERR_CONFIG, "trust domain '%.*s' has no trust_bundle",
                           SPAN_ARG(list[i].trust_domain));
        }
        int rc = read_source(rd, &list[i].roots_pem, c->trust_domains.at[i]->trust_bundle, err);
        if (rc != 0) {
            return err_prefix(err, "trust domain '%.*s'", SPAN_ARG(list[i].trust_domain));
        }
    }
    *out = list;
    *count = c->trust_domains.count;
    return *count > 0 ? try_trust(list, *count, err)
                      : err_set(err, -ERR_CONFIG, "trust_domains is empty");
}

static int trust_of(struct read *rd, const struct tls_trust **out, size_t *count,
                    const struct pb_tls_CertificateValidationContext *config, struct err *err)
{
    int rc = refuse_validation(config, err);
    if (rc != 0) {
        return rc;
    }
    if (config->custom_validator_config) {
        return spiffe_bundles(rd, out, count, config->custom_validator_config, err);
    }
    if (!config->trusted_ca) {
        return 0;
    }
    struct tls_trust *one = arena_new(rd->arena, struct tls_trust);
    rc = read_source(rd, &one->roots_pem, config->trusted_ca, err);
    rc = rc != 0 ? rc : try_trust(one, 1, err);
    *out = one;
    *count = 1;
    return rc != 0 ? err_prefix(err, "trusted_ca") : 0;
}

/* ---- own certificate ---- */

static int identity(struct read *rd, struct span *chain, struct span *key,
                    const struct pb_tls_TlsCertificate *config, struct err *err)
{
    const char *field = NULL;
    if (config->pkcs12) {
        field = "pkcs12";
    } else if (config->password) {
        field = "password";
    } else if (config->private_key_provider) {
        field = "private_key_provider";
    } else if (!config->certificate_chain || !config->private_key) {
        return err_set(err, -ERR_CONFIG, "certificate_chain or private_key is missing");
    }
    if (field) {
        return err_set(err, -ERR_CONFIG, "'%s' is not supported", field);
    }
    int rc = read_source(rd, chain, config->certificate_chain, err);
    if (rc != 0) {
        return err_prefix(err, "certificate_chain");
    }
    rc = read_source(rd, key, config->private_key, err);
    return rc != 0 ? err_prefix(err, "private_key") : try_identity(*chain, *key, err);
}

static uint32_t secret_slot(struct read *rd, const struct pb_tls_SdsSecretConfig *config)
{
    read_mention(rd, CONF_SECRET, config->name, config->sds_config);
    return slots_take(rd->slots, config->name);
}

static int own_certificate(struct read *rd, struct conf_tls *out,
                           const struct pb_tls_CommonTlsContext *config, struct err *err)
{
    uint32_t count =
        config->tls_certificates.count + config->tls_certificate_sds_secret_configs.count;
    if (count > 1) {
        return err_set(err, -ERR_CONFIG, "%u certificates; only one is supported", count);
    }
    if (config->tls_certificate_sds_secret_configs.count == 1) {
        out->identity_slot = secret_slot(rd, config->tls_certificate_sds_secret_configs.at[0]);
        return 0;
    }
    if (config->tls_certificates.count == 1) {
        int rc = identity(rd, &out->chain_pem, &out->key_pem, config->tls_certificates.at[0], err);
        return rc != 0 ? err_prefix(err, "tls_certificates") : 0;
    }
    return out->server ? err_set(err, -ERR_CONFIG, "a server needs a certificate") : 0;
}

/* ---- both sides ---- */

static int version_of(int32_t protocol, uint16_t *out, bool lowest, struct err *err)
{
    switch (protocol) {
    case PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TLS_AUTO:
        *out = 0;
        return 0;
    case PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TL_SV1_2:
        *out = 0x0303;
        return 0;
    case PB_TLS_TLS_PARAMETERS_TLS_PROTOCOL_TL_SV1_3:
        *out = 0x0304;
        return 0;
    default: /* 1.0 and 1.1: as a lower bound they only mean "not older" */
        *out = 0x0303;
        return lowest ? 0 : err_set(err, -ERR_CONFIG, "TLS below 1.2 is not supported");
    }
}

static int parameters(struct conf_tls *out, const struct pb_tls_TlsParameters *config,
                      struct err *err)
{
    if (!config) {
        return 0;
    }
    int rc = version_of(config->tls_minimum_protocol_version, &out->min_version, true, err);
    rc = rc != 0 ? rc
                 : version_of(config->tls_maximum_protocol_version, &out->max_version, false, err);
    if (rc == 0 && out->max_version != 0 && out->min_version > out->max_version) {
        rc = err_set(err, -ERR_CONFIG, "tls_minimum_protocol_version is above the maximum");
    }
    if (rc == 0 && config->compliance_policies.count > 0) {
        rc = err_set(err, -ERR_CONFIG, "compliance_policies is not supported");
    }
    return rc != 0 ? err_prefix(err, "tls_params") : 0;
}

static int refuse_common(const struct pb_tls_CommonTlsContext *config, struct err *err)
{
    const char *field = NULL;
    if (config->tls_certificate_provider_instance || config->tls_certificate_certificate_provider ||
        config->tls_certificate_certificate_provider_instance) {
        field = "tls_certificate_provider_instance";
    } else if (config->custom_tls_certificate_selector) {
        field = "custom_tls_certificate_selector";
    } else if (config->custom_handshaker) {
        field = "custom_handshaker";
    } else if (config->key_log) {
        field = "key_log";
    } else if (config->validation_context_certificate_provider ||
               config->validation_context_certificate_provider_instance) {
        field = "validation_context_certificate_provider";
    }
    return field ? err_set(err, -ERR_CONFIG, "'%s' is not supported", field) : 0;
}

static int validation(struct read *rd, struct conf_tls *out,
                      const struct pb_tls_CommonTlsContext *config, struct err *err)
{
    const struct pb_tls_CertificateValidationContext *context = config->validation_context;
    const struct pb_tls_SdsSecretConfig *sds = config->validation_context_sds_secret_config;
    const struct pb_tls_CommonTlsContext_CombinedCertificateValidationContext *both =
        config->combined_validation_context;
    if (both) {
        context = both->default_validation_context;
        sds = both->validation_context_sds_secret_config;
        if (both->validation_context_certificate_provider ||
            both->validation_context_certificate_provider_instance) {
            return err_set(err, -ERR_CONFIG,
                           "validation_context_certificate_provider is not supported");
        }
    }
    if (sds) {
        out->trust_slot = secret_slot(rd, sds);
    }
    if (!context) {
        return 0;
    }
    int rc = trust_of(rd, &out->trust, &out->trust_count, context, err);
    rc = rc != 0 ? rc : allowed_names(rd, &out->allowed, &out->allowed_count, context, err);
    if (rc == 0 && out->allowed_count > 0 && out->trust_count == 0 && !sds) {
        /* Envoy: SAN-based verification without trusted CA is insecure and not allowed */
        rc = err_set(err, -ERR_CONFIG, "names are to be matched, but trusted_ca is missing");
    }
    return rc != 0 ? err_prefix(err, "validation_context") : 0;
}

static int common(struct read *rd, struct conf_tls *out,
                  const struct pb_tls_CommonTlsContext *config, struct err *err)
{
    out->identity_slot = SLOT_NONE;
    out->trust_slot = SLOT_NONE;
    if (!config) {
        return out->server ? err_set(err, -ERR_CONFIG, "common_tls_context is missing") : 0;
    }
    int rc = refuse_common(config, err);
    rc = rc != 0 ? rc : parameters(out, config->tls_params, err);
    rc = rc != 0 ? rc : own_certificate(rd, out, config, err);
    rc = rc != 0 ? rc : validation(rd, out, config, err);
    out->alpn = read_spans(rd, config->alpn_protocols.at, config->alpn_protocols.count);
    out->alpn_count = config->alpn_protocols.count;
    return rc != 0 ? err_prefix(err, "common_tls_context") : 0;
}

static int downstream(struct read *rd, struct conf_tls *out, struct span bytes, struct err *err)
{
    const struct pb_tls_DownstreamTlsContext *config =
        read_any(rd, &pb_tls_DownstreamTlsContext_desc, bytes, err);
    if (!config) {
        return -ERR_CONFIG;
    }
    if (pb_value_bool(config->require_sni, false)) {
        return err_set(err, -ERR_CONFIG, "require_sni is not supported");
    }
    if (config->ocsp_staple_policy !=
        PB_TLS_DOWNSTREAM_TLS_CONTEXT_OCSP_STAPLE_POLICY_LENIENT_STAPLING) {
        return err_set(err, -ERR_CONFIG, "ocsp_staple_policy: only LENIENT_STAPLING is supported");
    }
    out->server = true;
    int rc = common(rd, out, config->common_tls_context, err);
    bool trusts = out->trust_count > 0 || out->trust_slot != SLOT_NONE;
    bool
        requires
    = pb_value_bool(config->require_client_certificate, false);
    if (rc == 0 && requires && !trusts) {
        return err_set(err, -ERR_CONFIG, "require_client_certificate needs a validation context");
    }
    out->peer_mode =
        requires
    ? TLS_PEER_REQUIRED
    : trusts ? TLS_PEER_OPTIONAL
             : TLS_PEER_NONE;
    return rc;
}

static int upstream(struct read *rd, struct conf_tls *out, struct span bytes, struct err *err)
{
    const struct pb_tls_UpstreamTlsContext *config =
        read_any(rd, &pb_tls_UpstreamTlsContext_desc, bytes, err);
    if (!config) {
        return -ERR_CONFIG;
    }
    if (config->allow_renegotiation) {
        return err_set(err, -ERR_CONFIG, "allow_renegotiation is not supported");
    }
    if (config->auto_host_sni) {
        return err_set(err, -ERR_CONFIG, "auto_host_sni is not supported");
    }
    out->sni = config->sni;
    if (rd->auto_sni && config->sni.len == 0) {
        read_skip(rd, SPAN("auto_sni")); /* no name is sent: the server shows its default */
    }
    int rc = common(rd, out, config->common_tls_context, err);
    /* A check that is asked for and not made would believe anybody. */
    if (rc == 0 && (config->auto_sni_san_validation || rd->auto_san) && out->allowed_count == 0) {
        return err_set(err, -ERR_CONFIG,
                       "auto_san_validation is not supported; name whom to believe in "
                       "match_typed_subject_alt_names");
    }
    bool trusts = out->trust_count > 0 || out->trust_slot != SLOT_NONE;
    out->peer_mode =
        trusts ? TLS_PEER_REQUIRED : TLS_PEER_NONE; /* as Envoy: no context, no check */
    return rc;
}

/* What the transport to an internal listener runs above itself; metadata that it passes on is for filters that we do not have. */
static int above_internal(struct read *rd, const struct pb_core_TransportSocket **config,
                          struct err *err)
{
    const struct pb_internal_upstream_InternalUpstreamTransport *c =
        read_any(rd, &pb_internal_upstream_InternalUpstreamTransport_desc,
                 (*config)->typed_config->value, err);
    if (!c) {
        return -ERR_CONFIG;
    }
    *config = c->transport_socket;
    return c->transport_socket ? 0 : err_set(err, -ERR_CONFIG, "transport_socket is missing");
}

int read_tls_socket(struct read *rd, const struct conf_tls **out, bool server,
                    const struct pb_core_TransportSocket *config, struct err *err)
{
    *out = NULL;
    if (!config) {
        return 0;
    }
    struct span type = read_type(rd, config->typed_config);
    if (!server && span_is(type, TYPE_INTERNAL)) {
        int code = above_internal(rd, &config, err);
        if (code != 0) {
            return err_prefix(err, "transport socket 'internal_upstream'");
        }
        type = read_type(rd, config->typed_config);
    }
    bool is_raw = span_is(type, TYPE_RAW) ||
                  (type.len == 0 && span_is(config->name, "envoy.transport_sockets.raw_buffer"));
    if (is_raw) {
        return 0;
    }
    if (!span_is(type, server ? TYPE_DOWNSTREAM : TYPE_UPSTREAM)) {
        return err_set(err, -ERR_CONFIG, "transport socket '%.*s': type '%.*s' is not known here",
                       SPAN_ARG(config->name), SPAN_ARG(type));
    }
    struct conf_tls *tls = arena_new(rd->arena, struct conf_tls);
    int rc = server ? downstream(rd, tls, config->typed_config->value, err)
                    : upstream(rd, tls, config->typed_config->value, err);
    if (rc != 0) {
        return err_prefix(err, "transport socket '%.*s'", SPAN_ARG(config->name));
    }
    *out = tls;
    return 0;
}

int read_tls_secret(struct read *rd, struct conf_secret *out, const struct pb_tls_Secret *config,
                    struct err *err)
{
    int rc;
    switch (config->type_case) {
    case PB_TLS_SECRET_TYPE_TLS_CERTIFICATE:
        out->is_identity = true;
        rc = identity(rd, &out->chain_pem, &out->key_pem, config->tls_certificate, err);
        return rc != 0 ? err_prefix(err, "tls_certificate") : 0;
    case PB_TLS_SECRET_TYPE_VALIDATION_CONTEXT:
        rc = trust_of(rd, &out->trust, &out->trust_count, config->validation_context, err);
        rc = rc != 0 ? rc
                     : allowed_names(rd, &out->allowed, &out->allowed_count,
                                     config->validation_context, err);
        if (rc == 0 && out->trust_count == 0) {
            rc = err_set(err, -ERR_CONFIG, "trusted_ca is missing");
        }
        return rc != 0 ? err_prefix(err, "validation_context") : 0;
    default:
        return err_set(err, -ERR_CONFIG,
                       "only tls_certificate and validation_context are supported");
    }
}
