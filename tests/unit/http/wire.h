#ifndef UNIT_HTTP_WIRE_H
#define UNIT_HTTP_WIRE_H
/* For tests of http: a simulated loop with the fake clock, a connection of ours on one end of an io_mem
 * pair, and the test's own hands on the other end. */
#include "base/buf.h"
#include "http/http_conn.h"
#include "io/loop.h"

#define WIRE_ROOM (1u << 20)

struct wire {
    struct loop *loop;
    struct io *ours;        /* taken by the connection under test */
    struct io *peer;        /* the test reads and writes here; NULL once closed */
    struct http_conn *conn; /* set by the test; NULL once gone */
    enum http_reset gone;   /* why, when conn is NULL */
    struct buf got;         /* all that the peer has read */
    bool peer_eof;          /* the peer has read the end */
};

void wire_init(struct wire *w, size_t room);
/* Turns until nothing happens any more, and reads what arrived at the peer. */
void wire_run(struct wire *w);
/* Turns without reading at the peer. */
void wire_turn(struct wire *w);
/* Reads what arrived into `got`. */
void wire_drain(struct wire *w);
void wire_send(struct wire *w, struct span bytes);
/* The peer ends its direction. */
void wire_send_end(struct wire *w);
void wire_advance(struct wire *w, int64_t ms);
/* Closes both ends and checks that the loop is empty. */
void wire_dispose(struct wire *w);

/* A copy of `s` that ends right before an unreadable page. One at a time; wire_guard_free gives it back. */
char *wire_guard(struct span s);
void wire_guard_free(char *copy, size_t len);
#endif
