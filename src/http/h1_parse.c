/* HTTP/1 messages from bytes to values.
 * In: bytes of a connection (h1_conn). Out: struct head, framing. Next: http_conn events. */
#include "http/h1_parse.h"

#include "base/err.h"

#define CHUNK_DIGITS_MAX 15 /* 2^60: no sum of two overflows */

static int bad_set(struct h1_bad *bad, unsigned status, const char *why)
{
    bad->status = status;
    bad->why = why;
    return status == 431 || status == 414 ? -ERR_LIMIT : -ERR_PROTO;
}

/* RFC 9110 section 5.6.2: each byte of a token in lower case, 0 for what is none. */
static const char token_lower[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['-'] = '-', ['.'] = '.', ['^'] = '^', ['_'] = '_', ['`'] = '`',   ['|'] = '|',
    ['~'] = '~', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3', ['4'] = '4',   ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b',   ['C'] = 'c',
    ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',   ['J'] = 'j',
    ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',   ['Q'] = 'q',
    ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',   ['X'] = 'x',
    ['Y'] = 'y', ['Z'] = 'z', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd',   ['e'] = 'e',
    ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k',   ['l'] = 'l',
    ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r',   ['s'] = 's',
    ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y',   ['z'] = 'z',
};

static bool is_tchar(unsigned char c)
{
    return token_lower[c] != 0;
}

/* RFC 9112 section 2.3: "HTTP/1.1" exactly; 505 for another major version. */
static int check_version(struct span v, struct h1_bad *bad)
{
    if (v.len != 8 || memcmp(v.at, "HTTP/", 5) != 0 || v.at[6] != '.' || v.at[5] < '0' ||
        v.at[5] > '9') {
        return bad_set(bad, 400, "no HTTP version in the first line");
    }
    if (v.at[5] != '1' || (v.at[7] != '1' && v.at[7] != '0')) {
        return bad_set(bad, 505, "HTTP version is not 1.0 or 1.1");
    }
    return 0;
}

/* The first line as soon as it is there: HTTP/0.9 and foreign protocols need not wait for an empty line. */
static int check_first_line(enum h1_block kind, struct span line, uint32_t uri_bytes,
                            struct h1_bad *bad)
{
    if (kind == H1_RESPONSE) {
        return check_version(span_first(line, 8), bad);
    }
    struct span rest = line; /* RFC 9112 section 3: three parts, one space each */
    (void)span_cut(&rest, ' ');
    struct span target = rest.at ? span_cut(&rest, ' ') : SPAN_EMPTY;
    if (target.len == 0 || !rest.at) {
        return bad_set(bad, 400, "the first line is not a request line");
    }
    if (target.len > uri_bytes) {
        return bad_set(bad, 414, "the target is too long");
    }
    if (span_find_byte(rest, '/') <
        0) { /* not even a protocol: an answer in HTTP would not be understood */
        return bad_set(bad, 0, "the first line names no protocol");
    }
    return check_version(rest, bad);
}

ssize_t h1_parse_head_end(struct h1_scan *scan, enum h1_block kind, struct span bytes,
                          const struct http_limits *limits, struct h1_bad *bad)
{
    if (kind == H1_REQUEST && scan->at == 0 && bytes.len > 0 &&
        !is_tchar((unsigned char)bytes.at[0])) {
        return bad_set(bad, 400, "the first byte can not begin a method");
    }
    bool has_first = kind != H1_TRAILERS;
    uint32_t most_bytes = has_first ? limits->head_bytes : limits->trailer_bytes;
    uint32_t most_fields = has_first ? limits->fields : limits->trailer_fields;
    while (scan->at < bytes.len) {
        const char *lf = memchr(bytes.at + scan->at, '\n', bytes.len - scan->at);
        if (!lf) {
            scan->at = bytes.len;
            break;
        }
        size_t end = (size_t)(lf - bytes.at);
        if (end == scan->line || bytes.at[end - 1] != '\r') {
            return bad_set(bad, 400, "a line ends without CR");
        }
        struct span line = {bytes.at + scan->line, end - 1 - scan->line};
        scan->at = end + 1;
        scan->line = end + 1;
        if (end + 1 > most_bytes) {
            break;
        }
        if (line.len == 0) {
            return (ssize_t)(end + 1);
        }
        if (scan->lines == 0 && has_first &&
            check_first_line(kind, line, limits->uri_bytes, bad) != 0) {
            return -ERR_PROTO;
        }
        if (++scan->lines > (size_t)most_fields + (has_first ? 1 : 0)) {
            return bad_set(bad, 431, "too many header fields");
        }
    }
    if (scan->at > most_bytes || bytes.len > most_bytes) {
        bool in_first = kind == H1_REQUEST && scan->lines == 0;
        return bad_set(bad, in_first ? 414 : 431,
                       in_first ? "the request line is too long" : "the head is too long");
    }
    return 0;
}

