/* The step that compresses answers with gzip, where the chain has the compressor filter and the client takes it.
 * In: request/routing; on the way back the head as it would go down, and the body's bytes. Out: NEXT. Next: request/authorize.
 * Source: Envoy's compressor filter (its rules, and what it counts); RFC 9110 sections 8.4, 8.8.3, 12.5.3, 12.5.5. */
#include "proxy/request/packers.h"
#include "proxy/request/steps.h"

/* ---- does the client want it? (RFC 9110 section 12.5.3) ---- */

/* Thousandths; what is no weight counts as 0. */
static unsigned weight_of(struct span parameters)
{
    while (parameters.at != NULL) {
        struct span p = span_trim(span_cut(&parameters, ';'));
        if (p.len < 2 || (p.at[0] | 0x20) != 'q' || p.at[1] != '=') {
            continue;
        }
        p = span_from_offset(p, 2);
        if (p.len == 0 || p.len > 5 || (p.at[0] != '0' && p.at[0] != '1') ||
            (p.len > 1 && p.at[1] != '.')) {
            return 0;
        }
        unsigned weight = p.at[0] == '1' ? 1000 : 0;
        unsigned digit = 100;
        for (size_t i = 2; i < p.len; i++, digit /= 10) {
            if (p.at[i] < '0' || p.at[i] > '9') {
                return 0;
            }
            weight += (unsigned)(p.at[i] - '0') * digit;
        }
        return weight <= 1000 ? weight : 0;
    }
    return 1000;
}

/* gzip is taken, and nothing that we could send instead is wanted more. */
static bool takes_gzip(struct span accept)
{
    int gzip = -1;
    int any = -1;
    int identity = -1;
    while (accept.at != NULL) {
        struct span item = span_cut(&accept, ',');
        struct span name = span_trim(span_cut(&item, ';'));
        int weight = (int)weight_of(item);
        if (span_eq_nocase(name, SPAN("gzip")) || span_eq_nocase(name, SPAN("x-gzip"))) {
            gzip = weight > gzip ? weight : gzip;
        } else if (span_is(name, "*")) {
            any = weight;
        } else if (span_eq_nocase(name, SPAN("identity"))) {
            identity = weight;
        }
    }
    gzip = gzip >= 0 ? gzip : any;
    return gzip > 0 && gzip >= identity;
}

static bool accepts(struct request *rq)
{
    struct span accept = head_get(rq->head, SPAN("accept-encoding"));
    const struct stats_http *stats = rq->place->stats;
    if (accept.at == NULL) {
        metric_add(stats->compressor_no_accept_header, 1);
        return false;
    }
    if (!takes_gzip(accept)) {
        metric_add(stats->compressor_header_not_valid, 1);
        return false;
    }
    metric_add(stats->compressor_header_gzip, 1);
    return true;
}

/* ---- may the answer be? ---- */

static bool list_has(struct span list, struct span token)
{
    while (list.at != NULL) {
        if (span_eq_nocase(span_trim(span_cut(&list, ',')), token)) {
            return true;
        }
    }
    return false;
}

/* In one of the fields of that name. */
static bool field_has(const struct head *h, struct span name, struct span token)
{
    for (size_t i = 0; i < h->count; i++) {
        if (span_eq(h->fields[i].name, name) && list_has(h->fields[i].value, token)) {
            return true;
        }
    }
    return false;
}

/* Without a type all are taken, as in Envoy. */
static bool type_is_listed(const struct conf_gzip *gzip, const struct head *h)
{
    struct span type = head_get_known(h, HEAD_CONTENT_TYPE);
    if (type.at == NULL) {
        return true;
    }
    struct span media = span_trim(span_cut(&type, ';'));
    for (size_t i = 0; i < gzip->type_count; i++) {
        if (span_eq_nocase(media, gzip->types[i])) {
            return true;
        }
    }
    return false;
}

static bool status_has_whole_body(const struct conf_gzip *gzip, unsigned status)
{
    for (size_t i = 0; i < gzip->spared_code_count; i++) {
        if (gzip->spared_codes[i] == status) {
            return false;
        }
    }
    return status >= 200 && status != 204 && status != 206 && status != 304;
}

/* But for its size, and for what this client takes: then caches must know. */
static bool is_compressible(struct request *rq, const struct conf_gzip *gzip, const struct head *h)
{
    if (!status_has_whole_body(gzip, h->status) || rq->head->upgrade.len > 0 ||
        rq->head->method_id == METHOD_CONNECT || rq->is_grpc || !type_is_listed(gzip, h) ||
        head_get(h, SPAN("content-encoding")).at != NULL ||
        field_has(h, SPAN("cache-control"), SPAN("no-transform"))) {
        return false;
    }
    if (gzip->spare_etag && head_get(h, SPAN("etag")).at != NULL) {
        metric_add(rq->place->stats->compressor_not_compressed_etag, 1);
        return false;
    }
    return true;
}

static bool is_long_enough(struct request *rq, const struct conf_gzip *gzip, const struct head *h)
{
    if (h->content_length == HEAD_LENGTH_UNKNOWN || h->content_length >= (int64_t)gzip->min_bytes) {
        return true;
    }
    metric_add(rq->place->stats->compressor_content_length_too_small, 1);
    return false;
}

/* ---- the bytes ---- */

