/* What is said about a request that is over: metrics of its edge and connection manager, and the access log.
 * In: request/request when the stream has closed. Out: report/stats, report/access_log, report/tap. */
#include "proxy/report/tap.h"
#include "proxy/request/steps.h"

static struct stats_edge *inbound_edge(struct request *rq, enum stats_protocol protocol)
{
    struct request_edges *edges = rq->place->edges;
    if (edges->edge[protocol] == NULL || edges->cluster[protocol] != rq->cluster) {
        struct stats_edge_key key = {
            .reporter = STATS_DESTINATION,
            .protocol = protocol,
            .mutual_tls = rq->place->principal.len > 0,
            .peer = rq->place->peer_labels,
            .self_principal = rq->place->local_uri,
        };
        if (rq->cluster != NULL) {
            key.service = rq->cluster->service;
        }
        edges->edge[protocol] = stats_edge_get(rq->place->upstream->stats, &key);
        edges->cluster[protocol] = rq->cluster;
    }
    return edges->edge[protocol];
}

/* Outbound and no endpoint was chosen: all we know is the cluster, if that. */
static struct stats_edge *unknown_edge(struct request *rq, enum stats_protocol protocol)
{
    static const struct stats_workload nobody;
    struct stats_edge_key key = {.reporter = STATS_SOURCE, .protocol = protocol, .peer = &nobody};
    if (rq->cluster != NULL) {
        key.service = rq->cluster->service;
    }
    return stats_edge_get(rq->place->upstream->stats, &key);
}

static struct stats_edge *count(struct request *rq, int64_t duration_us)
{
    const struct stats_http *stats = rq->place->stats;
    metric_gauge_add(stats->downstream_rq_active, -1);
    metric_add(stats->downstream_rq_xx[rq->status / 100 < 6 ? rq->status / 100 : 0], 1);
    if (rq->handed_over) { /* what runs in the tunnel is what counts */
        return NULL;
    }
    enum stats_protocol protocol = rq->is_grpc ? STATS_GRPC : STATS_HTTP;
    struct stats_edge *edge = rq->place->direction == CONF_INBOUND ? inbound_edge(rq, protocol)
                              : rq->edge != NULL                   ? rq->edge
                                                                   : unknown_edge(rq, protocol);
    stats_request(edge, rq->status, rq->grpc_status, rq->flags, duration_us, rq->bytes_received,
                  rq->bytes_sent);
    return edge;
}

static int64_t since_start_us(const struct request *rq, int64_t ns)
{
    return ns != 0 ? (ns - rq->start_ns) / 1000 : -1;
}

static void write_log(struct request *rq, int64_t duration_us, const struct stats_edge *edge)
{
    const struct request_place *p = rq->place;
    const struct head *h = rq->head;
    struct access_entry e = {
        .start_us = rq->start_us,
        .duration_us = duration_us,
        .request_us = since_start_us(rq, rq->request_ns),
        .response_us = since_start_us(rq, rq->first_byte_ns),
        .upstream_us =
            rq->first_byte_ns != 0 ? (rq->first_byte_ns - rq->attempt.opened_ns) / 1000 : -1,
        .traffic = &rq->traffic,
        .request = h,
        .response = rq->response,
        .trailers = rq->trailers,
        .protocol = h->http2             ? SPAN("HTTP/2")
                    : h->http_minor == 0 ? SPAN("HTTP/1.0")
                                         : SPAN("HTTP/1.1"),
        .status = rq->status,
        .outcome = rq->outcome,
        .flags = rq->flags,
        .details = rq->details,
        .failure = rq->outcome == OUTCOME_OK ? SPAN_EMPTY : rq->failure,
        .cluster = rq->cluster != NULL ? rq->cluster->name : rq->cluster_name,
        .route_name = rq->route_name,
        .original_path = rq->original_path,
        .bytes_received = rq->bytes_received,
        .bytes_sent = rq->bytes_sent,
        .downstream_remote = p->peer,
        .downstream_local = p->local,
        .upstream_remote = rq->upstream_addr,
        .upstream_local = rq->upstream_local,
        .requested_server = p->sni,
        .peer_principal = p->peer_uri,
        .local_principal = p->local_uri,
        .attempts = rq->attempts,
    };
    for (size_t i = 0; i < p->log_count; i++) {
        access_log_write(p->logs[i], &e);
    }
    if (p->upstream->tap != NULL && edge != NULL) {
        tap_add(p->upstream->tap, &e, edge);
    }
}

void finish_report(struct request *rq)
{
    int64_t duration_us = (loop_now_ns(rq->place->loop) - rq->start_ns) / 1000;
    const struct stats_edge *edge = count(rq, duration_us);
    if ((rq->place->log_count > 0 || rq->place->upstream->tap != NULL) && rq->head != NULL) {
        write_log(rq, duration_us, edge);
    }
}
