/* mesh demo: options, and what a person reads.
 * In: argv. Next: demo (the processes), demo_story (--check). */
#include "cli/cmd_demo.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/opt.h"
#include "cli/demo.h"
#include "cli/demo_graph.h"
#include "cli/demo_story.h"
#include "codec/url.h"
#include "io/signals.h"
#include "mesh/codes.h"
#include "tls/tls.h"
#include "version.h"

#define TEXT_MAX (1u << 20)
#define EXIT_USAGE 2
#define EXIT_NOWHERE 3 /* no demo runs */
#define EXIT_NOTHING 4 /* no such object */
#define EXIT_DENIED 5  /* not permitted here */

#define AT(field) offsetof(struct demo_options, field)
static const struct opt rows[] = {
    {.name = "check",
     .type = OPT_BOOL,
     .offset = AT(check),
     .fallback = "false",
     .help = "tell a story that looks at every promise; exit 0 if all hold, 1 if not",
     .env = ""},
    {.name = "chapters",
     .type = OPT_TEXT,
     .offset = AT(chapters),
     .arg = "NAME,...",
     .help = "only these of --check; 'list' names them",
     .env = ""},
    {.name = "scenario",
     .type = OPT_TEXT,
     .offset = AT(scenario),
     .arg = "NAME",
     .help = "begin with canary, authz, outage or slow",
     .env = ""},
    {.name = "rps",
     .type = OPT_INT,
     .offset = AT(rps),
     .fallback = "25",
     .arg = "N",
     .help = "requests a second to the shop",
     .min = 1,
     .max = 10000,
     .env = ""},
    {.name = "services",
     .type = OPT_INT,
     .offset = AT(services),
     .fallback = "0",
     .arg = "N",
     .help = "beside the shop a made-up graph of so many services, at /graph",
     .min = 0,
     .max = DEMO_GRAPH_MAX,
     .env = ""},
    {.name = "seed",
     .type = OPT_INT,
     .offset = AT(seed),
     .fallback = "1",
     .arg = "N",
     .help = "another one, another graph",
     .min = 0,
     .max = INT64_MAX,
     .env = ""},
    {.name = "no-traffic",
     .type = OPT_BOOL,
     .offset = AT(no_traffic),
     .fallback = "false",
     .help = "no requests but yours",
     .env = ""},
    {.name = "netns",
     .type = OPT_BOOL,
     .offset = AT(netns),
     .fallback = "false",
     .help = "each in its own network namespace, traffic redirected by mesh init; needs root",
     .env = ""},
    {.name = "json",
     .type = OPT_BOOL,
     .offset = AT(json),
     .fallback = "false",
     .help = "one line of JSON when all is up; also when stdout is no terminal",
     .env = ""},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh demo",
    .section = "demo",
    .summary = "Bookinfo behind a whole mesh on this machine; nothing is installed",
    .examples =
        "  mesh demo\n"
        "  mesh demo --scenario canary\n"
        "  mesh demo break ratings      in another terminal; also: break reviews-v2, break "
        "control\n"
        "  mesh demo heal\n"
        "  mesh demo --check\n"
        "  mesh demo --netns            as root: network namespaces, transparent interception\n",
    .operands = "[break WHAT [HOW] | heal]",
    .rows = rows,
};

/* In the form of all verbs (cli/verb.h), which demo is none of: it needs no control to talk to. */
static PRINTF_LIKE(2, 3) void complain(unsigned code, const char *what, ...)
{
    const struct code_row *row = codes_find(code);
    va_list args;
    va_start(args, what);
    fprintf(stderr, "error[MESH%04u]: ", code);
    vfprintf(stderr, what, args);
    fprintf(stderr, "\n  fix     %s\n  more    mesh explain MESH%04u\n",
            row != NULL ? row->remedy : "", code);
    va_end(args);
}

static void flush(void)
{
    (void)fflush(stdout); /* nobody may be reading */
}

/* ---- what a person reads */

