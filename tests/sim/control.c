/* See control.h. */
#include "sim/control.h"

#include "base/mem.h"
#include "codec/doc.h"
#include "codec/pb_json.h"
#include "io/deadline.h"
#include "proto/protobuf.pb.h"
#include "proto/types.pb.h"
#include "proxy/config/resource.h"
#include "proxy/proxy_discovery.h"

struct answer {
    struct deadline due;
    struct list node;
    struct sim_control *control;
    enum conf_kind kind;
    char *name; /* owned */
};

static const struct sim_resource *find(const struct sim_control *c, enum conf_kind kind,
                                       const char *name)
{
    for (const struct sim_resource *r = c->resources; r && r->name; r++) {
        if (strcmp(r->name, name) == 0 &&
            span_ends(span_of(resource_type_url(kind)), span_of(r->type))) {
            return r;
        }
    }
    return NULL;
}

static void apply(struct sim_control *c, enum conf_kind kind, const char *name, const char *text)
{
    struct sim *s = c->sim;
    struct err err = {0};
    struct span type_url = span_of(resource_type_url(kind));
    struct span gone = span_of(name);
    int code;
    if (text == NULL) {
        code = ingest_apply(s->ingest, NULL, 0, type_url, &gone, 1, false, &err);
    } else {
        const char *any =
            arena_printf(&s->texts, "{'@type': '%.*s', %s", SPAN_ARG(type_url), text + 1);
        struct doc_node *doc = NULL;
        code = doc_parse_yaml(&s->texts, span_of(any), name, &doc, &err);
        const struct pb_protobuf_Any *a =
            code == 0 ? pb_json_read(&proto_types, &pb_protobuf_Any_desc, &s->texts, doc, &err)
                      : NULL;
        struct ingest_resource r = {.name = span_of(name), .type_url = type_url};
        if (a != NULL) {
            r.value = a->value;
            r.version = span_of(arena_printf(&s->texts, "c%u", ++c->version));
            code = ingest_apply(s->ingest, &r, 1, type_url, NULL, 0, false, &err);
        }
        code = a != NULL ? code : -1;
    }
    if (code != 0) {
        (void)fprintf(stderr, "control: %s: %s\n", name, err.text);
    }
}

static void free_answer(struct answer *a)
{
    deadline_disarm(&a->due);
    list_remove(&a->node);
    mem_free(a->name);
    mem_free(a);
}

static void on_due(struct deadline *d)
{
    struct answer *a = container_of(d, struct answer, due);
    const struct sim_resource *r = find(a->control, a->kind, a->name);
    if (r != NULL || strcmp(a->name, "a") != 0) { /* the simulation has cluster a itself */
        apply(a->control, a->kind, a->name, r != NULL ? r->text : NULL);
    }
    free_answer(a);
}

void sim_control_want(struct sim_control *c, enum conf_kind kind, struct span name, bool wanted)
{
    c->asked += wanted;
    c->held = wanted ? c->held + 1 : c->held - 1;
    if (!wanted || c->silent || c->away) {
        return;
    }
    struct answer *a = mem_new(struct answer);
    a->control = c;
    a->kind = kind;
    a->name = mem_strndup(name.at, name.len);
    deadline_init(&a->due, on_due);
    list_push_back(&c->answers, &a->node);
    deadline_arm(&a->due, c->sim->loop, c->delay_ms);
}

void sim_control_push(struct sim_control *c, const char *type, const char *name, const char *text)
{
    for (unsigned k = 0; k < CONF_KIND_COUNT; k++) {
        if (span_ends(span_of(resource_type_url((enum conf_kind)k)), span_of(type)) &&
            (k != CONF_ROUTES || strcmp(type, "RouteConfiguration") == 0)) {
            apply(c, (enum conf_kind)k, name, text);
        }
    }
    sim_settle(c->sim);
}

bool sim_control_is_ready(const struct sim_control *c)
{
    return proxy_discovery_is_settled(c->discovery) && ingest_is_complete(c->sim->ingest);
}

static void on_moved(void *arg)
{
    UNUSED(arg);
}

void sim_control_begin(struct sim_control *c, struct sim *s)
{
    static const unsigned one = 1;
    c->sim = s;
    c->asked = 0;
    c->held = 0;
    c->numbers = mem_new(struct proxy_numbers);
    c->numbers->cp_connected = !c->away;
    list_init(&c->answers);
    ingest_set_by_name(s->ingest);
    const struct proxy_discovery_spec spec = {
        .loop = s->loop,
        .registry = s->registry,
        .ingest = s->ingest,
        .numbers = c->numbers,
        .workers = &s->worker,
        .worker_count = &one,
        .state_dir = c->state_dir,
        .on_moved = on_moved,
    };
    c->discovery = proxy_discovery_new(&spec);
}

void sim_control_end(struct sim_control *c)
{
    proxy_discovery_free(c->discovery);
    c->discovery = NULL;
    LIST_EACH(node, next, &c->answers) {
        free_answer(list_item(node, struct answer, node));
    }
    mem_free(c->numbers);
}
