#ifndef SIM_WORLD_H
#define SIM_WORLD_H
/* A whole proxy worker in one thread: proxy/proxy_worker.c on a simulated loop with the fake clock, fed with
 * configuration by proxy/config/ingest and with connections by sim_net. Nothing sleeps, nothing is random.
 *
 *   sim_conf (YAML) -> bootstrap -> ingest -> snapshot -> proxy_worker     sim_connect -> client
 *                                                            \-> cluster "a": origins 10.0.0.1, .2 ... port 80 */
#include "base/arena.h"
#include "base/err.h"
#include "base/metric.h"
#include "proxy/config/ingest.h"
#include "sim/sim_net.h"

/* Configuration, as fields of Envoy's messages in YAML's flow form without braces ("a: 1, b: {c: d}"). What is NULL
 * is left out, or has the default said. */
struct sim_conf {
    const char *route;     /* RouteAction of the only route; "cluster: a" */
    const char *routes;    /* in place of it: a list of routes, "{match: ..}, {match: ..}" */
    const char *vhost;     /* more of the VirtualHost */
    const char *filters;   /* HTTP filters before the router: "{..}, {..}" */
    const char *router;    /* more of the Router */
    const char *hcm;       /* more of the HttpConnectionManager */
    const char *tcp;       /* TcpProxy in place of HTTP: "cluster: a" */
    const char *chain;     /* more of the filter chain */
    const char *listener;  /* more of the Listener */
    const char *listeners; /* more listeners */
    const char *endpoints; /* of cluster a: "1 2*3" = 10.0.0.1, and 10.0.0.2 with weight 3; "1" */
    const char *cluster;   /* more of Cluster a */
    const char *clusters;  /* more clusters */
    const char *log;       /* format of an access log, see sim_log */
    bool no_listener;
    bool no_cluster;
    struct sim_control *control; /* on-demand discovery (sim/control.h); only sim_begin looks */
};

struct sim {
    struct loop *loop;
    struct sim_net *net;
    struct proxy_worker *worker;
    struct metric_registry *registry;
    unsigned views; /* snapshots now with the worker */
    unsigned most_views;
    unsigned applied;     /* snapshots that it has taken */
    struct err apply_err; /* of the last: a listener that could not be opened */
    bool keeps_memory;    /* a library's first use is in this one: memory is not compared */
    bool idle;            /* draining, and nobody is left */
    /* private */
    struct sim_control *control;
    struct ingest *ingest;
    struct stats_families *families;
    struct shared *shared;
    struct mailbox *mailbox; /* the main thread's */
    struct metric_shard *shard;
    struct arena texts;
    unsigned version;
    unsigned clients;
    int log_fd;
    size_t live_bytes; /* at the beginning */
};

/* Begins at 2023-11-14 22:13:20 UTC. */
void sim_begin(struct sim *s, const struct sim_conf *conf);
/* Replaces the configuration; ends the program when it is refused. */
void sim_config(struct sim *s, const struct sim_conf *conf);
/* The same, but says what is wrong with it. */
int sim_try_config(struct sim *s, const struct sim_conf *conf, struct err *err);
void sim_drain(struct sim *s, bool stop_accepting);
/* Closes all, stops the worker, and checks that nothing is left: memory, gauges, breakers. */
void sim_end(struct sim *s);

/* Turns until nothing happens any more; origins reply meanwhile. */
void sim_settle(struct sim *s);
/* The clock goes on, deadline by deadline. */
void sim_advance(struct sim *s, int64_t ms);

/* From 192.0.2.1 to the listener, 10.0.0.100:80. Not settled. */
struct sim_peer *sim_connect(struct sim *s);
struct sim_peer *sim_connect_to(struct sim *s, const char *addr);
/* 10.0.0.N:80 */
struct sim_origin *sim_origin(struct sim *s, unsigned n);

/* The sum of all series whose labels are these ("name=value,name=value"; NULL = any). */
int64_t sim_metric(struct sim *s, const char *name, const char *labels);
/* Sum of all gauges of work in hand ("..._active"); the first that is not zero goes to `name`. */
int64_t sim_active(struct sim *s, const char **name);
/* What the access log holds by now (its deadline for writing passes); in the sim's memory. */
const char *sim_log(struct sim *s);

#define SIM_LISTENER_ADDR "10.0.0.100:80"
#define SIM_OK "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
/* One more cluster with one endpoint: SIM_CLUSTER("b", "2", "connect_timeout: 2s") */
#define SIM_CLUSTER(name, n, more)                                                                \
    "{name: " name ", load_assignment: {cluster_name: " name ", endpoints: [{lb_endpoints: ["     \
    "{endpoint: {address: {socket_address: {address: 10.0.0." n ", port_value: 80}}}}]}]}, " more \
    "}"
#endif
