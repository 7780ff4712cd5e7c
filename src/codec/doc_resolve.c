/* What a plain YAML scalar means, as Kubernetes' reader takes it (sigs.k8s.io/yaml, over go-yaml 2): YAML
 * 1.1's words for booleans and null, Go's integer literals with underscores, decimal floats. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/doc_int.h"
#include "codec/hex.h"

#define NUMBER_BYTES_MAX 64 /* longer digits are text */

static const struct {
    const char *word;
    int8_t value; /* 1 true, 0 false, -1 null, -2 no JSON number */
} words[] = {
    {"y", 1},      {"Y", 1},      {"yes", 1},    {"Yes", 1},    {"YES", 1},    {"true", 1},
    {"True", 1},   {"TRUE", 1},   {"on", 1},     {"On", 1},     {"ON", 1},     {"n", 0},
    {"N", 0},      {"no", 0},     {"No", 0},     {"NO", 0},     {"false", 0},  {"False", 0},
    {"FALSE", 0},  {"off", 0},    {"Off", 0},    {"OFF", 0},    {"", -1},      {"~", -1},
    {"null", -1},  {"Null", -1},  {"NULL", -1},  {".nan", -2},  {".NaN", -2},  {".NAN", -2},
    {".inf", -2},  {".Inf", -2},  {".INF", -2},  {"+.inf", -2}, {"+.Inf", -2}, {"+.INF", -2},
    {"-.inf", -2}, {"-.Inf", -2}, {"-.INF", -2},
};

/* 0 when it is such a word; -ERR_CONFIG when it has no JSON form; 1 when it is none. */
static int resolve_word(struct span text, struct doc_node *node)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!span_is(text, words[i].word)) {
            continue;
        }
        if (words[i].value == -2) {
            return -ERR_CONFIG;
        }
        node->kind = words[i].value < 0 ? DOC_NULL : DOC_BOOL;
        node->boolean = words[i].value == 1;
        return 0;
    }
    return 1;
}

/* Digits of a base; false when there are none, or others, or too many. */
static bool parse_digits(struct span digits, unsigned base, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int digit = hex_digit(digits.at[i]);
        if (digit < 0 || (unsigned)digit >= base || __builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, (uint64_t)digit, value)) {
            return false;
        }
    }
    return digits.len > 0;
}

/* Sign, then 0x, 0o, 0b, 0 (octal) or decimal digits. */
static bool resolve_int(struct span text, struct doc_node *node)
{
    bool minus = text.at[0] == '-';
    unsigned base = 10;
    uint64_t value;
    text = span_from_offset(text, minus || text.at[0] == '+');
    if (text.len > 1 && text.at[0] == '0') {
        char letter = (char)(text.at[1] | 0x20);
        base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
        text = span_from_offset(text, letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1);
    }
    if (!parse_digits(text, base, &value)) {
        return false;
    }
    if (value > (uint64_t)INT64_MAX + minus) {
        node->kind = DOC_DOUBLE;
        node->number = minus ? -(double)value : (double)value;
        return true;
    }
    node->kind = DOC_INT;
    node->integer = minus ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static size_t count_digits(const char *at)
{
    size_t len = 0;
    while (at[len] >= '0' && at[len] <= '9') {
        len++;
    }
    return len;
}

/* [-+]? (.digits | digits (.digits?)?) ([eE][-+]?digits)? */
static bool is_float(const char *at)
{
    at += *at == '-' || *at == '+';
    size_t before = count_digits(at);
    at += before;
    size_t after = 0;
    if (*at == '.') {
        after = count_digits(at + 1);
        at += 1 + after;
    }
    if (before + after == 0) {
        return false;
    }
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t digits = count_digits(at);
        if (digits == 0) {
            return false;
        }
        at += digits;
    }
    return *at == '\0';
}

int doc_yaml_resolve(struct span text, struct doc_node *node)
{
    char plain[NUMBER_BYTES_MAX];
    size_t len = 0;
    int word = resolve_word(text, node);
    if (word <= 0) {
        return word;
    }
    node->kind = DOC_TEXT;
    node->text = text;
    char first = text.at[0];
    bool number = (first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.';
    if (!number || text.len >= sizeof(plain)) {
        return 0;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '_' || first == '.') {
            plain[len++] = text.at[i];
        }
    }
    plain[len] = '\0';
    if (resolve_int(span_from(plain, len), node) || !is_float(plain)) {
        return 0;
    }
    double value = strtod(plain, NULL);
    if (isfinite(value)) { /* beyond a double's range it is text */
        node->kind = DOC_DOUBLE;
        node->number = value;
    }
    return 0;
}

char *doc_format_double(double value, char *to)
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(to, 32, "%.*g", digits, value);
        if (strtod(to, NULL) == value) {
            break;
        }
    }
    return to;
}
