/* mesh ready [ADDR]: a probe that needs no shell, for containers without one. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/verb.h"
#include "http/http_client.h"
#include "io/deadline.h"
#include "io/loop.h"
#include "mesh/ports.h"

enum { ANSWER_MS = 1000, WAIT_MS = 60000, AGAIN_MS = 100 };

struct settings {
    const char *path;
    int64_t timeout_ms; /* 0 = not said */
    bool quiet, wait;
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
     .help = "how long to wait for the answer, default 1s; with --wait for readiness, default 1m"},
    {.name = "wait",
     .letter = 'w',
     .type = OPT_BOOL,
     .offset = AT(wait),
     .help = "ask again until it is ready: for a postStart hook"},
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
                "mesh ready --wait --timeout 2m\n"
                "mesh ready 127.0.0.1:15080 --path /readyz\n"
                "mesh ready unix:/run/mesh/control.sock --path /readyz\n",
    .operands = "[ADDR]",
    .rows = rows,
};

struct asking {
    const struct settings *set;
    struct loop *loop;
    struct http_client *client;
    struct deadline again, due; /* with --wait */
    unsigned status;            /* of the last answer; 0 = none came */
    struct err err;
};

static void on_answer(void *arg, const struct http_answer *a)
{
    struct asking *q = arg;
    q->status = a->err ? 0 : a->head->status;
    if (a->err) {
        q->err = *a->err;
    }
    if (q->set->wait && q->status != 200) {
        deadline_arm(&q->again, q->loop, AGAIN_MS);
    } else {
        loop_stop(q->loop);
    }
}

static void ask(struct asking *q)
{
    int64_t timeout_ms = q->set->wait ? ANSWER_MS : q->set->timeout_ms;
    http_client_call(q->client, &(struct http_call){.method = SPAN("GET"),
                                                    .path = span_of(q->set->path),
                                                    .timeout_ms = timeout_ms,
                                                    .on_answer = on_answer,
                                                    .arg = q});
}

static void on_again(struct deadline *d)
{
    ask(container_of(d, struct asking, again));
}

static void on_due(struct deadline *d)
{
    loop_stop(container_of(d, struct asking, due)->loop);
}

static void say(const struct asking *q, const char *addr)
{
    if (q->status == 0) {
        fprintf(stderr, "mesh ready: %s does not answer: %s\n", addr, q->err.text);
    } else {
        printf("%s\n", q->status == 200 ? "ready" : "not ready");
    }
}

static int find_out(const struct settings *set, const char *addr, struct arena *arena)
{
    struct asking q = {.set = set, .loop = loop_new(false)};
    bool is_unix = span_starts(span_of(addr), SPAN("unix:"));
    const char *origin = arena_printf(arena, "%s%s", is_unix ? "" : "http://", addr);
    const struct http_client_spec to = {.origin = span_of(origin), .connect_ms = set->timeout_ms};
    deadline_init(&q.again, on_again);
    deadline_init(&q.due, on_due);
    int code = http_client_new(&q.client, q.loop, &to, &q.err);
    if (code == 0) {
        (void)err_set(&q.err, -ERR_TIMEOUT, "no answer in time");
        if (set->wait) {
            deadline_arm(&q.due, q.loop, set->timeout_ms);
        }
        ask(&q);
        loop_run(q.loop);
    }
    deadline_disarm(&q.again);
    deadline_disarm(&q.due);
    if (!set->quiet) {
        say(&q, addr);
    }
    int status = code != 0         ? EXIT_USAGE
                 : q.status == 0   ? EXIT_UNREACHABLE
                 : q.status == 200 ? EXIT_DONE
                                   : EXIT_NEGATIVE;
    q.set = &(const struct settings){.wait = false}; /* a call that ends now is not made again */
    http_client_free(q.client);
    loop_free(q.loop);
    return status;
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
        if (set.timeout_ms == 0) {
            set.timeout_ms = set.wait ? WAIT_MS : ANSWER_MS;
        }
        status = find_out(&set, addr, &arena);
    }
    arena_dispose(&arena);
    return status;
}
