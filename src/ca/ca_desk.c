/* The authority on one host: its services there, and the server's own certificate.
 * In: ca_role.c, or control's workers. Next: csr_service.c. */
#include "base/mem.h"
#include "ca/ca_review.h"
#include "ca/csr_service.h"
#include "tls/tls_ctx.h"

static const char tls_server[] = "xds-tls", plain_server[] = "xds-plain";
enum { RETRY_MS = 10000 };

static void arm_renewal(struct ca_desk *desk)
{
    deadline_arm(&desk->renew, desk->loop, ca_renewal_ms(desk->ca, &desk->rng));
}

static void on_renew(struct deadline *d)
{
    struct ca_desk *desk = container_of(d, struct ca_desk, renew);
    struct tls_ctx *fresh;
    struct err err;
    if (ca_server_tls(desk->ca, &fresh, &err) != 0) {
        log_error("ca", "own certificate not renewed why=\"%s\"", err.text);
        deadline_arm(&desk->renew, desk->loop, RETRY_MS);
        return;
    }
    http_server_set_tls(host_server(desk->host, tls_server), fresh);
    tls_ctx_put(fresh);
    arm_renewal(desk);
}

int ca_attach(struct ca_desk **out, struct ca *ca, struct host *host, struct err *err)
{
    struct ca_desk *desk = mem_new(struct ca_desk);
    int code = issuer_parse(&desk->issuer, ca->root.chain_pem, ca->root.key_pem, err);
    if (code != 0) {
        mem_free(desk);
        return code;
    }
    desk->ca = ca;
    desk->host = host;
    desk->loop = host_loop(host);
    desk->port = store_port_new(ca->store, desk->loop);
    desk->window = ca_window_open(desk);
    list_init(&desk->calls);
    rng_init(&desk->rng);
    deadline_init(&desk->renew, on_renew);
    struct http_server *tls = host_server(host, tls_server);
    struct http_server *plain = host_server(host, plain_server);
    if (tls != NULL) {
        csr_service_attach(desk, tls);
        arm_renewal(desk);
    }
    if (plain != NULL) {
        csr_service_attach(desk, plain);
    }
    *out = desk;
    return 0;
}

void ca_desk_close(struct ca_desk *desk)
{
    if (desk == NULL) {
        return;
    }
    deadline_disarm(&desk->renew);
    csr_service_end(desk);
    ca_window_close(desk->window);
    store_port_free(desk->port);
    issuer_free(desk->issuer);
    mem_free(desk);
}
