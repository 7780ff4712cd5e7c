/* The load maker.
 * In: a URL and a rate. Next: peer.c. Out: tally.c. */
#include "sample/sample_load.h"

#include <signal.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/instant.h"
#include "base/mem.h"
#include "base/opt.h"
#include "codec/url.h"
#include "io/deadline.h"
#include "io/signals.h"
#include "sample/peer.h"
#include "sample/reply.h"
#include "sample/tally.h"

#define CONNS_MAX 512
#define OUT_MAX 4096 /* requests that wait for their answers */
#define BURST_MAX 256
#define SIGN_IN_MS 10000 /* how long a shop may take to open */
#define SIGN_IN_EVERY_MS 100
#define TEXT_MAX (64u << 10)

struct load_options {
    const char *stats, *reject, *proxy, *host, *users;
    int64_t rps, duration_ms, timeout_ms;
    bool json;
};

/* "-" signs in as nobody. */
struct user {
    struct load *load;
    const char *name;
    struct span cookie; /* in the arena; empty for nobody */
    bool is_in;
};

struct load {
    struct loop *loop;
    struct peer *peer;
    const struct load_options *options;
    struct arena arena; /* of what lasts */
    struct span path;
    struct user *users;
    size_t user_count, signed_in;
    int64_t began_ns, reset_ns, ends_ns;
    uint64_t due; /* requests that were due since began_ns */
    size_t out;
    bool stopping;
    int code;
    struct err *err;
    struct deadline tick;
    struct tally tally;
};

struct shot {
    struct load *load;
    int64_t due_ns;
    uint64_t round; /* of the tally that counts it */
};

static const struct opt rows[] = {
    {.name = "rps",
     .type = OPT_INT,
     .offset = offsetof(struct load_options, rps),
     .fallback = "25",
     .arg = "N",
     .help = "requests a second",
     .min = 1,
     .max = 100000,
     .env = ""},
    {.name = "duration",
     .type = OPT_DURATION,
     .offset = offsetof(struct load_options, duration_ms),
     .fallback = "0",
     .arg = "TIME",
     .help = "how long; 0 = until a signal",
     .env = ""},
    {.name = "users",
     .type = OPT_TEXT,
     .offset = offsetof(struct load_options, users),
     .fallback = "-",
     .arg = "NAME,...",
     .help = "who asks, by turns; '-' is nobody",
     .env = ""},
    {.name = "timeout",
     .type = OPT_DURATION,
     .offset = offsetof(struct load_options, timeout_ms),
     .fallback = "10s",
     .arg = "TIME",
     .help = "most that an answer may take",
     .min = 1,
     .max = 3600000,
     .env = ""},
    {.name = "reject",
     .type = OPT_TEXT,
     .offset = offsetof(struct load_options, reject),
     .fallback = NULL,
     .arg = "TEXT",
     .help = "an answer with this in it counts as failed",
     .env = ""},
    {.name = "host",
     .type = OPT_TEXT,
     .offset = offsetof(struct load_options, host),
     .fallback = NULL,
     .arg = "HOST",
     .help = "Host to ask for, if not the URL's",
     .env = ""},
    {.name = "proxy",
     .type = OPT_TEXT,
     .offset = offsetof(struct load_options, proxy),
     .fallback = NULL,
     .arg = "URL",
     .help = "forward proxy",
     .env = "http_proxy"},
    {.name = "stats",
     .type = OPT_TEXT,
     .offset = offsetof(struct load_options, stats),
     .fallback = NULL,
     .arg = "ADDR:PORT",
     .help = "where to serve GET /stats and POST /reset",
     .env = ""},
    {.name = "json",
     .type = OPT_BOOL,
     .offset = offsetof(struct load_options, json),
     .fallback = "false",
     .help = "the summary as JSON",
     .env = ""},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh sample load",
    .section = "load",
    .summary = "a constant load of requests, and how they fared",
    .examples = "  mesh sample load http://127.0.0.1:8080/productpage --rps 100 --duration 10s\n"
                "  mesh sample load http://127.0.0.1:8080/productpage --users -,jason\n",
    .operands = "URL",
    .rows = rows,
};

static void stop_if_done(struct load *l)
{
    if (l->stopping && l->out == 0) {
        loop_stop(l->loop);
    }
}

/* ---- requests */

static void count(struct load *l, const struct shot *shot, const struct http_answer *answer)
{
    int64_t took_us = (instant_mono_ns() - shot->due_ns) / 1000;
    const char *reject = l->options->reject;

    if (answer->err != NULL) {
        int code = answer->err->code;
        tally_failed(&l->tally, code == -ERR_TIMEOUT || code == -ETIMEDOUT ? TALLY_TIMEOUT
                                : code == -ERR_RESET || code == -ECANCELED ? TALLY_RESET
                                                                           : TALLY_CONNECT);
    } else if (answer->head->status >= 400) {
        tally_status(&l->tally, answer->head->status, took_us);
    } else if (reject != NULL && span_find(answer->body, span_of(reject)) >= 0) {
        tally_failed(&l->tally, TALLY_CONTENT);
    } else {
        tally_ok(&l->tally, took_us);
    }
}