struct packing {
    struct body_filter filter;
    struct request *rq;
    struct gzip_stream *z; /* of the worker's; NULL once the end is out */
    struct body *body;     /* during a call */
    uint64_t out_bytes;
};

static int on_packed(void *arg, struct span piece)
{
    struct packing *p = arg;
    p->out_bytes += piece.len;
    return body_emit(p->body, piece, false);
}

static void let_go(struct packing *p)
{
    if (p->z != NULL) {
        packers_put_take(p->rq->place->upstream->packers, p->z);
        p->z = NULL;
    }
}

static int pack(struct packing *p, struct body *b, struct span data, bool end)
{
    const struct stats_http *stats = p->rq->place->stats;
    p->body = b;
    p->out_bytes = 0;
    int code = gzip_stream_push(p->z, data, end, on_packed, p);
    metric_add(stats->compressor_total_uncompressed_bytes, data.len);
    metric_add(stats->compressor_total_compressed_bytes, p->out_bytes);
    p->rq->bytes_sent += p->out_bytes;
    p->rq->bytes_sent -= data.len; /* counted as it came */
    if (end) {
        let_go(p);
    }
    return code;
}

/* What has come goes on at once: an answer that comes slowly is not held back. */
static int push(struct body_filter *f, struct body *b, struct span data, bool end)
{
    struct packing *p = container_of(f, struct packing, filter);
    int code = pack(p, b, data, end);
    return code == 0 && end ? body_emit(b, SPAN_EMPTY, true) : code;
}

static int trailers(struct body_filter *f, struct body *b, struct head *fields, bool *pass)
{
    UNUSED(fields);
    UNUSED(pass); /* they go on, behind the last bytes */
    return pack(container_of(f, struct packing, filter), b, SPAN_EMPTY, true);
}

/* ---- the step ---- */

/* RFC 9110 section 8.8.3: a strong validator would be that of other bytes; Envoy takes it away. */
static void spoil_etag(struct head *h)
{
    struct span etag = head_get(h, SPAN("etag"));
    if (etag.at != NULL && !span_starts_nocase(etag, SPAN("W/"))) {
        head_remove(h, SPAN("etag"));
    }
}

/* A field of its own beside others of that name. */
static int say_varies(struct head *h)
{
    struct span name = SPAN("vary");
    if (field_has(h, name, SPAN("accept-encoding")) || field_has(h, name, SPAN("*"))) {
        return 0;
    }
    return head_add(h, name, SPAN("Accept-Encoding"));
}

static void begin(struct request *rq, const struct conf_gzip *gzip, struct head *h)
{
    struct gzip_stream *z = packers_get(rq->place->upstream->packers, gzip->settings);
    if (z == NULL) {
        metric_add(rq->place->stats->compressor_overflow, 1);
        metric_add(rq->place->stats->compressor_not_compressed, 1);
        return;
    }
    if (head_add(h, SPAN("content-encoding"), SPAN("gzip")) != 0) {
        packers_put_take(rq->place->upstream->packers, z);
        return; /* at the limit of fields it goes as it is */
    }
    spoil_etag(h);
    head_remove(h, SPAN("accept-ranges")); /* of the bytes that it had */
    h->content_length = HEAD_LENGTH_UNKNOWN;
    struct packing *p = arena_new(rq->arena, struct packing);
    *p = (struct packing){.filter = {.push = push, .trailers = trailers}, .rq = rq, .z = z};
    rq->back.filter = &p->filter;
    rq->packing = p;
    metric_add(rq->place->stats->compressor_compressed, 1);
}

static bool is_off_here(const struct request *rq, const struct conf_gzip *gzip)
{
    const struct route_override *o =
        rq->route ? route_override(rq->route, rq->route_cluster, gzip->name) : NULL;
    return o != NULL && o->disabled;
}

static enum step_answer on_request(struct request *rq)
{
    const struct conf_gzip *gzip = rq->conf->gzip;
    if (LIKELY(gzip == NULL) || is_off_here(rq, gzip)) {
        return STEP_NEXT;
    }
    rq->may_compress = true;
    rq->takes_gzip = accepts(rq);
    if (gzip->hide_accept) {
        head_remove(rq->head, SPAN("accept-encoding"));
        rq->traffic.fields = rq->head->fields;
        rq->traffic.field_count = rq->head->count;
    }
    return STEP_NEXT;
}

static void on_response(struct request *rq, struct head *response)
{
    if (LIKELY(!rq->may_compress) || rq->conf == NULL || rq->conf->gzip == NULL ||
        rq->outcome != OUTCOME_OK || rq->back.filter != NULL || rq->grpc_web != NULL) {
        return; /* answers of ours are short; one filter a body, and gRPC-Web's comes after this */
    }
    const struct conf_gzip *gzip = rq->conf->gzip;
    bool compressible = is_compressible(rq, gzip, response);
    if (compressible && !rq->response_ended && rq->takes_gzip &&
        is_long_enough(rq, gzip, response)) {
        begin(rq, gzip, response);
    } else {
        metric_add(rq->place->stats->compressor_not_compressed, 1);
    }
    int code = compressible ? say_varies(response) : 0;
    UNUSED(code);
}

static void on_done(struct request *rq)
{
    if (UNLIKELY(rq->packing != NULL)) {
        let_go(rq->packing);
    }
}

const struct step step_compress = {
    .name = "compress", .on_request = on_request, .on_response = on_response, .on_done = on_done};
