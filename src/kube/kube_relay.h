#ifndef KUBE_KUBE_RELAY_H
#define KUBE_KUBE_RELAY_H
/* A request that a server of ours got, passed on to a path of the API server with our credentials; the answer streams back, as fast as the client
 * reads. For the API server's proxy to services and pods, which needs no kubelet and no route to pods.
 *
 *   browser --> http_server (127.0.0.1) --kube_relay--> API server --> service or pod
 *
 * The client's own credentials for the API server (authorization, impersonate-*) are dropped: ours go with it. */
#include "http/http_server.h"
#include "kube/kube_client.h"

struct kube_relay_spec {
    const char *path; /* of the API, with query */
    struct span
        strip; /* taken off the beginning of Location fields: where the API server's proxy puts links */
    /* How it went, once; status 0: nobody answered, and `why` says why (the client got a 502). May be NULL. */
    void (*on_done)(void *arg, unsigned status, const char *why);
    void *arg;
};
/* Takes the stream over. Texts of the spec are copied. The server must be freed before the client. */
void kube_relay(struct kube_client *c, const struct http_request *rq,
                const struct kube_relay_spec *spec);
#endif
