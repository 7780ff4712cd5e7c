/* DNS messages: reading with every offset checked, writing with compressed names. */
#include "codec/dns_msg.h"

#include "base/err.h"
#include "codec/hex.h"

#define HEAD_BYTES 12
#define LABEL_BYTES_MAX 63
#define POINTER 0xc0 /* the two high bits of a compression pointer, RFC 1035 section 4.1.4 */
#define POINTER_END 0x3fff
#define POINTERS_MAX 64 /* of one name; they go backwards, so this only bounds the work */
#define CLASS_INTERNET 1
#define OPT_BYTES 11 /* RFC 6891 section 6.1.2, without options */

/* --- reading --- */

struct reader {
    const uint8_t *at; /* of the message */
    size_t len;
    size_t pos;
};

static bool read_u16(struct reader *r, uint16_t *value)
{
    if (r->len - r->pos < 2) {
        return false;
    }
    *value = (uint16_t)(r->at[r->pos] << 8 | r->at[r->pos + 1]);
    r->pos += 2;
    return true;
}

static bool read_u32(struct reader *r, uint32_t *value)
{
    uint16_t high;
    uint16_t low;
    if (!read_u16(r, &high) || !read_u16(r, &low)) {
        return false;
    }
    *value = (uint32_t)high << 16 | low;
    return true;
}

/* Bytes of a label that text can show. */
static bool label_is_text(const uint8_t *label, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (label[i] <= ' ' || label[i] > '~' || label[i] == '.' || label[i] == '\\') {
            return false;
        }
    }
    return true;
}

