/* mesh inject -f FILE: workloads with their proxies, as the webhook would make them. What comes out goes to stdout, what is said about it to stderr, so that it stands in
 * pipes. Next: cmd_uninject, cmd_inject_explain, inject/manifest. */
#include "cli/cmd_inject.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/input.h"

#define OUTPUT_MAX (64u << 20)

#define AT(field) offsetof(struct cmd_inject, field)
static const struct opt inject_rows[] = {
    CMD_INJECT_FILE_ROW,
    {.name = "settings",
     .type = OPT_TEXT,
     .offset = AT(settings_file),
     .arg = "FILE",
     .help = "of all proxies: YAML, or ConfigMap mesh-injector as a manifest"},
    {.name = "image", .type = OPT_TEXT, .offset = AT(image), .arg = "NAME", .help = "of the proxy"},
    {.name = "native-sidecars",
     .type = OPT_BOOL,
     .offset = AT(native),
     .fallback = "true",
     .help = "=false for Kubernetes before 1.29: the proxy is an ordinary container"},
    CMD_INJECT_QUIET_ROW,
    VERB_ROWS(struct cmd_inject),
    {.name = NULL},
};
static const struct opt_spec inject_spec = {
    .command = "mesh inject",
    .section = "cli",
    .summary = "Adds proxies to workloads in YAML, or says why a pod has one or none.",
    .examples = "mesh inject -f bookinfo.yaml | kubectl apply -f -\n"
                "kubectl get deployment web -o yaml | mesh inject -f - | kubectl apply -f -\n"
                "mesh inject explain web-5d4f8c-x7x2p\n"
                "mesh inject explain -f bookinfo.yaml\n",
    .operands = "[explain [POD]]",
    .rows = inject_rows,
};
/* ---- settings ---- */

/* A ConfigMap holds them as text. */
static int unwrap(struct verb *v, const char *file, struct doc_node **doc, struct err *err)
{
    const struct doc_node *inner = doc_get(doc_get(*doc, "data"), INJECT_CONFIG_KEY);
    struct span kind = item_text(*doc, "kind");
    if (!span_is(kind, "ConfigMap")) {
        return 0;
    }
    if (!doc_is(inner, DOC_TEXT)) {
        return err_set(err, -ERR_CONFIG, "%s: the ConfigMap has no data." INJECT_CONFIG_KEY, file);
    }
    return doc_parse_yaml(&v->arena, inner->text, file, doc, err);
}

int cmd_inject_settings(struct verb *v, const struct cmd_inject *set, struct inject_settings *out)
{
    struct doc_node *doc = NULL;
    struct err err = {.code = 0};
    struct buf text;
    int code = 0;
    inject_settings_init(out, &v->arena);
    out->native = set->native;
    if (set->settings_file) {
        buf_init(&text, INPUT_MAX);
        code = input_read(set->settings_file, &text);
        if (code != 0) {
            buf_dispose(&text);
            return verb_fail(v, EXIT_INVALID, 1007, NULL, "'%s' can not be read: %s",
                             set->settings_file, err_name(code));
        }
        struct span copy = arena_dup(&v->arena, buf_span(&text));
        buf_dispose(&text);
        code = doc_parse_yaml(&v->arena, copy, set->settings_file, &doc, &err);
        code = code ? code : unwrap(v, set->settings_file, &doc, &err);
        code = code ? code : inject_settings_read(out, doc, &v->arena, &err);
    }
    if (set->image) {
        out->image = span_of(set->image);
    }
    return code ? verb_fail(v, EXIT_INVALID, 1218, NULL, "%s", err.text) : 0;
}

/* ---- the stream ---- */

static int stream_file(struct verb *v, struct manifest_spec *spec, const char *path,
                       struct buf *out)
{
    struct buf text;
    struct err err = {.code = 0};
    buf_init(&text, INPUT_MAX);
    int code = input_read(path, &text);
    if (code != 0) {
        buf_dispose(&text);
        return verb_fail(v, EXIT_INVALID, 1007, NULL, "'%s' can not be read: %s", path,
                         err_name(code));
    }
    struct span copy = arena_dup(&v->arena, buf_span(&text));
    buf_dispose(&text);
    spec->file = strcmp(path, "-") == 0 ? "stdin" : path;
    if (buf_len(out) > 0 && !span_starts(copy, SPAN("---"))) {
        code = buf_append_span(out, SPAN("---\n"));
    }
    code = code ? code : manifest_inject(spec, copy, &v->arena, out, &err);
    return code ? verb_fail(v, EXIT_INVALID, 2001, NULL, "%s", err.text) : 0;
}

