/* Numbers as people read them. */
#include "cli/cell.c"

#include "unit/cm.h"

static struct verb_flags flags;
static struct verb verb = {.flags = &flags};

static int setup(void **state)
{
    UNUSED(state);
    arena_init(&verb.arena, 4096);
    return 0;
}

static int teardown(void **state)
{
    UNUSED(state);
    arena_dispose(&verb.arena);
    return 0;
}

static struct doc_node *parsed(const char *json)
{
    struct doc_node *doc = NULL;
    struct err err;
    assert_int_equal(doc_parse_json(&verb.arena, span_of(json), "test", &doc, &err), 0);
    return doc;
}

static void test_numbers(void **state)
{
    UNUSED(state);
    static const struct {
        const char *json, *ms, *percent, *rate;
    } rows[] = {
        {"{}", "-", "-", "-"},
        {"{\"n\":null}", "-", "-", "-"},
        {"{\"n\":\"1\"}", "-", "-", "-"},
        {"{\"n\":0}", "0ms", "0.00 %", "0"},
        {"{\"n\":1}", "1.00ms", "100.00 %", "1.00"},
        {"{\"n\":0.99996}", "1.00ms", "99.99 %", "1.00"},
        {"{\"n\":0.5}", "0.50ms", "50.00 %", "0.50"},
        {"{\"n\":9.994}", "9.99ms", "100.00 %", "9.99"},
        {"{\"n\":9.996}", "10.0ms", "100.00 %", "10.0"},
        {"{\"n\":99.96}", "100ms", "100.00 %", "100"},
        {"{\"n\":999.4}", "999ms", "100.00 %", "999"},
        {"{\"n\":999.5}", "1.00s", "100.00 %", "1000"},
        {"{\"n\":12345}", "12.3s", "100.00 %", "12345"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct doc_node *map = parsed(rows[i].json);
        assert_string_equal(cell_ms(&verb, map, "n"), rows[i].ms);
        assert_string_equal(cell_percent(&verb, map, "n"), rows[i].percent);
        assert_string_equal(cell_rate(&verb, map, "n"), rows[i].rate);
    }
    assert_string_equal(cell_ms(&verb, NULL, "n"), "-");
}

static void test_success_has_a_mark(void **state)
{
    UNUSED(state);
    const struct doc_node *bad = parsed("{\"n\":0.912}");
    const struct doc_node *good = parsed("{\"n\":0.99}");
    verb.is_ascii = false;
    assert_string_equal(cell_success(&verb, bad, "n"), "91.20 % ▼");
    assert_string_equal(cell_success(&verb, good, "n"), "99.00 %");
    assert_string_equal(cell_success(&verb, good, "none"), "-");
    verb.is_ascii = true;
    assert_string_equal(cell_success(&verb, bad, "n"), "91.20 % !");
    flags.output = OUTPUT_CSV;
    assert_string_equal(cell_success(&verb, bad, "n"), "91.20 %");
    flags.output = OUTPUT_TABLE;
}

static void test_texts(void **state)
{
    UNUSED(state);
    const struct doc_node *map = parsed("{\"t\":\"x\",\"b\":true,\"i\":-3,\"l\":[]}");
    assert_string_equal(cell_text(&verb, map, "t"), "x");
    assert_string_equal(cell_text(&verb, map, "b"), "yes");
    assert_string_equal(cell_text(&verb, map, "i"), "-3");
    assert_string_equal(cell_text(&verb, map, "l"), "-");
    assert_string_equal(cell_text(&verb, map, "none"), "-");
    assert_string_equal(cell_host(&verb, SPAN("reviews.default.svc.cluster.local")),
                        "reviews.default");
    assert_string_equal(cell_host(&verb, SPAN("example.com")), "example.com");
    assert_string_equal(cell_window(&verb, 60000), "1m");
    assert_string_equal(cell_window(&verb, 90000), "90s");
    assert_string_equal(cell_window(&verb, 7200000), "2h");
}

static void test_ages(void **state)
{
    UNUSED(state);
    static const struct {
        long long seconds;
        const char *want;
    } rows[] = {{30, "30s"},      {119, "119s"},     {120, "2m"},
                {7199, "119m"},   {7200, "2h0m"},    {172799, "47h59m"},
                {172800, "2d0h"}, {-3630, "in 60m"}, {-86430, "in 24h0m"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char time[40];
        struct doc_node *map = doc_new_map(&verb.arena);
        size_t len = date_format_rfc3339(instant_wall_us() - rows[i].seconds * 1000000, 6, time);
        doc_set_text(&verb.arena, map, "t", span_from(time, len));
        assert_string_equal(cell_age(&verb, map, "t"), rows[i].want);
    }
    assert_string_equal(cell_age(&verb, parsed("{\"t\":\"soon\"}"), "t"), "-");
}

static void test_sparks(void **state)
{
    UNUSED(state);
    verb.is_ascii = false;
    assert_string_equal(cell_spark(&verb, parsed("{\"s\":[0,1,2,4.0]}"), "s"), "▁▂▄█");
    verb.is_ascii = true;
    assert_string_equal(cell_spark(&verb, parsed("{\"s\":[0,1,2,4]}"), "s"), "_.=@");
    assert_string_equal(cell_spark(&verb, parsed("{\"s\":[-1,4]}"), "s"), "_@");
    assert_string_equal(cell_spark(&verb, parsed("{\"s\":[0,0]}"), "s"), "");
    assert_string_equal(cell_spark(&verb, parsed("{}"), "s"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_success_has_a_mark),
        cmocka_unit_test(test_texts),   cmocka_unit_test(test_ages),
        cmocka_unit_test(test_sparks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
