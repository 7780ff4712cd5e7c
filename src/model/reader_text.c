/* What texts may be: names, hosts, addresses, headers, paths, lengths of time. */
#include "codec/ip.h"
#include "codec/regex.h"
#include "model/reader.h"

#define LABEL_BYTES_MAX 63
#define DNS_BYTES_MAX 253
#define DURATION_MS_MAX (1000000LL * 3600 * 1000)

/* --- predicates --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool is_lower_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

bool reader_text_is_label(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool inner = i > 0 && i + 1 < text.len && text.at[i] == '-';
        if (!is_lower_alnum(text.at[i]) && !inner) {
            return false;
        }
    }
    return text.len > 0 && text.len <= LABEL_BYTES_MAX;
}

/* Labels with dots between; `upper` lets capitals pass, which DNS takes for small ones. */
static bool is_dns_name(struct span text, bool upper, size_t label_max)
{
    struct span rest = text;
    while (rest.at != NULL) {
        struct span part = span_cut(&rest, '.');
        for (size_t i = 0; i < part.len; i++) {
            bool inner = i > 0 && i + 1 < part.len && part.at[i] == '-';
            bool letter = upper ? is_alnum(part.at[i]) : is_lower_alnum(part.at[i]);
            if (!letter && !inner) {
                return false;
            }
        }
        if (part.len == 0 || part.len > label_max) {
            return false;
        }
    }
    return text.len > 0 && text.len <= DNS_BYTES_MAX;
}

bool reader_text_is_subdomain(struct span text)
{
    return is_dns_name(text, false, DNS_BYTES_MAX);
}

bool reader_text_is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool mark = text.at[i] != '\0' && strchr("!#$%&'*+-.^_`|~", text.at[i]) != NULL;
        if (!is_alnum(text.at[i]) && !mark) {
            return false;
        }
    }
    return text.len > 0;
}

/* The last part of a label's key, and its value: alphanumeric at both ends. */
static const char *label_text_fault(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (!is_alnum(c) && c != '-' && c != '_' && c != '.') {
            return "it has a character that labels can not have";
        }
    }
    if (text.len > LABEL_BYTES_MAX) {
        return "it is longer than 63 characters";
    }
    bool ends = text.len == 0 || (is_alnum(text.at[0]) && is_alnum(text.at[text.len - 1]));
    return ends ? NULL : "it must begin and end with a letter or digit";
}

const char *reader_text_label_key_fault(struct span key)
{
    ssize_t slash = span_find_byte(key, '/');
    struct span name = slash < 0 ? key : span_from_offset(key, (size_t)slash + 1);
    if (slash >= 0 && !reader_text_is_subdomain(span_first(key, (size_t)slash))) {
        return "what stands before '/' is not a DNS name";
    }
    return name.len == 0 ? "its name is empty" : label_text_fault(name);
}

const char *reader_text_label_value_fault(struct span value)
{
    return label_text_fault(value);
}

/* --- lengths of time --- */

static const struct unit {
    const char *name;
    int64_t ns;
    bool is_short; /* Gateway API has it */
} units[] = {
    {"ms", 1000000LL, true},
    {"h", 3600LL * 1000000000, true},
    {"m", 60LL * 1000000000, true},
    {"s", 1000000000LL, true},
    {"us", 1000LL, false},
    {"\xc2\xb5s", 1000LL, false}, /* the micro sign, and the Greek letter */
    {"\xce\xbcs", 1000LL, false},
    {"ns", 1LL, false},
};

static const struct unit *cut_unit(struct span *rest)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct span name = span_of(units[i].name);
        /* "m" is not the start of "ms": that one was tried before. */
        if (span_starts(*rest, name)) {
            *rest = span_from_offset(*rest, name.len);
            return &units[i];
        }
    }
    return NULL;
}

/* A number like "12.5" off the start: whole part and millionths. */
struct decimal {
    int64_t whole, millionths;
    bool finer; /* there is more behind the sixth digit */
};

static bool cut_decimal(struct span *rest, struct decimal *d)
{
    int64_t scale = 100000;
    size_t i = 0, digits = 0;
    *d = (struct decimal){.whole = 0};
    for (; i < rest->len && is_digit(rest->at[i]); i++, digits++) {
        if (d->whole > INT64_MAX / 10 - 1) {
            return false;
        }
        d->whole = d->whole * 10 + (rest->at[i] - '0');
    }
    if (i < rest->len && rest->at[i] == '.') {
        for (i++; i < rest->len && is_digit(rest->at[i]); i++, digits++, scale /= 10) {
            d->millionths += (rest->at[i] - '0') * scale;
            d->finer |= scale == 0 && rest->at[i] != '0';
        }
    }
    *rest = span_from_offset(*rest, i);
    return digits > 0;
}

