/* mesh ca: the authority on its own. Its gRPC service over TLS for proxies, its tokens and ledger on a unix socket for people.
 *   mesh ca --data-dir DIR                      serves
 *   mesh ca token create --service-account web  asks the one that serves (ca_token_cmd.c)
 * In: role.h. Next: ca.c, ca_desk.c, ca_api.c. */
#include <signal.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/instant.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "ca/ca.h"
#include "ca/ca_api.h"
#include "ca/ca_token_cmd.h"
#include "http/host.h"
#include "io/file.h"
#include "io/signals.h"
#include "mesh/names.h"
#include "mesh/paths.h"
#include "role.h"
#include "store/store.h"
#include "tls/tls.h"

struct ca_options {
    const char *data_dir, *address, *address_path, *socket, *trust_domain, *log_level;
    int64_t leaf_ttl_ms;
    int log_format;
};

static const char *const log_formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct ca_options, field)
static const struct opt rows[] = {
    {.name = "data-dir",
     .type = OPT_TEXT,
     .offset = AT(data_dir),
     .arg = "DIR",
     .help = "key, certificates, tokens and ledger; default /var/lib/mesh, or ~/.local/state/mesh"},
    {.name = "address",
     .type = OPT_TEXT,
     .offset = AT(address),
     .arg = "ADDR:PORT",
     .fallback = "0.0.0.0:15012",
     .help = "where proxies ask for certificates, over TLS"},
    {.name = "address-path",
     .type = OPT_TEXT,
     .offset = AT(address_path),
     .arg = "FILE",
     .help = "write the address there once it is open"},
    {.name = "socket",
     .type = OPT_TEXT,
     .offset = AT(socket),
     .arg = "FILE",
     .help = "tokens and ledger; default DATA-DIR/ca.sock"},
    {.name = "trust-domain",
     .type = OPT_TEXT,
     .offset = AT(trust_domain),
     .arg = "NAME",
     .fallback = MESH_TRUST_DOMAIN,
     .help = "of all identities"},
    {.name = "leaf-ttl",
     .type = OPT_DURATION,
     .offset = AT(leaf_ttl_ms),
     .arg = "TIME",
     .fallback = "24h",
     .min = 1000,
     .max = 90LL * 86400 * 1000,
     .help = "life of workload certificates"},
    {.name = "log-level",
     .letter = 'l',
     .type = OPT_TEXT,
     .offset = AT(log_level),
     .arg = "LEVEL",
     .fallback = "info",
     .help = "error, warn, info, debug; or by area: info,ca:debug"},
    {.name = "log-format",
     .type = OPT_CHOICE,
     .offset = AT(log_format),
     .choices = log_formats,
     .fallback = "text",
     .help = "text or json"},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh ca",
    .section = "ca",
    .summary = "The certificate authority on its own (mesh control has one in it).",
    .examples = "mesh ca --data-dir /var/lib/mesh\n"
                "mesh ca token create --namespace default --service-account web\n"
                "mesh ca --data-dir ./ca --address 127.0.0.1:15012 --leaf-ttl 1h\n",
    .rows = rows,
};

struct ca_role {
    struct ca_options set;
    struct arena arena;
    struct loop *loop;
    struct signals *signals;
    struct store *store;
    struct ca *ca;
    struct host *host;
    struct ca_desk *desk;
};

static void on_signal(void *arg, int signo)
{
    UNUSED(signo);
    loop_stop(arg);
}

static int open_tls(struct ca_role *r, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct tls_ctx *tls = NULL;
    char text[ADDR_TEXT_BYTES];
    int code = addr_parse(span_of(r->set.address), &where.addr, err);
    if (code != 0) {
        return err_prefix(err, "--address");
    }
    code = ca_server_tls(r->ca, &tls, err);
    code = code ? code : host_listen(r->host, "xds-tls", &where, tls, err);
    tls_ctx_put(tls);
    code = code ? code : ca_attach(&r->desk, r->ca, r->host, err);
    if (code != 0) {
        return code;
    }
    addr_format(http_server_addr(host_server(r->host, "xds-tls")), text);
    log_info("ca", "serving address=%s", text);
    return r->set.address_path ? file_write(r->set.address_path, span_of(text), 0644, err) : 0;
}

static int open_socket(struct ca_role *r, const char *folder, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    const char *path =
        r->set.socket ? r->set.socket : arena_printf(&r->arena, "%s/ca.sock", folder);
    int code = addr_parse(span_of(arena_printf(&r->arena, "unix:%s", path)), &where.addr, err);
    code = code ? code : host_listen(r->host, "api", &where, NULL, err);
    if (code != 0) {
        return err_prefix(err, "--socket");
    }
    struct http_server *api = host_server(r->host, "api");
    ca_api_attach(r->ca, api);
    host_serve_ready(r->host, api, "/readyz");
    return 0;
}

static int start(struct ca_role *r, struct err *err)
{
    static const int ends[] = {SIGTERM, SIGINT, 0};
    char dir[PATHS_BYTES];
    const char *folder = r->set.data_dir ? r->set.data_dir : paths_data_dir(dir);
    r->loop = loop_new(false);
    r->signals = signals_new(r->loop, ends, on_signal, r->loop);
    r->host = host_new(r->loop);
    const struct ca_spec ca = {
        .loop = r->loop,
        .data_dir = folder,
        .trust_domain = r->set.trust_domain,
        .leaf_ttl_s = r->set.leaf_ttl_ms / 1000,
    };
    int code = store_open(&r->store, arena_printf(&r->arena, "%s/mesh.db", folder), err);
    if (code != 0) {
        return code;
    }
    struct ca_spec with_store = ca;
    with_store.store = r->store;
    code = ca_new(&r->ca, &with_store, err);
    code = code ? code : open_socket(r, folder, err);
    return code ? code : open_tls(r, err);
}

static void take_down(struct ca_role *r)
{
    ca_desk_close(r->desk);
    host_free(r->host);
    ca_free(r->ca);
    store_close(r->store);
    signals_free(r->signals);
    loop_free(r->loop);
}

static int run(struct ca_role *r, struct err *err)
{
    log_set_json(r->set.log_format == 1);
    int code = log_set_levels(r->set.log_level);
    if (code != 0) {
        return err_set(err, -ERR_CONFIG,
                       "--log-level '%s' is not known; use error, warn, info or debug",
                       r->set.log_level);
    }
    code = instant_init();
    code = code ? err_set(err, code, "MESH_TEST_CLOCK is malformed") : tls_init(err);
    if (code != 0) {
        return code;
    }
    code = start(r, err);
    if (code == 0) {
        loop_run(r->loop);
    }
    take_down(r);
    return code;
}

int ca_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "token") == 0) {
        return ca_token_cmd(argc - 1, argv + 1);
    }
    struct ca_role r = {.loop = NULL};
    struct err err;
    struct opt_list operands; /* none are taken */
    err_clear(&err);
    arena_init(&r.arena, 1024);
    int code = opt_parse(&spec, &r.set, argc, argv, &r.arena, &operands, &err);
    code = code == 0 ? run(&r, &err) : code;
    if (code < 0) {
        fprintf(stderr, "mesh ca: %s\n", err.text);
    }
    arena_dispose(&r.arena);
    return code >= 0 ? 0 : code == -ERR_CONFIG || code == -ERR_DENIED ? 2 : 1;
}
