/* The tree as text: JSON, and YAML as kubectl prints it. Depth is that of the tree, which parsers bound and code
 * that builds keeps small. */
#include <math.h>

#include "codec/doc_int.h"

#define LONG_KEY_BYTES 128

/* Where text goes; once the buffer is full, further writes do nothing. */
struct sink {
    struct buf *out;
    int failed;
    bool pretty;
};

static void put(struct sink *to, struct span text)
{
    to->failed = to->failed ? to->failed : buf_append_span(to->out, text);
}

static void put_cstr(struct sink *to, const char *text)
{
    put(to, span_of(text));
}

static void put_blanks(struct sink *to, unsigned count)
{
    for (; count > 0; count--) {
        put(to, SPAN(" "));
    }
}

/* The character at the start of `s`, or U+FFFD with length 1. */
static uint32_t rune_at(struct span s, size_t *len)
{
    static const uint32_t lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *len = span_utf8_char(s);
    if (*len == 0) {
        *len = 1;
        return 0xfffd;
    }
    uint32_t rune = (unsigned char)s.at[0] & lead_bits[*len];
    for (size_t i = 1; i < *len; i++) {
        rune = rune << 6 | ((unsigned char)s.at[i] & 0x3f);
    }
    return rune;
}

/* What YAML does not take as it is, or takes for the end of a line (1.2 section 5.1, 1.1 section 4.1.4),
 * is escaped in JSON too, which allows it. */
static bool must_escape(uint32_t rune)
{
    return rune < 0x20 || (rune >= 0x7f && rune <= 0x9f) || rune == 0x2028 || rune == 0x2029 ||
           rune == 0xfeff || rune == 0xfffe || rune == 0xffff;
}

static void put_escape(struct sink *to, uint32_t rune)
{
    static const char named[] = "\b\t\n\f\r";
    static const char letters[] = "btnfr";
    const char *name = rune > 0 && rune < 0x20 ? strchr(named, (int)rune) : NULL;
    if (name != NULL) {
        put(to, span_from((const char[]){'\\', letters[name - named]}, 2));
    } else {
        to->failed = to->failed ? to->failed : buf_printf(to->out, "\\u%04x", rune);
    }
}

static void put_quoted(struct sink *to, struct span text)
{
    put(to, SPAN("\""));
    size_t done = 0;
    size_t len;
    for (size_t i = 0; i < text.len; i += len) {
        struct span rest = span_from_offset(text, i);
        uint32_t rune = rune_at(rest, &len);
        bool broken = rune == 0xfffd && len == 1;
        if (!broken && !must_escape(rune) && rune != '"' && rune != '\\') {
            continue;
        }
        put(to, span_from(text.at + done, i - done));
        done = i + len;
        if (broken) {
            put(to, SPAN("\xef\xbf\xbd"));
        } else if (rune == '"' || rune == '\\') {
            put(to, rune == '"' ? SPAN("\\\"") : SPAN("\\\\"));
        } else {
            put_escape(to, rune);
        }
    }
    put(to, span_from_offset(text, done));
    put(to, SPAN("\""));
}

/* null, true, numbers: alike in both forms. */
static void put_simple(struct sink *to, const struct doc_node *node)
{
    char number[32];
    if (node->kind == DOC_BOOL) {
        put_cstr(to, node->boolean ? "true" : "false");
    } else if (node->kind == DOC_INT) {
        to->failed =
            to->failed ? to->failed : buf_printf(to->out, "%lld", (long long)node->integer);
    } else if (node->kind == DOC_DOUBLE && isfinite(node->number)) {
        put_cstr(to, doc_format_double(node->number, number));
    } else {
        put_cstr(to, "null");
    }
}

/* --- JSON --- */

static void json_break(struct sink *to, unsigned depth)
{
    if (to->pretty) {
        put(to, SPAN("\n"));
        put_blanks(to, depth * 2);
    }
}

static void json_node(struct sink *to, const struct doc_node *node, unsigned depth)
{
    if (node->kind == DOC_TEXT) {
        put_quoted(to, node->text);
        return;
    }
    if (node->kind < DOC_LIST) {
        put_simple(to, node);
        return;
    }
    bool is_map = node->kind == DOC_MAP;
    put_cstr(to, is_map ? "{" : "[");
    for (uint32_t i = 0; i < node->count; i++) {
        put_cstr(to, i > 0 ? "," : "");
        json_break(to, depth + 1);
        if (is_map) {
            put_quoted(to, node->entries[i].key);
            put_cstr(to, to->pretty ? ": " : ":");
        }
        json_node(to, node->entries[i].value, depth + 1);
    }
    if (node->count > 0) {
        json_break(to, depth);
    }
    put_cstr(to, is_map ? "}" : "]");
}

int doc_write_json(const struct doc_node *node, bool pretty, struct buf *out)
{
    struct sink to = {.out = out, .pretty = pretty};
    json_node(&to, node, 0);
    put_cstr(&to, pretty ? "\n" : "");
    return to.failed;
}