int64_t reader_text_duration(struct span text)
{
    int64_t total_ns = 0;
    bool finer = false;
    bool negative = span_starts(text, SPAN("-"));
    struct span rest = negative || span_starts(text, SPAN("+")) ? span_from_offset(text, 1) : text;
    if (span_is(rest, "0")) {
        return 0;
    }
    do {
        struct decimal d;
        int64_t ns;
        const struct unit *unit = cut_decimal(&rest, &d) ? cut_unit(&rest) : NULL;
        if (unit == NULL) {
            return -1;
        }
        int64_t part = d.millionths * unit->ns;
        finer |= d.finer || part % 1000000 != 0;
        if (__builtin_mul_overflow(d.whole, unit->ns, &ns) ||
            __builtin_add_overflow(total_ns, ns, &total_ns) ||
            __builtin_add_overflow(total_ns, part / 1000000, &total_ns) ||
            total_ns / 1000000 > DURATION_MS_MAX) {
            return -2;
        }
    } while (rest.len > 0);
    bool bad = (negative && total_ns > 0) || finer || total_ns % 1000000 != 0;
    return bad ? -2 : total_ns / 1000000;
}

/* ^([0-9]{1,5}(h|m|s|ms)){1,4}$ */
int64_t reader_text_short_duration(struct span text)
{
    int64_t total = 0;
    struct span rest = text;
    for (size_t parts = 0; parts == 0 || rest.len > 0; parts++) {
        int64_t value = 0;
        size_t digits = 0;
        for (; digits < rest.len && is_digit(rest.at[digits]); digits++) {
            value = digits < 5 ? value * 10 + (rest.at[digits] - '0') : value;
        }
        rest = span_from_offset(rest, digits);
        const struct unit *unit = digits >= 1 && digits <= 5 ? cut_unit(&rest) : NULL;
        if (unit == NULL || !unit->is_short || parts == 4) {
            return -1;
        }
        total += value * (unit->ns / 1000000);
    }
    return total;
}

/* --- checks: each says what is wrong --- */

static bool refuse(struct reader *r, const struct doc_node *node, unsigned code, const char *what,
                   const char *why, const char *fix)
{
    struct finding *found = reader_say(r, code, node, NULL, "'%s' is %s, which is not %s",
                                       reader_here(r), reader_show(r, node), what);
    found->why = span_of(why);
    found->fix = span_of(fix);
    return false;
}

bool reader_text_not_empty(struct reader *r, const struct doc_node *node, struct span text)
{
    if (text.len > 0) {
        return true;
    }
    struct finding *found = reader_say(r, 2032, node, NULL, "'%s' is empty", reader_here(r));
    found->why = SPAN("it must be at least one character");
    found->fix = SPAN("write a text");
    return false;
}

bool reader_text_label(struct reader *r, const struct doc_node *node, struct span text)
{
    return reader_text_is_label(text) ||
           refuse(r, node, 2021, "a name",
                  "names are at most 63 lower case letters, digits and '-' (RFC 1123)",
                  "write a name like 'reviews-v1'");
}

bool reader_text_subdomain(struct reader *r, const struct doc_node *node, struct span text)
{
    return reader_text_is_subdomain(text) ||
           refuse(r, node, 2021, "a name",
                  "names are lower case letters, digits, '-' and '.' (RFC 1123)",
                  "write a name like 'reviews-v1'");
}

/* An address where a name is wanted: four groups of digits. */
static bool is_ip(struct span text)
{
    struct ip ip;
    return ip_parse(text, &ip) == 0;
}

bool reader_text_precise_hostname(struct reader *r, const struct doc_node *node, struct span text)
{
    return (reader_text_is_subdomain(text) && !is_ip(text)) ||
           refuse(r, node, 2019, "a host name",
                  "host names are labels of lower case letters, digits and '-', with dots between",
                  "write a name like 'shop.example.com'");
}

bool reader_text_hostname(struct reader *r, const struct doc_node *node, struct span text)
{
    struct span name = span_starts(text, SPAN("*.")) ? span_from_offset(text, 2) : text;
    return (reader_text_is_subdomain(name) && !is_ip(name)) ||
           refuse(
               r, node, 2019, "a host name",
               "host names are labels of lower case letters, digits and '-', the first may be '*'",
               "write a name like 'shop.example.com' or '*.example.com'");
}

