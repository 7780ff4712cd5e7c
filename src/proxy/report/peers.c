/* Workload metadata of both ends: see peers.h.
 * In: request/peering and downstream/exchange give what came. Out: labels for report/stats. */
#include "proxy/report/peers.h"

#include "base/map.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/pb.h"
#include "mesh/identity.h"
#include "mesh/names.h"
#include "proto/protobuf.pb.h"

#define STRUCT_URL PB_URL_PREFIX "google.protobuf.Struct"
#define TEXT_MAX 255 /* of one label, as metrics cut them */

struct peers {
    struct map by_bytes;
    struct arena arena; /* labels and keys */
};

/* ---- what we say ---- */

static struct pb_protobuf_Value *value_add(struct arena *arena, struct pb_protobuf_Struct *s,
                                           const char *key)
{
    struct pb_protobuf_Struct_FieldsEntry *e =
        arena_new(arena, struct pb_protobuf_Struct_FieldsEntry);
    e->key = span_of(key);
    e->value = arena_new(arena, struct pb_protobuf_Value);
    PB_ADD(arena, &s->fields, e);
    return e->value;
}

static void text_add(struct arena *arena, struct pb_protobuf_Struct *s, const char *key,
                     struct span text)
{
    if (text.len > 0) {
        struct pb_protobuf_Value *v = value_add(arena, s, key);
        v->kind_case = PB_PROTOBUF_VALUE_KIND_STRING_VALUE;
        v->string_value = text;
    }
}

static struct pb_protobuf_Struct *struct_add(struct arena *arena, struct pb_protobuf_Struct *s,
                                             const char *key)
{
    struct pb_protobuf_Value *v = value_add(arena, s, key);
    v->kind_case = PB_PROTOBUF_VALUE_KIND_STRUCT_VALUE;
    v->struct_value = arena_new(arena, struct pb_protobuf_Struct);
    return v->struct_value;
}

static void fill(struct arena *arena, struct pb_protobuf_Struct *s, const struct peer_facts *f)
{
    const struct stats_workload *self = f->self;
    text_add(arena, s, "NAME", f->name);
    text_add(arena, s, "NAMESPACE", self->workload_namespace);
    text_add(arena, s, "OWNER", f->owner);
    text_add(arena, s, "WORKLOAD_NAME", self->workload);
    text_add(arena, s, "CLUSTER_ID", self->cluster);
    struct pb_protobuf_Struct *labels = struct_add(arena, s, "LABELS");
    text_add(arena, labels, LABEL_APP, self->app);
    text_add(arena, labels, LABEL_VERSION, self->version);
    text_add(arena, labels, LABEL_CANONICAL_NAME, self->canonical_service);
    text_add(arena, labels, LABEL_CANONICAL_REVISION, self->canonical_revision);
}

static void put_u32(char *to, uint32_t n)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (char)(unsigned char)(n >> (24 - 8 * i));
    }
}

static struct span frame_of(struct arena *arena, struct pb_protobuf_Struct *outer)
{
    struct pb_protobuf_Any any = {
        .type_url = SPAN(STRUCT_URL),
        .value = pb_encode_in(&pb_protobuf_Struct_desc, outer, arena),
    };
    struct span wire = pb_encode_in(&pb_protobuf_Any_desc, &any, arena);
    char *to = arena_bytes(arena, PEER_FRAME_HEAD + wire.len);
    put_u32(to, PEER_MAGIC);
    put_u32(to + 4, (uint32_t)wire.len);
    memcpy(to + PEER_FRAME_HEAD, wire.at, wire.len);
    return span_from(to, PEER_FRAME_HEAD + wire.len);
}

const struct peer_self *peers_self_new(struct arena *arena, const struct peer_facts *f)
{
    struct peer_self *self = arena_new(arena, struct peer_self);
    struct pb_protobuf_Struct outer = {0};
    self->id = arena_dup(arena, f->node_id);
    if (f->self->workload.len > 0 || f->self->workload_namespace.len > 0) {
        struct pb_protobuf_Struct *inner = struct_add(arena, &outer, HEADER_PEER_METADATA);
        fill(arena, inner, f);
        text_add(arena, &outer, HEADER_PEER_METADATA_ID, self->id);
        struct span wire = pb_encode_in(&pb_protobuf_Struct_desc, inner, arena);
        char *text = arena_bytes(arena, base64_encoded_len(BASE64_STANDARD, wire.len));
        self->value = span_from(text, base64_encode(BASE64_STANDARD, wire, text));
    }
    self->frame = frame_of(
        arena, &outer); /* an empty one where there is nothing to tell: the peer waits for it */
    return self;
}

/* ---- what others say ---- */

static struct span text_of(struct arena *arena, const struct pb_protobuf_Value *v)
{
    return v != NULL && v->kind_case == PB_PROTOBUF_VALUE_KIND_STRING_VALUE
               ? arena_dup(arena, span_first(v->string_value, TEXT_MAX))
               : SPAN_EMPTY;
}

static const struct pb_protobuf_Value *member(const struct pb_protobuf_Struct *s, const char *key)
{
    for (uint32_t i = 0; s != NULL && i < s->fields.count; i++) {
        if (span_is(s->fields.at[i]->key, key)) {
            return s->fields.at[i]->value;
        }
    }
    return NULL;
}