static size_t append_label(char *name, size_t len, const uint8_t *label, size_t label_len)
{
    if (len > 0) {
        name[len++] = '.';
    }
    for (size_t i = 0; i < label_len; i++) {
        uint8_t c = label[i];
        name[len++] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    return len;
}

/* A name at r->pos, which moves behind it. 0 or -ERR_PROTO. */
static int read_name(struct reader *r, struct arena *arena, struct span *out)
{
    char name[DNS_NAME_BYTES];
    size_t len = 0;
    size_t pos = r->pos;
    size_t behind = 0; /* where the name ends in place: after the first pointer */
    unsigned pointers = 0;
    for (;;) {
        if (pos >= r->len) {
            return -ERR_PROTO;
        }
        size_t label = r->at[pos];
        if (label >= POINTER) {
            size_t to = pos + 1 < r->len ? (label & ~(size_t)POINTER) << 8 | r->at[pos + 1] : pos;
            if (to >= pos || to < HEAD_BYTES || ++pointers > POINTERS_MAX) {
                return -ERR_PROTO;
            }
            behind = behind ? behind : pos + 2;
            pos = to;
            continue;
        }
        pos++;
        if (label == 0) {
            break;
        }
        if (label > LABEL_BYTES_MAX || label > r->len - pos ||
            len + label + 1 > DNS_NAME_BYTES - 1 || !label_is_text(r->at + pos, label)) {
            return -ERR_PROTO;
        }
        len = append_label(name, len, r->at + pos, label);
        pos += label;
    }
    r->pos = behind ? behind : pos;
    *out = arena_dup(arena, span_from(name, len));
    return 0;
}

static bool read_head(struct reader *r, struct dns_head *head, uint16_t *counts)
{
    uint16_t flags;
    if (!read_u16(r, &head->id) || !read_u16(r, &flags)) {
        return false;
    }
    head->is_response = (flags & 0x8000) != 0;
    head->opcode = (uint8_t)(flags >> 11 & 15);
    head->is_authoritative = (flags & 0x0400) != 0;
    head->is_truncated = (flags & 0x0200) != 0;
    head->wants_recursion = (flags & 0x0100) != 0;
    head->offers_recursion = (flags & 0x0080) != 0;
    head->rcode = (uint8_t)(flags & 15);
    return read_u16(r, &counts[0]) && read_u16(r, &counts[1]) && read_u16(r, &counts[2]) &&
           read_u16(r, &counts[3]);
}

/* What a record holds, by its type. `r` ends where the record's data ends. */
static int read_data(struct reader *r, struct arena *arena, struct dns_record *record)
{
    size_t len = r->len - r->pos;
    switch (record->type) {
    case DNS_A:
    case DNS_AAAA:
        if (len != (record->type == DNS_A ? 4 : 16)) {
            return -ERR_PROTO;
        }
        record->ip = ip_from_bytes(r->at + r->pos, len);
        return 0;
    case DNS_SRV:
        if (!read_u16(r, &record->priority) || !read_u16(r, &record->weight) ||
            !read_u16(r, &record->port)) {
            return -ERR_PROTO;
        }
        break;
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR:
        break;
    default:
        record->raw = span_from(r->at + r->pos, len);
        return 0;
    }
    int failed = read_name(r, arena, &record->target);
    return failed == 0 && r->pos != r->len ? -ERR_PROTO : failed;
}

static int read_record(struct reader *r, struct arena *arena, struct dns_record *record)
{
    uint16_t len;
    int failed = read_name(r, arena, &record->name);
    if (failed != 0) {
        return failed;
    }
    if (!read_u16(r, &record->type) || !read_u16(r, &record->class) ||
        !read_u32(r, &record->ttl_s) || !read_u16(r, &len) || len > r->len - r->pos) {
        return -ERR_PROTO;
    }
    /* Names in the data may point anywhere before, but nothing is read behind its end. */
    struct reader data = {.at = r->at, .len = r->pos + len, .pos = r->pos};
    r->pos += len;
    /* RFC 2181 section 8: a time to live with the top bit set is zero. */
    record->ttl_s = record->ttl_s > INT32_MAX ? 0 : record->ttl_s;
    return record->type == DNS_OPT ? 0 : read_data(&data, arena, record);
}

static int read_records(struct reader *r, struct arena *arena, struct dns_msg *msg,
                        const uint16_t *counts)
{
    size_t total = (size_t)counts[0] + counts[1] + counts[2];
    if (total > DNS_RECORDS_MAX) {
        return -ERR_LIMIT;
    }
    msg->records = arena_array(arena, size_max(total, 1), sizeof(msg->records[0]));
    for (int section = 0; section < 3; section++) {
        for (uint16_t i = 0; i < counts[section]; i++) {
            struct dns_record record = {.section = (enum dns_section)section};
            int failed = read_record(r, arena, &record);
            if (failed != 0) {
                return failed;
            }
            if (record.type != DNS_OPT) {
                msg->records[msg->record_count++] = record;
            } else if (msg->udp_bytes != 0 || section != DNS_ADDITIONAL) {
                return -ERR_PROTO; /* RFC 6891 section 6.1.1: one, among the additional */
            } else {
                msg->udp_bytes = record.class > DNS_UDP_BYTES ? record.class : DNS_UDP_BYTES;
            }
        }
    }
    return 0;
}

int dns_msg_parse(struct dns_msg *out, struct span bytes, struct arena *arena)
{
    struct reader r = {.at = (const uint8_t *)bytes.at, .len = bytes.len};
    uint16_t counts[4];
    *out = (struct dns_msg){.record_count = 0};
    if (bytes.len > DNS_MESSAGE_BYTES) {
        return -ERR_LIMIT;
    }
    if (!read_head(&r, &out->head, counts) || counts[0] != 1) {
        return -ERR_PROTO;
    }
    int failed = read_name(&r, arena, &out->question.name);
    if (failed != 0 || !read_u16(&r, &out->question.type) || !read_u16(&r, &out->question.class)) {
        return -ERR_PROTO;
    }
    return read_records(&r, arena, out, counts + 1);
}

/* --- writing --- */

static void put_u16(struct dns_msg_writer *w, unsigned value)
{
    if (w->room - w->len < 2) {
        w->is_full = true;
        return;
    }
    w->at[w->len++] = (uint8_t)(value >> 8);
    w->at[w->len++] = (uint8_t)value;
}

static void put_bytes(struct dns_msg_writer *w, const void *bytes, size_t len)
{
    if (w->room - w->len < len) {
        w->is_full = true;
    } else if (len > 0) {
        memcpy(w->at + w->len, bytes, len);
        w->len += len;
    }
}

/* The name that stands at an offset of what was written is `name`. All of it is ours, so it is sound. */
static bool name_stands_at(const struct dns_msg_writer *w, size_t pos, struct span name)
{
    while (name.len > 0) {
        while (w->at[pos] >= POINTER) {
            pos = (size_t)(w->at[pos] & ~POINTER) << 8 | w->at[pos + 1];
        }
        struct span label = span_cut(&name, '.');
        if (!span_eq_nocase(span_from(w->at + pos + 1, w->at[pos]), label)) {
            return false;
        }
        pos += 1 + label.len;
    }
    while (w->at[pos] >= POINTER) {
        pos = (size_t)(w->at[pos] & ~POINTER) << 8 | w->at[pos + 1];
    }
    return w->at[pos] == 0;
}

static bool name_is_valid(struct span name)
{
    if (name.len > DNS_NAME_BYTES - 1) {
        return false;
    }
    for (struct span rest = name; name.len > 0 && rest.at != NULL;) {
        struct span label = span_cut(&rest, '.');
        if (label.len == 0 || label.len > LABEL_BYTES_MAX ||
            !label_is_text((const uint8_t *)label.at, label.len)) {
            return false;
        }
    }
    return true;
}

static void put_plain_name(struct dns_msg_writer *w, struct span name)
{
    while (name.len > 0) {
        struct span label = span_cut(&name, '.');
        put_bytes(w, (const uint8_t[]){(uint8_t)label.len}, 1);
        put_bytes(w, label.at, label.len);
    }
    put_bytes(w, "", 1);
}

/* Labels until the rest of the name stands somewhere already. Where they stand is noted only when the
 * whole name is there, so that a look-up never meets one in the making. */
static void put_name(struct dns_msg_writer *w, struct span name)
{
    uint16_t starts[DNS_NAME_BYTES / 2];
    size_t count = 0;
    size_t known = w->name_count;
    while (name.len > 0) {
        size_t i = 0;
        while (i < w->name_count && !name_stands_at(w, w->name_at[i], name)) {
            i++;
        }
        if (i < w->name_count) {
            known = i;
            break;
        }
        starts[count++] = (uint16_t)w->len;
        struct span label = span_cut(&name, '.');
        put_bytes(w, (const uint8_t[]){(uint8_t)label.len}, 1);
        put_bytes(w, label.at, label.len);
    }
    if (name.len > 0) {
        put_u16(w, (unsigned)POINTER << 8 | w->name_at[known]);
    } else {
        put_bytes(w, "", 1);
    }
    for (size_t i = 0; i < count && !w->is_full && w->name_count < ARRAY_LEN(w->name_at); i++) {
        if (starts[i] <= POINTER_END) {
            w->name_at[w->name_count++] = starts[i];
        }
    }
}

int dns_msg_start(struct dns_msg_writer *w, void *to, size_t room, const struct dns_head *head,
                  const struct dns_question *question)
{
    *w = (struct dns_msg_writer){.at = to, .room = size_min(room, DNS_MESSAGE_BYTES)};
    unsigned flags = (head->is_response ? 0x8000U : 0) | (unsigned)(head->opcode & 15) << 11 |
                     (head->is_authoritative ? 0x0400U : 0) | (head->is_truncated ? 0x0200U : 0) |
                     (head->wants_recursion ? 0x0100U : 0) |
                     (head->offers_recursion ? 0x0080U : 0) | (head->rcode & 15U);
    if (!name_is_valid(question->name)) {
        return -ERR_PROTO;
    }
    const unsigned words[] = {head->id, flags, 1, 0, 0, 0};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        put_u16(w, words[i]);
    }
    put_name(w, question->name);
    put_u16(w, question->type);
    put_u16(w, question->class);
    return w->is_full ? -ERR_LIMIT : 0;
}