static void introduce(const struct demo *d)
{
    struct demo_memory memory = demo_memory_sum(d);

    printf("  control plane    ready    %.2f s   1 process, CA made for this run\n",
           (double)d->control_ms / 1000);
    printf("  6 services       ready    %.2f s   productpage details reviews(v1 v2 v3) ratings, a "
           "proxy each\n",
           (double)d->services_ms / 1000);
    if (d->graph != NULL) {
        printf("  graph            ready    %u services more, %s/graph\n", d->graph->count,
               d->shop);
    }
    if (d->options->no_traffic) {
        printf("  traffic          none     as asked\n");
    } else {
        printf("  mutual TLS       on       %zu of %d edges, SPIFFE identities\n", d->edges_mtls,
               DEMO_EDGES);
        printf("  traffic          %ld rps   built-in load generator\n", (long)d->options->rps);
    }
    printf("  memory           %.0f MiB   all processes together\n", (double)memory.pss_kib / 1024);
    printf("  shop             %s/productpage%s\n", d->shop,
           d->place.shop_port != DEMO_PLACE_SHOP ? "   (8080 is taken)" : "");
    if (d->net != NULL) {
        printf("  network          %s0/24   a namespace each; the applications know nothing of the "
               "mesh\n",
               d->place.net);
        printf("  API              %s\n", d->control);
    } else {
        printf("  API              http://127.0.0.1:%d/api/v1/status%s\n", d->place.api_port,
               d->place.api_port != DEMO_PLACE_API ? "   (15080 is taken)" : "");
    }
    printf("  objects          %s/config\n", d->place.folder);
}

static void suggest(const struct demo *d)
{
    static const struct {
        const char *scenario, *lines;
    } hints[] = {
        {"canary", "  mesh routes reviews           90 to v1, 10 to v3, jason to v2\n"
                   "  mesh stat                     what each version really got\n"
                   "  mesh routes set reviews v1=50 v3=50\n"},
        {"authz", "  mesh authz check productpage ratings      denied, and by which policy\n"
                  "  mesh authz check reviews ratings          allowed\n"
                  "  mesh authz list\n"},
        {"outage", "  mesh stat                     reviews-v2 fails, and the shop does not\n"
                   "  mesh routes reviews           requests are tried again elsewhere\n"
                   "  mesh demo heal                and v2 comes back\n"},
        {"slow", "  mesh routes ratings           half of the requests to ratings wait 300 ms\n"
                 "  mesh stat                     who feels it: reviews v2 and v3\n"
                 "  mesh delete virtualservice ratings\n"},
    };
    printf("\nTry, in another terminal:\n");
    for (size_t i = 0; i < ARRAY_LEN(hints); i++) {
        if (d->options->scenario != NULL && strcmp(d->options->scenario, hints[i].scenario) == 0) {
            printf("%s\n", hints[i].lines);
            return;
        }
    }
    printf("  mesh stat                     golden numbers of every workload\n"
           "  mesh tap reviews-v3           requests as they happen\n"
           "  mesh routes set reviews v1=90 v3=10\n"
           "  mesh demo break ratings       and watch what happens; `mesh demo heal` ends it\n\n");
}

static void print_json(const struct demo *d)
{
    struct arena arena;
    struct buf text;
    arena_init(&arena, 4096);
    buf_init(&text, TEXT_MAX);
    if (doc_write_json(demo_to_doc(d, &arena), false, &text) == 0) {
        printf("%.*s\n", SPAN_ARG(buf_span(&text)));
    }
    buf_dispose(&text);
    arena_dispose(&arena);
}

/* Until a signal; what happens meanwhile is told by demo.c. */
static int stay(struct demo *d, bool json)
{
    while (demo_ask_wait(d->asker, 3600000, NULL, NULL) != -EINTR) {
        continue;
    }
    if (!json) {
        printf("\nended; everything is removed\n");
    }
    return 0;
}

static void on_signal(void *arg, int signo)
{
    struct demo **d = arg;
    UNUSED(signo);
    if (*d != NULL) {
        demo_asker_interrupt((*d)->asker);
    }
}

static int tell(struct demo *d, bool json)
{
    if (json) {
        print_json(d);
    } else {
        introduce(d);
        suggest(d);
    }
    flush();
    return stay(d, json);
}

/* The number of a failure: what its own text begins with ("MESH1100 ..."), else by its kind. */
static unsigned number_of(const struct err *err, int code, const char **text)
{
    struct span rest = span_of(err->text);
    struct span word = span_cut(&rest, ' ');
    uint64_t number;
    *text = err->text;
    if (span_starts(word, SPAN("MESH")) && span_to_u64(span_from_offset(word, 4), &number)) {
        *text = rest.at;
        return (unsigned)number;
    }
    return code == -ERR_TIMEOUT ? 1111 : code == -ERR_CONFIG ? 1114 : 1113;
}

