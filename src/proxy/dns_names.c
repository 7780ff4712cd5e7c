/* Names that the proxy's DNS knows: see dns_names.h. */
#include "proxy/dns_names.h"

#include "base/map.h"
#include "base/mem.h"
#include "proto/nds.pb.h"

struct entry {
    struct span name; /* owned */
    enum ingest_state state;
    bool is_wanted;
    struct dns_name known; /* ips owned */
};

struct dns_names {
    struct map entries;
    char *namespace, *domain; /* owned */
};

/* ---- what a question may mean ---- */

static size_t labels_of(struct span name)
{
    size_t count = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        count += name.at[i] == '.';
    }
    return count;
}

size_t dns_names_meanings(const struct dns_names *d, struct span name, struct arena *arena,
                          struct span out[DNS_NAMES_MEANINGS_MAX])
{
    size_t count = 0;
    size_t labels = labels_of(name);
    struct span svc = span_of(arena_printf(arena, ".svc.%s", d->domain));
    struct span search = span_of(arena_printf(arena, ".%s%.*s", d->namespace, SPAN_ARG(svc)));
    if (labels == 0) {
        return 0;
    }
    if (labels == 1) {
        out[count++] = span_of(arena_printf(arena, "%.*s%.*s", SPAN_ARG(name), SPAN_ARG(search)));
    }
    out[count++] = name;
    if (labels == 2) {
        out[count++] = span_of(arena_printf(arena, "%.*s%.*s", SPAN_ARG(name), SPAN_ARG(svc)));
    } else if (labels == 3 && span_ends(name, SPAN(".svc"))) {
        out[count++] = span_of(arena_printf(arena, "%.*s.%s", SPAN_ARG(name), d->domain));
    } else if (span_ends(name, search)) {
        struct span bare = span_first(name, name.len - search.len);
        if (span_find_byte(bare, '.') >= 0) {
            out[count++] = bare;
        }
    }
    return count;
}

/* ---- the table ---- */

static struct entry *find(const struct dns_names *d, struct span name)
{
    return map_get(&d->entries, name);
}

static void drop_ips(struct entry *e)
{
    mem_free((void *)(uintptr_t)e->known.ips);
    e->known = (struct dns_name){0};
}

static void free_entry(struct entry *e)
{
    drop_ips(e);
    mem_free((void *)(uintptr_t)e->name.at);
    mem_free(e);
}

void dns_names_want(struct dns_names *d, struct span name, bool wanted)
{
    struct entry *e = find(d, name);
    if (wanted && e == NULL) {
        e = mem_new(struct entry);
        e->name = span_from(mem_strndup(name.at, name.len), name.len);
        (void)map_put(&d->entries, e->name, e); /* new */
    }
    if (!wanted && e != NULL) {
        (void)map_remove(&d->entries, name); /* it is there */
        free_entry(e);
    }
}

enum ingest_state dns_names_look(const struct dns_names *d, struct span name)
{
    const struct entry *e = find(d, name);
    return e != NULL ? e->state : INGEST_COMING;
}

const struct dns_name *dns_names_get(const struct dns_names *d, struct span name)
{
    const struct entry *e = find(d, name);
    return e != NULL && e->state == INGEST_ACTIVE ? &e->known : NULL;
}

void dns_names_each(const struct dns_names *d,
                    void (*on_name)(void *arg, struct span name, const struct dns_name *known),
                    void *arg)
{
    for (struct map_slot *s = NULL; (s = map_next(&d->entries, s)) != NULL;) {
        const struct entry *e = s->value;
        if (e->state == INGEST_ACTIVE) {
            on_name(arg, e->name, &e->known);
        }
    }
}

/* ---- updates ---- */

/* The row of that name; of a table with one row it may have any. */
static const struct pb_nds_NameTable_NameInfo *row_of(const struct pb_nds_NameTable *t,
                                                      struct span name)
{
    for (uint32_t i = 0; i < t->table.count; i++) {
        if (span_eq(t->table.at[i]->key, name)) {
            return t->table.at[i]->value;
        }
    }
    return t->table.count == 1 ? t->table.at[0]->value : NULL;
}

static int read_ips(const struct pb_nds_NameTable_NameInfo *row, struct span name,
                    struct dns_name *out, struct err *err)
{
    uint32_t count = row != NULL ? row->ips.count : 0;
    if (count > DNS_NAMES_IPS_MAX) {
        return err_set(err, -ERR_CONFIG, "name '%.*s' has more than %d addresses", SPAN_ARG(name),
                       DNS_NAMES_IPS_MAX);
    }
    struct ip *ips = mem_array(count + 1, sizeof(*ips));
    for (uint32_t i = 0; i < count; i++) {
        if (ip_parse(row->ips.at[i], &ips[i]) != 0) {
            mem_free(ips);
            return err_set(err, -ERR_CONFIG, "name '%.*s': '%.*s' is not an IP address",
                           SPAN_ARG(name), SPAN_ARG(row->ips.at[i]));
        }
    }
    *out = (struct dns_name){.ips = ips, .count = count};
    return 0;
}

static int read_one(const struct xds_resource *r, struct dns_name *out, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 4096);
    const struct pb_nds_NameTable *t = pb_decode(&pb_nds_NameTable_desc, &arena, r->value, err);
    int code = t != NULL ? read_ips(row_of(t, r->name), r->name, out, err) : -ERR_CONFIG;
    arena_dispose(&arena);
    return code;
}

static void take(struct dns_names *d, const struct xds_update *u, struct dns_name *read)
{
    for (size_t i = 0; i < u->added_count; i++) {
        struct entry *e = find(d, u->added[i].name);
        if (e == NULL) { /* given up meanwhile */
            mem_free((void *)(uintptr_t)read[i].ips);
            continue;
        }
        drop_ips(e);
        e->known = read[i];
        e->state = INGEST_ACTIVE;
    }
    for (size_t i = 0; i < u->removed_count; i++) {
        struct entry *e = find(d, u->removed[i]);
        if (e != NULL) {
            drop_ips(e);
            e->state = INGEST_MISSING;
        }
    }
}

int dns_names_update(struct dns_names *d, const struct xds_update *u, struct err *err)
{
    struct dns_name *read = mem_array(u->added_count + 1, sizeof(*read));
    int code = 0;
    size_t count = 0;
    while (count < u->added_count && code == 0) {
        code = read_one(&u->added[count], &read[count], err);
        count += code == 0;
    }
    if (code == 0) {
        take(d, u, read);
    } else {
        for (size_t i = 0; i < count; i++) {
            mem_free((void *)(uintptr_t)read[i].ips);
        }
    }
    mem_free(read);
    return code;
}

/* ---- life ---- */

struct dns_names *dns_names_new(struct span namespace, struct span domain)
{
    struct dns_names *d = mem_new(struct dns_names);
    map_init(&d->entries);
    d->namespace = mem_strndup(namespace.len > 0 ? namespace.at : "default",
                               namespace.len > 0 ? namespace.len : 7);
    d->domain =
        mem_strndup(domain.len > 0 ? domain.at : "cluster.local", domain.len > 0 ? domain.len : 13);
    return d;
}

void dns_names_free(struct dns_names *d)
{
    if (d == NULL) {
        return;
    }
    for (struct map_slot *s = NULL; (s = map_next(&d->entries, s)) != NULL;) {
        free_entry(s->value);
    }
    map_dispose(&d->entries);
    mem_free(d->namespace);
    mem_free(d->domain);
    mem_free(d);
}