/* ---- lines ---- */

struct reader {
    struct head *head;
    char *at;        /* what is not read yet; writable, names become lower case in place */
    const char *end; /* of the block */
    struct span target;
    struct span host;
    struct span upgrade;
    struct span length;
    struct span coding;
    struct span nominated[8]; /* values of Connection */
    unsigned nominated_count;
    unsigned host_count;
    unsigned length_count;
    unsigned coding_count;
    bool te_trailers;
};

static void lower_in_place(struct span name)
{
    char *to = (char *)(uintptr_t)name.at;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)to[i];
        to[i] = (char)(c | ((unsigned)(c - 'A') < 26u ? 0x20 : 0));
    }
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

#define EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* The first control byte other than a tab (RFC 9110 section 5.5), or `end`. Eight bytes at a time while there is none: the
 * highest bit of each says whether it is below 0x20 or is 0x7f; a borrow may err, but only above a true one. */
static char *find_control(char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t del = word ^ EACH_BYTE(0x7f);
        uint64_t hit = ((word - EACH_BYTE(0x20)) & ~word) | ((del - EACH_BYTE(1)) & ~del);
        hit &= EACH_BYTE(0x80);
        if (hit == 0) {
            at += 8;
            continue;
        }
        at += __builtin_ctzll(hit) / 8;
        if (*at != '\t') {
            return at;
        }
        at++;
    }
    while (at < end && !is_control(*at)) {
        at++;
    }
    return at;
}

/* The rest of the line in hand, which it must end with CRLF; the reader goes behind. */
static int take_line(struct reader *r, struct span *line)
{
    char *end = find_control(r->at, r->end);
    if (r->end - end < 2 || end[0] != '\r' || end[1] != '\n') {
        return -ERR_PROTO;
    }
    *line = span_from(r->at, (size_t)(end - r->at));
    r->at = end + 2;
    return 0;
}

static bool has_token(struct span list, const char *token)
{
    while (list.at) {
        if (span_eq_nocase(span_trim(span_cut(&list, ',')), span_of(token))) {
            return true;
        }
    }
    return false;
}

/* Sorts one field: what concerns the connection is kept aside, the rest goes into the head. */
static int take_field(struct reader *r, struct span name, struct span value)
{
    enum head_known id = head_known_of(name);
    switch (id) { /* the other identities are ordinary here */
    case HEAD_HOST:
        r->host = value;
        r->host_count++;
        return 0;
    case HEAD_CONTENT_LENGTH:
        r->length = value;
        r->length_count++;
        return 0;
    case HEAD_TRANSFER_ENCODING:
        r->coding = value;
        r->coding_count++;
        return 0;
    case HEAD_CONNECTION:
        if (r->nominated_count == ARRAY_LEN(r->nominated)) {
            return -ERR_LIMIT;
        }
        r->nominated[r->nominated_count++] = value;
        return 0;
    case HEAD_UPGRADE:
        r->upgrade = r->upgrade.at ? SPAN("") : value; /* two such fields: none */
        return 0;
    case HEAD_TE:
        r->te_trailers = r->te_trailers || has_token(value, "trailers");
        return 0;
    case HEAD_KEEP_ALIVE:
    case HEAD_PROXY_CONNECTION:
    case HEAD_HTTP2_SETTINGS:
        return 0;
    default:
        break;
    }
    return head_add_as(r->head, id, name, value);
}

