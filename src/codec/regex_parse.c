/* Pattern to tree. In: text in RE2's syntax. Out: nodes, with case folding and flags already applied to
 * the classes. Next: regex_compile.c. */
#include "codec/hex.h"
#include "codec/regex_int.h"

enum {
    FLAG_FOLD = 1u << 0,
    FLAG_LINES = 1u << 1,
    FLAG_DOT_ALL = 1u << 2,
    FLAG_SWAP_LAZY = 1u << 3
};

struct parser {
    struct span rest;
    struct span pattern;
    struct arena *arena;
    struct err *err;
    unsigned flags;
    unsigned depth;
    uint32_t groups;
    struct regex_node *sequence; /* what items are being added to */
};

static int bad(struct parser *p, const char *why)
{
    (void)err_set(p->err, -ERR_CONFIG, "regex '%.*s': %s", (int)size_min(p->pattern.len, 200),
                  p->pattern.at, why);
    return -ERR_CONFIG;
}

static bool next_is(const struct parser *p, char c)
{
    return p->rest.len > 0 && p->rest.at[0] == c;
}

static void skip(struct parser *p, size_t len)
{
    p->rest = span_from_offset(p->rest, len);
}

static bool skip_if(struct parser *p, char c)
{
    bool is = next_is(p, c);
    skip(p, is);
    return is;
}

static struct regex_node *node_new(struct parser *p, enum regex_kind kind)
{
    struct regex_node *node = arena_new(p->arena, struct regex_node);
    node->kind = kind;
    return node;
}

static void add_child(struct regex_node *parent, struct regex_node *child)
{
    child->prev = parent->last;
    parent->last = child;
}

/* Cuts one character off; false when it is not UTF-8. */
static bool cut_rune(struct parser *p, uint32_t *rune)
{
    static const uint32_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t len = span_utf8_char(p->rest);
    if (len == 0) {
        return false;
    }
    *rune = (unsigned char)p->rest.at[0] & lead_bits[len];
    for (size_t i = 1; i < len; i++) {
        *rune = *rune << 6 | ((unsigned char)p->rest.at[i] & 0x3f);
    }
    skip(p, len);
    return true;
}

/* classes */

static struct regex_node *class_node(struct parser *p, struct regex_class *c)
{
    regex_class_tidy(c);
    struct regex_node *node = node_new(p, REGEX_CLASS);
    struct regex_range *copy = arena_array(p->arena, c->count, sizeof(copy[0]));
    if (c->count > 0) {
        memcpy(copy, c->ranges, c->count * sizeof(copy[0]));
    }
    node->ranges = copy;
    node->range_count = c->count;
    return node;
}

static struct regex_node *rune_node(struct parser *p, uint32_t rune)
{
    struct regex_class c = {.count = 0};
    (void)regex_class_add(&c, rune, rune); /* there is room */
    if ((p->flags & FLAG_FOLD) != 0) {
        (void)regex_class_fold(&c); /* there is room */
    }
    return class_node(p, &c);
}

/* \d \S ... at the rest, if it is one. */
static bool cut_perl_class(struct parser *p, struct regex_class *to)
{
    bool taken =
        p->rest.len >= 2 && p->rest.at[0] == '\\' && regex_class_add_perl(to, p->rest.at[1]);
    skip(p, taken ? 2 : 0);
    return taken;
}

/* [:alpha:] or [:^alpha:] at the rest: 1 if taken, 0 if there is none. */
static int cut_named_class(struct parser *p, struct regex_class *to)
{
    ssize_t end = span_starts(p->rest, SPAN("[:")) ? span_find(p->rest, SPAN(":]")) : -1;
    if (end < 2) {
        return 0;
    }
    if (!regex_class_add_named(to, span_from(p->rest.at + 2, (size_t)end - 2))) {
        return bad(p, "unknown class between [: and :]");
    }
    skip(p, (size_t)end + 2);
    return 1;
}

/* escapes */

static int cut_hex_escape(struct parser *p, uint32_t *rune)
{
    uint64_t value;
    struct span digits = span_first(p->rest, 2);
    size_t used = 2;
    if (skip_if(p, '{')) {
        ssize_t close = span_find_byte(p->rest, '}');
        digits = close < 0 ? SPAN_EMPTY : span_first(p->rest, (size_t)close);
        used = digits.len + 1;
    } else if (digits.len < 2) {
        return bad(p, "\\x wants two digits, or digits in braces");
    }
    if (!hex_to_u64(digits, &value) || value > REGEX_RUNE_MAX) {
        return bad(p, "\\x wants two digits, or digits in braces");
    }
    skip(p, used);
    *rune = (uint32_t)value;
    return 0;
}

