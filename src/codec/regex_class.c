/* Classes of characters as sorted ranges: what stands in brackets, and the named ones. */
#include "codec/regex_int.h"

bool regex_class_add(struct regex_class *c, uint32_t low, uint32_t high)
{
    if (c->count == REGEX_CLASS_MAX) {
        return false;
    }
    c->ranges[c->count++] = (struct regex_range){low, high};
    return true;
}

/* Adds the part of low..high that lies in from..to, moved by `shift`. */
static bool add_shifted(struct regex_class *c, struct regex_range r, uint32_t from, uint32_t to,
                        int shift)
{
    uint32_t low = r.low > from ? r.low : from;
    uint32_t high = r.high < to ? r.high : to;
    return low > high ||
           regex_class_add(c, (uint32_t)((int)low + shift), (uint32_t)((int)high + shift));
}

bool regex_class_fold(struct regex_class *c)
{
    size_t count = c->count;
    for (size_t i = 0; i < count; i++) {
        struct regex_range r = c->ranges[i];
        if (!add_shifted(c, r, 'A', 'Z', 'a' - 'A') || !add_shifted(c, r, 'a', 'z', 'A' - 'a')) {
            return false;
        }
    }
    return true;
}

void regex_class_tidy(struct regex_class *c)
{
    for (size_t i = 1; i < c->count; i++) {
        struct regex_range r = c->ranges[i];
        size_t k = i;
        for (; k > 0 && c->ranges[k - 1].low > r.low; k--) {
            c->ranges[k] = c->ranges[k - 1];
        }
        c->ranges[k] = r;
    }
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct regex_range r = c->ranges[i];
        if (kept > 0 && r.low <= c->ranges[kept - 1].high + 1) {
            if (r.high > c->ranges[kept - 1].high) {
                c->ranges[kept - 1].high = r.high;
            }
        } else {
            c->ranges[kept++] = r;
        }
    }
    c->count = kept;
}

bool regex_class_negate(struct regex_class *c)
{
    uint32_t from = 0;
    size_t count = c->count;
    struct regex_class out = {.count = 0};
    for (size_t i = 0; i < count; i++) {
        if (c->ranges[i].low > from && !regex_class_add(&out, from, c->ranges[i].low - 1)) {
            return false;
        }
        from = c->ranges[i].high + 1;
    }
    if (from <= REGEX_RUNE_MAX && !regex_class_add(&out, from, REGEX_RUNE_MAX)) {
        return false;
    }
    *c = out;
    return true;
}

/* Named classes, ASCII only as in RE2: pairs of low and high, ended by a pair of zeros after the first. */
static const struct {
    const char *name;
    const char *pairs;
} named_classes[] = {
    {"alnum", "09AZaz"},
    {"alpha", "AZaz"},
    {"ascii", "\x01\x7f"},
    {"blank", "\t\t  "},
    {"cntrl", "\x01\x1f\x7f\x7f"},
    {"digit", "09"},
    {"graph", "!~"},
    {"lower", "az"},
    {"print", " ~"},
    {"punct", "!/:@[`{~"},
    {"space", "\t\r  "},
    {"upper", "AZ"},
    {"word", "09AZaz__"},
    {"xdigit", "09AFaf"},
};

static const struct {
    char letter;
    const char *pairs;
} perl_classes[] = {{'d', "09"}, {'s', "\t\n\f\r  "}, {'w', "09AZaz__"}};

static bool add_pairs(struct regex_class *to, const char *pairs, bool with_nul, bool negate)
{
    struct regex_class c = {.count = 0};
    bool ok = true;
    for (; pairs[0] != '\0'; pairs += 2) {
        uint32_t low = (unsigned char)pairs[0];
        ok = ok && regex_class_add(&c, with_nul && low == 1 ? 0 : low, (unsigned char)pairs[1]);
    }
    regex_class_tidy(&c);
    ok = ok && (!negate || regex_class_negate(&c));
    for (size_t i = 0; i < c.count; i++) {
        ok = ok && regex_class_add(to, c.ranges[i].low, c.ranges[i].high);
    }
    return ok;
}

bool regex_class_add_perl(struct regex_class *c, char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(perl_classes); i++) {
        char small = perl_classes[i].letter;
        bool negate = letter == small - ('a' - 'A');
        if (letter == small || negate) {
            return add_pairs(c, perl_classes[i].pairs, false, negate);
        }
    }
    return false;
}

bool regex_class_add_named(struct regex_class *c, struct span name)
{
    bool negate = span_starts(name, SPAN("^"));
    name = span_from_offset(name, negate);
    for (size_t i = 0; i < ARRAY_LEN(named_classes); i++) {
        if (span_is(name, named_classes[i].name)) {
            return add_pairs(c, named_classes[i].pairs, true, negate);
        }
    }
    return false;
}
