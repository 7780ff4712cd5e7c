#ifndef CLI_VERB_H
#define CLI_VERB_H
/* What the verbs of the CLI share: common flags, the way to control, answers and errors in each output format, exit codes. A verb is one file
 * cmd_X.c: options, one call of the API, one table. Words: ux "one table of exit codes, independent of -o". */
#include <stdio.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/opt.h"
#include "codec/doc.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_NEGATIVE = 1, /* a negative answer: refused, findings, different */
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3, /* control, or all targets */
    EXIT_MISSING = 4,     /* no such object */
    EXIT_FORBIDDEN = 5,
    EXIT_TIMED_OUT = 6,
    EXIT_INVALID = 7, /* input that does not parse or is not valid */
};

enum verb_output {
    OUTPUT_TABLE,
    OUTPUT_WIDE,
    OUTPUT_JSON,
    OUTPUT_YAML,
    OUTPUT_JSONL,
    OUTPUT_NAME,
    OUTPUT_CSV
};
enum verb_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
extern const char *const verb_outputs[];
extern const char *const verb_colors[];

/* Flags that every verb has. A verb's own settings begin with this struct. */
struct verb_flags {
    const char *namespace, *addr;
    const char *kubeconfig, *context; /* which cluster; NULL = as kubectl would choose */
    bool all_namespaces, no_headers, watch;
    int output, color;
    int64_t timeout_ms;
};

/* Rows for the verb's option table; SETTINGS is its settings struct, whose member `common` is a struct verb_flags at the front. */
#define VERB_ROWS(SETTINGS)                                                 \
    VERB_LOOK_ROWS(SETTINGS), VERB_OUTPUT_ROWS(SETTINGS),                   \
        VERB_TIMEOUT_ROW(SETTINGS, "2s", "how long to wait for an answer"), \
        VERB_ADDR_ROW(SETTINGS), VERB_CLUSTER_ROWS(SETTINGS)
/* Parts of it, for verbs that do not look at objects. */
#define VERB_LOOK_ROWS(SETTINGS)                              \
    {.name = "namespace",                                     \
     .letter = 'n',                                           \
     .type = OPT_TEXT,                                        \
     .offset = offsetof(SETTINGS, common.namespace),          \
     .arg = "NAME",                                           \
     .help = "namespace; default \"default\""},               \
        {.name = "all-namespaces",                            \
         .letter = 'A',                                       \
         .type = OPT_BOOL,                                    \
         .offset = offsetof(SETTINGS, common.all_namespaces), \
         .help = "all namespaces"},                           \
        {.name = "no-headers",                                \
         .type = OPT_BOOL,                                    \
         .offset = offsetof(SETTINGS, common.no_headers),     \
         .help = "tables without a head"}
#define VERB_OUTPUT_ROWS(SETTINGS)                   \
    {.name = "output",                               \
     .letter = 'o',                                  \
     .type = OPT_CHOICE,                             \
     .offset = offsetof(SETTINGS, common.output),    \
     .choices = verb_outputs,                        \
     .fallback = "table",                            \
     .help = "how it is printed"},                   \
        {.name = "color",                            \
         .type = OPT_CHOICE,                         \
         .offset = offsetof(SETTINGS, common.color), \
         .choices = verb_colors,                     \
         .fallback = "auto",                         \
         .help = "auto: on a terminal"}
#define VERB_TIMEOUT_ROW(SETTINGS, FALLBACK, HELP)    \
    {.name = "timeout",                               \
     .type = OPT_DURATION,                            \
     .offset = offsetof(SETTINGS, common.timeout_ms), \
     .arg = "TIME",                                   \
     .fallback = FALLBACK,                            \
     .help = HELP}
#define VERB_ADDR_ROW(SETTINGS)                 \
    {.name = "addr",                            \
     .type = OPT_TEXT,                          \
     .offset = offsetof(SETTINGS, common.addr), \
     .arg = "ADDR",                             \
     .help = "control: HOST:PORT or unix:PATH; default: see mesh help env"}
