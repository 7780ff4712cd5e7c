/* Secret. */
#include "model/secret.h"

#include "codec/base64.h"
#include "codec/pem.h"
#include "model/kinds_int.h"

#define VEIL "(not shown)"

/* Kubernetes' names of the keys before Istio's. */
static const struct {
    const char *key;
    size_t offset;
} keys[] = {
    {"tls.crt", offsetof(struct secret_spec, cert)}, {"cert", offsetof(struct secret_spec, cert)},
    {"tls.key", offsetof(struct secret_spec, key)},  {"key", offsetof(struct secret_spec, key)},
    {"ca.crt", offsetof(struct secret_spec, ca)},    {"cacert", offsetof(struct secret_spec, ca)},
    {"ca.crl", offsetof(struct secret_spec, crl)},   {"crl", offsetof(struct secret_spec, crl)},
};

/* Lines are broken in hand-written ones. */
static bool decode(struct reader *r, struct span text, struct span *out)
{
    char *packed = arena_bytes(r->arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c != '\n' && c != '\r' && c != ' ' && c != '\t') {
            packed[len++] = c;
        }
    }
    char *bytes = arena_bytes(r->arena, base64_decoded_max(len));
    ssize_t count = base64_decode(BASE64_STANDARD, span_from(packed, len), bytes);
    *out = count < 0 ? SPAN_EMPTY : span_from(bytes, (size_t)count);
    return count >= 0;
}

static void read_value(struct reader *r, const struct doc_node *node, bool plain, struct span *out)
{
    if (node->kind == DOC_NULL) {
        return;
    }
    if (node->kind != DOC_TEXT) {
        (void)reader_wrong_kind(r, node, "text"); /* is said */
        return;
    }
    if (plain) {
        *out = node->text;
        return;
    }
    if (!decode(r, node->text, out)) {
        struct finding *found =
            reader_say(r, 2015, node, NULL, "'%s' is not base64", reader_here(r));
        found->why = SPAN("values of 'data' are base64");
        found->fix = SPAN("encode it, or write it under 'stringData' as it is");
    }
}

/* stringData wins over data, as in Kubernetes; the first of two names of one thing counts. */
static void read_values(struct reader *r, const struct doc_node *node, bool plain,
                        struct secret_spec *s)
{
    if (node->kind != DOC_MAP) {
        (void)reader_wrong_kind(r, node, "a map of texts"); /* is said */
        return;
    }
    for (size_t i = ARRAY_LEN(keys); i-- > 0;) {
        const struct doc_node *value = doc_get(node, keys[i].key);
        if (value != NULL) {
            struct reader_step step = {.up = r->at, .key = span_of(keys[i].key)};
            r->at = &step;
            read_value(r, value, plain, (struct span *)(void *)((char *)s + keys[i].offset));
            r->at = step.up;
        }
    }
}

static void read_data(struct reader *r, const struct doc_node *node, void *to)
{
    read_values(r, node, false, to);
}

static void read_type(struct reader *r, const struct doc_node *node, void *to)
{
    const struct reader_field text = {.name = "", .type = READER_TEXT};
    struct span type = SPAN_EMPTY;
    reader_value(r, node, &text, &type);
    ((struct secret_spec *)to)->tls = span_is(type, "kubernetes.io/tls");
}

void secret_finish(struct reader *r, void *spec)
{
    const struct doc_node *node = doc_get(r->object->doc, "stringData");
    if (node != NULL && node->kind != DOC_NULL) {
        struct reader_step step = {.key = SPAN("stringData")};
        const struct reader_step *at = r->at;
        r->at = &step;
        read_values(r, node, true, spec);
        r->at = at;
    }
}

static const struct reader_field secret_fields[] = {
    {.name = "type", .type = READER_CUSTOM, .read = read_type},
    {.name = "data", .type = READER_CUSTOM, .read = read_data},
    READER_IGNORE("stringData"), /* after `data`: secret_finish */
    READER_IGNORE("immutable"),
};
const struct reader_table secret_table = {READER_TABLE(struct secret_spec, secret_fields)};

/* --- questions --- */

static bool has_block(struct span text, const char *label_end)
{
    struct arena arena;
    struct pem_block block;
    struct err err;
    bool found = false;
    arena_init(&arena, 2048);
    while (!found && pem_next(&text, &arena, &block, &err) == 1) {
        found = span_ends(block.label, span_of(label_end));
    }
    arena_dispose(&arena);
    return found;
}

const char *secret_pair_fault(const struct object *o)
{
    const struct secret_spec *s = secret_of(o);
    return s->cert.len == 0                     ? "it has no 'tls.crt' or 'cert'"
           : s->key.len == 0                    ? "it has no 'tls.key' or 'key'"
           : !has_block(s->cert, "CERTIFICATE") ? "its certificate is not PEM"
           : !has_block(s->key, "PRIVATE KEY")  ? "its key is not PEM"
                                                : NULL;
}

const char *secret_roots_fault(const struct object *o)
{
    const struct secret_spec *s = secret_of(o);
    return s->ca.len == 0                     ? "it has no 'ca.crt' or 'cacert'"
           : !has_block(s->ca, "CERTIFICATE") ? "its roots are not PEM"
                                              : NULL;
}

struct doc_node *secret_veil(const struct object *o, struct arena *arena)
{
    if (o->kind != OBJECT_SECRET) {
        return o->doc;
    }
    struct doc_node *out = doc_new_map(arena);
    for (size_t i = 0; i < o->doc->count; i++) {
        const struct doc_entry *from = &o->doc->entries[i];
        bool veiled = span_is(from->key, "data") || span_is(from->key, "stringData");
        struct doc_node *value = from->value;
        if (veiled) {
            value = doc_new_map(arena);
            for (size_t k = 0; k < doc_count(from->value); k++) {
                doc_set_span(arena, value, from->value->entries[k].key, doc_cstr(arena, VEIL));
            }
        }
        doc_set_span(arena, out, from->key, value);
    }
    return out;
}
