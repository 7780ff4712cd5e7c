/* Names -> numbers. */
#include "proxy/config/slots.h"

#include "base/mem.h"
#include "proxy/config/snapshot.h"

void slots_init(struct slots *s)
{
    *s = (struct slots){0};
    map_init(&s->by_name);
}

uint32_t slots_take(struct slots *s, struct span name)
{
    uintptr_t number = (uintptr_t)map_get(&s->by_name, name);
    if (number != 0) {
        return (uint32_t)(number - 1);
    }
    if (s->count == SLOTS_MAX) {
        return SLOT_NONE;
    }
    if (s->count == s->room) {
        s->room = s->room == 0 ? 64 : s->room * 2;
        s->names = mem_realloc(s->names, s->room * sizeof(*s->names));
    }
    char *copy = mem_strndup(name.at ? name.at : "", name.len);
    s->names[s->count++] = copy;
    (void)map_put(&s->by_name, (struct span){copy, name.len},
                  (void *)(uintptr_t)s->count); /* new */
    return (uint32_t)(s->count - 1);
}

size_t slots_count(const struct slots *s)
{
    return s->count;
}

void slots_dispose(struct slots *s)
{
    map_dispose(&s->by_name);
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->names[i]);
    }
    mem_free(s->names);
    *s = (struct slots){0};
}