bool reader_text_host(struct reader *r, const struct doc_node *node, struct span text)
{
    struct span name = text;
    if (span_is(text, "*")) {
        return true;
    }
    if (span_starts(text, SPAN("*."))) {
        name = span_from_offset(text, 2);
    } else if (span_starts(text, SPAN("*-"))) { /* Istio takes "*-x" too */
        name = span_from_offset(text, 2);
    }
    if (span_ends(name, SPAN(".")) && name.len > 1) { /* absolute names */
        name = span_first(name, name.len - 1);
    }
    return is_ip(text) || is_dns_name(name, true, LABEL_BYTES_MAX) ||
           refuse(
               r, node, 2019, "a host", "a host is a DNS name, '*', or a name with '*.' in front",
               "write a name like 'reviews', 'reviews.shop.svc.cluster.local' or '*.example.com'");
}

bool reader_text_ip(struct reader *r, const struct doc_node *node, struct span text)
{
    return is_ip(text) || refuse(r, node, 2020, "an IP address",
                                 "it is neither IPv4 (four numbers up to 255) nor IPv6",
                                 "write an address like 10.0.0.1 or fd00::1");
}

bool reader_text_cidr(struct reader *r, const struct doc_node *node, struct span text)
{
    struct cidr cidr;
    return cidr_parse(text, &cidr) == 0 ||
           refuse(r, node, 2020, "an IP address or range",
                  "a range is an address, '/', and at most 32 bits for IPv4, 128 for IPv6",
                  "write an address like 10.0.0.1 or a range like 10.0.0.0/8");
}

bool reader_text_header_name(struct reader *r, const struct doc_node *node, struct span text)
{
    return (reader_text_is_token(text) && text.len <= 256) ||
           refuse(r, node, 2028, "the name of a header",
                  "names are at most 256 letters, digits and !#$%&'*+-.^_`|~",
                  "write a name like 'x-user'");
}

bool reader_text_header_value(struct reader *r, const struct doc_node *node, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return refuse(r, node, 2028, "the value of a header",
                          "it has a control character, such as the end of a line",
                          "write it on one line");
        }
    }
    return text.len <= 16384 || refuse(r, node, 2028, "the value of a header",
                                       "it is longer than 16384 characters", "write a shorter one");
}

bool reader_text_regex(struct reader *r, const struct doc_node *node, struct span text)
{
    const struct regex *re;
    struct arena arena;
    struct err err = {.code = 0};
    arena_init(&arena, 16384);
    bool good = regex_compile(&re, text, 0, &arena, &err) == 0;
    arena_dispose(&arena);
    if (!good) {
        struct finding *found =
            reader_say(r, 2027, node, NULL, "'%s' is %s, which is not a regular expression",
                       reader_here(r), reader_show(r, node));
        found->why = finding_text(r->findings, "%s", err.text);
        found->fix = SPAN("write it in RE2 syntax; it must match all of the text");
    }
    return good;
}

bool reader_text_path(struct reader *r, const struct doc_node *node, struct span text)
{
    bool good = text.len > 0 && text.at[0] == '/';
    for (size_t i = 0; good && i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        good = c > ' ' && c != 0x7f && c != '?' && c != '#';
    }
    return good ||
           refuse(r, node, 2029, "a path", "paths begin with '/', and have no blank, '?' or '#'",
                  "write a path like '/reviews'");
}

bool reader_text_file(struct reader *r, const struct doc_node *node, struct span text)
{
    return (text.len > 1 && text.at[0] == '/') ||
           refuse(r, node, 2029, "the path of a file", "the proxy reads it from an absolute path",
                  "write a path like '/etc/certs/tls.crt'");
}

bool reader_text_method(struct reader *r, const struct doc_node *node, struct span text)
{
    return reader_text_is_token(text) ||
           refuse(r, node, 2015, "an HTTP method", "a method is one word, in capitals",
                  "write a method like 'GET'");
}

bool reader_text_export(struct reader *r, const struct doc_node *node, struct span text)
{
    return span_is(text, "*") || span_is(text, ".") || span_is(text, "~") ||
           reader_text_is_label(text) ||
           refuse(r, node, 2021, "a namespace",
                  "allowed: '*' (all), '.' (this one), '~' (none), or a namespace",
                  "write '*', '.' or the name of a namespace");
}

bool reader_text_port_number(struct reader *r, const struct doc_node *node, struct span text)
{
    uint64_t value;
    return (span_to_u64(text, &value) && value >= 1 && value <= UINT16_MAX) ||
           refuse(r, node, 2018, "a port", "ports are 1 to 65535", "write a port like \"8080\"");
}
