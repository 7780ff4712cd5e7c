#ifndef SAMPLE_BOOKINFO_H
#define SAMPLE_BOOKINFO_H
/* Bookinfo's four services, written anew from their public behaviour: paths, JSON and the structure of the page.
 *
 *    productpage  /  /productpage  /login  /logout  /health  /api/v1/products[/N[/reviews|/ratings]]
 *    details      /details/N  /health
 *    reviews      /reviews/N  /health     v1 without stars, v2 black ones, v3 red ones
 *    ratings      /ratings/N (GET, POST)  /health
 *
 * Each also has /fault: GET tells its fault (fault.h), POST with words in the query sets it, DELETE heals; the
 * last two want the header `x-mesh-write: 1`, which a page in a browser can not send unasked. */
#include "base/compiler.h"
#include "base/err.h"
#include "http/http_server.h"
#include "sample/fault.h"
#include "sample/peer.h"

enum bookinfo_kind { BOOKINFO_PRODUCTPAGE, BOOKINFO_DETAILS, BOOKINFO_REVIEWS, BOOKINFO_RATINGS };
#define BOOKINFO_KINDS 4

struct bookinfo_spec {
    enum bookinfo_kind kind;
    bool stars;        /* reviews: asks ratings */
    const char *color; /* reviews: of the stars */
    const char *pod;   /* what reviews call themselves */
    const char *cluster;
    struct peer *details, *reviews, *ratings; /* borrowed; those that the kind asks */
    struct fault fault;                       /* at the start */
};

struct bookinfo;
/* "productpage" ...; -1 if there is none of that name. */
int bookinfo_kind_of(const char *name);
const char *bookinfo_kind_name(enum bookinfo_kind kind);
/* Adds its routes to the server, which is borrowed. Texts of `spec` are borrowed for life. */
struct bookinfo *bookinfo_new(struct loop *loop, struct http_server *server,
                              const struct bookinfo_spec *spec);
/* /health and /fault on a further server, borrowed too. */
void bookinfo_serve_health(struct bookinfo *b, struct http_server *server);
/* After the server was freed; the peers later still. */
void bookinfo_free(struct bookinfo *b);
#endif
