/* What an on-demand proxy uses, as its subscriptions tell it, for those of its workload that come later.
 * In: push_client. Out: mail to the main thread. Next: destinations. */
#include <stdio.h>

#include "base/mem.h"
#include "control/push/destinations.h"
#include "control/push/push_int.h"
#include "mesh/names.h"

/* As proxy/discovery.h has them; NULL: not learned by name. */
static const char *const type_names[PROXIES_TYPE_COUNT] = {
    [PROXIES_LISTENER] = "Listener",
    [PROXIES_VIRTUAL_HOST] = "VirtualHost",
    [PROXIES_NAMES] = "NameTable",
};

struct use {
    enum proxies_type type;
    struct span line; /* "VirtualHost|9080/reviews:9080": text */
    struct span name; /* its end */
    char text[];
};

static struct span label_of(const struct node *n, const char *key)
{
    for (size_t i = 0; i < n->label_count; i++) {
        if (span_is(n->labels[i].key, key)) {
            return n->labels[i].value;
        }
    }
    return SPAN_EMPTY;
}

/* The canonical name, by Istio's labels, so that the versions of a service share what they know. */
static struct span workload_of(struct node *n)
{
    static const char *const keys[] = {LABEL_CANONICAL_NAME, LABEL_APP_NAME, LABEL_APP};
    struct span name = SPAN_EMPTY;
    for (size_t i = 0; name.len == 0 && i < ARRAY_LEN(keys); i++) {
        name = label_of(n, keys[i]);
    }
    name = name.len > 0 ? name : n->workload;
    return span_of(arena_printf(&n->arena, "%.*s/%.*s/%.*s", SPAN_ARG(n->namespace),
                                SPAN_ARG(n->service_account), SPAN_ARG(name)));
}

static void on_use(struct mail *mail, void *owner)
{
    UNUSED(owner);
    push_take_use((struct push_use *)mail);
}

static void post(struct push_client *c, enum push_use_kind kind, struct span line)
{
    struct push_use *u = mem_zalloc(sizeof *u + c->workload.len + line.len);
    u->mail.on_arrive = on_use;
    u->push = c->worker->push;
    u->kind = kind;
    u->workload_len = c->workload.len;
    u->name_len = line.len;
    memcpy(u->bytes, c->workload.at, c->workload.len);
    memcpy(u->bytes + c->workload.len, line.at, line.len);
    mailbox_post_take(push_mailbox(u->push), &u->mail);
}

void push_uses_begin(struct push_client *c)
{
    map_init(&c->uses);
    c->workload = workload_of(&c->who);
    c->awaits_hints = c->who.on_demand;
}

void push_uses_add(struct push_client *c, enum proxies_type type, struct span name)
{
    char line[DESTINATIONS_NAME_BYTES_MAX + 1];
    if (!c->who.on_demand || !type_names[type] || map_count(&c->uses) >= DESTINATIONS_NAMES_MAX) {
        return;
    }
    int len = snprintf(line, sizeof line, "%s|%.*s", type_names[type], SPAN_ARG(name));
    if (len < 0 || (size_t)len >= sizeof line ||
        map_get(&c->uses, span_from(line, (size_t)len)) != NULL) {
        return;
    }
    struct use *u = mem_zalloc(sizeof *u + (size_t)len);
    memcpy(u->text, line, (size_t)len);
    u->type = type;
    u->line = span_from(u->text, (size_t)len);
    u->name = span_from(u->text + (size_t)len - name.len, name.len);
    (void)map_put(&c->uses, u->line, u); /* new */
    post(c, PUSH_USE_BEGINS, u->line);
}

void push_uses_look(struct push_client *c)
{
    for (struct map_slot *s = NULL; (s = map_next(&c->uses, s)) != NULL;) {
        struct use *u = s->value;
        if (!xds_server_asks(c->stream, span_of(proxies_type_urls[u->type]), u->name)) {
            post(c, PUSH_USE_GIVEN_UP, u->line);
            (void)map_remove(&c->uses, u->line); /* it is there */
            mem_free(u);
        }
    }
}

void push_uses_end(struct push_client *c)
{
    for (struct map_slot *s = NULL; (s = map_next(&c->uses, s)) != NULL;) {
        struct use *u = s->value;
        post(c, PUSH_USE_LEFT, u->line);
        mem_free(u);
    }
    map_dispose(&c->uses);
}