/* RFC 9112 section 5: field-name ":" OWS field-value OWS CRLF, up to the empty line; nothing is folded, and no white space
 * stands before the colon. */
static int read_fields(struct reader *r, struct h1_bad *bad)
{
    for (;;) {
        char *name = r->at;
        char lower;
        while (r->at < r->end && (lower = token_lower[(unsigned char)*r->at]) != 0) {
            *r->at++ = lower;
        }
        struct span name_span = span_from(name, (size_t)(r->at - name));
        if (name_span.len == 0 && r->end - r->at == 2 && memcmp(r->at, "\r\n", 2) == 0) {
            return 0;
        }
        struct span value;
        bool colon = name_span.len > 0 && r->at < r->end && *r->at == ':';
        r->at += colon;
        if (!colon || take_line(r, &value) != 0) {
            return bad_set(bad, 400, "invalid byte in a header field");
        }
        if (take_field(r, name_span, span_trim(value)) != 0) {
            return bad_set(bad, 431, "too many header fields");
        }
    }
}

/* ---- what the fields mean ---- */

static size_t after_comma(struct span list)
{
    return (size_t)(span_rfind_byte(list, ',') + 1);
}

/* RFC 9112 section 6: one unambiguous length, or none. */
static int read_framing(struct reader *r, struct h1_framing *f, struct h1_bad *bad)
{
    if (r->coding_count > 0) {
        if (r->length_count > 0) {
            return bad_set(bad, 400, "content-length beside transfer-encoding");
        }
        if (r->head->http_minor == 0) {
            return bad_set(bad, 400, "transfer-encoding in HTTP/1.0");
        }
        if (r->coding_count > 1 || !span_eq_nocase(r->coding, SPAN("chunked"))) {
            struct span last_coding =
                span_trim(span_from_offset(r->coding, after_comma(r->coding)));
            bool last = r->coding_count == 1 && span_eq_nocase(last_coding, SPAN("chunked"));
            return bad_set(bad, last ? 501 : 400, "transfer coding other than chunked");
        }
        f->body = H1_BODY_CHUNKED;
        return 0;
    }
    if (r->length_count == 0) {
        return 0;
    }
    uint64_t length;
    if (r->length_count > 1) {
        return bad_set(bad, 400, "content-length twice");
    }
    if (!span_to_u64(r->length, &length) || length > INT64_MAX) {
        return bad_set(bad, 400, "malformed content-length");
    }
    r->head->content_length = (int64_t)length;
    f->length = (int64_t)length;
    f->body = length > 0 ? H1_BODY_LENGTH : H1_BODY_NONE;
    return 0;
}

/* RFC 9110 section 7.6.1: options of the connection, and removal of the fields that they nominate. Whether
 * `upgrade` is among them. */
static bool read_connection(struct reader *r, struct h1_framing *f)
{
    bool close = false;
    bool keep = false;
    bool upgrade = false;
    for (unsigned i = 0; i < r->nominated_count; i++) {
        struct span rest = r->nominated[i];
        while (rest.at) {
            struct span token = span_trim(span_cut(&rest, ','));
            lower_in_place(token);
            if (span_is(token, "close")) {
                close = true;
            } else if (span_is(token, "keep-alive")) {
                keep = true;
            } else if (span_is(token, "upgrade")) {
                upgrade = true;
            } else if (token.len > 0) {
                head_remove(r->head, token);
            }
        }
    }
    f->keep_alive = !close && (r->head->http_minor == 1 || keep);
    return upgrade;
}

/* RFC 9110 section 7.8. Never to another version of HTTP: "h2c" and the like are as if not there. */
static bool is_upgrade(struct span token)
{
    for (size_t i = 0; i < token.len; i++) {
        if (!is_tchar((unsigned char)token.at[i])) {
            return false; /* a list, or protocol/version: HTTP/2.0 */
        }
    }
    return token.len > 0 && !span_starts_nocase(token, SPAN("h2")) &&
           !span_eq_nocase(token, SPAN("http"));
}

