/* Small parts that several kinds share: names, matches, header operations, retry conditions. */
#include "control/world/lower.h"

struct span lower_fqdn(struct world_config *c, struct span host, struct span namespace)
{
    if (host.len == 0 || host.at[0] == '*') {
        return lower_case(c, host);
    }
    const struct world_service *s = world_resolve(c, host, namespace);
    if (s != NULL && s->host.at[0] != '*') {
        return s->host;
    }
    if (span_find_byte(host, '.') >= 0) {
        return lower_case(c, host);
    }
    return lower_case(c, span_of(arena_printf(&c->arena, "%.*s.%.*s.svc.%.*s", SPAN_ARG(host),
                                              SPAN_ARG(namespace), SPAN_ARG(c->mesh.domain))));
}

struct span lower_case(struct world_config *c, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] >= 'A' && text.at[i] <= 'Z') {
            struct span copy = arena_dup(&c->arena, text);
            char *at = (char *)(uintptr_t)copy.at;
            for (size_t k = i; k < copy.len; k++) {
                at[k] = (char)(at[k] >= 'A' && at[k] <= 'Z' ? at[k] | 0x20 : at[k]);
            }
            return copy;
        }
    }
    return text;
}

struct world_string_match lower_match(const struct spec_match *m)
{
    static const enum world_match_kind kinds[] = {
        [SPEC_MATCH_NONE] = WORLD_MATCH_PRESENT,
        [SPEC_MATCH_EXACT] = WORLD_MATCH_EXACT,
        [SPEC_MATCH_PREFIX] = WORLD_MATCH_PREFIX,
        [SPEC_MATCH_REGEX] = WORLD_MATCH_REGEX,
    };
    return (struct world_string_match){.kind = kinds[m->kind], .text = m->text};
}

const struct world_named_match *lower_named_matches(struct world_config *c,
                                                    const struct spec_named_matches *list,
                                                    bool are_headers)
{
    struct world_named_match *out = arena_array(&c->arena, list->count, sizeof(*out));
    for (size_t i = 0; i < list->count; i++) {
        const struct spec_named_match *m = &list->items[i];
        out[i].name = are_headers ? lower_case(c, m->name) : m->name;
        out[i].value = lower_match(&m->value);
    }
    return out;
}

static const struct world_header_op *lower_ops(struct world_config *c,
                                               const struct spec_header_ops *from, size_t *count)
{
    size_t most = from->set.count + from->add.count + from->remove.count;
    struct world_header_op *ops = arena_array(&c->arena, most, sizeof(*ops));
    *count = 0;
    for (size_t i = 0; i < from->remove.count; i++) {
        ops[(*count)++] = (struct world_header_op){.op = WORLD_HEADER_REMOVE,
                                                   .name = lower_case(c, from->remove.items[i])};
    }
    for (size_t i = 0; i < from->set.count; i++) {
        ops[(*count)++] = (struct world_header_op){.op = WORLD_HEADER_SET,
                                                   .name = lower_case(c, from->set.items[i].name),
                                                   .value = from->set.items[i].value};
    }
    for (size_t i = 0; i < from->add.count; i++) {
        ops[(*count)++] = (struct world_header_op){.op = WORLD_HEADER_ADD,
                                                   .name = lower_case(c, from->add.items[i].name),
                                                   .value = from->add.items[i].value};
    }
    return ops;
}

struct world_header_ops lower_header_ops(struct world_config *c,
                                         const struct spec_header_ops *request,
                                         const struct spec_header_ops *response)
{
    struct world_header_ops ops = {.request_count = 0};
    ops.request = lower_ops(c, request, &ops.request_count);
    ops.response = lower_ops(c, response, &ops.response_count);
    return ops;
}

void lower_retry_words(struct world_config *c, struct span words, struct world_retry *retry)
{
    static const struct span word_for_codes = SPAN_INIT("retriable-status-codes");
    char *on = arena_bytes(&c->arena, words.len + word_for_codes.len + 2);
    size_t len = 0, most = 1;
    for (size_t i = 0; i < words.len; i++) {
        most += words.at[i] == ',';
    }
    uint16_t *codes = arena_array(&c->arena, most, sizeof(*codes));
    bool has_word = false;
    retry->code_count = 0;
    for (struct span rest = words; rest.at != NULL;) {
        struct span word = span_trim(span_cut(&rest, ','));
        uint64_t number;
        if (span_to_u64(word, &number) && number < 1000) {
            codes[retry->code_count++] = (uint16_t)number;
        } else if (word.len > 0) {
            has_word |= span_eq(word, word_for_codes);
            if (len > 0) {
                on[len++] = ',';
            }
            memcpy(on + len, word.at, word.len);
            len += word.len;
        }
    }
    if (retry->code_count > 0 && !has_word) {
        if (len > 0) {
            on[len++] = ',';
        }
        memcpy(on + len, word_for_codes.at, word_for_codes.len);
        len += word_for_codes.len;
    }
    retry->codes = codes;
    retry->on = span_from(on, len);
}
