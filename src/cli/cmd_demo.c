/* mesh demo: the story that is told, and the facts that --check looks at.
 * In: demo_world, which runs the parties. Out: lines for a person. */
#include "cli/cmd_demo.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/instant.h"
#include "base/opt.h"
#include "cli/demo_world.h"
#include "codec/doc.h"
#include "io/signals.h"
#include "tls/tls.h"
#include "version.h"

#define WEB_ID "spiffe://cluster.local/ns/default/sa/web"
#define DENIED "RBAC: access denied"
#define TELL_EVERY_MS 2000

struct demo_options {
    bool check;
    int64_t rps;
};

static const struct opt rows[] = {
    {.name = "check",
     .type = OPT_BOOL,
     .offset = offsetof(struct demo_options, check),
     .fallback = "false",
     .help = "look at a few facts, then end: exit 0 if all hold, 1 if not",
     .env = ""},
    {.name = "rps",
     .type = OPT_INT,
     .offset = offsetof(struct demo_options, rps),
     .fallback = "10",
     .arg = "N",
     .help = "requests a second that web sends to api",
     .min = 1,
     .max = 1000,
     .env = ""},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh demo",
    .section = "demo",
    .summary = "two services, two sidecars, mutual TLS; nothing is installed",
    .examples = "mesh demo\nmesh demo --check\n",
    .rows = rows,
};

struct demo {
    struct demo_world *world;
    struct arena arena; /* of the request in hand */
    int64_t begin_ms;
};

static void say(const char *line)
{
    printf("%s\n", line);
    (void)fflush(stdout); /* nobody may be reading */
}

/* ---- what api saw */

/* The identity in api's answer, from "By=...;Hash=...;URI=spiffe://..."; empty if there is none. */
static struct span caller_of(struct demo *d, struct span body)
{
    struct doc_node *doc = NULL;
    if (doc_parse_json(&d->arena, body, "answer", &doc, NULL) < 0) {
        return SPAN_EMPTY;
    }
    const struct doc_node *xfcc =
        doc_get(doc_path(doc, "answer.headers"), "x-forwarded-client-cert");
    if (!doc_is(xfcc, DOC_TEXT)) {
        return SPAN_EMPTY;
    }
    ssize_t at = span_find(xfcc->text, SPAN("URI="));
    if (at < 0) {
        return SPAN_EMPTY;
    }
    struct span uri = span_from_offset(xfcc->text, (size_t)at + 4);
    ssize_t end = span_find_byte(uri, ';');
    return end < 0 ? uri : span_first(uri, (size_t)end);
}

/* Requests that the sidecar of api counted for this status; -1 when it can not be asked. */
static int64_t counted(struct demo *d, const char *status)
{
    struct demo_answer answer;
    char code[32];
    int64_t sum = 0;
    if (demo_world_get(d->world, demo_world_addr(d->world, DEMO_API_PROXY), "/stats/prometheus",
                       &answer, NULL) < 0) {
        return -1;
    }
    (void)snprintf(code, sizeof(code), "response_code=\"%s\"", status);
    struct span rest = answer.body;
    while (rest.at != NULL) {
        struct span line = span_cut(&rest, '\n');
        ssize_t blank = span_rfind_byte(line, ' ');
        uint64_t n;
        if (blank > 0 && span_starts(line, SPAN("istio_requests_total{")) &&
            span_find(line, span_of(code)) >= 0 &&
            span_to_u64(span_from_offset(line, (size_t)blank + 1), &n)) {
            sum += (int64_t)n;
        }
    }
    return sum;
}

/* ---- --check */

static bool is_fact(const char *what, bool holds, const char *else_what)
{
    printf("  %-6s %s%s%s\n", holds ? "ok" : "FAILED", what, holds ? "" : ": ",
           holds ? "" : else_what);
    (void)fflush(stdout); /* nobody may be reading */
    return holds;
}

static bool check_identity(struct demo *d)
{
    struct err err = {.code = 0};
    struct demo_answer answer = {.status = 0};
    char found[160];

    int code = demo_world_get(d->world, demo_world_addr(d->world, DEMO_WEB), "/upstream/hello",
                              &answer, &err);
    bool ok = is_fact("web reaches api through both sidecars", code == 0 && answer.status == 200,
                      code < 0 ? err.text : "the answer is not 200");
    arena_reset(&d->arena);
    struct span id = caller_of(d, answer.body);
    (void)snprintf(found, sizeof(found), "it saw '%.*s'", SPAN_ARG(id));
    return is_fact("api knows its caller as " WEB_ID, span_is(id, WEB_ID), found) && ok;
}

static bool check_denial(struct demo *d)
{
    struct err err = {.code = 0};
    struct demo_answer answer = {.status = 0};
    int code = demo_world_get(d->world, demo_world_addr(d->world, DEMO_WEB), "/upstream/private",
                              &answer, &err);
    return is_fact("the policy keeps web out of /private: 403 " DENIED,
                   code == 0 && answer.status == 403 && span_find(answer.body, SPAN(DENIED)) >= 0,
                   code < 0 ? err.text : "the answer is another");
}

/* Without a certificate nobody gets in, whatever they ask. */
static bool check_plain_text(struct demo *d)
{
    struct demo_answer answer = {.status = 0};
    int code = demo_world_get(d->world, demo_world_inbound(d->world), "/", &answer, NULL);
    return is_fact("api's sidecar refuses plain text", code < 0, "it answered");
}

static bool check_counts(struct demo *d)
{
    bool ok = is_fact("the request that passed is counted (istio_requests_total)",
                      counted(d, "200") >= 1, "it is not");
    return is_fact("the denied one is counted as 403", counted(d, "403") == 1, "it is not") && ok;
}

