#ifndef SIM_SIM_NET_H
#define SIM_SIM_NET_H
/* A network in memory for simulations: it takes the place of io/dial and io/listener, and joins who dials with who
 * listens by pairs of io_mem. One at a time in a program. The test holds the other end of every connection as a
 * struct sim_peer: a client that it opened, or what an origin accepted.
 *
 *   sim_connect --> listener of the proxy           dial of the proxy --> sim_origin --> sim_peer
 * Faults are the origin's: refuse, say nothing (black hole), answer late; and the peer's: reset at any time. */
#include "base/buf.h"
#include "base/list.h"
#include "io/io.h"

#define SIM_ROOM 262144 /* bytes that a connection holds in each direction: what a kernel would */

struct sim_net;
struct sim_origin;

/* The test's end of a connection. */
struct sim_peer {
    struct list node;
    struct sim_net *net;
    struct io *io;             /* NULL once the test has closed it */
    struct sim_origin *origin; /* that accepted it, or NULL: a client */
    struct addr remote;        /* the proxy's address on it */
    struct buf got;            /* all that has arrived */
    size_t at;                 /* of `got`: what a test has looked at */
    size_t answered;           /* of `got`: requests that an origin has replied to */
    bool slow;                 /* does not read, as while TLS shakes hands */
    bool ended;                /* the proxy has ended its direction ... */
    int code;                  /* ... with this */
};

enum sim_fault {
    SIM_NO_FAULT,
    SIM_REFUSE,
    SIM_BLACK_HOLE,
};

/* An address that is dialled; made when it first is, or before by a test that wants a fault or a reply. */
struct sim_origin {
    struct addr addr;
    enum sim_fault fault;
    int64_t delay_ms;                      /* of the connection */
    size_t room;                           /* of the next connections; 0 = SIM_ROOM */
    struct list peers;                     /* newest last */
    void (*on_accept)(struct sim_peer *p); /* may put TLS above its stream; or NULL */
    unsigned dials;                        /* also those that failed */
    unsigned accepted;                     /* connections */
    const char *reply; /* sent for each complete HTTP/1 request; NULL = the test answers */
    unsigned requests; /* complete ones that got `reply` */
    struct list node;
};

struct sim_net *sim_net_new(struct loop *loop);
/* Closes all peers. */
void sim_net_close(struct sim_net *net);
/* All peers must be closed, and the loop have turned. */
void sim_net_free(struct sim_net *net);
/* Finds or makes. */
struct sim_origin *sim_net_origin(struct sim_net *net, const char *addr);
/* A client's connection to who listens there, or NULL if nobody does (or it is paused). */
struct sim_peer *sim_net_connect(struct sim_net *net, const char *to, const char *from,
                                 size_t room);
/* Interception: connections to where nobody listens come to this listener, with their destination. */
void sim_net_redirect(struct sim_net *net, const char *to);
bool sim_net_is_listening(const struct sim_net *net, const char *addr);
/* Reads what has arrived at all peers and lets origins reply; whether anything moved. */
bool sim_net_move(struct sim_net *net);
/* The origin's newest connection, or NULL. */
struct sim_peer *sim_net_newest(const struct sim_origin *o);

/* In order, with a reset, or only our direction. Peers that closed are freed with the net. */
void sim_peer_close(struct sim_peer *p);
void sim_peer_abort(struct sim_peer *p);
void sim_peer_shut(struct sim_peer *p);
void sim_peer_write(struct sim_peer *p, struct span bytes);
#endif