/* Scheme and authority of the absolute form; 0 when it is not of that form. */
static size_t absolute_prefix(struct span target)
{
    if (span_starts_nocase(target, SPAN("http://"))) {
        return 7;
    }
    return span_starts_nocase(target, SPAN("https://")) ? 8 : 0;
}

/* RFC 9112 section 3.2. */
static int read_target(struct reader *r, struct h1_bad *bad)
{
    struct head *h = r->head;
    struct span target = r->target;
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.at[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return bad_set(bad, 400, "invalid byte in the request target");
        }
    }
    if (h->method_id == METHOD_CONNECT) { /* 3.2.3: host and port, both */
        if (!head_authority_is_valid(target) || span_ends(target, SPAN(":")) ||
            span_rfind_byte(target, ':') <= span_rfind_byte(target, ']')) {
            return bad_set(bad, 400, "the target of CONNECT is not host:port");
        }
        h->authority = target;
        return 0;
    }
    if (target.len > 0 && target.at[0] == '/') {
        h->path = target;
        return 0;
    }
    if (span_is(target, "*") && h->method_id == METHOD_OPTIONS) { /* 3.2.4 */
        h->path = target;
        return 0;
    }
    size_t prefix = absolute_prefix(target);
    if (prefix == 0) {
        return bad_set(bad, 400, "the request target has no valid form");
    }
    struct span rest = span_from_offset(target, prefix); /* 3.2.2: it wins over Host */
    size_t n = 0;
    while (n < rest.len && rest.at[n] != '/' && rest.at[n] != '?') {
        n++;
    }
    h->authority = span_first(rest, n);
    h->path = span_from_offset(rest, n);
    if (!head_authority_is_valid(h->authority)) {
        return bad_set(bad, 400, "invalid authority in the request target");
    }
    if (h->path.len == 0) {
        h->path = h->method_id == METHOD_OPTIONS ? SPAN("*") : SPAN("/");
    } else if (h->path.at[0] == '?') {
        h->path = span_of(arena_printf(h->arena, "/%.*s", SPAN_ARG(h->path)));
    }
    return 0;
}

/* RFC 9112 section 3.2: exactly one Host in HTTP/1.1, and a valid one. */
static int read_host(struct reader *r, struct h1_bad *bad)
{
    struct head *h = r->head;
    if (r->host_count > 1) {
        return bad_set(bad, 400, "host twice");
    }
    if (r->host_count == 0) {
        return h->http_minor == 0 ? 0 : bad_set(bad, 400, "no host");
    }
    if (!head_authority_is_valid(r->host)) {
        return bad_set(bad, 400, "invalid host");
    }
    if (h->authority.len == 0) {
        h->authority = r->host;
    }
    return 0;
}

static int add_te(struct reader *r, struct h1_bad *bad)
{
    if (r->te_trailers && head_add_known(r->head, HEAD_TE, SPAN("trailers")) != 0) {
        return bad_set(bad, 431, "too many header fields");
    }
    return 0;
}

int h1_parse_request(struct head *h, char *block, size_t len, struct h1_framing *f,
                     struct h1_bad *bad)
{
    *f = (struct h1_framing){.body = H1_BODY_NONE};
    size_t n = 0;
    while (n < len && is_tchar((unsigned char)block[n])) {
        n++;
    }
    if (n == 0 || n == len || block[n] != ' ') {
        return bad_set(bad, 400, "malformed method");
    }
    h->method = span_from(block, n); /* any token is one (RFC 9110 section 9.1) */
    h->method_id = head_method_of(h->method);
    struct reader r = {.head = h, .at = block + n + 1, .end = block + len};
    struct span rest;
    if (take_line(&r, &rest) != 0) {
        return bad_set(bad, 400, "invalid byte in the request target");
    }
    r.target = span_cut(&rest, ' ');
    int code = check_version(rest, bad);
    if (code != 0 || (code = read_fields(&r, bad)) != 0) {
        return code;
    }
    h->http_minor = (uint8_t)(rest.at[7] - '0');
    if ((code = read_target(&r, bad)) != 0 || (code = read_host(&r, bad)) != 0 ||
        (code = read_framing(&r, f, bad)) != 0) {
        return code;
    }
    bool upgrade = read_connection(&r, f);
    if (h->method_id == METHOD_CONNECT) {
        if (r.coding_count > 0 || h->content_length > 0) { /* RFC 9110 section 9.3.6: no meaning */
            return bad_set(bad, 400, "CONNECT with a body");
        }
        h->content_length = HEAD_LENGTH_UNKNOWN;
        f->body = H1_BODY_OPAQUE;
    } else if (upgrade && f->body == H1_BODY_NONE && h->http_minor == 1 && is_upgrade(r.upgrade)) {
        h->upgrade = r.upgrade;
        f->body = H1_BODY_OPAQUE;
    }
    return add_te(&r, bad);
}

