/* codec/pb: decoding, encoding, limits, with tables written by hand (pb_test.h). */
#include "codec/pb.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "pb_test.h"

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 4096);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_dispose(&arena);
    return 0;
}

static struct span bytes_of(const char *hex)
{
    char *to = arena_bytes(&arena, strlen(hex));
    size_t len = 0;
    for (const char *at = hex; *at; at++) {
        if (*at != ' ') {
            char pair[3] = {at[0], at[1], '\0'};
            to[len++] = (char)strtol(pair, NULL, 16);
            at++;
        }
    }
    return span_from(to, len);
}

/* Decodes and encodes; the answer must be `want`. */
static void check_again(const char *hex, const char *want)
{
    struct err err;
    void *msg = pb_decode(&everything_desc, &arena, bytes_of(hex), &err);
    if (!msg) {
        fail_msg("%s: %s", hex, err.text);
    }
    struct span again = pb_encode_in(&everything_desc, msg, &arena);
    struct span wanted = bytes_of(want);
    assert_int_equal(again.len, wanted.len);
    assert_memory_equal(again.at, wanted.at, wanted.len);
}

/* The wire form of each kind as the encoding guide and protoc give it. */
static void test_kinds(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "09 000000000000f03f",                /* double 1 */
        "09 0000000000000080",                /* -0.0 is a value */
        "15 0000803f",                        /* float 1 */
        "18 ffffffffffffffffff01",            /* int64 -1 */
        "20 ffffffffffffffffff01",            /* uint64 max */
        "28 feffffffffffffffff01",            /* int32 -2 */
        "31 0807060504030201",                /* fixed64 */
        "3d 04030201",                        /* fixed32 */
        "40 01",                              /* bool */
        "4a 03 c3a97a",                       /* string */
        "5a 00",                              /* empty message */
        "5a 04 0801 1200",                    /* message in message */
        "62 02 ff00",                         /* bytes need not be text */
        "68 ffffffff0f",                      /* uint32 max */
        "70 ffffffffffffffffff01",            /* enum -1 */
        "70 07",                              /* enum value nobody knows */
        "7d ffffffff",                        /* sfixed32 -1 */
        "8101 ffffffffffffffff",              /* sfixed64 -1 */
        "8801 03",                            /* sint32 -2 */
        "8801 ffffffff0f",                    /* sint32 min */
        "9001 ffffffffffffffffff01",          /* sint64 min */
        "9801 00",                            /* optional zero is kept */
        "a201 00",                            /* oneof: empty text is kept */
        "aa01 00",                            /* oneof: empty message */
        "b001 00",                            /* oneof: zero */
        "f201 0c 01 ffffffffffffffffff01 05", /* packed */
        "fa01 00 fa01 01 61",                 /* texts, one empty */
        "8202 00 8202 02 0801",               /* messages */
        "8a02 08 0000000000000000",           /* packed doubles */
        "c202 05 0a01 61 1200",               /* map of messages */
        "ca02 04 0801 1200",                  /* map with defaults written out */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        check_again(cases[i], cases[i]);
    }
}

/* What is legal but not how we write it. */
static void test_canonical(void **state)
{
    (void)state;
    check_again("f001 01 f001 02", "f201 02 0102");                 /* unpacked */
    check_again("f201 01 01 f001 02 f201 01 03", "f201 03 010203"); /* mixed */
    check_again("40 01 20 00 40 00", "");                           /* last wins; zero is absent */
    check_again("40 05", "40 01");                                  /* any true */
    check_again("40 8100", "40 01");                                /* longer than needed */
    check_again("68 ffffffffff01", "68 ffffffff0f");                /* 64 bits cut to 32 */
    check_again("4a 01 61 09 000000000000f03f", "09 000000000000f03f 4a 01 61"); /* order */
    check_again("5a 02 0801 5a 02 1200", "5a 04 0801 1200");             /* messages merge */
    check_again("a201 01 61 b001 01", "b001 01");                        /* oneof: the last */
    check_again("aa01 02 0801 aa01 02 1200", "aa01 04 0801 1200");       /* oneof: merge */
    check_again("aa01 02 0801 a201 01 61 aa01 02 1200", "aa01 02 1200"); /* but not over another */
    check_again("c202 03 0a01 62 c202 03 0a01 61",
                "c202 05 0a01 61 1200 c202 05 0a01 62 1200"); /* map by key */
    check_again("c202 07 0a01 61 12020801 c202 07 0a01 61 12020802",
                "c202 07 0a01 61 12020802"); /* one entry a key: the last */
    check_again("ca02 02 0801 ca02 0b 08 ffffffffffffffffff01",
                "ca02 0d 08 ffffffffffffffffff01 1200 ca02 04 0801 1200"); /* signed order */
    check_again("ca02 00", "ca02 04 0800 1200");                           /* empty entry */
    check_again("f201 00", "");                                            /* empty packed */
}

