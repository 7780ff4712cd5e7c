#ifndef UNIT_HTTP_RECORD_H
#define UNIT_HTTP_RECORD_H
/* A connection under test whose owner tells what it got in one line:
 *   "GET a /path #5 ^upgrade name=value <body>;"    ';' ended in order, '!' broken, '?400' refused
 * and, on a server, answers. */
#include "unit/http/wire.h"

struct record {
    struct wire w;
    struct buf text;
    struct buf body;
    struct http_stream *stream; /* the latest */
    unsigned reply;             /* answers each request with this at its end; 0 = not */
    unsigned closes;
    enum http_reset close_why;
    unsigned rooms;   /* on_room */
    unsigned drained; /* on_drained */
    size_t keep;      /* bytes of each body that are not consumed */
    bool granted;     /* CONNECT or upgrade answered */
};

struct record_spec {
    enum http_proto proto;
    bool server;
    unsigned reply;
    const struct http_limits *limits;
    size_t room; /* of the pair; 0 = WIRE_ROOM */
};

void record_init(struct record *r, const struct record_spec *spec);
void record_dispose(struct record *r);
/* Client: asks for "/" at "a:1"; method "UPGRADE" = GET with an upgrade to websocket. */
void record_ask(struct record *r, const char *method, bool end);
const char *record_text(struct record *r);
const char *record_got(struct record *r);
#endif