int cmd_inject_stream(struct verb *v, const struct cmd_inject *set, struct manifest_spec *spec,
                      struct buf *out)
{
    int status = EXIT_DONE;
    spec->namespace = span_of(verb_namespace(v));
    for (size_t i = 0; i < set->files.count && status == EXIT_DONE; i++) {
        status = stream_file(v, spec, set->files.items[i], out);
    }
    return status;
}

/* ---- what is said ---- */

struct telling {
    struct verb *verb;
    bool quiet;
    size_t count, refused;
};

static const char *lower(struct verb *v, struct span word)
{
    char *text = arena_cstr(&v->arena, word);
    for (char *c = text; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return text;
}

static void on_object(void *arg, const struct manifest_object *o)
{
    struct telling *t = arg;
    const char *kind = lower(t->verb, o->kind);
    const struct inject_answer *a = o->answer;
    t->count++;
    if (a && a->outcome == INJECT_REFUSE) {
        t->refused++;
        (void)verb_fail(t->verb, EXIT_INVALID, a->code, a->fix, "%s/%.*s: %s", kind,
                        SPAN_ARG(o->name), a->why);
        return;
    }
    for (const struct inject_note *n = a ? a->notes : NULL; n; n = n->next) {
        fprintf(stderr, "warning[MESH%04u]: %s/%.*s: %s\n", n->code, kind, SPAN_ARG(o->name),
                n->text);
    }
    if (t->quiet) {
        return;
    }
    if (o->changed) {
        fprintf(stderr, "%s/%.*s %s\n", kind, SPAN_ARG(o->name), a ? "injected" : "uninjected");
    } else if (a) {
        fprintf(stderr, "%s/%.*s unchanged: %s (MESH%04u)\n", kind, SPAN_ARG(o->name), a->why,
                a->code);
    } else {
        fprintf(stderr, "%s/%.*s unchanged: it has no proxy of mesh inject\n", kind,
                SPAN_ARG(o->name));
    }
}

int cmd_inject_run(struct verb *v, const struct cmd_inject *set,
                   const struct inject_settings *settings)
{
    struct telling telling = {.verb = v, .quiet = set->quiet};
    struct manifest_spec spec = {.settings = settings,
                                 .asked = true,
                                 .undo = settings == NULL,
                                 .on_object = on_object,
                                 .arg = &telling};
    struct buf out;
    if (set->files.count == 0) {
        return verb_fail(v, EXIT_USAGE, 1004,
                         settings ? "mesh inject -f FILE" : "mesh uninject -f FILE",
                         "%s needs -f FILE", settings ? "inject" : "uninject");
    }
    buf_init(&out, OUTPUT_MAX);
    int status = cmd_inject_stream(v, set, &spec, &out);
    if (status == EXIT_DONE && telling.refused > 0) {
        status = EXIT_INVALID; /* half of it would be worse than nothing */
    }
    if (status == EXIT_DONE && telling.count == 0 && !set->quiet) {
        fprintf(stderr, "nothing in it makes pods; it passes as it is (MESH1222)\n");
    }
    if (status == EXIT_DONE) {
        struct span text = buf_span(&out);
        status = fwrite(text.at, 1, text.len, stdout) == text.len ? EXIT_DONE : EXIT_NEGATIVE;
    }
    buf_dispose(&out);
    return status;
}

int cmd_inject(int argc, char **argv)
{
    struct cmd_inject set = {.quiet = false};
    struct inject_settings settings;
    struct verb v;
    int status;
    if (verb_open(&v, &inject_spec, &set, argc, argv, &status) == 0) {
        bool explain = v.operands.count > 0 && strcmp(v.operands.items[0], "explain") == 0;
        if (explain) {
            status = cmd_inject_explain(&v, &set);
        } else if (v.operands.count > 0) {
            status = verb_fail(&v, EXIT_USAGE, 1004, "mesh inject -f FILE",
                               "inject takes files with -f, or the word explain");
        } else {
            status = cmd_inject_settings(&v, &set, &settings);
            status = status ? status : cmd_inject_run(&v, &set, &settings);
        }
    }
    verb_close(&v);
    return status;
}
