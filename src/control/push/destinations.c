/* What the proxies of each workload use: see destinations.h. */
#include "control/push/destinations.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/deadline.h"

#define VALUE_BYTES_MAX (DESTINATIONS_NAMES_MAX * (DESTINATIONS_NAME_BYTES_MAX + 1))

struct used {
    struct list node;
    unsigned holders;
    struct span name; /* text */
    char text[];
};

struct workload {
    struct list node;    /* heard of longest ago first */
    struct list unsaved; /* linked: is to be written */
    struct span key;     /* text */
    unsigned holders;    /* of its names, together */
    struct map by_name;
    struct list names;
    char text[];
};

struct destinations {
    struct store_port *port; /* owned; NULL: nothing is kept */
    struct loop *loop;
    struct map workloads;
    struct list order, unsaved;
    struct deadline write;
    struct log_limit failed;
};

/* ---- names ---- */

static void touch(struct destinations *d, struct workload *w)
{
    if (!d->port) {
        return;
    }
    if (!list_is_linked(&w->unsaved)) {
        list_push_back(&d->unsaved, &w->unsaved);
    }
    if (!deadline_is_armed(&d->write)) {
        deadline_arm(&d->write, d->loop, DESTINATIONS_WRITE_MS);
    }
}

static struct used *add_name(struct workload *w, struct span name)
{
    struct used *u = map_get(&w->by_name, name);
    if (u || name.len == 0 || name.len > DESTINATIONS_NAME_BYTES_MAX ||
        map_count(&w->by_name) >= DESTINATIONS_NAMES_MAX) {
        return u;
    }
    u = mem_zalloc(sizeof *u + name.len + 1);
    memcpy(u->text, name.at, name.len);
    u->name = span_from(u->text, name.len);
    list_push_back(&w->names, &u->node);
    (void)map_put(&w->by_name, u->name, u); /* new */
    return u;
}

static void remove_name(struct workload *w, struct used *u)
{
    (void)map_remove(&w->by_name, u->name); /* it is there */
    list_remove(&u->node);
    mem_free(u);
}

static void free_workload(struct destinations *d, struct workload *w)
{
    (void)map_remove(&d->workloads, w->key); /* it is there */
    LIST_EACH(node, next, &w->names) {
        remove_name(w, list_item(node, struct used, node));
    }
    map_dispose(&w->by_name);
    list_remove(&w->node);
    list_remove(&w->unsaved);
    mem_free(w);
}

/* ---- the store ---- */

static void on_stored(void *arg, const struct store_answer *a)
{
    struct destinations *d = arg;
    uint32_t dropped;
    if (a->code != 0 && log_limit_allows(&d->failed, loop_now_ms(d->loop), &dropped)) {
        log_warn("push", "MESH4060 what workloads use is not kept why=\"%s\" more=%u", a->why,
                 dropped);
    }
}

static void forget_stored(struct destinations *d, struct span key)
{
    if (d->port) {
        (void)store_blob_remove(d->port, SPAN(DESTINATIONS_SPACE), key, on_stored, d);
    }
}

static void write_one(struct destinations *d, struct workload *w)
{
    struct buf text;
    int code = 0;
    list_remove(&w->unsaved);
    if (list_is_empty(&w->names)) {
        forget_stored(d, w->key);
        free_workload(d, w);
        return;
    }
    buf_init(&text, VALUE_BYTES_MAX);
    LIST_EACH(node, next, &w->names) {
        const struct used *u = list_item(node, struct used, node);
        code = code ? code : buf_printf(&text, "%.*s\n", SPAN_ARG(u->name));
    }
    ASSERT(code == 0); /* names are bounded in number and length */
    (void)store_blob_put(d->port, SPAN(DESTINATIONS_SPACE), w->key, buf_span(&text), on_stored, d);
    buf_dispose(&text);
}

static void on_write(struct deadline *deadline)
{
    struct destinations *d = container_of(deadline, struct destinations, write);
    LIST_EACH(node, next, &d->unsaved) {
        write_one(d, list_item(node, struct workload, unsaved));
    }
}

/* ---- workloads ---- */

static bool make_room(struct destinations *d)
{
    if (map_count(&d->workloads) < DESTINATIONS_WORKLOADS_MAX) {
        return true;
    }
    LIST_EACH(node, next, &d->order) {
        struct workload *w = list_item(node, struct workload, node);
        if (w->holders == 0) {
            forget_stored(d, w->key);
            free_workload(d, w);
            return true;
        }
    }
    return false;
}

static struct workload *add_workload(struct destinations *d, struct span key)
{
    struct workload *w = map_get(&d->workloads, key);
    if (!w && make_room(d)) {
        w = mem_zalloc(sizeof *w + key.len + 1);
        memcpy(w->text, key.at, key.len);
        w->key = span_from(w->text, key.len);
        list_init(&w->node);
        list_init(&w->unsaved);
        list_init(&w->names);
        map_init(&w->by_name);
        (void)map_put(&d->workloads, w->key, w); /* new */
        list_push_back(&d->order, &w->node);
    }
    return w;
}

static void on_loaded(void *arg, const struct store_answer *a)
{
    struct destinations *d = arg;
    on_stored(d, a);
    for (size_t i = 0; a->code == 0 && i < a->count; i++) {
        struct workload *w = add_workload(d, a->blobs[i].key);
        struct span rest = a->blobs[i].value;
        while (w && rest.len > 0) {
            (void)add_name(w, span_cut(&rest, '\n')); /* what is too much is left out */
        }
    }
}

/* ---- use ---- */

void destinations_hold(struct destinations *d, struct span workload, struct span name)
{
    struct workload *w = add_workload(d, workload);
    struct used *u = w ? map_get(&w->by_name, name) : NULL;
    if (w && !u) {
        u = add_name(w, name);
        touch(d, w);
    }
    if (u) {
        u->holders++;
        w->holders++;
        list_remove(&w->node);
        list_push_back(&d->order, &w->node);
    }
}

void destinations_release(struct destinations *d, struct span workload, struct span name,
                          bool unused)
{
    struct workload *w = map_get(&d->workloads, workload);
    struct used *u = w ? map_get(&w->by_name, name) : NULL;
    if (!u || u->holders == 0) {
        return; /* it was beyond a limit when it was held */
    }
    u->holders--;
    w->holders--;
    if (unused && u->holders == 0) {
        remove_name(w, u);
        touch(d, w);
    }
}

void destinations_each(const struct destinations *d, struct span workload,
                       void (*on_name)(void *arg, struct span name), void *arg)
{
    struct workload *w = map_get(&d->workloads, workload);
    if (!w) {
        return;
    }
    LIST_EACH(node, next, &w->names) {
        on_name(arg, list_item(node, struct used, node)->name);
    }
}

/* ---- life ---- */

struct destinations *destinations_new(struct loop *loop, struct store *store)
{
    struct destinations *d = mem_new(struct destinations);
    d->loop = loop;
    map_init(&d->workloads);
    list_init(&d->order);
    list_init(&d->unsaved);
    deadline_init(&d->write, on_write);
    if (store) {
        d->port = store_port_new(store, loop);
        (void)store_blob_list(d->port, SPAN(DESTINATIONS_SPACE), on_loaded, d);
    }
    return d;
}

void destinations_free(struct destinations *d)
{
    if (!d) {
        return;
    }
    deadline_disarm(&d->write);
    on_write(&d->write);
    store_port_free(d->port);
    LIST_EACH(node, next, &d->order) {
        free_workload(d, list_item(node, struct workload, node));
    }
    map_dispose(&d->workloads);
    mem_free(d);
}
