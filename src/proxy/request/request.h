#ifndef PROXY_REQUEST_REQUEST_H
#define PROXY_REQUEST_REQUEST_H
/* One HTTP exchange through the proxy, from the downstream's head to the report. Its road is a const array of
 * steps (in request.c), which run() alone advances; directions differ in what is configured. The
 * request goes through the array forward, the response head backward; empty members cost nothing.
 *
 *   RUNNING --WAIT--> (a step's event) --request_resume--> RUNNING --DONE--> the upstream ... --> reported
 *      |  FAIL: request_fail, a local reply
 *
 * The struct and all its spans live in the downstream stream's arena; it dies with the stream (on_close).
 * In: downstream/session_http. Out: upstream/attempt. Next: report/ at the end. */
#include "base/compiler.h"
#include "http/http_conn.h"
#include "io/deadline.h"
#include "policy/route.h"
#include "policy/traffic.h"
#include "proxy/config/view.h"
#include "proxy/report/access_log.h"
#include "proxy/report/outcome.h"
#include "proxy/request/body.h"
#include "proxy/request/today.h"
#include "proxy/upstream/attempt.h"

struct ask_wait;
struct entry;
struct asks;
struct request;
struct packing;
struct request_delay;
struct request_mirrors;
struct session_http;

enum step_answer {
    STEP_NEXT,
    STEP_WAIT, /* the step armed one event and will call request_resume */
    STEP_DONE, /* the step has taken the request over (an answer or the upstream) */
    STEP_FAIL, /* rq->outcome says why */
};

struct step {
    const char *name;
    enum step_answer (*on_request)(struct request *rq);
    /* The response head, before it is sent down; may change it. */
    void (*on_response)(struct request *rq, struct head *response);
    void (*on_done)(struct request *rq);
};

#define REQUEST_LOGS_MAX 8

/* The metric edge of inbound requests, kept by the connection: a peer talks to one service as a rule. */
struct request_edges {
    const struct cluster *cluster[2]; /* by stats_protocol; compared only */
    struct stats_edge *edge[2];
    const struct peer *told; /* by whose word the labels are; compared only */
};

/* What a request borrows from its worker and connection; one a session, filled by downstream/. */
struct request_place {
    struct loop *loop;
    struct upstream *upstream;
    struct today *today; /* the worker's */
    const struct stats_http *stats;
    struct cluster *(*cluster_at)(void *arg, uint32_t slot);       /* NULL = not there */
    struct cluster *(*cluster_named)(void *arg, struct span name); /* for cluster_header routes */
    struct access_log *logs[REQUEST_LOGS_MAX];
    size_t log_count;
    void *arg;
    struct asks *asks; /* NULL: nothing is learned on demand */
    /* What holds for a request that begins now: for one that has waited. */
    void (*newest)(const struct request_place *p, const struct conf_http **conf,
                   struct view **view);
    /* The internal listener of this name, if it takes a tunnel to `dst` from here; else NULL, and why. Then the tunnel itself. */
    struct entry *(*inner)(const struct request_place *p, struct span listener,
                           const struct addr *dst, struct span *why);
    void (*enter_take)(const struct request_place *p, struct entry *e, struct http_stream *stream,
                       const struct addr *dst);
    enum conf_direction direction;
    struct request_edges *edges;
    struct stats_workload
        *peer_labels;   /* the connection's; its own word is added by the first request */
    struct span scheme; /* "http" or "https": of the downstream connection */
    struct addr peer, local,
        original_dst;      /* peer and local: as the PROXY protocol tells, if it does */
    struct span peer_text; /* of peer.ip; empty for a unix socket */
    bool
        redirected; /* else original_dst is our own address, and no ORIGINAL_DST cluster leads there */
    struct span
        principal; /* verified peer: SPIFFE ID, else DNS name or subject; empty without TLS */
    struct span peer_uri, local_uri;
    struct span
        client_cert; /* x-forwarded-client-cert of a proven peer (who_client_cert); else empty */
    struct span sni;
    bool tls;            /* the connection is TLS, or what carries it is */
    struct ip direct_ip; /* the peer's own address */
    uint16_t direct_port;
};

