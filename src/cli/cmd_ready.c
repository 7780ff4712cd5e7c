/* mesh ready [ADDR]: a probe that needs no shell, for containers without one. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"
#include "http/http_client.h"
#include "io/loop.h"
#include "mesh/ports.h"

struct settings {
    const char *path;
    int64_t timeout_ms;
    bool quiet;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "path",
     .type = OPT_TEXT,
     .offset = AT(path),
     .arg = "PATH",
     .fallback = "/healthz/ready",
     .help = "what is asked for: control answers /readyz, a proxy's admin /ready"},
    {.name = "timeout",
     .type = OPT_DURATION,
     .offset = AT(timeout_ms),
     .arg = "TIME",
     .fallback = "1s",
     .help = "how long to wait for the answer"},
    {.name = "quiet",
     .letter = 'q',
     .type = OPT_BOOL,
     .offset = AT(quiet),
     .help = "only the exit code"},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh ready",
    .section = "cli",
    .summary =
        "Exits 0 when what listens there says it is ready, 1 when not, 3 when nobody answers.",
    .examples = "mesh ready\n"
                "mesh ready 127.0.0.1:15080 --path /readyz\n"
                "mesh ready unix:/run/mesh/control.sock --path /readyz\n",
    .operands = "[ADDR]",
    .rows = rows,
};

struct asking {
    struct loop *loop;
    unsigned status;
    struct err err;
};

static void on_answer(void *arg, const struct http_answer *a)
{
    struct asking *q = arg;
    if (a->err) {
        q->err = *a->err;
    } else {
        q->status = a->head->status;
    }
    loop_stop(q->loop);
}

static int ask(const struct settings *set, const char *addr, struct arena *arena)
{
    struct asking q = {.loop = loop_new(false)};
    struct http_client *client = NULL;
    bool is_unix = span_starts(span_of(addr), SPAN("unix:"));
    const char *origin = arena_printf(arena, "%s%s", is_unix ? "" : "http://", addr);
    const struct http_client_spec to = {.origin = span_of(origin), .connect_ms = set->timeout_ms};
    int code = http_client_new(&client, q.loop, &to, &q.err);
    if (code == 0) {
        http_client_call(client, &(struct http_call){.method = SPAN("GET"),
                                                     .path = span_of(set->path),
                                                     .timeout_ms = set->timeout_ms,
                                                     .on_answer = on_answer,
                                                     .arg = &q});
        loop_run(q.loop);
    }
    http_client_free(client);
    loop_free(q.loop);
    if (!set->quiet && q.status == 0) {
        fprintf(stderr, "mesh ready: %s does not answer: %s\n", addr, q.err.text);
    } else if (!set->quiet) {
        printf("%s\n", q.status == 200 ? "ready" : "not ready");
    }
    return code != 0         ? EXIT_USAGE
           : q.status == 0   ? EXIT_UNREACHABLE
           : q.status == 200 ? EXIT_DONE
                             : EXIT_NEGATIVE;
}

int cmd_ready(int argc, char **argv)
{
    struct settings set = {.path = NULL};
    struct arena arena;
    struct opt_list operands;
    struct err err;
    arena_init(&arena, 1024);
    int code = opt_parse(&spec, &set, argc, argv, &arena, &operands, &err);
    int status = code > 0 ? EXIT_DONE : EXIT_USAGE;
    if (code < 0) {
        fprintf(stderr, "mesh ready: %s\n", err.text);
    } else if (code == 0) {
        const char *addr = operands.count > 0 ? operands.items[0]
                                              : arena_printf(&arena, "127.0.0.1:%d", PORT_HEALTH);
        status = ask(&set, addr, &arena);
    }
    arena_dispose(&arena);
    return status;
}
