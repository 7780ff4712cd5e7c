/* The step that says who asks: x-forwarded-for, -proto and -port, x-envoy-external-address and -internal, x-request-id and the client
 * certificate header, trusting what came only as far as the configuration does; and `server`, `date` and the upstream's time on the
 * way back. Source: HttpConnectionManager.use_remote_address, xff_num_trusted_hops, internal_address_config, append_x_forwarded_port,
 * forward_client_cert_details, generate_request_id, server_name, server_header_transformation; Envoy "HTTP header sanitizing".
 * Stricter than Envoy in one thing: at an edge that trusts nobody before it, `forwarded` (RFC 7239) and x-forwarded-host from outside
 * are dropped too.
 * In: request/normalize. Out: changed head, traffic.remote_ip. Next: request/tracing. */
#include "codec/hex.h"
#include "mesh/names.h"
#include "proxy/request/steps.h"

#define ENVOY_PREFIX "x-envoy-"

/* Whose request it is, by where it came from. */
struct origin {
    bool internal; /* of a network that is ours */
    bool edge;     /* the first of our proxies that it meets */
};

/* The field's values as one: several lines are one list (RFC 9110 section 5.3). */
static struct span whole_value(struct request *rq, enum head_known id)
{
    const struct head *h = rq->head;
    struct span value = head_get_known(h, id);
    for (size_t i = h->slot[id]; value.at != NULL && i < h->count; i++) {
        if (h->known[i] == id) {
            value = span_of(arena_printf(rq->arena, "%.*s,%.*s", SPAN_ARG(value),
                                         SPAN_ARG(h->fields[i].value)));
        }
    }
    return value;
}

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

static void append_address(struct request *rq, struct span had)
{
    struct span peer = rq->place->peer_text;
    if (peer.len == 0) {
        return; /* a unix socket has no address to tell */
    }
    struct span value =
        had.at == NULL
            ? peer
            : span_of(arena_printf(rq->arena, "%.*s,%.*s", SPAN_ARG(had), SPAN_ARG(peer)));
    int code = head_set_known(rq->head, HEAD_X_FORWARDED_FOR, value);
    UNUSED(code);
}

static bool is_internal(const struct conf_http *conf, const struct request *rq)
{
    if (rq->place->peer.kind == ADDR_UNIX && conf->use_remote_address) {
        return conf->internal.unix_sockets;
    }
    for (size_t i = 0; i < conf->internal.count; i++) {
        if (cidr_contains(&conf->internal.ranges[i], &rq->traffic.remote_ip)) {
            return true;
        }
    }
    return false;
}

/* Internal is who comes from one of our networks and nobody else before him (Envoy "x-envoy-internal"). */
static struct origin forward_for(struct request *rq)
{
    const struct conf_http *conf = rq->conf;
    struct span had = whole_value(rq, HEAD_X_FORWARDED_FOR);
    bool last_is_told = conf->use_remote_address; /* by the connection, not by the list */
    uint32_t hops = conf->xff_trusted_hops;
    struct ip ip;
    bool listed = had.at != NULL && (!last_is_told || hops > 0) &&
                  trusted_address(had, last_is_told ? hops - 1 : hops, &ip);
    if (listed) {
        rq->traffic.remote_ip = ip;
    }
    bool alone =
        last_is_told ? had.at == NULL : listed && hops == 0 && span_find_byte(had, ',') < 0;
    if (last_is_told && !conf->skip_xff) {
        append_address(rq, had);
    }
    bool internal = alone && is_internal(conf, rq);
    return (struct origin){.internal = internal, .edge = last_is_told && !internal};
}

/* False where whoever stands before us may say what it likes: it is overwritten. */
static bool is_believed(const struct conf_http *conf)
{
    return !conf->use_remote_address || conf->xff_trusted_hops > 0;
}

static void forward_proto(struct request *rq)
{
    struct head *h = rq->head;
    int code = 0;
    if (!is_believed(rq->conf) || head_get_known(h, HEAD_X_FORWARDED_PROTO).at == NULL) {
        code = head_set_known(h, HEAD_X_FORWARDED_PROTO, rq->place->scheme);
    }
    struct span port_name = SPAN("x-forwarded-port");
    if (code == 0 && rq->conf->append_port && rq->place->local.kind == ADDR_IP &&
        (!is_believed(rq->conf) || head_get(h, port_name).at == NULL)) {
        code = head_set(h, port_name,
                        span_of_u64(rq->place->local.port, arena_bytes(rq->arena, SPAN_U64_BYTES)));
    }
    UNUSED(code);
}