static int run(const struct demo_options *options)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, 0};
    bool json = options->json || (!options->check && isatty(STDOUT_FILENO) == 0);
    struct err err = {.code = 0};
    struct demo *d = NULL;
    struct loop *loop = loop_new(false);
    struct signals *signals = signals_new(loop, ends, on_signal, &d);
    int status = 1;

    if (!json) {
        printf("mesh %s demo - nothing is installed; Ctrl-C removes everything\n", MESH_VERSION);
        flush();
    }
    int code = demo_new(&d, loop, options, &err);
    code = code == 0 ? demo_start(d, &err) : code;
    if (code == 0) {
        status = options->check ? demo_story_tell(d) : tell(d, json);
    } else if (code == -EINTR) {
        status = 130;
    } else {
        const char *text;
        unsigned number = number_of(&err, code, &text);
        complain(number, "%s", text);
        status = code == -EPERM ? EXIT_DENIED : 1;
    }
    demo_free(d);
    d = NULL;
    signals_free(signals);
    loop_free(loop);
    return status;
}

/* ---- orders to a running demo */

/* The first demo of this user that lives. */
static bool find_live(char *folder)
{
    for (int n = 0; n < DEMO_PLACES; n++) {
        if (demo_place_is_live(demo_place_folder(n, folder))) {
            return true;
        }
    }
    return false;
}

static int tell_broken(const struct demo_answer *answer)
{
    const struct doc_node *broken = doc_get(answer->doc, "broken");
    for (size_t i = 0; i < doc_count(broken); i++) {
        printf("%.*s is broken now\n", SPAN_ARG(doc_at(broken, i)->text));
    }
    printf("%s", doc_count(broken) > 0 ? "`mesh demo heal` ends it\n" : "all is well again\n");
    return 0;
}

static struct span what_of(const struct demo_answer *answer)
{
    const struct doc_node *what = doc_get(answer->doc, "what");
    return doc_is(what, DOC_TEXT) ? what->text : answer->body;
}

static int order(const char *path)
{
    char folder[PATHS_BYTES], origin[PATHS_BYTES + 32];
    struct err err = {.code = 0};
    struct demo_answer answer;

    if (!find_live(folder)) {
        complain(1110, "no demo runs");
        return EXIT_NOWHERE;
    }
    (void)snprintf(origin, sizeof(origin), "unix:%s/demo.sock", folder);
    struct loop *loop = loop_new(false);
    struct demo_asker *asker = demo_asker_new(loop);
    const struct demo_question q = {.origin = origin, .method = "POST", .path = path};
    int code = demo_ask(asker, &q, &answer, &err);
    int status = 0;
    if (code < 0) {
        complain(1110, "the demo does not answer: %s", err.text);
        status = EXIT_NOWHERE;
    } else if (answer.status != 200) {
        complain(answer.status == 404 ? 1112 : 1115, "the demo refuses: %.*s",
                 SPAN_ARG(what_of(&answer)));
        status = answer.status == 404 ? EXIT_NOTHING : EXIT_USAGE;
    } else {
        status = tell_broken(&answer);
    }
    demo_asker_free(asker);
    loop_free(loop);
    return status;
}

/* "break WHAT [HOW]" or "heal". */
static int give_order(const struct opt_list *operands)
{
    struct buf path;
    bool breaks = strcmp(operands->items[0], "break") == 0;
    size_t max = breaks ? 3 : 1;
    int status = EXIT_USAGE;

    if ((!breaks && strcmp(operands->items[0], "heal") != 0) || operands->count > max ||
        (breaks && operands->count < 2)) {
        complain(1115, "want 'break WHAT [HOW]' or 'heal'");
        return EXIT_USAGE;
    }
    buf_init(&path, 4096);
    int code = buf_append_span(&path, breaks ? SPAN("/break?what=") : SPAN("/heal"));
    if (breaks) {
        code = code == 0 ? url_encode(span_of(operands->items[1]), "", &path) : code;
        code = code == 0 ? buf_append_span(&path, SPAN("&how=")) : code;
        code = code == 0 && operands->count > 2 ? url_encode(span_of(operands->items[2]), "", &path)
                                                : code;
    }
    const char *text = code == 0 ? buf_cstr(&path) : NULL;
    if (text != NULL) {
        status = order(text);
    }
    buf_dispose(&path);
    return status;
}

int cmd_demo(int argc, char **argv)
{
    struct demo_options options = {.check = false};
    struct err err = {.code = 0};
    struct opt_list operands = {.count = 0};
    struct arena arena;

    arena_init(&arena, 1024);
    int code = opt_parse(&spec, &options, argc, argv, &arena, &operands, &err);
    int status = code < 0 ? EXIT_USAGE : 0;
    if (code < 0) {
        complain(1115, "%s", err.text);
    } else if (code == 0 && operands.count > 0) {
        status = give_order(&operands);
    } else if (code == 0 && options.chapters != NULL && strcmp(options.chapters, "list") == 0) {
        demo_story_list();
    } else if (code == 0) {
        status = run(&options);
    }
    arena_dispose(&arena);
    return status;
}