static void test_unknown(void **state)
{
    (void)state;
    check_again("a006 01 40 01 aa06 03 616263 a106 0102030405060708 a506 01020304",
                "40 01 a006 01 aa06 03 616263 a106 0102030405060708 a506 01020304");
    check_again("5a 09 a006 01 0801 aa06 0161", "5a 09 0801 a006 01 aa06 0161"); /* inside */
    /* of both parts that merge */
    check_again("5a 03 a006 01 5a 03 a006 02", "5a 06 a006 01 a006 02");

    struct err err;
    struct span wire = bytes_of("a006 01 a006 02 40 01 a006 03");
    struct everything *e = pb_decode(&everything_desc, &arena, wire, &err);
    assert_non_null(e);
    assert_int_equal(e->unknown->raw.len, 3);        /* newest first */
    assert_int_equal(e->unknown->older->raw.len, 6); /* neighbours are one */
    assert_null(e->unknown->older->older);
}

static void test_values(void **state)
{
    (void)state;
    struct err err;
    struct span wire = bytes_of("09 000000000000f83f 18 feffffffffffffffff01 4a 02 6869 5a 02 0807 "
                                "70 01 9801 00 aa01 02 0809 f201 02 0102 fa01 01 78 8801 03 "
                                "c202 07 0a01 6b 12020805");
    struct everything *e = pb_decode(&everything_desc, &arena, wire, &err);
    assert_non_null(e);
    assert_true(e->f_double == 1.5);
    assert_int_equal(e->f_int64, -2);
    assert_true(span_is(e->f_string, "hi"));
    assert_ptr_equal(e->f_string.at, wire.at + 22); /* not copied */
    assert_int_equal(e->f_message->a, 7);
    assert_int_equal(e->f_enum, 1);
    assert_true(e->has_maybe);
    assert_int_equal(e->maybe, 0);
    assert_int_equal(e->choice_case, 21);
    assert_int_equal(e->inner->a, 9);
    assert_int_equal(e->ints.count, 2);
    assert_int_equal(e->ints.at[1], 2);
    assert_true(span_is(e->texts.at[0], "x"));
    assert_int_equal(e->f_sint32, -2);
    assert_true(span_is(e->by_name.at[0]->key, "k"));
    assert_int_equal(e->by_name.at[0]->value->a, 5);
}

struct bad {
    const char *hex;
    int code;
    const char *text;
};

static void test_refused(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"40", -ERR_PROTO, "test.Everything.f_bool: truncated number at byte 1"},
        {"80", -ERR_PROTO, "test.Everything: truncated number at byte 1"},
        {"4080", -ERR_PROTO, "test.Everything.f_bool: truncated number at byte 2"},
        {"18 ffffffffffffffffff02", -ERR_PROTO,
         "test.Everything.f_int64: number of more than 64 bits at byte 11"},
        {"18 ffffffffffffffffffff01", -ERR_PROTO,
         "test.Everything.f_int64: number of more than 64 bits at byte 11"},
        {"00 01", -ERR_PROTO, "test.Everything: field number out of range at byte 1"},
        {"808080801001", -ERR_PROTO, "test.Everything: field number out of range at byte 5"},
        {"4801", -ERR_PROTO, "test.Everything.f_string: wrong wire type at byte 1"},
        {"4201", -ERR_PROTO, "test.Everything.f_bool: wrong wire type at byte 1"},
        {"43", -ERR_PROTO, "test.Everything.f_bool: wrong wire type at byte 1"},
        {"a306 a406", -ERR_PROTO, "test.Everything: group or unknown wire type at byte 2"},
        {"a606", -ERR_PROTO, "test.Everything: group or unknown wire type at byte 2"},
        {"4a 05 6161", -ERR_PROTO, "test.Everything.f_string: length beyond the end at byte 2"},
        {"4a ffffffffffffffffff01", -ERR_PROTO,
         "test.Everything.f_string: length beyond the end at byte 11"},
        {"4a 01 ff", -ERR_PROTO, "test.Everything.f_string: text that is not UTF-8 at byte 3"},
        {"fa01 01 ff", -ERR_PROTO, "test.Everything.texts: text that is not UTF-8 at byte 4"},
        {"09 00", -ERR_PROTO, "test.Everything.f_double: truncated number at byte 1"},
        {"5a 04 12 03 0801", -ERR_PROTO,
         "test.Everything.f_message.inner: length beyond the end at byte 4"},
        {"5a 02 08 80", -ERR_PROTO, "test.Everything.f_message.a: truncated number at byte 4"},
        {"f201 02 01 80", -ERR_PROTO, "test.Everything.ints: truncated number at byte 5"},
        {"8a02 07 00000000000000", -ERR_PROTO,
         "test.Everything.doubles: truncated number at byte 3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        err_clear(&err);
        assert_null(pb_decode(&everything_desc, &arena, bytes_of(cases[i].hex), &err));
        assert_string_equal(err.text, cases[i].text);
        assert_int_equal(err.code, cases[i].code);
        assert_null(pb_decode(&everything_desc, &arena, bytes_of(cases[i].hex), NULL));
    }
}

