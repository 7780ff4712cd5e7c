/* mesh sample: a small HTTP service for demonstrations and tests; what it answers is in sample_service.h. */
#include "sample/sample_service.h"

#include <signal.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/opt.h"
#include "io/signals.h"
#include "role.h"

struct sample_options {
    const char *listen, *name, *upstream, *upstream_host;
};

#define ROW(flag, field, value, text, what)               \
    {                                                     \
        .name = flag,                                     \
        .type = OPT_TEXT,                                 \
        .offset = offsetof(struct sample_options, field), \
        .fallback = (value),                              \
        .arg = (text),                                    \
        .help = (what),                                   \
        .env = "",                                        \
    }
static const struct opt rows[] = {
    ROW("listen", listen, "127.0.0.1:8080", "ADDR:PORT", "where to serve; port 0 = any"),
    ROW("name", name, "sample", "NAME", "what the answers call it"),
    ROW("upstream", upstream, NULL, "URL", "whom /upstream/PATH asks"),
    ROW("upstream-host", upstream_host, NULL, "HOST", "Host that the upstream is asked for"),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh sample",
    .section = "sample",
    .summary = "a small HTTP service for demonstrations and tests",
    .examples =
        "  mesh sample --listen 127.0.0.1:8080 --name v1\n"
        "  mesh sample --listen 127.0.0.1:8081 --name web --upstream http://127.0.0.1:8080\n",
    .rows = rows,
};

static void on_signal(void *arg, int signo)
{
    UNUSED(signo);
    loop_stop(arg);
}

static int serve(const struct sample_options *options, struct loop *loop, struct err *err)
{
    static const int ends[] = {SIGTERM, SIGINT, 0};
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct http_server *server = NULL;
    struct http_client *upstream = NULL;
    char text[ADDR_TEXT_BYTES];

    int code = addr_parse(span_of(options->listen), &where.addr, err);
    if (code < 0) {
        return err_prefix(err, "--listen");
    }
    if (options->upstream != NULL) {
        const struct http_client_spec client = {
            .origin = span_of(options->upstream),
            .authority = span_of(options->upstream_host),
            .conns = 16,
        };
        code = http_client_new(&upstream, loop, &client, err);
        if (code < 0) {
            return err_prefix(err, "--upstream");
        }
    }
    code = http_server_new(&server, loop, &where, NULL, err);
    if (code < 0) {
        http_client_free(upstream);
        return code;
    }
    struct sample_service *service = sample_service_new(loop, options->name, server, upstream);
    struct signals *signals = signals_new(loop, ends, on_signal, loop);

    printf("ready %s\n", addr_format(http_server_addr(server), text));
    (void)fflush(stdout); /* nobody may be reading */
    loop_run(loop);
    signals_free(signals);
    http_server_free(server);
    sample_service_free(service);
    http_client_free(upstream);
    return 0;
}

int sample_main(int argc, char **argv)
{
    struct sample_options options = {.name = NULL};
    struct err err = {.code = 0};
    struct opt_list operands;
    struct arena arena;

    arena_init(&arena, 1024);
    int code = opt_parse(&spec, &options, argc, argv, &arena, &operands, &err);
    if (code == 0) {
        struct loop *loop = loop_new(false);
        code = serve(&options, loop, &err);
        loop_free(loop);
    }
    if (code < 0) {
        fprintf(stderr, "mesh sample: %s\n", err.text);
    }
    arena_dispose(&arena);
    return code < 0 ? 2 : 0;
}