static const struct pb_protobuf_Struct *struct_of(const struct pb_protobuf_Value *v)
{
    return v != NULL && v->kind_case == PB_PROTOBUF_VALUE_KIND_STRUCT_VALUE ? v->struct_value
                                                                            : NULL;
}

static struct span first_of(struct span a, struct span b)
{
    return a.len > 0 ? a : b;
}

static const struct peer *remember(struct peers *p, struct span key,
                                   const struct pb_protobuf_Struct *s)
{
    struct arena *a = &p->arena;
    struct peer *peer = arena_new(a, struct peer);
    const struct pb_protobuf_Struct *labels = struct_of(member(s, "LABELS"));
    struct span app = text_of(a, member(labels, LABEL_APP));
    struct span version = text_of(a, member(labels, LABEL_VERSION));
    peer->key = arena_dup(a, key);
    peer->labels = (struct stats_workload){
        .workload = text_of(a, member(s, "WORKLOAD_NAME")),
        .workload_namespace = text_of(a, member(s, "NAMESPACE")),
        .app = app,
        .version = version,
        .canonical_service = first_of(text_of(a, member(labels, LABEL_CANONICAL_NAME)), app),
        .canonical_revision =
            first_of(text_of(a, member(labels, LABEL_CANONICAL_REVISION)), version),
        .cluster = text_of(a, member(s, "CLUSTER_ID")),
    };
    (void)map_put(&p->by_bytes, peer->key, peer); /* there was none */
    return peer;
}

static bool has_room(const struct peers *p, struct span bytes)
{
    return bytes.len > 0 && bytes.len <= PEER_VALUE_MAX && arena_used(&p->arena) < PEERS_BYTES_MAX;
}

/* Padding may be missing (Istio reads it so). */
static struct span decode64(struct arena *scratch, struct span value)
{
    while (value.len > 0 && value.at[value.len - 1] == '=') {
        value.len--;
    }
    size_t len = (value.len + 3) / 4 * 4;
    char *padded = arena_bytes(scratch, len + 1);
    memset(padded, '=', len);
    memcpy(padded, value.at, value.len);
    char *to = arena_bytes(scratch, base64_decoded_max(len));
    ssize_t n = base64_decode(BASE64_STANDARD, span_from(padded, len), to);
    return n > 0 ? span_from(to, (size_t)n) : SPAN_EMPTY;
}

const struct peer *peers_of_header(struct peers *p, struct span value)
{
    const struct peer *known = map_get(&p->by_bytes, value);
    if (known != NULL || !has_room(p, value)) {
        return known;
    }
    struct arena scratch;
    arena_init(&scratch, 4096);
    struct span wire = decode64(&scratch, value);
    const struct pb_protobuf_Struct *s =
        wire.len > 0 ? pb_decode(&pb_protobuf_Struct_desc, &scratch, wire, NULL) : NULL;
    known = s != NULL ? remember(p, value, s) : NULL;
    arena_dispose(&scratch);
    return known;
}

const struct peer *peers_of_frame(struct peers *p, struct span bytes)
{
    const struct peer *known = map_get(&p->by_bytes, bytes);
    if (known != NULL || !has_room(p, bytes)) {
        return known;
    }
    struct arena scratch;
    arena_init(&scratch, 4096);
    const struct pb_protobuf_Any *any = pb_decode(&pb_protobuf_Any_desc, &scratch, bytes, NULL);
    const struct pb_protobuf_Struct *s = NULL;
    if (any != NULL && span_is(pb_url_name(any->type_url), "google.protobuf.Struct")) {
        s = pb_decode(&pb_protobuf_Struct_desc, &scratch, any->value, NULL);
    }
    s = struct_of(member(s, HEADER_PEER_METADATA));
    known = s != NULL ? remember(p, bytes, s) : NULL;
    arena_dispose(&scratch);
    return known;
}

bool peers_believe(struct stats_workload *labels, const struct peer *told, struct span spiffe_id)
{
    struct identity id;
    if (spiffe_id.len == 0 || identity_parse(spiffe_id, &id) < 0 ||
        !span_eq(id.ns, told->labels.workload_namespace)) {
        return false;
    }
    struct span principal = labels->principal;
    *labels = told->labels;
    labels->principal = principal;
    return true;
}

ssize_t peers_frame_read(struct span bytes)
{
    char magic[4];
    put_u32(magic, PEER_MAGIC);
    if (bytes.len > 0 && memcmp(bytes.at, magic, size_min(bytes.len, 4)) != 0) {
        return PEER_BAD;
    }
    if (bytes.len < PEER_FRAME_HEAD) {
        return PEER_MORE;
    }
    uint32_t len = 0;
    for (size_t i = 4; i < PEER_FRAME_HEAD; i++) {
        len = len << 8 | (unsigned char)bytes.at[i];
    }
    return (ssize_t)len;
}

struct peers *peers_new(void)
{
    struct peers *p = mem_new(struct peers);
    map_init(&p->by_bytes);
    arena_init(&p->arena, 2048);
    return p;
}

void peers_free(struct peers *p)
{
    if (p != NULL) {
        map_dispose(&p->by_bytes);
        arena_dispose(&p->arena);
        mem_free(p);
    }
}