static int check(struct demo *d)
{
    bool ok = check_identity(d);
    ok = check_denial(d) && ok;
    ok = check_plain_text(d) && ok;
    ok = check_counts(d) && ok;
    printf("%s\n", ok ? "all facts hold" : "not all facts hold");
    return ok ? 0 : 1;
}

/* ---- the story */

static void introduce(struct demo *d)
{
    struct demo_world *w = d->world;
    const char *web = demo_world_addr(w, DEMO_WEB);
    unsigned long rss_kb = 0;

    for (int i = DEMO_API_PROXY; i < DEMO_PARTY_COUNT; i++) {
        rss_kb += demo_world_rss_kb(w, (enum demo_party)i);
    }
    printf("mesh %s demo - nothing is installed; Ctrl-C removes everything\n", MESH_VERSION);
    printf("  2 services       ready    %.2f s   web, api\n",
           (double)(instant_mono_ms() - d->begin_ms) / 1000);
    printf("  2 sidecars       ready    %.1f MiB of memory together\n", (double)rss_kb / 1024);
    printf("  mutual TLS       on       SPIFFE identities, certificates made for this run\n");
    printf("  web              http://%s/upstream/hello\n", web);
    printf("  admin of web's   http://%s/\n", demo_world_addr(w, DEMO_WEB_PROXY));
    printf("  admin of api's   http://%s/\n", demo_world_addr(w, DEMO_API_PROXY));
    printf("  files, logs      %s\n\n", demo_world_folder(w));
    printf("Try, in another terminal:\n");
    printf("  curl http://%s/upstream/hello       what api saw: its caller's identity\n", web);
    printf("  curl http://%s/upstream/private     403: the policy of api says no\n", web);
    printf("  curl http://%s/                    refused: no certificate\n", demo_world_inbound(w));
    printf("  curl -s http://%s/stats/prometheus | grep istio_requests_total\n\n",
           demo_world_addr(w, DEMO_API_PROXY));
    (void)fflush(stdout); /* nobody may be reading */
}

struct tally {
    uint64_t sent, ok, denied, failed;
    int64_t slowest_us;
};

/* One request of the traffic; every tenth asks for what is denied. -EINTR ends the story. */
static int send_one(struct demo *d, struct tally *t, struct err *err)
{
    struct demo_answer answer = {.status = 0};
    const char *path = t->sent % 10 == 9 ? "/upstream/private" : "/upstream/hello";
    int code = demo_world_get(d->world, demo_world_addr(d->world, DEMO_WEB), path, &answer, err);
    t->sent++;
    if (code < 0 || (answer.status != 200 && answer.status != 403)) {
        t->failed++;
    } else if (answer.status == 403) {
        t->denied++;
    } else {
        arena_reset(&d->arena);
        t->ok += span_is(caller_of(d, answer.body), WEB_ID) ? 1 : 0;
    }
    t->slowest_us = i64_max(t->slowest_us, answer.took_us);
    return 0;
}

static int tell(struct demo *d, const struct demo_options *options)
{
    struct tally t = {.sent = 0};
    struct err err = {.code = 0};
    int64_t told_ms = instant_mono_ms();
    int code;

    introduce(d);
    while ((code = demo_world_pause(d->world, 1000 / options->rps, &err)) == 0) {
        code = send_one(d, &t, &err);
        if (code < 0 || instant_mono_ms() - told_ms < TELL_EVERY_MS) {
            continue;
        }
        told_ms = instant_mono_ms();
        printf("%5lu requests  %lu ok as " WEB_ID "  %lu denied  %lu failed  slowest %.1f ms\n",
               t.sent, t.ok, t.denied, t.failed, (double)t.slowest_us / 1000);
        (void)fflush(stdout); /* nobody may be reading */
        t.slowest_us = 0;
    }
    if (code != -EINTR) {
        fprintf(stderr, "mesh demo: %s\n", err.text);
        return 1;
    }
    say("\nended; everything is removed");
    return 0;
}

static void on_signal(void *arg, int signo)
{
    struct demo *d = arg;
    UNUSED(signo);
    if (d->world != NULL) {
        demo_world_interrupt(d->world);
    }
}

static int run(const struct demo_options *options)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, 0};
    struct demo d = {.begin_ms = instant_mono_ms()};
    struct err err = {.code = 0};
    struct loop *loop = loop_new(false);
    struct signals *signals = signals_new(loop, ends, on_signal, &d);
    int status = 1;

    arena_init(&d.arena, 16384);
    int code = tls_init(&err);
    code = code == 0 ? demo_world_new(&d.world, loop, &err) : code;
    code = code == 0 ? demo_world_start(d.world, &err) : code;
    if (code == 0) {
        status = options->check ? check(&d) : tell(&d, options);
    } else if (code == -EINTR) {
        status = 130;
    } else {
        fprintf(stderr, "mesh demo: %s\n", err.text);
    }
    demo_world_free(d.world);
    arena_dispose(&d.arena);
    signals_free(signals);
    loop_free(loop);
    return status;
}

int cmd_demo(int argc, char **argv)
{
    struct demo_options options = {.check = false};
    struct err err = {.code = 0};
    struct opt_list operands;
    struct arena arena;

    arena_init(&arena, 1024);
    int code = opt_parse(&spec, &options, argc, argv, &arena, &operands, &err);
    int status = code < 0 ? 2 : 0;
    if (code < 0) {
        fprintf(stderr, "mesh demo: %s\n", err.text);
    } else if (code == 0) {
        status = run(&options);
    }
    arena_dispose(&arena);
    return status;
}
