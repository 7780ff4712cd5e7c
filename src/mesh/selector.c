/* Label selectors. */
#include "mesh/selector.h"

#define TERMS_MAX 64
#define VALUES_MAX 256

struct span selector_label(const struct label *labels, size_t count, struct span key)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(labels[i].key, key)) {
            return labels[i].value.at ? labels[i].value : SPAN("");
        }
    }
    return SPAN_EMPTY;
}

static bool term_holds(const struct selector_term *term, struct span value)
{
    bool is_in = false;
    for (size_t i = 0; value.at != NULL && i < term->value_count; i++) {
        is_in |= span_eq(term->values[i], value);
    }
    switch (term->op) {
    case SELECTOR_IN:
        return is_in;
    case SELECTOR_NOT_IN: /* holds for objects without the label too */
        return !is_in;
    case SELECTOR_EXISTS:
        return value.at != NULL;
    case SELECTOR_ABSENT:
        return value.at == NULL;
    }
    return false;
}

bool selector_matches(const struct selector *s, const struct label *labels, size_t count)
{
    for (size_t i = 0; i < s->term_count; i++) {
        if (!term_holds(&s->terms[i], selector_label(labels, count, s->terms[i].key))) {
            return false;
        }
    }
    return true;
}

/* --- text form --- */

/* Letters, digits and what label keys and values have besides; at the start of `*rest`, cut off. */
static struct span cut_word(struct span *rest)
{
    size_t len = 0;
    *rest = span_trim(*rest);
    while (len < rest->len) {
        char c = rest->at[len];
        bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                    c == '.' || c == '-' || c == '_' || c == '/';
        if (!word) {
            break;
        }
        len++;
    }
    struct span word = span_first(*rest, len);
    *rest = span_trim(span_from_offset(*rest, len));
    return word;
}

static bool skip(struct span *rest, const char *text)
{
    bool is = span_starts(*rest, span_of(text));
    *rest = is ? span_from_offset(*rest, strlen(text)) : *rest;
    return is;
}

static int bad(struct err *err, struct span text, const char *why)
{
    return err_set(err, -ERR_CONFIG, "selector '%.*s': %s", SPAN_ARG(text), why);
}

/* "(a, b)" after in or notin. */
static int parse_values(struct span text, struct span *rest, struct arena *arena,
                        struct selector_term *term, struct err *err)
{
    struct span *values = arena_array(arena, VALUES_MAX, sizeof(values[0]));
    term->values = values;
    if (!skip(rest, "(")) {
        return bad(err, text, "after 'in' and 'notin' comes '(value, ...)'");
    }
    do {
        if (term->value_count == VALUES_MAX) {
            return bad(err, text, "too many values");
        }
        struct span word = cut_word(rest);
        values[term->value_count++] = word.len > 0 ? word : SPAN("");
    } while (skip(rest, ","));
    return skip(rest, ")") ? 0 : bad(err, text, "missing ')'");
}

static int parse_value(struct span *rest, struct arena *arena, struct selector_term *term)
{
    struct span *value = arena_new(arena, struct span);
    struct span word = cut_word(rest);
    *value = word.len > 0 ? word : SPAN("");
    term->values = value;
    term->value_count = 1;
    return 0;
}

static int parse_term(struct span text, struct span *rest, struct arena *arena,
                      struct selector_term *term, struct err *err)
{
    *rest = span_trim(*rest);
    bool absent = skip(rest, "!");
    term->key = cut_word(rest);
    term->op = absent ? SELECTOR_ABSENT : SELECTOR_EXISTS;
    if (term->key.len == 0) {
        return bad(err, text, "a label's name is missing");
    }
    if (absent || rest->len == 0 || rest->at[0] == ',') {
        return 0;
    }
    bool differs = skip(rest, "!=");
    if (differs || skip(rest, "==") || skip(rest, "=")) {
        term->op = differs ? SELECTOR_NOT_IN : SELECTOR_IN;
        return parse_value(rest, arena, term);
    }
    struct span word = cut_word(rest);
    if (!span_is(word, "in") && !span_is(word, "notin")) {
        return bad(err, text,
                   "use key, !key, key=value, key!=value, key in (...), key notin (...)");
    }
    term->op = span_is(word, "in") ? SELECTOR_IN : SELECTOR_NOT_IN;
    return parse_values(text, rest, arena, term, err);
}

int selector_parse(struct span text, struct arena *arena, struct selector *out, struct err *err)
{
    struct selector_term *terms = arena_array(arena, TERMS_MAX, sizeof(terms[0]));
    *out = (struct selector){.terms = terms};
    struct span rest = span_trim(text);
    if (rest.len == 0) {
        return 0;
    }
    do {
        if (out->term_count == TERMS_MAX) {
            return bad(err, text, "too many terms");
        }
        int failed = parse_term(text, &rest, arena, &terms[out->term_count++], err);
        if (failed != 0) {
            return failed;
        }
        rest = span_trim(rest);
    } while (skip(&rest, ","));
    return rest.len == 0 ? 0 : bad(err, text, "terms are separated by ','");
}
