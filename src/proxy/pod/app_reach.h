#ifndef POD_APP_REACH_H
#define POD_APP_REACH_H
/* Where an application of this pod may listen, in the order in which it is tried when a connection is refused: loopback, then the pod's own addresses from
 * the address that redirection leaves alone (127.0.0.6, ::6: redirect/redirect.c), so that none of it runs through the proxy. */
#include "base/compiler.h"
#include "io/addr.h"

#define APP_REACH_OWN_MAX 8
#define APP_REACH_MAX (2 + APP_REACH_OWN_MAX)

struct app_reach {
    struct {
        struct addr to, from; /* ports are 0; `from` of kind ADDR_NONE: whatever the kernel takes */
    } hops[APP_REACH_MAX];
    size_t count;
};

/* `own`: the pod's addresses, those beyond APP_REACH_OWN_MAX are left out; none: IPv4's loopback alone. */
void app_reach_init(struct app_reach *r, const struct ip *own, size_t count);
bool app_reach_has(const struct app_reach *r, const struct ip *ip);
/* A connection failed so that it may work elsewhere: nobody listens there, or there is no such address. */
bool app_reach_goes_on(int code);
#endif