static bool is_octal(const struct parser *p)
{
    return p->rest.len > 0 && p->rest.at[0] >= '0' && p->rest.at[0] <= '7';
}

/* After the backslash: one character. */
static int cut_escape(struct parser *p, uint32_t *rune)
{
    static const char letters[] = "aftnrv";
    static const char values[] = "\a\f\t\n\r\v";
    if (p->rest.len == 0) {
        return bad(p, "trailing backslash");
    }
    char c = p->rest.at[0];
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    skip(p, 1);
    if (letter != NULL) {
        *rune = (unsigned char)values[letter - letters];
        return 0;
    }
    if (c == 'x') {
        return cut_hex_escape(p, rune);
    }
    if (c == '0' || (c >= '1' && c <= '7' && is_octal(p))) {
        *rune = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && is_octal(p); i++) {
            *rune = *rune * 8 + (uint32_t)(p->rest.at[0] - '0');
            skip(p, 1);
        }
        return 0;
    }
    bool letter_or_digit = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (!letter_or_digit && (unsigned char)c < 0x80) {
        *rune = (unsigned char)c;
        return 0;
    }
    if (c == 'p' || c == 'P') {
        return bad(p,
                   "Unicode classes (\\p) are not supported; list ranges, as [\\x{400}-\\x{4ff}]");
    }
    if (c >= '1' && c <= '9') {
        return bad(p, "back references are not supported");
    }
    return bad(p, "unknown escape");
}

static int cut_class_rune(struct parser *p, uint32_t *rune)
{
    if (skip_if(p, '\\')) {
        return cut_escape(p, rune);
    }
    return cut_rune(p, rune) ? 0 : bad(p, p->rest.len == 0 ? "missing ]" : "not UTF-8");
}

/* One item between the brackets: a named class, or a character, or a range of them. */
static int parse_class_item(struct parser *p, struct regex_class *c)
{
    int named = cut_named_class(p, c);
    if (named != 0) {
        return named < 0 ? named : 0;
    }
    if (cut_perl_class(p, c)) {
        return 0;
    }
    uint32_t low = 0;
    int failed = cut_class_rune(p, &low);
    uint32_t high = low;
    if (failed == 0 && next_is(p, '-') && p->rest.len > 1 && p->rest.at[1] != ']') {
        skip(p, 1);
        failed = cut_class_rune(p, &high);
        if (failed == 0 && high < low) {
            return bad(p, "range in [] runs backwards");
        }
    }
    if (failed != 0) {
        return failed;
    }
    return regex_class_add(c, low, high) ? 0 : bad(p, "class too large");
}

/* After the '['. */
static int parse_class(struct parser *p, struct regex_node **out)
{
    struct regex_class c = {.count = 0};
    bool negate = skip_if(p, '^');
    bool first = true;
    while (first || !next_is(p, ']')) {
        first = false;
        int failed = p->rest.len == 0 ? bad(p, "missing ]") : parse_class_item(p, &c);
        if (failed != 0) {
            return failed;
        }
    }
    skip(p, 1);
    bool ok = (p->flags & FLAG_FOLD) == 0 || regex_class_fold(&c);
    regex_class_tidy(&c);
    if (!ok || (negate && !regex_class_negate(&c))) {
        return bad(p, "class too large");
    }
    *out = class_node(p, &c);
    return 0;
}

/* atoms */

static struct regex_node *place_node(struct parser *p, enum regex_place place)
{
    struct regex_node *node = node_new(p, REGEX_ASSERT);
    node->place = place;
    return node;
}

static struct regex_node *dot_node(struct parser *p)
{
    struct regex_class c = {.count = 0};
    if ((p->flags & FLAG_DOT_ALL) == 0) {
        (void)regex_class_add(&c, '\n', '\n'); /* there is room */
    }
    (void)regex_class_negate(&c); /* there is room */
    return class_node(p, &c);
}

/* \Q...\E: each character stands for itself; to the end when \E is missing. A repetition behind it is of
 * the last one only, so the others go into the sequence here. */
static int parse_quoted(struct parser *p, struct regex_node **out)
{
    *out = node_new(p, REGEX_EMPTY);
    while (p->rest.len > 0) {
        uint32_t rune;
        if (span_starts(p->rest, SPAN("\\E"))) {
            skip(p, 2);
            return 0;
        }
        if (!cut_rune(p, &rune)) {
            return bad(p, "not UTF-8");
        }
        add_child(p->sequence, *out);
        *out = rune_node(p, rune);
    }
    return 0;
}