/* `depth` messages inside one another, the outermost counted. */
static struct span nested(int depth)
{
    char *to = arena_bytes(&arena, 4096);
    char *at = to + 4096;
    for (int i = 1; i < depth; i++) {
        size_t len = (size_t)(to + 4096 - at);
        if (len >= 128) {
            *--at = (char)(len >> 7);
            *--at = (char)(uint8_t)(len | 0x80);
        } else {
            *--at = (char)len;
        }
        *--at = 0x12;
    }
    return span_from(at, (size_t)(to + 4096 - at));
}

static void test_depth(void **state)
{
    (void)state;
    struct err err;
    struct span wire = nested(PB_DEPTH_MAX);
    struct inner *inner = pb_decode(&inner_desc, &arena, wire, &err);
    assert_non_null(inner);
    assert_int_equal(pb_size(&inner_desc, inner), (ssize_t)wire.len);
    assert_true(span_eq(pb_encode_in(&inner_desc, inner, &arena), wire));
    assert_null(pb_decode(&inner_desc, &arena, nested(PB_DEPTH_MAX + 1), &err));
    assert_int_equal(err.code, -ERR_LIMIT);
    assert_non_null(strstr(err.text, "PB_DEPTH_MAX"));

    struct inner above = {.inner = inner};
    assert_int_equal(pb_size(&inner_desc, &above), -ERR_LIMIT);
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(pb_encode(&inner_desc, &above, &out), -ERR_LIMIT);
    assert_null(pb_encode_in(&inner_desc, &above, &arena).at);
    buf_dispose(&out);
}

static void test_limits(void **state)
{
    (void)state;
    struct err err;
    size_t len = 2 * ((size_t)PB_ELEMENTS_MAX + 1);
    char *many = malloc(len + 10);
    assert_non_null(many);
    /* messages of two bytes each take more memory than is allowed */
    for (size_t i = 0; i < 300000; i++) {
        memcpy(many + 3 * i, "\x82\x02\x00", 3);
    }
    struct arena own;
    arena_init(&own, 65536);
    assert_non_null(pb_decode(&everything_desc, &own, span_from(many, 900000), &err));
    arena_dispose(&own);
    arena_init(&own, 65536);
    /* one byte a packed member */
    char head[] = "\xf2\x01\xc1\x84\x3d"; /* 1,000,001 */
    memcpy(many, head, 5);
    memset(many + 5, 1, PB_ELEMENTS_MAX + 1);
    assert_null(pb_decode(&everything_desc, &own, span_from(many, PB_ELEMENTS_MAX + 6), &err));
    assert_int_equal(err.code, -ERR_LIMIT);
    assert_non_null(strstr(err.text, "PB_ELEMENTS_MAX"));
    arena_dispose(&own);
    free(many);

    static char byte;
    struct span huge = {&byte, PB_WIRE_BYTES_MAX + 1};
    assert_null(pb_decode(&everything_desc, &arena, huge, &err));
    assert_non_null(strstr(err.text, "PB_WIRE_BYTES_MAX"));

    struct everything e = {.f_bool = true, .f_uint32 = 300};
    struct buf out;
    buf_init(&out, 4);
    assert_int_equal(pb_encode(&everything_desc, &e, &out), -ERR_LIMIT);
    assert_int_equal(buf_len(&out), 0);
    buf_dispose(&out);
    buf_init(&out, 5);
    assert_int_equal(pb_encode(&everything_desc, &e, &out), 0);
    assert_int_equal(buf_len(&out), 5);
    buf_dispose(&out);
}

