#ifndef UNIT_TRANSLATE_LAB_H
#define UNIT_TRANSLATE_LAB_H
/* A world and a node from YAML, and the proxy's own ingest behind: it asks by name for what is mentioned, as a proxy does. */
#include "base/buf.h"
#include "control/translate/translate.h"
#include "control/world/world.h"
#include "proto/core.pb.h"
#include "proxy/config/resource.h"
#include "unit/proxy/config/ingest_help.h"

#define LAB_ASKS_MAX 4096

struct lab_ask {
    enum conf_kind kind;
    struct span name;
};

struct lab {
    struct bench b;
    struct world_builder *builder;
    struct world *w;
    struct node n;
    struct arena arena;
    struct doc_node *out; /* type -> name -> message; null: there is none */
    struct lab_ask asks[LAB_ASKS_MAX];
    size_t ask_count, asked;
    unsigned refused; /* by the proxy; told on stderr */
};

static inline void lab_on_object(void *arg, struct object *o)
{
    struct lab *l = arg;
    world_builder_put(l->builder, o);
    object_unref(o);
}

static inline void lab_world(struct lab *l, struct span objects, const char *file)
{
    struct findings f;
    findings_init(&f, &l->arena);
    l->builder = world_builder_new();
    (void)object_read_text(objects, file, &f, lab_on_object, l);
    for (const struct finding *one = f.first; one; one = one->next) {
        print_error("%s:%u: %.*s\n", file, one->line, SPAN_ARG(one->what));
    }
    assert_int_equal(f.errors, 0);
    struct world_change change;
    l->w = world_build(l->builder, &change);
}

static inline void lab_node(struct lab *l, const struct doc_node *doc)
{
    struct err err = {0};
    const struct pb_core_Node *message =
        pb_json_read(&proto_types, &pb_core_Node_desc, &l->arena, doc, &err);
    if (!message || node_read(&l->n, message, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
}

static inline void lab_on_interest(void *arg, enum conf_kind kind, struct span name,
                                   struct span path, bool wanted)
{
    struct lab *l = arg;
    UNUSED(path);
    for (size_t i = 0; i < l->ask_count; i++) {
        if (l->asks[i].kind == kind && span_eq(l->asks[i].name, name)) {
            return;
        }
    }
    if (wanted) {
        assert_true(l->ask_count < LAB_ASKS_MAX);
        l->asks[l->ask_count++] = (struct lab_ask){kind, arena_dup(&l->arena, name)};
    }
}

static inline void lab_on_snapshot(void *arg, struct snapshot *s)
{
    struct lab *l = arg;
    bench_on_snapshot(&l->b, s);
}

static inline void lab_begin(struct lab *l)
{
    memset(l, 0, sizeof(*l));
    arena_init(&l->arena, 65536);
    bench_begin(&l->b);
    ingest_free(l->b.ingest);
    struct ingest_events events = {.on_snapshot = lab_on_snapshot, .on_interest = lab_on_interest};
    l->b.ingest = ingest_new(l->b.loop, NULL, &events, l);
    l->out = doc_new_map(&l->arena);
}

static inline void lab_end(struct lab *l)
{
    bench_end(&l->b);
    node_dispose(&l->n);
    world_unref(l->w);
    world_builder_free(l->builder);
    arena_dispose(&l->arena);
}

static inline void lab_show(struct lab *l, struct span type_url, struct span name,
                            const struct span *value)
{
    struct err err = {0};
    const char *last = strrchr(arena_cstr(&l->arena, type_url), '.') + 1;
    struct doc_node *group = doc_map_in(&l->arena, l->out, last);
    struct doc_node *node = doc_null(&l->arena);
    if (value) {
        const struct pb_desc *desc = pb_find(&proto_types, pb_url_name(type_url));
        const void *message = pb_decode(desc, &l->arena, *value, &err);
        struct buf text;
        buf_init(&text, 1 << 24);
        assert_non_null(message);
        assert_int_equal(pb_json_write(&proto_types, desc, message, 0, &text), 0);
        assert_int_equal(doc_parse_json(&l->arena, buf_span(&text), NULL, &node, &err), 0);
        node = doc_dup(&l->arena, node);
        buf_dispose(&text);
    }
    doc_set_span(&l->arena, group, name, node);
}

/* Translates, shows, and gives it to the proxy. */
static inline void lab_get(struct lab *l, struct span type_url, struct span name)
{
    struct err err = {0};
    struct translated t;
    bool exists = translate(l->w, &l->n, type_url, name, &l->arena, &t);
    lab_show(l, type_url, name, exists ? &t.value : NULL);
    enum conf_kind kind = resource_kind(type_url);
    if (kind == CONF_KIND_COUNT) {
        return;
    }
    struct ingest_resource r = {
        .name = name, .version = SPAN("1"), .type_url = type_url, .value = t.value};
    if (ingest_apply(l->b.ingest, &r, exists, type_url, &name, !exists, false, &err) != 0) {
        print_error("refused %.*s: %s\n", SPAN_ARG(name), err.text);
        l->refused++;
    }
}

/* Those of identities come from the proxy itself, those of gateways from control; where a case has no Secrets, from nowhere: all the same
 * to ingest. */
static inline void lab_secret(struct lab *l, struct span name)
{
    struct span type = span_of(resource_type_url(CONF_SECRET));
    struct translated t;
    if (translate(l->w, &l->n, type, name, &l->arena, &t)) {
        lab_get(l, type, name);
        return;
    }
    bool trust = span_is(name, "ROOTCA") || span_ends(name, SPAN("-cacert"));
    bench_apply(&l->b,
                arena_printf(&l->arena, "[{" TYPE SECRET ", name: '%.*s', %s}]", SPAN_ARG(name),
                             trust ? "validation_context: {trusted_ca: {inline_string: ROOTS}}"
                                   : "tls_certificate: {certificate_chain: {inline_string: CHAIN},"
                                     " private_key: {inline_string: PRIVATE-KEY}}"),
                "1");
}

static inline void lab_settle(struct lab *l)
{
    do {
        for (; l->asked < l->ask_count; l->asked++) {
            const struct lab_ask *a = &l->asks[l->asked];
            if (a->kind == CONF_SECRET) {
                lab_secret(l, a->name);
            } else {
                lab_get(l, span_of(resource_type_url(a->kind)), a->name);
            }
        }
        bench_settle(&l->b);
    } while (l->asked < l->ask_count);
}

/* What a proxy does: its own side, then what that mentions, by name. */
static inline void lab_run(struct lab *l)
{
    static const enum conf_kind wildcards[] = {CONF_LISTENER, CONF_CLUSTER};
    if (l->n.on_demand) {
        ingest_set_by_name(l->b.ingest);
    }
    for (size_t i = 0; i < ARRAY_LEN(wildcards) - l->n.on_demand; i++) {
        struct span type = span_of(resource_type_url(wildcards[i]));
        struct span *names;
        size_t count = translate_names(l->w, &l->n, type, &l->arena, &names);
        for (size_t k = 0; k < count; k++) {
            lab_get(l, type, names[k]);
        }
    }
    lab_settle(l);
}
#endif
