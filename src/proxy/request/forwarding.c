/* The step that says who asks: x-forwarded-for, x-forwarded-proto, x-request-id and the client certificate header,
 * trusting what came only as far as the configuration does; and `server`, `date` and the upstream's time on the
 * way back. Source: HttpConnectionManager.use_remote_address, xff_num_trusted_hops, forward_client_cert_details,
 * set_current_client_cert_details, generate_request_id, server_name, server_header_transformation.
 * In: request/normalize. Out: changed head, traffic.remote_ip. Next: request/tracing. */
#include "codec/hex.h"
#include "mesh/names.h"
#include "proxy/request/steps.h"

/* The address that stands `hops` from the right in x-forwarded-for; false if the list is shorter. */
static bool trusted_address(struct span list, uint32_t hops, struct ip *out)
{
    struct span item = SPAN_EMPTY;
    for (uint32_t i = 0; i <= hops; i++) {
        if (list.at == NULL) {
            return false;
        }
        ssize_t comma = span_rfind_byte(list, ',');
        item = span_trim(comma < 0 ? list : span_from_offset(list, (size_t)comma + 1));
        list = comma < 0 ? SPAN_EMPTY : span_first(list, (size_t)comma);
    }
    return ip_parse(item, out) == 0;
}

static void forward_for(struct request *rq)
{
    const struct conf_http *conf = rq->conf;
    struct head *h = rq->head;
    struct span had = head_get_known(h, HEAD_X_FORWARDED_FOR);
    if (!conf->use_remote_address) {
        struct ip ip;
        if (had.at != NULL && trusted_address(had, conf->xff_trusted_hops, &ip)) {
            rq->traffic.remote_ip = ip;
        }
        return;
    }
    struct ip ip;
    if (conf->xff_trusted_hops > 0 && had.at != NULL &&
        trusted_address(had, conf->xff_trusted_hops - 1, &ip)) {
        rq->traffic.remote_ip = ip;
    }
    if (conf->skip_xff) {
        return;
    }
    char text[IP_TEXT_BYTES];
    ip_format(&rq->place->peer.ip, text);
    if (text[0] == '\0') {
        return; /* a unix socket has no address to tell */
    }
    struct span value = had.at == NULL
                            ? arena_dup(rq->arena, span_of(text))
                            : span_of(arena_printf(rq->arena, "%.*s,%s", SPAN_ARG(had), text));
    int code = head_set_known(h, HEAD_X_FORWARDED_FOR, value);
    UNUSED(code);
}

static void forward_proto(struct request *rq)
{
    struct head *h = rq->head;
    bool trusted = !rq->conf->use_remote_address || rq->conf->xff_trusted_hops > 0;
    if (!trusted || head_get_known(h, HEAD_X_FORWARDED_PROTO).at == NULL) {
        int code = head_set_known(h, HEAD_X_FORWARDED_PROTO, rq->place->scheme);
        UNUSED(code);
    }
}

