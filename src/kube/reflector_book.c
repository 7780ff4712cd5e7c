/* The book of what was told. Versions and uids are opaque texts of which only equality is asked, so eight bytes stand for each: a number
 * is itself, all else its keyed hash. About 130 bytes an object. */
#include "base/hash.h"
#include "base/mem.h"
#include "kube/reflector_int.h"

struct reflector_known {
    uint64_t version, uid;
    uint32_t round; /* of the list that had it last */
    uint16_t ns_len, key_len;
    char key[]; /* "namespace/name" */
};

#define IS_HASH (UINT64_C(1) << 63)

static uint64_t mark_of(struct span text)
{
    uint64_t number;
    bool plain = text.len > 0 && text.at[0] != '0' && span_to_u64(text, &number);
    return plain && number < IS_HASH ? number : hash_span(hash_process_key(), text) | IS_HASH;
}

#define KEY_BYTES 1200 /* reflector_meta_read bounds both names */

static struct span key_of(const struct reflector_meta *m, char room[KEY_BYTES])
{
    ASSERT(m->namespace.len + 1 + m->name.len <= KEY_BYTES);
    if (m->namespace.len > 0) {
        memcpy(room, m->namespace.at, m->namespace.len);
    }
    room[m->namespace.len] = '/';
    memcpy(room + m->namespace.len + 1, m->name.at, m->name.len);
    return span_from(room, m->namespace.len + 1 + m->name.len);
}

void reflector_book_init(struct reflector_book *b)
{
    map_init(&b->known);
    b->round = 0;
}

void reflector_book_dispose(struct reflector_book *b)
{
    for (struct map_slot *s = NULL; (s = map_next(&b->known, s));) {
        mem_free(s->value);
    }
    map_dispose(&b->known);
}

void reflector_book_begin(struct reflector_book *b)
{
    b->round++;
}

bool reflector_book_note(struct reflector_book *b, const struct reflector_meta *m)
{
    char room[KEY_BYTES];
    struct span key = key_of(m, room);
    uint64_t version = mark_of(m->version), uid = mark_of(m->uid);
    struct reflector_known *k = map_get(&b->known, key);
    if (k == NULL) {
        k = mem_alloc(sizeof(*k) + key.len);
        *k = (struct reflector_known){.ns_len = (uint16_t)m->namespace.len,
                                      .key_len = (uint16_t)key.len};
        memcpy(k->key, key.at, key.len);
        map_put(&b->known, span_from(k->key, key.len), k);
    } else if (k->version == version && k->uid == uid) {
        k->round = b->round;
        return false;
    }
    k->version = version;
    k->uid = uid;
    k->round = b->round;
    return true;
}

bool reflector_book_drop(struct reflector_book *b, const struct reflector_meta *m)
{
    char room[KEY_BYTES];
    struct span key = key_of(m, room);
    struct reflector_known *k = map_get(&b->known, key);
    /* Told already is a later one of this name: the end of the earlier is old news. */
    if (k == NULL || (m->uid.len > 0 && k->uid != mark_of(m->uid))) {
        return false;
    }
    map_remove(&b->known, key);
    mem_free(k);
    return true;
}

size_t reflector_book_sweep(struct reflector_book *b, reflector_on_gone on_gone, void *arg,
                            const bool *stop)
{
    size_t told = 0;
    for (struct map_slot *s = NULL; !*stop && (s = map_next(&b->known, s));) {
        struct reflector_known *k = s->value;
        if (k->round == b->round) {
            continue;
        }
        map_remove(&b->known, s->key);
        struct span key = span_from(k->key, k->key_len);
        on_gone(arg, span_first(key, k->ns_len), span_from_offset(key, k->ns_len + 1U));
        mem_free(k);
        told++;
    }
    return told;
}