static void test_memory_limit(void **state)
{
    (void)state;
    static struct pb_desc fat_desc;
    fat_desc = inner_desc;
    static struct pb_desc holder_desc;
    static struct pb_field holder_field;
    holder_field = everything_fields[ARRAY_LEN(everything_fields) - 4]; /* inners */
    fat_desc.bytes = 2000;
    holder_field.type.message = &fat_desc;
    holder_desc = (struct pb_desc){"test.Holder", &holder_field, 1, sizeof(struct everything), 0};
    char many[30000];
    for (size_t i = 0; i < sizeof many; i += 3) {
        memcpy(many + i, "\x82\x02\x00", 3);
    }
    struct err err;
    assert_null(pb_decode(&holder_desc, &arena, span_from(many, sizeof many), &err));
    assert_int_equal(err.code, -ERR_LIMIT);
    assert_non_null(strstr(err.text, "PB_MEMORY_PER_BYTE"));
    assert_true(arena_used(&arena) < PB_MEMORY_BASE + 64 * sizeof many + 100000);
}

/* Truncated at each length, from memory that ends at an unreadable page: never a read beyond. */
static void test_truncated(void **state)
{
    (void)state;
    struct span wire =
        bytes_of("09 000000000000f83f 4a 02 6869 5a 04 08071200 9801 00 aa01 02 0809 "
                 "f201 03 018002 fa01 01 78 a006 8001 aa06 02 6161 c202 07 0a01 6b 12020805");
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mprotect(map + page, page, PROT_NONE), 0);
    int good = 0;
    for (size_t len = 0; len <= wire.len; len++) {
        char *at = map + page - len;
        memcpy(at, wire.at, len);
        struct everything *e = pb_decode(&everything_desc, &arena, span_from(at, len), NULL);
        good += e != NULL;
        if (e) {
            struct span again = pb_encode_in(&everything_desc, e, &arena);
            assert_true(again.len <= len);
        }
    }
    assert_int_equal(good, 11); /* where a field ends, and at nothing */
    assert_int_equal(munmap(map, 2 * page), 0);
}

static void test_merge(void **state)
{
    (void)state;
    struct everything e = {0};
    struct err err;
    assert_int_equal(pb_merge(&everything_desc, &arena, bytes_of("5a 02 0801 f001 01"), &e, &err),
                     0);
    assert_int_equal(pb_merge(&everything_desc, &arena, bytes_of("5a 02 1200 f001 02"), &e, &err),
                     0);
    assert_int_equal(e.f_message->a, 1);
    assert_non_null(e.f_message->inner);
    assert_int_equal(e.ints.count, 2);
    assert_int_equal(pb_merge(&everything_desc, &arena, SPAN_EMPTY, &e, &err), 0);
}

static void test_lists(void **state)
{
    (void)state;
    struct everything e = {0};
    int32_t lent[] = {1, 2};
    e.ints.at = lent;
    e.ints.count = 2;
    PB_ADD(&arena, &e.ints, 3); /* borrowed: copied first */
    assert_ptr_not_equal(e.ints.at, lent);
    for (int i = 4; i <= 100; i++) {
        PB_ADD(&arena, &e.ints, i);
    }
    assert_int_equal(e.ints.count, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(e.ints.at[i], i + 1);
    }
    struct inner inner = {.a = 1};
    PB_ADD(&arena, &e.inners, &inner);
    PB_ADD(&arena, &e.texts, SPAN("x"));
    assert_ptr_equal(e.inners.at[0], &inner);
}

static void test_equal(void **state)
{
    (void)state;
    struct err err;
    const void *a = pb_decode(&everything_desc, &arena,
                              bytes_of("c202 03 0a01 62 c202 03 0a01 61 40 01"), &err);
    const void *b = pb_decode(&everything_desc, &arena,
                              bytes_of("40 01 c202 03 0a01 61 c202 05 0a01 62 1200"), &err);
    const void *c = pb_decode(&everything_desc, &arena,
                              bytes_of("40 01 c202 03 0a01 61 c202 05 0a01 63 1200"), &err);
    assert_true(pb_equal(&everything_desc, a, b));
    assert_int_equal(pb_hash(&everything_desc, a), pb_hash(&everything_desc, b));
    assert_false(pb_equal(&everything_desc, a, c));
    assert_int_not_equal(pb_hash(&everything_desc, a), pb_hash(&everything_desc, c));
    assert_true(pb_equal(&everything_desc, NULL, NULL));
    assert_false(pb_equal(&everything_desc, a, NULL));
}