static void put_data(struct dns_msg_writer *w, const struct dns_record *record)
{
    switch (record->type) {
    case DNS_A:
    case DNS_AAAA:
        put_bytes(w, record->ip.bytes, ip_len(&record->ip));
        break;
    case DNS_SRV: /* RFC 2782: the target is not compressed */
        put_u16(w, record->priority);
        put_u16(w, record->weight);
        put_u16(w, record->port);
        put_plain_name(w, record->target);
        break;
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR:
        put_name(w, record->target);
        break;
    default:
        put_bytes(w, record->raw.at, record->raw.len);
        break;
    }
}

int dns_msg_add(struct dns_msg_writer *w, const struct dns_record *record)
{
    bool is_address = record->type == DNS_A || record->type == DNS_AAAA;
    size_t address_bytes = record->type == DNS_A ? 4 : 16;
    if (!name_is_valid(record->name) || !name_is_valid(record->target) ||
        (is_address && ip_len(&record->ip) != address_bytes)) {
        return -ERR_PROTO;
    }
    if (w->is_full) {
        return 0;
    }
    struct dns_msg_writer before = *w;
    put_name(w, record->name);
    put_u16(w, record->type);
    put_u16(w, record->class ? record->class : CLASS_INTERNET);
    put_u16(w, record->ttl_s >> 16);
    put_u16(w, record->ttl_s);
    size_t len_at = w->len;
    put_u16(w, 0);
    put_data(w, record);
    if (w->is_full) {
        *w = before;
        w->is_full = true;
        return 0;
    }
    size_t data_len = w->len - len_at - 2;
    w->at[len_at] = (uint8_t)(data_len >> 8);
    w->at[len_at + 1] = (uint8_t)data_len;
    w->counts[record->section]++;
    return 0;
}