struct request {
    const struct request_place *place; /* borrowed: outlives its requests */
    struct http_stream *down;          /* NULL after its on_close */
    struct arena *arena;               /* the stream's */
    struct head *head;                 /* the request as it goes up; changed in place by steps */
    const struct conf_http *conf;      /* of the chain, in `view` */
    struct view *view;     /* held until the response head is sent or the request ends */
    unsigned at;           /* the step in hand */
    struct ask_wait *wait; /* in the arena: the routing step waits for a virtual host; or NULL */
    struct request_delay *delay; /* in the arena: it is held back on purpose; or NULL */
    struct traffic traffic;      /* as it arrived (after normalisation) */

    /* decided on the way */
    const struct route *route; /* NULL once the view is let go */
    const struct route_cluster *route_cluster;
    struct cluster *cluster; /* a reference is held */
    struct span cluster_name, route_name, original_path;
    struct route_retry retry; /* copied: outlives the view */
    int64_t timeout_ms;
    bool is_grpc, sampled, priority_high, auto_host;
    bool tunnel_ends; /* CONNECT whose bytes go to the endpoint as they are (connect_config) */
    bool peer_asks;   /* inbound: the peer told who it is and wants to know who we are */
    bool count_up, count_down; /* x-envoy-attempt-count upstream, downstream */
    bool has_hash;             /* hashing.c: for consistent hashing */
    uint64_t hash;

    struct grpc_web *grpc_web; /* grpc_web.c: a call of a browser; in the arena; NULL: it is none */
    const struct route_cors
        *cors; /* cors.c: the origin is allowed; of the view; NULL = says nothing */
    bool may_compress, takes_gzip;   /* compress.c */
    struct packing *packing;         /* in the arena; NULL = it goes as it came */
    struct request_mirrors *mirrors; /* mirror.h; in the arena; NULL: none */

    /* upstream side */
    struct attempt attempt;
    uint32_t attempts; /* tries begun */
    uint32_t retries_left;
    bool stale_retried;          /* the one retry after a silent close of a reused connection */
    bool retry_counted;          /* holds a place of the cluster's retry breaker */
    const struct endpoint *last; /* compared only, never followed: the one tried before */
    int64_t backoff_ms; /* of the retry that waits for the response in hand to end; -1 = none */
    struct deadline total, per_try, try_idle, idle, backoff, longest, whole;
    int64_t idle_ms, moved_ms; /* stream idle: its length; when something last moved */

    /* bodies */
    struct body up, back; /* towards the upstream; towards the client */
    bool request_ended;   /* the client's message is whole */
    bool head_down;       /* the response head was sent */
    bool response_ended;
    bool reported;
    bool handed_over;         /* its stream is a connection now, which is reported by itself */
    struct head *trailers_up; /* trailers of the request that wait for a connection */

    /* for reports */
    enum outcome outcome;
    uint32_t flags;
    unsigned status;
    int grpc_status; /* -1 = not seen */
    struct span details, failure;
    const struct head *response; /* as sent down, in the arena */
    const struct head *trailers;
    int64_t start_us;                                         /* wall */
    int64_t start_ns, request_ns, first_byte_ns, response_ns; /* monotonic; 0 = not yet */
    uint64_t bytes_received, bytes_sent;
    struct stats_edge *edge; /* outbound: the endpoint's; inbound: the connection's */
    struct addr upstream_addr, upstream_local;
};

/* Begins the exchange; the events and argument are for the stream. The head follows as an event. */
struct request *request_new(const struct request_place *place, struct http_stream *down,
                            const struct conf_http *conf, struct view *view);
extern const struct http_stream_events request_events;

/* For steps that waited. */
void request_resume(struct request *rq);
/* Ends the request with a reply of ours (Envoy's wording), or a reset if the response has begun. */
void request_fail(struct request *rq, enum outcome why);
/* A local reply with these fields and body: direct responses, redirects, and what request_fail sends. */
struct request_answer {
    enum outcome why;
    unsigned status;
    int grpc_status; /* for gRPC clients; 0 = what `status` is to them */
    const struct header *fields;
    size_t count;
    struct span content_type; /* empty = none, when there is no body */
    struct span body;
};
void request_reply(struct request *rq, const struct request_answer *a);
/* The response head has come from upstream: runs the steps backward and sends it down. */
void request_answer_head(struct request *rq, struct head *head, bool end);
/* Lets the view and what hangs on it go. */
void request_let_view_go(struct request *rq);
/* The exchange becomes a connection: answers 200, reports, and lets go of the stream, which is the caller's. */
struct http_stream *request_hand_over(struct request *rq);
/* Rearms the stream-idle deadline; on every movement. */
void request_moved(struct request *rq);
#endif