static int parse_escape(struct parser *p, struct regex_node **out)
{
    static const struct {
        char letter;
        enum regex_place place;
    } places[] = {{'A', REGEX_TEXT_BEGIN},
                  {'z', REGEX_TEXT_END},
                  {'b', REGEX_WORD_EDGE},
                  {'B', REGEX_NOT_WORD_EDGE}};
    struct regex_class c = {.count = 0};
    if (cut_perl_class(p, &c)) {
        *out = class_node(p, &c);
        return 0;
    }
    skip(p, 1);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (skip_if(p, places[i].letter)) {
            *out = place_node(p, places[i].place);
            return 0;
        }
    }
    if (skip_if(p, 'Q')) {
        return parse_quoted(p, out);
    }
    uint32_t rune;
    int failed = cut_escape(p, &rune);
    *out = failed == 0 ? rune_node(p, rune) : NULL;
    return failed;
}

static int parse_alternatives(struct parser *p, struct regex_node **out);

/* "(?" flags: letters with at most one '-', up to ')' or ':', which is left. */
static int parse_flags(struct parser *p)
{
    static const char letters[] = "imsU";
    bool on = true;
    for (; !next_is(p, ')') && !next_is(p, ':'); skip(p, 1)) {
        const char *letter =
            p->rest.len > 0 && p->rest.at[0] != '\0' ? strchr(letters, p->rest.at[0]) : NULL;
        if (letter == NULL && !(on && next_is(p, '-'))) {
            return bad(p, "unknown flag or group after (?; use i, m, s, U, :, <name> or P<name>");
        }
        if (letter == NULL) {
            on = false;
            continue;
        }
        unsigned flag = 1u << (letter - letters);
        p->flags = on ? p->flags | flag : p->flags & ~flag;
    }
    return 0;
}

/* "<name>" or "P<name>" at the rest. */
static int cut_group_name(struct parser *p)
{
    skip(p, next_is(p, 'P') ? 2 : 1);
    size_t len = 0;
    while (len < p->rest.len && p->rest.at[len] != '>') {
        char c = p->rest.at[len];
        bool word = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
        if (!word) {
            break;
        }
        len++;
    }
    if (len == 0 || len == p->rest.len || p->rest.at[len] != '>') {
        return bad(p, "group name is broken");
    }
    skip(p, len + 1);
    return 0;
}

/* After the '('. */
static int parse_group(struct parser *p, struct regex_node **out)
{
    unsigned outer_flags = p->flags;
    bool captures = true;
    int failed = 0;
    if (p->depth == REGEX_NEST_MAX) {
        return bad(p, "parentheses nest too deep");
    }
    if (skip_if(p, '?')) {
        if (span_starts(p->rest, SPAN("P<")) ||
            (next_is(p, '<') && p->rest.len > 1 && p->rest.at[1] != '=' && p->rest.at[1] != '!')) {
            failed = cut_group_name(p);
        } else {
            captures = false;
            failed = parse_flags(p);
            if (failed == 0 && skip_if(p, ')')) {
                *out = node_new(p, REGEX_EMPTY); /* (?i): the flags hold on in this group */
                return 0;
            }
            skip(p, failed == 0);
        }
    }
    if (failed != 0) {
        return failed;
    }
    uint32_t group = captures ? ++p->groups : 0;
    struct regex_node *inner = NULL;
    p->depth++;
    failed = parse_alternatives(p, &inner);
    p->depth--;
    if (failed == 0 && !skip_if(p, ')')) {
        failed = bad(p, "missing )");
    }
    p->flags = outer_flags;
    if (failed == 0 && captures) {
        *out = node_new(p, REGEX_GROUP);
        (*out)->group = group;
        add_child(*out, inner);
    } else {
        *out = inner;
    }
    return failed;
}

static int parse_atom(struct parser *p, struct regex_node **out)
{
    bool lines = (p->flags & FLAG_LINES) != 0;
    switch (p->rest.at[0]) {
    case '\\':
        return parse_escape(p, out);
    case '*':
    case '+':
    case '?':
        return bad(p, "nothing to repeat");
    case '(':
        skip(p, 1);
        return parse_group(p, out);
    case '[':
        skip(p, 1);
        return parse_class(p, out);
    case '.':
        skip(p, 1);
        *out = dot_node(p);
        return 0;
    case '^':
        skip(p, 1);
        *out = place_node(p, lines ? REGEX_LINE_BEGIN : REGEX_TEXT_BEGIN);
        return 0;
    case '$':
        skip(p, 1);
        *out = place_node(p, lines ? REGEX_LINE_END : REGEX_TEXT_END);
        return 0;
    default:
        break;
    }
    uint32_t rune;
    if (!cut_rune(p, &rune)) {
        return bad(p, "not UTF-8");
    }
    *out = rune_node(p, rune);
    return 0;
}

