#ifndef CLI_DEMO_WORLD_H
#define CLI_DEMO_WORLD_H
/* What `mesh demo` starts and takes away again: a folder of its own (owner only) with certificates and the
 * configuration of examples/two-services, two services and their two sidecars, all on one loopback network
 * 127.66.N. that no other demo uses.
 *
 *    web 127.66.N.1:8080, its sidecar :15001 == mutual TLS ==> :15006 sidecar of api, api 127.66.N.2:8080
 */
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "http/http_client.h"
#include "io/loop.h"

enum demo_party { DEMO_API, DEMO_WEB, DEMO_API_PROXY, DEMO_WEB_PROXY, DEMO_PARTY_COUNT };

struct demo_world;
/* Writes the folder and takes a network; nothing runs yet. */
MUST_USE int demo_world_new(struct demo_world **out, struct loop *loop, struct err *err);
/* Ends what runs and removes the folder; waits at most 5 s for the processes. NULL is fine. */
void demo_world_free(struct demo_world *w);
/* Starts all four and turns the loop until each is ready, 10 s at most. */
MUST_USE int demo_world_start(struct demo_world *w, struct err *err);
/* From a signal handler's callback: every wait below ends with -EINTR. */
void demo_world_interrupt(struct demo_world *w);
bool demo_world_is_interrupted(const struct demo_world *w);

/* "web", "sidecar of api", ... */
const char *demo_world_party_name(enum demo_party party);
/* "127.66.0.1:8080"; a sidecar's is its admin port. Static for the world's life. */
const char *demo_world_addr(const struct demo_world *w, enum demo_party party);
/* "127.66.0.2:15006", where the sidecar of api takes mutual TLS. */
const char *demo_world_inbound(const struct demo_world *w);
const char *demo_world_folder(const struct demo_world *w);

/* One request and its answer, by turning the loop: status and body, which is valid until the next call.
 * -EINTR when interrupted, else what the client says. */
struct demo_answer {
    unsigned status;
    struct span body;
    int64_t took_us;
};
MUST_USE int demo_world_get(struct demo_world *w, const char *addr, const char *path,
                            struct demo_answer *answer, struct err *err);
/* Turns the loop for so long; -EINTR when interrupted, -ERR_UNAVAILABLE when a process has ended. */
MUST_USE int demo_world_pause(struct demo_world *w, int64_t ms, struct err *err);
/* Resident memory of a party in KiB; 0 if it does not run. */
uint64_t demo_world_rss_kb(const struct demo_world *w, enum demo_party party);
#endif