#define VERB_CLUSTER_ROWS(SETTINGS)                      \
    {.name = "kubeconfig",                               \
     .type = OPT_TEXT,                                   \
     .offset = offsetof(SETTINGS, common.kubeconfig),    \
     .arg = "FILE",                                      \
     .help = "default: $KUBECONFIG, or ~/.kube/config"}, \
        {.name = "context",                              \
         .type = OPT_TEXT,                               \
         .offset = offsetof(SETTINGS, common.context),   \
         .arg = "NAME",                                  \
         .help = "of the kubeconfig; default: the current"}

struct loop;
struct http_client;
struct verb_cluster;

/* A row more, for verbs that run under verb_watch. */
#define VERB_WATCH_ROW(SETTINGS)                 \
    {.name = "watch",                            \
     .letter = 'w',                              \
     .type = OPT_BOOL,                           \
     .offset = offsetof(SETTINGS, common.watch), \
     .help = "again every 2 s until Ctrl-C; off a terminal as jsonl"}
/* A row more, for verbs with numbers. */
#define VERB_WINDOW_ROW(SETTINGS)             \
    {.name = "window",                        \
     .letter = 't',                           \
     .type = OPT_DURATION,                    \
     .offset = offsetof(SETTINGS, window_ms), \
     .arg = "TIME",                           \
     .fallback = "1m",                        \
     .min = 1000,                             \
     .max = 86400000,                         \
     .help = "how far back the numbers go"}

/* One run of a verb. */
struct verb {
    struct arena arena;
    struct verb_flags *flags;
    struct opt_list operands;
    struct loop *loop;
    struct http_client *client;   /* once control was found */
    struct verb_cluster *cluster; /* instead, when it is in a Kubernetes cluster */
    char target[160];             /* where control is: "unix:/run/...", "context kind-demo" */
    bool is_tty;                  /* stdout */
    bool has_color, is_ascii;     /* NO_COLOR, CLICOLOR_FORCE, TERM=dumb, LC_ALL=C are obeyed */
    unsigned width;               /* columns of the terminal; 0 = no limit */
};

/* Reads flags into `settings` (which begins with struct verb_flags). 0: go on, and `*status` is EXIT_DONE. Else the verb ends with
 * `*status` (help was printed, or a usage error). verb_close in both cases. */
MUST_USE int verb_open(struct verb *v, const struct opt_spec *spec, void *settings, int argc,
                       char **argv, int *status);
void verb_close(struct verb *v);

/* ---- asking control ---- */

/* One call. `path` with query; `body` may be empty. 0: `*out` is the answer (2xx). Else the exit code, and the error has been printed. */
MUST_USE int verb_get(struct verb *v, const char *path, struct doc_node **out);
MUST_USE int verb_send(struct verb *v, const char *method, const char *path, struct span body,
                       struct doc_node **out);
/* As verb_send; on an error answer `*out` is that answer and nothing is printed; the exit code is returned. */
MUST_USE int verb_try(struct verb *v, const char *method, const char *path, struct span body,
                      struct doc_node **out);
/* A stream of server-sent events until it ends, on_event says stop (true), or Ctrl-C. */
MUST_USE int verb_stream(struct verb *v, const char *path,
                         bool (*on_event)(void *arg, struct doc_node *event), void *arg);
/* Percent-encodes for a query value. */
const char *verb_escape(struct verb *v, struct span text);
/* "?namespace=..." or "" with -A. */
const char *verb_namespace_query(struct verb *v);

/* Operands "KIND/NAME" become "KIND" "NAME". */
void verb_split_name(struct verb *v);
/* What -n says, or "default". */
const char *verb_namespace(const struct verb *v);
/* Whether control's socket is where this machine has it; nothing is asked. */
bool verb_finds_control(struct verb *v);
/* draw(), and with --watch again and again, on a terminal in place; memory of a round ends with it. */
int verb_watch(struct verb *v, int (*draw)(struct verb *v, void *arg), void *arg);

/* ---- items of an answer ---- */

/* The text at a path ("source.workload"), or empty. */
struct span item_text(const struct doc_node *item, const char *path);
/* Orders them by the texts at the paths, which end with NULL. */
void items_sort(struct doc_node *items, const char *const *paths);
/* Leaves those for which keep() is true. */
void items_filter(struct doc_node *items,
                  bool (*keep)(const struct verb *v, const struct doc_node *item),
                  const struct verb *v);