static void on_answer(void *arg, const struct http_answer *answer)
{
    struct shot *shot = arg;
    struct load *l = shot->load;

    l->out--;
    /* What was due before a reset belongs to nobody. */
    if (shot->due_ns >= l->reset_ns) {
        count(l, shot, answer);
    }
    mem_free(shot);
    stop_if_done(l);
}

static void shoot(struct load *l, int64_t due_ns)
{
    const struct user *user = &l->users[l->due % l->user_count];
    const struct header cookie = {.name = SPAN("cookie"), .value = user->cookie};

    l->tally.sent++;
    if (l->out >= OUT_MAX) {
        tally_failed(&l->tally, TALLY_OVERLOAD);
        return;
    }
    struct shot *shot = mem_new(struct shot);
    shot->load = l;
    shot->due_ns = due_ns;
    l->out++;
    const struct http_call call = {
        .method = SPAN("GET"),
        .path = l->path,
        .fields = &cookie,
        .field_count = user->cookie.len > 0 ? 1 : 0,
        .timeout_ms = l->options->timeout_ms,
        .on_answer = on_answer,
        .arg = shot,
    };
    peer_call(l->peer, &call);
}

/* Exact for as long as a load may run: no sum of rounded intervals. */
static int64_t due_after_ns(uint64_t n, uint64_t rps)
{
    return (int64_t)(n / rps * 1000000000 + n % rps * 1000000000 / rps);
}

/* Sends what has become due; when many have, the rest in the next turn. */
static void on_tick(struct deadline *d)
{
    struct load *l = container_of(d, struct load, tick);
    int64_t now = instant_mono_ns();
    int64_t due_ns = 0;

    for (int i = 0; i < BURST_MAX; i++) {
        due_ns = l->began_ns + due_after_ns(l->due, (uint64_t)l->options->rps);
        if (due_ns > now || (l->ends_ns > 0 && due_ns >= l->ends_ns)) {
            break;
        }
        shoot(l, due_ns);
        l->due++;
    }
    if (l->ends_ns > 0 && due_ns >= l->ends_ns) {
        l->stopping = true;
        stop_if_done(l);
    } else {
        deadline_arm(&l->tick, l->loop, i64_max(0, (due_ns - now) / 1000000));
    }
}

static void begin(struct load *l)
{
    l->began_ns = l->reset_ns = instant_mono_ns();
    if (l->options->duration_ms > 0) {
        l->ends_ns = l->began_ns + l->options->duration_ms * 1000000;
    }
    deadline_init(&l->tick, on_tick);
    deadline_arm(&l->tick, l->loop, 0);
}

/* ---- signing in */

static void sign_in(struct user *u);

static void on_sign_in_again(struct deadline *d)
{
    struct load *l = container_of(d, struct load, tick);
    for (size_t i = 0; i < l->user_count; i++) {
        if (!l->users[i].is_in) {
            sign_in(&l->users[i]);
        }
    }
}

static void on_signed_in(void *arg, const struct http_answer *answer)
{
    struct user *u = arg;
    struct load *l = u->load;
    struct span cookie = SPAN_EMPTY;

    if (answer->err == NULL && answer->head->status < 400) {
        struct span rest = head_get(answer->head, SPAN("set-cookie"));
        cookie = span_cut(&rest, ';');
    }
    if (cookie.len == 0) {
        if (instant_mono_ns() - l->began_ns > SIGN_IN_MS * 1000000LL) {
            l->code = answer->err != NULL
                          ? err_set(l->err, answer->err->code, "%s", answer->err->text)
                          : err_set(l->err, -ERR_DENIED, "'%s' can not sign in: status %u", u->name,
                                    answer->head->status);
            loop_stop(l->loop);
        } else if (!l->stopping && !deadline_is_armed(&l->tick)) {
            deadline_arm(&l->tick, l->loop, SIGN_IN_EVERY_MS);
        }
        return;
    }
    u->cookie = arena_dup(&l->arena, cookie);
    u->is_in = true;
    l->signed_in++;
    if (l->signed_in == l->user_count && !l->stopping) {
        begin(l);
    }
}

static void sign_in(struct user *u)
{
    static const struct header form = {.name = SPAN_INIT("content-type"),
                                       .value = SPAN_INIT("application/x-www-form-urlencoded")};
    struct buf body;

    buf_init(&body, TEXT_MAX);
    if (buf_printf(&body, "username=") == 0 && url_encode(span_of(u->name), "", &body) == 0 &&
        buf_printf(&body, "&passwd=-") == 0) {
        const struct http_call call = {
            .method = SPAN("POST"),
            .path = SPAN("/login"),
            .fields = &form,
            .field_count = 1,
            .body = buf_span(&body),
            .timeout_ms = SIGN_IN_MS / 2,
            .on_answer = on_signed_in,
            .arg = u,
        };
        peer_call(u->load->peer, &call);
    }
    buf_dispose(&body);
}