/* RFC 9112 section 6.3: which answers have a body, and how it ends. */
static int response_body(struct reader *r, enum head_method asked, bool upgrade,
                         struct h1_framing *f, struct h1_bad *bad)
{
    struct head *h = r->head;
    if (h->status == 101) {
        if (!upgrade) {
            return bad_set(bad, 502, "101 for a request without upgrade");
        }
        h->upgrade = r->upgrade;
        h->content_length = HEAD_LENGTH_UNKNOWN;
        f->body = H1_BODY_OPAQUE;
        return r->coding_count > 0 ? bad_set(bad, 502, "transfer-encoding in 101") : 0;
    }
    if (h->status < 200 || h->status == 204) {
        if (r->coding_count > 0) {
            return bad_set(bad, 502, "transfer-encoding in an answer without body");
        }
        h->content_length = HEAD_LENGTH_UNKNOWN; /* RFC 9110 section 8.6: must not be there */
        f->body = H1_BODY_NONE;
    } else if (asked == METHOD_CONNECT && h->status < 300) {
        h->content_length = HEAD_LENGTH_UNKNOWN;
        f->body = H1_BODY_OPAQUE;
    } else if (asked == METHOD_HEAD || h->status == 304) {
        f->body = H1_BODY_NONE;
    } else if (r->coding_count == 0 && r->length_count == 0) {
        f->body = H1_BODY_UNTIL_CLOSE;
        f->keep_alive = false;
    }
    return 0;
}

/* RFC 9112 section 4: version, three digits, and a reason that may be missing together with its blank. */
static int read_status(struct head *h, struct span line, struct h1_bad *bad)
{
    int code = check_version(span_first(line, 8), bad);
    if (code != 0) {
        return code;
    }
    uint64_t status;
    if (line.len < 12 || line.at[8] != ' ' || !span_to_u64(span_from(line.at + 9, 3), &status) ||
        (line.len > 12 && line.at[12] != ' ')) {
        return bad_set(bad, 400, "malformed status");
    }
    if (status < 100) {
        return bad_set(bad, 502, "status below 100");
    }
    h->http_minor = (uint8_t)(line.at[7] - '0');
    h->status = (unsigned)status;
    h->reason = line.len > 13 ? span_from_offset(line, 13) : SPAN_EMPTY;
    return 0;
}

int h1_parse_response(struct head *h, char *block, size_t len, enum head_method asked, bool upgrade,
                      struct h1_framing *f, struct h1_bad *bad)
{
    *f = (struct h1_framing){.body = H1_BODY_NONE};
    struct reader r = {.head = h, .at = block, .end = block + len};
    struct span line;
    if (take_line(&r, &line) != 0) {
        return bad_set(bad, 400, "malformed status");
    }
    int code = read_status(h, line, bad);
    if (code != 0 || (code = read_fields(&r, bad)) != 0 || (code = read_framing(&r, f, bad)) != 0) {
        return code;
    }
    (void)read_connection(&r,
                          f); /* what Upgrade offers on other answers is for this connection only */
    return response_body(&r, asked, upgrade, f, bad);
}