size_t dns_msg_finish(struct dns_msg_writer *w, uint16_t udp_bytes)
{
    bool was_full = w->is_full;
    size_t before = w->len;
    w->is_full = false;
    if (udp_bytes != 0) {
        const uint8_t opt[OPT_BYTES] = {
            [2] = DNS_OPT, [3] = (uint8_t)(udp_bytes >> 8), [4] = (uint8_t)udp_bytes};
        put_bytes(w, opt, sizeof(opt));
        w->counts[DNS_ADDITIONAL] = (uint16_t)(w->counts[DNS_ADDITIONAL] + (w->len > before));
    }
    if (was_full) {
        w->at[2] |= 0x02; /* TC */
    }
    for (size_t i = 0; i < ARRAY_LEN(w->counts); i++) {
        w->at[6 + 2 * i] = (uint8_t)(w->counts[i] >> 8);
        w->at[7 + 2 * i] = (uint8_t)w->counts[i];
    }
    return w->len;
}

/* --- reverse names --- */

static int reverse_v4(struct span name, struct ip *out)
{
    uint8_t bytes[4];
    for (size_t i = 4; i-- > 0;) {
        uint64_t value;
        struct span part = span_cut(&name, '.');
        if (part.len > 3 || !span_to_u64(part, &value) || value > 255) {
            return -ERR_PROTO;
        }
        bytes[i] = (uint8_t)value;
    }
    *out = ip_from_bytes(bytes, sizeof(bytes));
    return name.at == NULL ? 0 : -ERR_PROTO;
}

static int reverse_v6(struct span name, struct ip *out)
{
    uint8_t bytes[16] = {0};
    if (name.len != 63) {
        return -ERR_PROTO;
    }
    for (size_t i = 0; i < 32; i++) {
        struct span part = span_cut(&name, '.');
        int digit = part.len == 1 ? hex_digit(part.at[0]) : -1;
        if (digit < 0) {
            return -ERR_PROTO;
        }
        bytes[15 - i / 2] |= (uint8_t)(digit << (i % 2 * 4));
    }
    *out = ip_from_bytes(bytes, sizeof(bytes));
    return 0;
}

int dns_msg_reverse_ip(struct span name, struct ip *out)
{
    const struct span v4 = SPAN(".in-addr.arpa");
    const struct span v6 = SPAN(".ip6.arpa");
    if (span_ends_nocase(name, v4)) {
        return reverse_v4(span_first(name, name.len - v4.len), out);
    }
    if (span_ends_nocase(name, v6)) {
        return reverse_v6(span_first(name, name.len - v6.len), out);
    }
    return -ERR_PROTO;
}
