/* Binds learned names to the process: see proxy_discovery.h. */
#include "proxy/proxy_discovery.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/deadline.h"
#include "io/file.h"
#include "io/loop.h"

#define FILE_BYTES_MAX (DISCOVERY_NAMES_MAX * (DISCOVERY_NAME_BYTES_MAX + 16))

struct proxy_discovery {
    struct proxy_discovery_spec spec;
    struct discovery *names;
    char *path; /* owned; NULL = nothing is kept */
    struct deadline write;
    const bool *used_slots; /* during on_use */
    size_t used_count;
};

static enum conf_kind kind_of(enum discovery_type type)
{
    return type == DISCOVERY_LISTENER ? CONF_LISTENER : CONF_VIRTUAL_HOST;
}

/* ---- what discovery needs ---- */

static void want(void *arg, enum discovery_type type, struct span name, bool wanted)
{
    struct proxy_discovery *p = arg;
    if (type == DISCOVERY_NAME_TABLE) {
        if (p->spec.names != NULL) { /* else a name of the last run, when there was a DNS */
            dns_names_want(p->spec.names, name, wanted);
            proxy_sources_want_other(p->spec.sources, DNS_NAMES_TYPE, name, wanted);
        }
        return;
    }
    ingest_want(p->spec.ingest, kind_of(type), name, wanted);
}

static enum ingest_state look(void *arg, enum discovery_type type, struct span name)
{
    struct proxy_discovery *p = arg;
    if (type == DISCOVERY_NAME_TABLE) {
        return p->spec.names != NULL ? dns_names_look(p->spec.names, name) : INGEST_MISSING;
    }
    return ingest_look(p->spec.ingest, kind_of(type), name);
}

static bool is_connected(void *arg)
{
    return ((struct proxy_discovery *)arg)->spec.numbers->cp_connected != 0;
}

static void on_known(void *arg)
{
    struct proxy_discovery *p = arg;
    if (p->path != NULL && !deadline_is_armed(&p->write)) {
        deadline_arm(&p->write, p->spec.loop, PROXY_DISCOVERY_WRITE_MS);
    }
    p->spec.on_moved(p->spec.arg);
}

static int on_names(void *arg, const struct xds_update *u, struct err *err)
{
    struct proxy_discovery *p = arg;
    int code = dns_names_update(p->spec.names, u, err);
    if (code == 0) {
        discovery_settled(p->names);
    }
    return code;
}

/* ---- uses ---- */

static void touch_if_used(void *arg, enum discovery_type type, struct span name)
{
    struct proxy_discovery *p = arg;
    if (type != DISCOVERY_NAME_TABLE &&
        ingest_leads_to(p->spec.ingest, kind_of(type), name, p->used_slots, p->used_count)) {
        discovery_touch(p->names, type, name);
    }
}

static void on_use(void *arg, const struct proxy_use *use)
{
    struct proxy_discovery *p = arg;
    for (size_t i = 0; i < use->listener_count; i++) {
        discovery_touch(p->names, DISCOVERY_LISTENER, use->listeners[i]);
    }
    p->used_slots = use->slots;
    p->used_count = use->slot_count;
    discovery_each_known(p->names, touch_if_used, p);
    p->used_slots = NULL;
    p->used_count = 0;
}

static void on_sweep(void *arg)
{
    struct proxy_discovery *p = arg;
    for (unsigned i = 0; i < *p->spec.worker_count; i++) {
        proxy_worker_ask_use(p->spec.workers[i], on_use, p);
    }
}

static const struct discovery_ops ops = {
    .want = want,
    .look = look,
    .is_connected = is_connected,
    .on_sweep = on_sweep,
    .on_known = on_known,
};

/* ---- workers ---- */

struct worker_wait {
    struct discovery_wait wait;
    struct proxy_discovery *owner;
    unsigned worker;
    enum conf_kind kind;
};

static void on_answer(struct discovery_wait *wait, struct span name, enum ask_answer answer)
{
    struct worker_wait *w = container_of(wait, struct worker_wait, wait);
    proxy_worker_answer(w->owner->spec.workers[w->worker], w->kind, name, answer);
    mem_free(w);
}

static void drop(struct discovery_wait *wait)
{
    mem_free(container_of(wait, struct worker_wait, wait));
}

void proxy_discovery_ask(struct proxy_discovery *p, unsigned worker, enum conf_kind kind,
                         struct span name)
{
    struct worker_wait *w = mem_new(struct worker_wait);
    w->wait.on_answer = on_answer;
    w->owner = p;
    w->worker = worker;
    w->kind = kind;
    discovery_ask(p->names, kind == CONF_LISTENER ? DISCOVERY_LISTENER : DISCOVERY_VIRTUAL_HOST,
                  name, &w->wait);
}

/* ---- the file ---- */

static void on_write(struct deadline *d)
{
    struct proxy_discovery *p = container_of(d, struct proxy_discovery, write);
    struct buf text;
    struct err err;
    err_clear(&err);
    buf_init(&text, FILE_BYTES_MAX);
    int code = discovery_write(p->names, &text);
    code = code ? code : file_write(p->path, buf_span(&text), 0600, &err);
    buf_dispose(&text);
    if (code != 0) {
        log_warn("discovery", "MESH4052 learned names are not kept why=\"%s\"", err.text);
    }
}

/* What can not be read is learned again. */
static void read_names(struct proxy_discovery *p)
{
    struct buf text;
    struct err err;
    buf_init(&text, FILE_BYTES_MAX);
    if (file_read(p->path, &text, &err) == 0) {
        struct span rest = buf_span(&text);
        while (rest.len > 0) {
            discovery_add_text(p->names, span_cut(&rest, '\n'));
        }
    }
    buf_dispose(&text);
}

/* ---- the rest ---- */

void proxy_discovery_hints(struct proxy_discovery *p, const struct snapshot *s)
{
    for (size_t i = 0; i < s->listener_count; i++) {
        const struct conf_listener *l = s->listeners[i];
        for (size_t k = 0; k < l->known_count; k++) {
            discovery_add_text(p->names, l->known[k]);
        }
    }
}

struct discovery *proxy_discovery_learned(struct proxy_discovery *p)
{
    return p->names;
}

void proxy_discovery_settled(struct proxy_discovery *p)
{
    discovery_settled(p->names);
}

bool proxy_discovery_is_settled(const struct proxy_discovery *p)
{
    return discovery_is_settled(p->names);
}

struct proxy_discovery *proxy_discovery_new(const struct proxy_discovery_spec *spec)
{
    struct proxy_discovery *p = mem_new(struct proxy_discovery);
    p->spec = *spec;
    deadline_init(&p->write, on_write);
    if (spec->names != NULL) {
        proxy_sources_set_other(spec->sources, DNS_NAMES_TYPE, on_names, p);
    }
    p->names = discovery_new(spec->loop, spec->registry, &ops, p);
    if (spec->state_dir != NULL && spec->state_dir[0] != '\0') {
        size_t room = strlen(spec->state_dir) + sizeof("/" PROXY_DISCOVERY_FILE);
        p->path = mem_zalloc(room);
        (void)snprintf(p->path, room, "%s/%s", spec->state_dir, PROXY_DISCOVERY_FILE);
        read_names(p);
    }
    return p;
}

void proxy_discovery_free(struct proxy_discovery *p)
{
    if (p == NULL) {
        return;
    }
    if (deadline_is_armed(&p->write)) {
        deadline_disarm(&p->write);
        on_write(&p->write);
    }
    discovery_free(p->names, drop);
    mem_free(p->path);
    mem_free(p);
}
