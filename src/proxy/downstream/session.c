/* Sessions in their entry: see session.h. */
#include "proxy/downstream/session.h"

#include "base/mem.h"
#include "proxy/downstream/entry.h"

void session_init(struct session *s, struct entry *e, int chain_index, uint64_t ticket)
{
    s->entry = e;
    s->chain_index = chain_index;
    s->ticket = ticket;
    struct span name = entry_chain_at(e, chain_index)->conf->name;
    s->chain_name = name.len > 0 ? span_from(mem_strndup(name.at, name.len), name.len) : SPAN_EMPTY;
    list_init(&s->node);
    list_push_back(&e->sessions, &s->node);
    e->ds->session_count++;
    metric_gauge_add(e->stats.downstream_cx_active, 1);
}

void session_dispose(struct session *s)
{
    list_remove(&s->node);
    shared_leave(s->entry->ds->upstream.shared, s->ticket);
    s->entry->ds->session_count--;
    metric_gauge_add(s->entry->stats.downstream_cx_active, -1);
    metric_add(s->entry->stats.downstream_cx_destroy, 1);
    mem_free((void *)(uintptr_t)s->chain_name.at);
}
