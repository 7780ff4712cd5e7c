#ifndef PROXY_DOWNSTREAM_ARRIVAL_H
#define PROXY_DOWNSTREAM_ARRIVAL_H
/* A connection between accept and its session: original destination, first bytes, filter chain, TLS.
 *
 *   (TELLING -->) (ASKING -->) SNIFFING --(enough bytes, or time)--> chain --> HANDSHAKING --> PEEKING (HTTP/1 or 2?) --> session
 * TELLING: the PROXY protocol's header comes first. ASKING: no listener is for its destination, and the control plane may know one (config/ask).
 * In: downstream/entry. Out: session_http or session_tcp. Next: those.                                       */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/list.h"
#include "io/deadline.h"
#include "io/io.h"
#include "proxy/config/ask.h"
#include "tls/hello_parse.h"

struct entry;

struct arrival {
    struct list node;
    struct entry *entry; /* borrowed: an entry closes its arrivals before it goes */
    struct io *io;       /* owned until handed on */
    struct buf got;      /* bytes read while sniffing */
    struct deadline limit;
    struct addr original_dst;
    bool redirected;        /* original_dst is where the client meant to go, not our own address */
    struct hello *hello;    /* owned while sniffing TLS */
    int chain_index;        /* once chosen, as the next two */
    struct span chain_name; /* owned copy; may be empty */
    bool tls;               /* the chain's */
    struct ask_wait ask;
    uint64_t
        ticket; /* upstream/shared: it is counted among the clients' connections; 0 = it is not */
    enum {
        ARRIVAL_TELLING,
        ARRIVAL_ASKING,
        ARRIVAL_SNIFFING,
        ARRIVAL_HANDSHAKING,
        ARRIVAL_PEEKING
    } state;
    struct span sni;     /* owned copy */
    struct ip direct_ip; /* the peer's own; `io->peer` is what the PROXY protocol tells */
    uint16_t direct_port;
};

static inline bool arrival_has_chain(const struct arrival *a)
{
    return a->state > ARRIVAL_SNIFFING;
}
/* Takes the stream. */
void arrival_start_take(struct entry *e, struct io *io);
/* The same for one that was counted by shared_enter. */
void arrival_counted_take(struct entry *e, struct io *io, uint64_t ticket);
void arrival_close(struct arrival *a);
/* The entry has new chains: `chain_index` is where the arrival's own is now. Closes it where that is gone. */
void arrival_rebind(struct arrival *a, int chain_index);
#endif