static void test_reflection(void **state)
{
    (void)state;
    for (size_t i = 0; i < everything_desc.count; i++) {
        const struct pb_field *f = &everything_fields[i];
        assert_ptr_equal(pb_field(&everything_desc, f->number), f);
        assert_ptr_equal(pb_field_named(&everything_desc, span_of(f->name)), f);
        char name[64];
        assert_ptr_equal(pb_field_named(&everything_desc, pb_json_name(f, name, sizeof name)), f);
    }
    assert_null(pb_field(&everything_desc, 0));
    assert_null(pb_field(&everything_desc, 10));
    assert_null(pb_field(&everything_desc, 536870911));
    assert_null(pb_field_named(&everything_desc, SPAN("fBoo")));
    assert_null(pb_field_named(&everything_desc, SPAN("fBooll")));
    assert_null(pb_field_named(&everything_desc, SPAN("")));
    char name[64];
    assert_true(span_is(pb_json_name(pb_field_named(&everything_desc, SPAN("by_name")), name, 64),
                        "byName"));
    assert_true(span_is(pb_json_name(pb_field(&everything_desc, 1), name, 4), "fDo"));
    int32_t number;
    assert_true(pb_enum_number(&color_enum, SPAN("BLUE"), &number));
    assert_int_equal(number, -1);
    assert_false(pb_enum_number(&color_enum, SPAN("blue"), &number));
    assert_string_equal(pb_enum_name(&color_enum, 1), "GREEN");
    assert_null(pb_enum_name(&color_enum, 2));
    static const struct pb_desc *const by_name[] = {&everything_desc, &by_name_desc, &inner_desc};
    static const struct pb_types types = {by_name, 3};
    assert_ptr_equal(pb_find(&types, SPAN("test.Inner")), &inner_desc);
    assert_ptr_equal(pb_find(&types, SPAN("test.Everything")), &everything_desc);
    assert_null(pb_find(&types, SPAN("test.Every")));
    assert_null(pb_find(&types, SPAN("")));
    assert_true(span_is(pb_url_name(SPAN("type.googleapis.com/test.Inner")), "test.Inner"));
    assert_true(span_is(pb_url_name(SPAN("test.Inner")), "test.Inner"));
    assert_true(span_is(pb_url_name(SPAN("a/")), ""));
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        ssize_t bad;
    } cases[] = {
        {"", -1},
        {"61", -1},
        {"c280", -1},
        {"dfbf", -1},
        {"e0a080", -1},
        {"ed9fbf", -1},
        {"ee8080", -1},
        {"f0908080", -1},
        {"f48fbfbf", -1},
        {"80", 0},
        {"c080", 0},
        {"c1bf", 0},
        {"c2", 0},
        {"c261", 0},
        {"e09fbf", 0},
        {"eda080", 0},
        {"f08fbfbf", 0},
        {"f4908080", 0},
        {"f5808080", 0},
        {"ff", 0},
        {"6161616161616161ff", 8},
        {"61616161616161c3a9ff", 9},
        {"e282", 0},
        {"f09f98", 0},
        {"f09f9880", -1},
        {"61f09f9880e2", 5},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(pb_utf8_bad(bytes_of(cases[i].hex)), cases[i].bad);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, begin, end),
        cmocka_unit_test_setup_teardown(test_canonical, begin, end),
        cmocka_unit_test_setup_teardown(test_unknown, begin, end),
        cmocka_unit_test_setup_teardown(test_values, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_depth, begin, end),
        cmocka_unit_test_setup_teardown(test_limits, begin, end),
        cmocka_unit_test_setup_teardown(test_memory_limit, begin, end),
        cmocka_unit_test_setup_teardown(test_truncated, begin, end),
        cmocka_unit_test_setup_teardown(test_merge, begin, end),
        cmocka_unit_test_setup_teardown(test_lists, begin, end),
        cmocka_unit_test_setup_teardown(test_equal, begin, end),
        cmocka_unit_test_setup_teardown(test_reflection, begin, end),
        cmocka_unit_test_setup_teardown(test_utf8, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
