#ifndef CLI_DEMO_PLACE_H
#define CLI_DEMO_PLACE_H
/* Where a demo lives: a folder (owner only, mesh/paths.h; beside it NAME-2 ... when another demo has that), two loopback networks
 * 127.66.N. (proxies) and 127.66.N+1. (applications) that no other demo uses, and two ports of 127.0.0.1. All of it is
 * gone afterwards; what a demo left that was killed is cleaned up by the next one. */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "io/loop.h"
#include "mesh/paths.h"

#define DEMO_PLACES 9 /* demos of one user at a time */
#define DEMO_PLACE_SHOP 8080
#define DEMO_PLACE_API 15080
#define DEMO_PLACE_GATEWAY 2 /* its host in each network */

struct listener;
struct demo_place {
    char folder[PATHS_BYTES];
    int network;               /* of the proxies */
    char net[16], shop_ip[16]; /* "127.66.0." with that number, "127.0.0.1" */
    int shop_port, api_port;
    /* private */
    int lock_fd;
    struct listener *claim; /* on the network */
};

/* `pods`: the N of 10.66.N., where each has its own network namespace and all ports are free; -1: loopback. */
MUST_USE int demo_place_take(struct demo_place *p, struct loop *loop, int pods, struct err *err);
/* Removes the folder with all that is in it. */
void demo_place_leave(struct demo_place *p);
/* The folder of the n-th demo, 0..DEMO_PLACES-1: in `to` (PATHS_BYTES), which is returned. */
char *demo_place_folder(int n, char *to);
/* Whether a demo runs in that folder. */
bool demo_place_is_live(const char *folder);
/* "FOLDER/name" in `to` (PATHS_BYTES), which is returned. */
char *demo_place_path(const struct demo_place *p, const char *name, char *to);
/* Writes a file of the folder, mode 0600, in one step (rename): who watches the folder sees all of it or nothing. */
MUST_USE int demo_place_write(const struct demo_place *p, const char *name, struct span bytes,
                              struct err *err);
/* A file of examples/bookinfo with this demo's network and ports in place of those written there. */
MUST_USE int demo_place_write_example(const struct demo_place *p, const char *name,
                                      struct span text, struct err *err);
/* The same into `out`. */
struct buf;
MUST_USE int demo_place_adapt(const struct demo_place *p, struct span text, struct buf *out);
#endif