/* "{2}", "{2,}", "{2,5}" at the rest, cut off: 1; anything else is no repetition, as in RE2: 0. */
static int cut_counts(struct parser *p, uint32_t *min, uint32_t *max)
{
    ssize_t close = span_find_byte(p->rest, '}');
    if (close < 2) {
        return 0;
    }
    struct span body = span_from(p->rest.at + 1, (size_t)close - 1);
    struct span high = body;
    struct span low = span_cut(&high, ',');
    uint64_t from;
    uint64_t to = REGEX_FOREVER;
    if (!span_to_u64(low, &from) || (high.len > 0 && !span_to_u64(high, &to))) {
        return 0;
    }
    if (high.at == NULL) {
        to = from;
    }
    if (from > REGEX_REPEAT_MAX || (to > REGEX_REPEAT_MAX && high.len > 0) || from > to) {
        return bad(p, "repetition count must be 0 to 1000, and not run backwards");
    }
    skip(p, (size_t)close + 1);
    *min = (uint32_t)from;
    *max = (uint32_t)to;
    return 1;
}

/* A repetition operator at the rest, cut off: 1, or 0 if there is none. */
static int cut_repeat(struct parser *p, uint32_t *min, uint32_t *max)
{
    *min = 0;
    *max = REGEX_FOREVER;
    if (skip_if(p, '*')) {
        return 1;
    }
    if (skip_if(p, '+')) {
        *min = 1;
        return 1;
    }
    if (skip_if(p, '?')) {
        *max = 1;
        return 1;
    }
    return next_is(p, '{') ? cut_counts(p, min, max) : 0;
}

static int parse_repeat(struct parser *p, struct regex_node **out)
{
    uint32_t min;
    uint32_t max;
    int failed = parse_atom(p, out);
    if (failed != 0) {
        return failed;
    }
    int found = cut_repeat(p, &min, &max);
    if (found <= 0) {
        return found;
    }
    struct regex_node *repeat = node_new(p, REGEX_REPEAT);
    repeat->min = min;
    repeat->max = max;
    repeat->is_lazy = skip_if(p, '?') != ((p->flags & FLAG_SWAP_LAZY) != 0);
    add_child(repeat, *out);
    *out = repeat;
    found = cut_repeat(p, &min, &max);
    return found > 0 ? bad(p, "repetition of a repetition; put parentheses around it") : found;
}

static int parse_sequence(struct parser *p, struct regex_node **out)
{
    struct regex_node *outer = p->sequence;
    int failed = 0;
    *out = node_new(p, REGEX_CAT);
    p->sequence = *out;
    while (failed == 0 && p->rest.len > 0 && !next_is(p, '|') && !next_is(p, ')')) {
        struct regex_node *item = NULL;
        failed = parse_repeat(p, &item);
        if (failed == 0) {
            add_child(*out, item);
        }
    }
    p->sequence = outer;
    return failed;
}

static int parse_alternatives(struct parser *p, struct regex_node **out)
{
    *out = node_new(p, REGEX_ALT);
    do {
        struct regex_node *item = NULL;
        int failed = parse_sequence(p, &item);
        if (failed != 0) {
            return failed;
        }
        add_child(*out, item);
    } while (skip_if(p, '|'));
    return 0;
}

int regex_parse(struct span pattern, unsigned flags, struct arena *arena, struct regex_node **out,
                uint32_t *groups, struct err *err)
{
    struct parser p = {.rest = pattern, .pattern = pattern, .arena = arena, .err = err};
    p.flags = (flags & REGEX_NOCASE) != 0 ? FLAG_FOLD : 0;
    if (pattern.len > REGEX_PATTERN_BYTES_MAX) {
        return err_set(err, -ERR_CONFIG, "regex is longer than %d bytes", REGEX_PATTERN_BYTES_MAX);
    }
    int failed = parse_alternatives(&p, out);
    if (failed == 0 && p.rest.len > 0) {
        failed = bad(&p, "unexpected )");
    }
    *groups = p.groups;
    return failed;
}
