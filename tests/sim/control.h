#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H
/* A control plane for simulations of on-demand discovery: it answers what ingest is interested in, by name, from a
 * table of the test, after a delay, or not at all. */
#include "proxy/proxy_numbers.h"
#include "sim/world.h"

struct sim_resource {
    const char *
        type; /* "Listener", "RouteConfiguration", "VirtualHost", "Cluster", "ClusterLoadAssignment" */
    const char *name; /* what it is asked for by */
    const char *text; /* the message as YAML in flow form, with braces */
};

#define SIM_SUBSCRIPTIONS_MAX 4096

struct sim_control {
    const struct sim_resource *resources; /* ends with a NULL name */
    bool away;                            /* not connected */
    bool silent;                          /* connected, and does not answer */
    int64_t delay_ms;                     /* of each answer */
    const char *state_dir;                /* what is learned outlives the simulation there */
    unsigned asked;                       /* names subscribed to so far, whatever type */
    unsigned held;                        /* names subscribed to now */
    /* private */
    struct sim *sim;
    struct proxy_discovery *discovery;
    struct proxy_numbers *numbers; /* owned */
    struct list answers;
    unsigned version;
};

/* For sim_begin and sim_end. */
void sim_control_begin(struct sim_control *c, struct sim *s);
void sim_control_end(struct sim_control *c);
/* A subscription or its end. */
void sim_control_want(struct sim_control *c, enum conf_kind kind, struct span name, bool wanted);
/* Pushes one resource of the table again, with this text; NULL: it is gone. */
void sim_control_push(struct sim_control *c, const char *type, const char *name, const char *text);
bool sim_control_is_ready(const struct sim_control *c);
#endif