int doc_write_json_text(struct span text, struct buf *out)
{
    struct sink to = {.out = out};
    put_quoted(&to, text);
    return to.failed;
}

/* --- YAML --- */

/* Other readers take 2026-11-23 for a date and 12:30 for a number in base 60. */
static bool looks_like_time(struct span text)
{
    bool has_separator = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if ((c < '0' || c > '9') && memchr("-:.+TtZz _", c, 10) == NULL) {
            return false;
        }
        has_separator |= c == ':' || c == '-';
    }
    return has_separator && text.at[0] >= '0' && text.at[0] <= '9';
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Text that can stand without quotes and is read back as the same text. */
static bool is_plain(struct span text)
{
    struct doc_node meaning;
    if (text.len == 0 || !(is_alnum(text.at[0]) || text.at[0] == '/' || text.at[0] == '_') ||
        text.at[text.len - 1] == ' ' || text.at[text.len - 1] == ':') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool colon = c == ':' && text.at[i + 1] != ' '; /* the last is none, see above */
        if (!is_alnum(c) && !colon && (c == '\0' || strchr("_./-+@=,;()<>$*~ ", c) == NULL)) {
            return false;
        }
    }
    bool is_text = doc_yaml_resolve(text, &meaning) == 0 && meaning.kind == DOC_TEXT;
    return is_text && !looks_like_time(text);
}

/* Text of several lines that a literal block shows as it is. */
static bool is_block(struct span text)
{
    size_t len;
    if (span_find_byte(text, '\n') <= 0 || text.at[0] == ' ' || text.at[0] == '\t') {
        return false;
    }
    for (size_t i = 0; i < text.len; i += len) {
        struct span rest = span_from_offset(text, i);
        uint32_t rune = rune_at(rest, &len);
        bool blank_end = rune == ' ' && (rest.len == 1 || rest.at[1] == '\n');
        if ((must_escape(rune) && rune != '\n' && rune != '\t') || rune == 0xfffd || blank_end) {
            return false;
        }
    }
    return true;
}

static void yaml_block(struct sink *to, struct span text, unsigned indent)
{
    bool ends = span_ends(text, SPAN("\n"));
    put_cstr(to, span_ends(text, SPAN("\n\n")) ? "|+\n" : ends ? "|\n" : "|-\n");
    text.len -= ends;
    for (struct span rest = text; rest.at != NULL;) {
        struct span line = span_cut(&rest, '\n');
        put_blanks(to, line.len > 0 ? indent : 0);
        put(to, line);
        put(to, SPAN("\n"));
    }
}

/* A scalar or an empty list or map, and the end of the line. */
static void yaml_leaf(struct sink *to, const struct doc_node *node, unsigned indent)
{
    if (node->kind == DOC_TEXT && indent > 0 && is_block(node->text)) {
        yaml_block(to, node->text, indent);
        return;
    }
    if (node->kind >= DOC_LIST) {
        put_cstr(to, node->kind == DOC_LIST ? "[]" : "{}");
    } else if (node->kind != DOC_TEXT) {
        put_simple(to, node);
    } else if (is_plain(node->text)) {
        put(to, node->text);
    } else {
        put_quoted(to, node->text);
    }
    put(to, SPAN("\n"));
}

/* A key; a long one in the explicit form, since a plain one must fit in 1024 characters. */
static void yaml_key(struct sink *to, struct span key, unsigned indent)
{
    bool is_long = key.len > LONG_KEY_BYTES;
    put_cstr(to, is_long ? "? " : "");
    if (is_plain(key)) {
        put(to, key);
    } else {
        put_quoted(to, key);
    }
    if (is_long) {
        put(to, SPAN("\n"));
        put_blanks(to, indent);
    }
}

static bool is_leaf(const struct doc_node *node)
{
    return doc_count(node) == 0;
}

/* Entries of a list or map at a column; the first may continue a line that stands there already. */
static void yaml_entries(struct sink *to, const struct doc_node *node, unsigned indent,
                         bool continues)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const struct doc_node *value = node->entries[i].value;
        put_blanks(to, i == 0 && continues ? 0 : indent);
        if (node->kind == DOC_LIST) {
            put(to, SPAN("- "));
            if (is_leaf(value)) {
                yaml_leaf(to, value, indent + 2);
            } else {
                yaml_entries(to, value, indent + 2, true);
            }
            continue;
        }
        yaml_key(to, node->entries[i].key, indent);
        put_cstr(to, is_leaf(value) ? ": " : ":\n");
        if (is_leaf(value)) {
            yaml_leaf(to, value, indent + 2);
        } else {
            yaml_entries(to, value, value->kind == DOC_LIST ? indent : indent + 2, false);
        }
    }
}

int doc_write_yaml(const struct doc_node *node, struct buf *out)
{
    struct sink to = {.out = out};
    if (is_leaf(node)) {
        yaml_leaf(&to, node, 0);
    } else {
        yaml_entries(&to, node, 0, false);
    }
    return to.failed;
}