/* What only our own may ask of a proxy, after "x-envoy-"; the first ones may be asked of all but an edge. */
static bool is_private(struct span rest, bool edge)
{
    static const struct span names[] = {
        SPAN_INIT("decorator-operation"),
        SPAN_INIT("downstream-service-cluster"),
        SPAN_INIT("downstream-service-node"),
        SPAN_INIT("retry-on"),
        SPAN_INIT("retry-grpc-on"),
        SPAN_INIT("max-retries"),
        SPAN_INIT("upstream-alt-stat-name"),
        SPAN_INIT("upstream-rq-timeout-ms"),
        SPAN_INIT("upstream-rq-per-try-timeout-ms"),
        SPAN_INIT("upstream-rq-timeout-alt-response"),
        SPAN_INIT("expected-rq-timeout-ms"),
        SPAN_INIT("force-trace"),
        SPAN_INIT("ip-tags"),
        SPAN_INIT("original-url"),
        SPAN_INIT("hedge-on-per-try-timeout"),
        SPAN_INIT("retriable-status-codes"),
        SPAN_INIT("retriable-header-names"),
    };
    for (size_t i = edge ? 0 : 3; i < ARRAY_LEN(names); i++) {
        if (span_eq(rest, names[i])) {
            return true;
        }
    }
    return false;
}

static bool is_unwelcome(struct span name, struct origin from, bool outside)
{
    if (name.len == sizeof("forwarded") - 1) {
        return outside && span_is(name, "forwarded");
    }
    /* Few names begin so: most are passed by the third letter. */
    if (name.len < sizeof(ENVOY_PREFIX) || name.at[2] != ENVOY_PREFIX[2] ||
        !span_starts(name, SPAN(ENVOY_PREFIX))) {
        return false;
    }
    struct span rest = span_from_offset(name, sizeof(ENVOY_PREFIX) - 1);
    return span_is(rest, "internal") || (!from.internal && is_private(rest, from.edge));
}

/* Envoy ConnectionManagerUtility::cleanInternalHeaders. */
static void sanitize(struct request *rq, struct origin from)
{
    struct head *h = rq->head;
    bool outside = from.edge && !is_believed(rq->conf);
    for (size_t i = 0; i < h->count;) {
        struct span name = h->fields[i].name;
        if (h->known[i] == HEAD_OTHER && is_unwelcome(name, from, outside)) {
            head_remove(h, name); /* this one, which is the first of its name, and all after it */
        } else {
            i++;
        }
    }
    if (outside) {
        head_remove_known(h, HEAD_X_FORWARDED_HOST);
    }
}

static void tell_origin(struct request *rq, struct origin from)
{
    int code = 0;
    if (from.internal) {
        code = head_add(rq->head, SPAN(HEADER_INTERNAL), SPAN("true"));
    } else if (from.edge && rq->place->peer.kind == ADDR_IP) {
        struct span address = rq->place->peer_text;
        if (!ip_eq(&rq->traffic.remote_ip, &rq->place->peer.ip)) {
            char text[IP_TEXT_BYTES];
            ip_format(&rq->traffic.remote_ip, text);
            address = arena_dup(rq->arena, span_of(text));
        }
        code = head_set(rq->head, SPAN(HEADER_EXTERNAL_ADDRESS), address);
    }
    UNUSED(code);
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

static void request_id(struct request *rq, bool edge)
{
    bool have = head_get_known(rq->head, HEAD_X_REQUEST_ID).at != NULL;
    if (!rq->conf->generate_request_id || (have && (!edge || rq->conf->preserve_request_id))) {
        return;
    }
    int code = head_set_known(rq->head, HEAD_X_REQUEST_ID, new_request_id(rq));
    UNUSED(code);
}

static void client_cert(struct request *rq)
{
    struct head *h = rq->head;
    struct span own = rq->place->client_cert;
    int code = 0;
    if (rq->conf->xfcc == CONF_XFCC_ALWAYS_FORWARD) {
        return;
    }
    if (rq->conf->xfcc == CONF_XFCC_SANITIZE || own.len == 0) {
        head_remove_known(h, HEAD_X_FORWARDED_CLIENT_CERT);
    } else if (rq->conf->xfcc == CONF_XFCC_SANITIZE_SET) {
        code = head_set_known(h, HEAD_X_FORWARDED_CLIENT_CERT, own);
    } else if (rq->conf->xfcc == CONF_XFCC_APPEND_FORWARD) {
        struct span had = whole_value(rq, HEAD_X_FORWARDED_CLIENT_CERT);
        struct span all =
            had.at == NULL
                ? own
                : span_of(arena_printf(rq->arena, "%.*s,%.*s", SPAN_ARG(had), SPAN_ARG(own)));
        code = head_set_known(h, HEAD_X_FORWARDED_CLIENT_CERT, all);
    }
    UNUSED(code);
}

static enum step_answer on_request(struct request *rq)
{
    struct origin from = forward_for(rq);
    forward_proto(rq);
    sanitize(rq, from);
    tell_origin(rq, from);
    request_id(rq, from.edge);
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