/* A random UUID (RFC 9562 section 5.4). */
static struct span new_request_id(struct request *rq)
{
    uint64_t high = rng_u64(rq->place->upstream->rng);
    uint64_t low = rng_u64(rq->place->upstream->rng);
    high = (high & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
    low = (low & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62);
    char digits[32];
    hex_put_u64(high, 16, digits);
    hex_put_u64(low, 16, digits + 16);
    char *to = arena_bytes(rq->arena, 36);
    memcpy(to, digits, 8);
    memcpy(to + 9, digits + 8, 4);
    memcpy(to + 14, digits + 12, 4);
    memcpy(to + 19, digits + 16, 4);
    memcpy(to + 24, digits + 20, 12);
    to[8] = to[13] = to[18] = to[23] = '-';
    return span_from(to, 36);
}

static void request_id(struct request *rq)
{
    bool have = head_get_known(rq->head, HEAD_X_REQUEST_ID).at != NULL;
    bool edge = rq->conf->use_remote_address && rq->conf->xff_trusted_hops == 0;
    if (!rq->conf->generate_request_id || (have && (!edge || rq->conf->preserve_request_id))) {
        return;
    }
    int code = head_set_known(rq->head, HEAD_X_REQUEST_ID, new_request_id(rq));
    UNUSED(code);
}

/* One element: By=...;Hash=...;Subject="...";URI=...;DNS=... (Envoy "x-forwarded-client-cert"). */
static struct span cert_element(struct request *rq)
{
    const struct request_place *p = rq->place;
    const struct conf_http *conf = rq->conf;
    bool subject = conf->xfcc_subject;
    bool uri = conf->xfcc_uri && p->peer_uri.len > 0;
    bool dns = conf->xfcc_dns && p->peer_dns.len > 0;
    char *text = arena_printf(
        rq->arena, "%s%.*s%sHash=%.*s%s%.*s%s%s%.*s%s%.*s", p->local_uri.len > 0 ? "By=" : "",
        SPAN_ARG(p->local_uri), p->local_uri.len > 0 ? ";" : "", SPAN_ARG(p->peer_sha256_hex),
        subject ? ";Subject=\"" : "", SPAN_ARG(subject ? p->peer_subject : SPAN_EMPTY),
        subject ? "\"" : "", uri ? ";URI=" : "", SPAN_ARG(uri ? p->peer_uri : SPAN_EMPTY),
        dns ? ";DNS=" : "", SPAN_ARG(dns ? p->peer_dns : SPAN_EMPTY));
    return span_of(text);
}

static void client_cert(struct request *rq)
{
    struct head *h = rq->head;
    struct span had = head_get_known(h, HEAD_X_FORWARDED_CLIENT_CERT);
    bool proven = rq->place->tls && rq->place->peer_sha256_hex.len > 0;
    int code = 0;
    switch (rq->conf->xfcc) {
    case CONF_XFCC_ALWAYS_FORWARD:
        return;
    case CONF_XFCC_SANITIZE:
        head_remove_known(h, HEAD_X_FORWARDED_CLIENT_CERT);
        return;
    case CONF_XFCC_FORWARD_ONLY:
        if (!proven) {
            head_remove_known(h, HEAD_X_FORWARDED_CLIENT_CERT);
        }
        return;
    case CONF_XFCC_SANITIZE_SET:
        head_remove_known(h, HEAD_X_FORWARDED_CLIENT_CERT);
        if (proven) {
            code = head_add_known(h, HEAD_X_FORWARDED_CLIENT_CERT, cert_element(rq));
        }
        break;
    case CONF_XFCC_APPEND_FORWARD:
        if (!proven) {
            head_remove_known(h, HEAD_X_FORWARDED_CLIENT_CERT);
        } else {
            struct span own = cert_element(rq);
            struct span all =
                had.at == NULL
                    ? own
                    : span_of(arena_printf(rq->arena, "%.*s,%.*s", SPAN_ARG(had), SPAN_ARG(own)));
            code = head_set_known(h, HEAD_X_FORWARDED_CLIENT_CERT, all);
        }
        break;
    }
    UNUSED(code);
}

static enum step_answer on_request(struct request *rq)
{
    forward_for(rq);
    forward_proto(rq);
    request_id(rq);
    client_cert(rq);
    rq->traffic.fields = rq->head->fields;
    rq->traffic.field_count = rq->head->count;
    return STEP_NEXT;
}

static struct span number(struct request *rq, uint64_t n)
{
    return span_of_u64(n, arena_bytes(rq->arena, SPAN_U64_BYTES));
}

static void on_response(struct request *rq, struct head *response)
{
    int code = 0;
    if (rq->conf != NULL && !rq->conf->server_pass_through) {
        code = head_set_known(response, HEAD_SERVER, rq->conf->server_name);
    }
    if (code == 0 && head_get_known(response, HEAD_DATE).at == NULL) {
        int64_t taken_us = (loop_now_ns(rq->place->loop) - rq->start_ns) / 1000;
        code = head_add_known(response, HEAD_DATE,
                              today_text(rq->place->today, rq->start_us + taken_us));
    }
    bool quiet = rq->conf != NULL && rq->conf->suppress_envoy_headers;
    if (code == 0 && !quiet && rq->first_byte_ns != 0 && rq->outcome == OUTCOME_OK) {
        int64_t ms = (rq->first_byte_ns - rq->attempt.opened_ns) / 1000000;
        code =
            head_set_known(response, HEAD_X_ENVOY_UPSTREAM_SERVICE_TIME, number(rq, (uint64_t)ms));
    }
    if (code == 0 && rq->conf != NULL && rq->conf->request_id_in_response) {
        struct span id = head_get_known(rq->head, HEAD_X_REQUEST_ID);
        code = id.len > 0 ? head_set_known(response, HEAD_X_REQUEST_ID, id) : 0;
    }
    if (code == 0 && rq->count_down) {
        code = head_set_known(response, HEAD_X_ENVOY_ATTEMPT_COUNT, number(rq, rq->attempts));
    }
    UNUSED(code); /* at the limit of fields ours are left out */
}

const struct step step_forward = {
    .name = "forward", .on_request = on_request, .on_response = on_response};