/* The one whose text at `key` is `name`, or else the only one that begins with it. NULL after an error (1010) that lists the candidates;
 * `what` and `next` are words of it: "proxy", "mesh ps". */
const struct doc_node *items_pick(struct verb *v, const struct doc_node *items, const char *key,
                                  const char *name, const char *what, const char *next);
/* Whether a workload goes by that name: by its own, or the app's, or a beginning of its own. */
bool item_is_called(const struct doc_node *item, struct span name);

/* ---- errors: error[MESHnnnn]: what / where / why / fix / more, on stderr; the fields as JSON with -o json ---- */

int verb_fail(struct verb *v, int exit_code, unsigned code, const char *fix, const char *what, ...)
    PRINTF_LIKE(5, 6);
/* An error answer or a finding as a document. */
void verb_print_finding(struct verb *v, const struct doc_node *finding);
void verb_print_finding_to(struct verb *v, FILE *to, const struct doc_node *finding);

/* ---- output ---- */

/* json, yaml, jsonl, name: prints the whole answer and returns true; table forms: false, and the verb draws its table. */
bool verb_print_doc(struct verb *v, const struct doc_node *answer);

enum table_align { TABLE_LEFT, TABLE_RIGHT };
struct table_column {
    const char *title;
    enum table_align align;
    bool wide_only;  /* only with -o wide */
    unsigned weight; /* what is dropped first when the terminal is narrow: the lowest; 0 = never */
};
struct table;
NONNULL_RETURN struct table *table_new(struct verb *v, const struct table_column *columns,
                                       size_t count);
/* One cell after the other, row by row; text is copied. NULL or "" prints "-". */
void table_cell(struct table *t, const char *text);
void table_cellf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Colours of the last cell; dropped without colour. */
enum table_tone { TONE_PLAIN, TONE_GOOD, TONE_BAD, TONE_WARN, TONE_DIM };
void table_tone(struct table *t, enum table_tone tone);
/* A table, or CSV with -o csv. */
void table_print(struct table *t);
/* A dimmed line below a table ("window 1m, next: mesh edges"); not in csv, not off a terminal unless `always`. */
void verb_footer(struct verb *v, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* A verb that is one GET and one table: most of those that look. `path` may hold a query; `row` adds the cells of one item. */
struct verb_list {
    const struct opt_spec *spec; /* over a struct verb_flags alone */
    const char *path;
    const char *const *order; /* items_sort, or NULL */
    const struct table_column *columns;
    size_t column_count;
    void (*row)(struct verb *v, struct table *t, const struct doc_node *item);
    const char *footer; /* or NULL */
};
int verb_list_main(const struct verb_list *l, int argc, char **argv);
/* The rows of a verb without options of its own; the second with --watch. */
extern const struct opt verb_plain_rows[];
extern const struct opt verb_watch_rows[];

/* Numbers as people read them; memory of the verb's arena. "-" for a member that is absent. */
const char *cell_ms(struct verb *v, const struct doc_node *map, const char *key); /* 4.2ms, 1.2s */
const char *cell_percent(struct verb *v, const struct doc_node *map, const char *key); /* 99.95 % */
const char *cell_rate(struct verb *v, const struct doc_node *map, const char *key);    /* 24.9 */
/* Below 99 %, a mark beside the number (a triangle, or "!" in ASCII), so that colour is not needed. */
bool cell_is_bad(const struct doc_node *map, const char *key);
const char *cell_success(struct verb *v, const struct doc_node *map, const char *key);
const char *cell_window(struct verb *v, int64_t ms);     /* 1m, 90s, 1h */
const char *cell_host(struct verb *v, struct span host); /* without ".svc.cluster.local" */
const char *cell_text(struct verb *v, const struct doc_node *map, const char *key);
const char *cell_age(struct verb *v, const struct doc_node *map,
                     const char *key); /* of an RFC 3339 time: 3d4h */
const char *cell_spark(struct verb *v, const struct doc_node *map, const char *key);
#endif
