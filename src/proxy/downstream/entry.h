#ifndef PROXY_DOWNSTREAM_ENTRY_H
#define PROXY_DOWNSTREAM_ENTRY_H
/* A configured listener as one worker serves it: its socket, its chains ready for use, and the connections that
 * came in by it. Kept over snapshots by its name; connections whose chain is gone or has a new TLS setting are
 * drained, the others go on with the new configuration from their next request.
 *
 *   downstream --- entry --- entry_chain[]   (TLS context, numbers, logs)
 *                     \--- arrival*   (sniffing, shaking hands)   arrival.c
 *                      \-- session*   (HTTP or opaque)            session_http.c, session_tcp.c
 * In: io/listener. Out: downstream/arrival for each connection. Next: downstream/sniff.                      */
#include "base/compiler.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "io/listener.h"
#include "proxy/config/ask.h"
#include "proxy/config/tls_bind.h"
#include "proxy/config/view.h"
#include "proxy/request/request.h"

/* What entries share in a worker. */
struct downstream {
    struct loop *loop;
    struct upstream upstream;
    struct access_logs *logs;
    struct today today;
    struct view *view;   /* current; never NULL once configured */
    struct view *before; /* during an update: the one it replaces, or NULL */
    struct list entries;
    struct map by_name;  /* struct entry */
    struct map by_addr;  /* private: made when it is looked into after a change */
    bool by_addr_is_old; /* private */
    struct cluster *(*cluster_at)(void *arg, uint32_t slot);
    struct cluster *(*cluster_named)(void *arg, struct span name);
    void *arg;
    bool draining;
    bool ends_soon; /* overload: connections end with the exchange in hand */
    bool refusing;  /* overload: new connections are closed at once */
    unsigned session_count;
    struct asks *asks; /* owned by the worker; NULL: nothing is learned on demand */
    struct log_limit refused, turned_away;
    bool reuse_port; /* several workers share the address */
    /* A listener could not be opened: for /listeners and readiness. */
    void (*on_listen_fail)(void *arg, struct span name, const struct err *err);
};

#define ENTRY_KEY_BYTES (sizeof(struct ip) + sizeof(uint16_t))

struct entry_chain {
    const struct conf_chain *conf; /* in the current snapshot */
    struct tls_bind tls;
    struct stats_http stats; /* HTTP chains */
    struct access_log *logs[REQUEST_LOGS_MAX];
    size_t log_count;
};

struct entry {
    struct downstream *ds; /* borrowed */
    struct list node;
    struct span name;                 /* owned copy */
    char addr_key[ENTRY_KEY_BYTES];   /* of by_addr */
    const struct conf_listener *conf; /* in the current snapshot; NULL = removed, draining */
    struct listener *
        *listeners;        /* owned: address, then additional_addresses; NULL where it failed */
    size_t listener_count; /* 0 when bind_to_port is off */
    struct udp_front *udp; /* owned: in place of listeners; NULL: TCP, or it failed */
    struct entry_chain *chains; /* owned: conf's chains in order, then the default chain */
    size_t chain_count;
    struct stats_listener stats;
    struct list arrivals, sessions;
    uint64_t uses, uses_told; /* connections that were for it */
};

/* Before the first entry; after the last. */
void entry_init(struct downstream *ds);
void entry_dispose(struct downstream *ds);
struct entry *entry_new(struct downstream *ds, const struct conf_listener *conf);
/* Brings it up to the view's snapshot; `conf` NULL: stops accepting and drains. */
void entry_update(struct entry *e, const struct conf_listener *conf);
/* HTTP connections end after the exchange in hand. */
void entry_drain(struct entry *e);
/* Ends up to `most` of the connections that carry nothing: those that have not begun first, then sessions that have been
 * idle for a second; the oldest first. How many. */
size_t entry_shed(struct entry *e, size_t most);
/* Closes its connections now; they tell in this turn. */
void entry_close(struct entry *e);
/* When it is empty. */
void entry_free(struct entry *e);
bool entry_is_empty(const struct entry *e);
/* Stops accepting; what is there goes on. */
void entry_stop(struct entry *e);
/* The entry that serves this address, for use_original_dst: exact, else any address with that port; or NULL. */
struct entry *entry_find(struct downstream *ds, const struct addr *dst);
/* By chain_find's index; NULL for none. */
struct entry_chain *entry_chain_at(struct entry *e, int index);
#endif
