#ifndef CONTROL_PUSH_PUSH_INT_H
#define CONTROL_PUSH_PUSH_INT_H
/* What the files of push share: a stream worker and its clients. All of it belongs to the worker's thread, but for what says otherwise. */
#include "base/list.h"
#include "base/map.h"
#include "control/push/push.h"
#include "control/push/push_cache.h"
#include "io/worker.h"
#include "xds/xds_server.h"

struct push_worker {
    struct push *push;     /* whose `main` mailbox and events may be used */
    struct worker *worker; /* main's */
    struct loop *loop;
    struct host *host;
    void *attached;               /* what on_host kept */
    const struct push_spec *spec; /* push's: events only, after the start */
    struct xds_server *xds;
    struct world *world;
    int64_t world_us; /* when it was built */
    struct push_cache cache;
    struct arena scratch; /* one answer at a time */
    struct list clients;
    struct list queue; /* clients with something pending, in the order in which it came */
    struct loop_task work;
    uint64_t next_stream;
    char **taps; /* owned texts: whom somebody watches */
    size_t tap_count;
};

/* What a client still has to be told of one type. */
enum push_due {
    PUSH_NOTHING,
    PUSH_SERVICES, /* what belongs to the services of `due_services` */
    PUSH_ALL,
};

struct push_client {
    struct list node;
    struct list queued;
    struct push_worker *worker;
    struct xds_stream *stream;
    uint64_t id;
    struct node who;
    enum push_due due[PROXIES_TYPE_COUNT];
    bool tap_is_due, is_tapped;
    bool is_sotw;
    bool awaits_hints;    /* its listeners are not sent before they are there */
    struct span workload; /* "namespace/account/name", as destinations.h has it; in who.arena */
    struct map uses;      /* push_uses.c's */
    /* Indexes of services of the worker's world whose endpoints changed; few, or it becomes PUSH_ALL. */
    unsigned *due_services;
    size_t due_count, due_room;
    uint32_t told_names[PROXIES_TYPE_COUNT]; /* to the main thread: how many it asks for */
    /* Since when a world waits to be told, and the one that is told waits to be taken (wall time); 0: what is due was asked for. */
    int64_t due_since_us[PROXIES_TYPE_COUNT], sent_since_us[PROXIES_TYPE_COUNT];
};

#define PUSH_DUE_SERVICES_MAX 64
/* A stream's number: its worker above these. */
#define PUSH_STREAM_BITS 48

/* push_client.c */
extern const struct xds_server_events push_client_events; /* arg: the worker */
void push_client_due_all(struct push_client *c);
void push_client_due_service(struct push_client *c, unsigned index);
/* The workload at this address is another: its own side, if it is its own. */
void push_client_due_workload(struct push_client *c, const struct ip *address);
void push_client_due_tap(struct push_client *c);
/* In this world its address may be another's: the stream is over then, and the client with it. */
void push_client_check(struct push_client *c);
/* What proxies of its workload used before, one name a line; once. */
void push_client_hints(struct push_client *c, struct span lines);
/* Sends what is due and may be sent now. */
void push_client_work(struct push_client *c);
void push_client_free(struct push_client *c);

/* push.c: mail to the main thread; any worker. */
struct push_report {
    struct mail mail;
    struct push *push;
    bool is_tap;
    size_t identity_len, message_len;
    char bytes[]; /* identity, then message */
};
enum push_news_kind { PUSH_OPENED, PUSH_CLOSED, PUSH_TYPE };
enum push_step {
    PUSH_SENT,
    PUSH_HAD, /* nothing was sent: it had all of it */
    PUSH_TAKEN,
    PUSH_REFUSED,
};
struct push_news {
    struct mail mail;
    struct push *push;
    enum push_news_kind kind;
    uint64_t stream;
    struct proxy_entry *entry; /* PUSH_OPENED: taken */
    enum proxies_type type;    /* PUSH_TYPE */
    enum push_step step;
    uint32_t names;   /* but for PUSH_TAKEN and PUSH_REFUSED */
    uint64_t version; /* of the world that was told */
    int64_t since_us; /* PUSH_TAKEN: when that world was built; 0: it had been asked for */
    char *why;        /* PUSH_REFUSED; taken */
};
void push_post_news_take(struct push *p, struct push_news *news);
struct mailbox *push_mailbox(struct push *p);
void push_take_report(struct push_report *r); /* main thread; frees it */
enum push_use_kind { PUSH_USE_BEGINS, PUSH_USE_GIVEN_UP, PUSH_USE_LEFT };
struct push_use {
    struct mail mail;
    struct push *push;
    enum push_use_kind kind;
    size_t workload_len, name_len;
    char bytes[]; /* workload, then name */
};
void push_take_use(struct push_use *u); /* main thread; frees it */

/* push_uses.c: what an on-demand client uses. All tell the main thread. */
void push_uses_begin(struct push_client *c);
/* It asks for this, and there is such a thing. */
void push_uses_add(struct push_client *c, enum proxies_type type, struct span name);
/* It may ask for less than before. */
void push_uses_look(struct push_client *c);
void push_uses_end(struct push_client *c);

/* push_worker.c */
MUST_USE int push_worker_start(struct push_worker **out, struct push *p, unsigned index,
                               const struct push_spec *spec, struct err *err);
void push_worker_world(struct push_worker *w, struct world *world, int64_t built_us,
                       const struct world_change *change);
void push_worker_tap(struct push_worker *w, const struct span *targets, size_t count);
void push_worker_hints(struct push_worker *w, uint64_t stream, struct span lines);
const struct addr *push_worker_addr(struct push_worker *w, const char *server);
void push_worker_stop(struct push_worker *w);
#endif