int h1_parse_trailers(struct head *h, char *block, size_t len, struct h1_bad *bad)
{
    struct reader r = {.head = h, .at = block, .end = block + len};
    int code = read_fields(&r, bad);
    if (code != 0) {
        return code;
    }
    /* RFC 9110 section 6.5.1: framing has no meaning here; what would be refused in a head hides something. */
    struct h1_framing unused;
    h->http_minor = 1;
    if ((code = read_framing(&r, &unused, bad)) != 0) {
        return code;
    }
    h->content_length = HEAD_LENGTH_UNKNOWN;
    (void)read_connection(&r, &unused);
    static const enum head_known forbidden[] = {
        HEAD_AUTHORIZATION, HEAD_CONTENT_TYPE, HEAD_EXPECT, HEAD_TRAILER,
        HEAD_COOKIE,        HEAD_RETRY_AFTER,  HEAD_DATE,
    };
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        head_remove_known(h, forbidden[i]);
    }
    static const char *const others[] = {
        "cache-control",
        "max-forwards",
        "range",
        "content-encoding",
        "content-range",
        "set-cookie",
        "www-authenticate",
        "proxy-authenticate",
        "proxy-authorization",
        "age",
        "expires",
        "location",
        "vary",
        "warning",
        "pragma",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        head_remove(h, span_of(others[i]));
    }
    return 0;
}

/* ---- chunks ---- */

/*  SIZE -> (EXT) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ... ; size 0 ends at SIZE_LF */
enum { CHUNK_SIZE, CHUNK_EXT, CHUNK_SIZE_LF, CHUNK_DATA, CHUNK_DATA_CR, CHUNK_DATA_LF };

static int hex_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int low = c | 0x20;
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static enum h1_chunks_what chunks_bad(struct h1_bad *bad, const char *why)
{
    (void)bad_set(bad, 400, why);
    return H1_CHUNKS_BAD;
}

/* One byte of what surrounds the data; NULL, or why it can not be there. */
static const char *chunk_byte(struct h1_chunks *c, char byte)
{
    int digit;
    switch (c->state) {
    case CHUNK_SIZE:
        digit = hex_of(byte);
        if (digit >= 0) {
            c->left = c->left << 4 | (unsigned)digit;
            return ++c->digits > CHUNK_DIGITS_MAX ? "a chunk size is too long" : NULL;
        }
        if (c->digits == 0 || (byte != '\r' && byte != ';')) {
            return "malformed chunk size";
        }
        c->state = byte == ';' ? CHUNK_EXT : CHUNK_SIZE_LF;
        return NULL;
    case CHUNK_EXT:
        if (byte == '\r') {
            c->state = CHUNK_SIZE_LF;
        } else if (((unsigned char)byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return "invalid byte in a chunk extension";
        }
        return ++c->ext_bytes > LIMIT_DEFAULT_chunk_ext_bytes ? "chunk extensions are too long"
                                                              : NULL;
    case CHUNK_SIZE_LF:
        c->state = CHUNK_DATA;
        c->digits = 0;
        return byte == '\n' ? NULL : "a chunk size line ends without LF";
    case CHUNK_DATA_CR:
        c->state = CHUNK_DATA_LF;
        return byte == '\r' ? NULL : "a chunk is longer than its size";
    default: /* CHUNK_DATA_LF */
        c->state = CHUNK_SIZE;
        return byte == '\n' ? NULL : "a chunk ends without LF";
    }
}

enum h1_chunks_what h1_parse_chunks(struct h1_chunks *c, struct span *in, struct span *piece,
                                    struct h1_bad *bad)
{
    while (in->len > 0) {
        if (c->state == CHUNK_DATA) {
            size_t n = (size_t)(c->left < in->len ? c->left : in->len);
            *piece = span_first(*in, n);
            *in = span_from_offset(*in, n);
            c->left -= n;
            if (c->left == 0) {
                c->state = CHUNK_DATA_CR;
            }
            return H1_CHUNKS_DATA;
        }
        const char *why = chunk_byte(c, in->at[0]);
        if (why) {
            return chunks_bad(bad, why);
        }
        *in = span_from_offset(*in, 1);
        if (c->state == CHUNK_DATA && c->left == 0) {
            c->state = CHUNK_SIZE;
            return H1_CHUNKS_LAST;
        }
    }
    return H1_CHUNKS_MORE;
}
