/* Route tables from wire bytes, asked with a request: "METHOD SCHEME AUTHORITY PATH\n", then fields
 * "name:value\n", an empty line, then a RouteConfiguration. The index finds what a scan finds, explained or
 * not, and what a route says can be written. */
#include "policy/route_int.h"

#define FIELDS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned slot_of(void *arg, struct span name)
{
    (void)arg;
    return (unsigned)name.len;
}

static struct span line(struct span *rest)
{
    struct span l = rest->at ? span_cut(rest, '\n') : SPAN_EMPTY;
    return l;
}

static struct span read_request(struct traffic *tr, struct header *fields, struct span rest)
{
    struct span first = line(&rest);
    struct span *const parts[] = {&tr->method, &tr->scheme, &tr->authority, &tr->path};
    for (size_t i = 0; i < ARRAY_LEN(parts) && first.at; i++) {
        *parts[i] = span_cut(&first, ' ');
    }
    for (struct span l; (l = line(&rest)).len > 0;) {
        struct span name = span_cut(&l, ':');
        if (tr->field_count < FIELDS_MAX) {
            fields[tr->field_count++] = (struct header){name, l.at ? l : SPAN("")};
        }
    }
    tr->fields = fields;
    tr->random = tr->path.len * 7919;
    return rest;
}

static void use(const struct route *r, const struct traffic *tr, struct arena *scratch)
{
    const struct route_cluster *c = route_pick_cluster(r, tr->random);
    ASSERT(r->action != ROUTE_FORWARD || c || r->cluster_header.len > 0);
    (void)route_override(r, c, SPAN("envoy.filters.http.rbac"));
    struct span path = route_rewrite_path(r, tr->path, scratch);
    struct span location = route_redirect_location(r, tr, scratch);
    ASSERT(path.len == 0 || path.at);
    ASSERT(location.len >= 3);
}

static void ask(const struct route_table *t, const struct traffic *tr, struct arena *scratch)
{
    struct explain ex = {.depth = 0};
    buf_init(&ex.text, 65536);
    const struct route *found = route_find(t, tr, scratch, NULL);
    ASSERT(route_find(t, tr, scratch, &ex) == found);
    if (found) {
        use(found, tr, scratch);
    }
    buf_dispose(&ex.text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct arena scratch;
    struct header fields[FIELDS_MAX];
    struct traffic tr = {.field_count = 0};
    struct err err = {.code = 0};
    arena_init(&arena, 16384);
    arena_init(&scratch, 4096);
    struct span wire = read_request(&tr, fields, span_from(data, size));
    const void *config = pb_decode(&pb_route_RouteConfiguration_desc, &arena, wire, &err);
    struct route_compile with = {.arena = &arena, .slot_of = slot_of};
    struct route_table *t = NULL;
    if (config && route_table_compile(&t, &with, config, &err) == 0) {
        ask(t, &tr, &scratch);
    } else {
        ASSERT(err.code != 0 && err.text[0] != '\0');
    }
    arena_dispose(&scratch);
    arena_dispose(&arena);
    return 0;
}