static void sign_in_all(struct load *l)
{
    struct span rest = span_of(l->options->users);

    l->users = arena_array(&l->arena, rest.len + 1, sizeof(*l->users));
    l->began_ns = instant_mono_ns();
    deadline_init(&l->tick, on_sign_in_again);
    while (rest.at != NULL) {
        struct user *u = &l->users[l->user_count++];
        u->load = l;
        u->name = arena_cstr(&l->arena, span_cut(&rest, ','));
        u->is_in = strcmp(u->name, "-") == 0;
        if (u->is_in) {
            l->signed_in++;
        } else {
            sign_in(u);
        }
    }
    if (l->signed_in == l->user_count) {
        begin(l);
    }
}

/* ---- what it tells */

static double seconds_of(const struct load *l)
{
    return (double)(instant_mono_ns() - l->reset_ns) / 1e9;
}

static void on_stats(void *arg, const struct http_request *rq)
{
    const struct load *l = arg;
    struct arena *a = http_stream_arena(rq->stream);
    struct doc_node *doc = tally_to_doc(&l->tally, seconds_of(l), a);
    doc_set(a, doc, "out", doc_int(a, (int64_t)l->out));
    reply_json(rq->stream, 200, doc, false);
}

static void on_reset(void *arg, const struct http_request *rq)
{
    struct load *l = arg;
    l->tally = (struct tally){.sent = 0};
    l->reset_ns = instant_mono_ns();
    reply_text(rq->stream, 200, SPAN("ok\n"));
}

static void summarize(struct load *l)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    int code = l->options->json
                   ? doc_write_json(tally_to_doc(&l->tally, seconds_of(l), &l->arena), false, &text)
                   : tally_line(&l->tally, &text);
    if (code == 0) {
        printf("%.*s\n", SPAN_ARG(buf_span(&text)));
        (void)fflush(stdout); /* nobody may be reading */
    }
    buf_dispose(&text);
}

/* ---- the program */

static void on_signal(void *arg, int signo)
{
    struct load *l = arg;
    UNUSED(signo);
    loop_stop(l->loop); /* those that are out are not waited for */
}

static int open_stats(struct http_server **out, struct load *l, struct err *err)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    if (l->options->stats == NULL) {
        return 0;
    }
    int code = addr_parse(span_of(l->options->stats), &where.addr, err);
    code = code < 0 ? code : http_server_new(out, l->loop, &where, NULL, err);
    if (code < 0) {
        return err_prefix(err, "--stats");
    }
    http_server_route(*out, "GET,HEAD", "/stats", false, on_stats, l);
    http_server_route(*out, "POST", "/reset", false, on_reset, l);
    return 0;
}

static int open_peer(struct load *l, const char *url, struct resolver **resolver, struct err *err)
{
    const struct resolver_spec names = {.servers = NULL};
    struct url parts;
    if (url_parse(span_of(url), &parts) < 0) {
        return err_set(err, -ERR_CONFIG, "'%s' is not a URL; use http://HOST:PORT/PATH", url);
    }
    const char *path = parts.path.len > 0 ? parts.path.at : "/";
    l->path = arena_dup(&l->arena, span_of(path));
    int code = resolver_new(resolver, l->loop, &names, err);
    const struct peer_spec peer = {.url = url,
                                   .host = l->options->host,
                                   .proxy = l->options->proxy,
                                   .resolver = *resolver,
                                   .conns = CONNS_MAX};
    return code < 0 ? code : peer_new(&l->peer, l->loop, &peer, err);
}

static int run(const struct load_options *options, const char *url, struct err *err)
{
    static const int ends[] = {SIGTERM, SIGINT, 0};
    struct load *l = mem_new(struct load);
    struct http_server *stats = NULL;
    struct resolver *resolver = NULL;

    l->loop = loop_new(false);
    l->options = options;
    l->err = err;
    arena_init(&l->arena, 4096);
    int code = open_peer(l, url, &resolver, err);
    code = code == 0 ? open_stats(&stats, l, err) : code;
    if (code == 0) {
        struct signals *signals = signals_new(l->loop, ends, on_signal, l);
        sign_in_all(l);
        loop_run(l->loop);
        summarize(l);
        code = l->code;
        signals_free(signals);
        deadline_disarm(&l->tick);
    }
    int status = code < 0 ? code : tally_failures(&l->tally) > 0 ? 1 : 0;
    http_server_free(stats);
    peer_free(l->peer);
    resolver_free(resolver);
    loop_free(l->loop);
    arena_dispose(&l->arena);
    mem_free(l);
    return status;
}

int sample_load_main(int argc, char **argv)
{
    struct load_options options = {.rps = 0};
    struct err err = {.code = 0};
    struct opt_list operands;
    struct arena arena;

    arena_init(&arena, 1024);
    int code = opt_parse(&spec, &options, argc, argv, &arena, &operands, &err);
    int status = code < 0 ? code : 0;
    if (code == 0 && operands.count != 1) {
        status = err_set(&err, -ERR_CONFIG, "want one URL; see 'mesh sample load --help'");
    } else if (code == 0) {
        status = run(&options, operands.items[0], &err);
    }
    if (status < 0) {
        fprintf(stderr, "mesh sample load: %s\n", err.text);
    }
    arena_dispose(&arena);
    return status < 0 ? 2 : status;
}
