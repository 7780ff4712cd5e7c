/* Options of mesh init: lists, limits, what is refused. */
#include "init/init.c"

#include "unit/cm.h"

#define WORDS_MAX 300

static int read_words(const char *const *words, struct arena *a, struct redirect_spec *out,
                      struct err *err)
{
    char *argv[WORDS_MAX + 2];
    int argc = 0;
    struct settings set = {.dry_run = false};
    struct opt_list operands;
    err_clear(err);
    argv[argc++] = arena_strdup(a, "init");
    while (words[argc - 1] != NULL) {
        assert_true(argc <= WORDS_MAX);
        argv[argc] = arena_strdup(a, words[argc - 1]);
        argc++;
    }
    argv[argc] = NULL;
    int code = opt_parse(&spec, &set, argc, argv, a, &operands, err);
    if (code != 0) {
        return code;
    }
    split_all(&set, a);
    return read_spec(&set, a, out, err);
}

static void test_defaults(void **state)
{
    UNUSED(state);
    static const char *const none[] = {NULL};
    struct redirect_spec s;
    struct arena arena;
    struct err err;
    arena_init(&arena, 1024);
    assert_int_equal(read_words(none, &arena, &s, &err), 0);
    assert_int_equal(s.outbound_port, 15001);
    assert_int_equal(s.inbound_port, 15006);
    assert_int_equal(s.dns_port, 0);
    assert_int_equal(s.uid_count, 1);
    assert_int_equal(s.uids[0], 1337);
    assert_int_equal(s.gids[0], 1337);
    assert_int_equal(s.inbound_count + s.inbound_off_count + s.outbound_off_count +
                         s.outbound_to_count + s.outbound_not_to_count + s.interface_off_count,
                     0);
    arena_dispose(&arena);
}

static void test_lists_take_commas_and_repeat(void **state)
{
    UNUSED(state);
    static const char *const words[] = {"--exclude-outbound-cidrs",
                                        "10.0.0.0/8,fd00::/8",
                                        "--exclude-outbound-cidrs=192.0.2.1",
                                        "--exclude-inbound-ports",
                                        " 22, 80 ,,443,",
                                        "--exclude-interfaces",
                                        "eth1,docker0",
                                        "--proxy-uid",
                                        "1337,0",
                                        NULL};
    struct redirect_spec s;
    struct arena arena;
    struct err err;
    char text[IP_TEXT_BYTES + 4];
    arena_init(&arena, 1024);
    assert_int_equal(read_words(words, &arena, &s, &err), 0);
    assert_int_equal(s.outbound_not_to_count, 3);
    assert_string_equal(cidr_format(&s.outbound_not_to[1], text), "fd00::/8");
    assert_string_equal(cidr_format(&s.outbound_not_to[2], text), "192.0.2.1/32");
    assert_int_equal(s.inbound_off_count, 3);
    assert_int_equal(s.inbound_off[2], 443);
    assert_int_equal(s.interface_off_count, 2);
    assert_string_equal(s.interfaces_off[1], "docker0");
    assert_int_equal(s.uid_count, 2);
    assert_int_equal(s.uids[1], 0);
    arena_dispose(&arena);
}

static void test_what_is_refused(void **state)
{
    UNUSED(state);
    static const struct {
        const char *flag, *value, *says;
    } cases[] = {
        {"--exclude-inbound-ports", "0", "--exclude-inbound-ports '0': want a port, 1 to 65535"},
        {"--exclude-inbound-ports", "80,x", "--exclude-inbound-ports 'x': want a port"},
        {"--exclude-outbound-ports", "65536", "want a port"},
        {"--include-inbound-ports", "-1", "want a port"},
        {"--proxy-uid", "4294967296", "--proxy-uid '4294967296': want a number"},
        {"--proxy-gid", "proxy", "--proxy-gid 'proxy': want a number"},
        {"--include-outbound-cidrs", "10.0.0.0/33", "want an address or prefix such as 10.0.0.0/8"},
        {"--exclude-outbound-cidrs", "reviews", "want an address or prefix"},
        {"--exclude-interfaces", "sixteen-letters!", "want a name of at most 15 characters"},
        {"--outbound-port", "65536", "65535"},
        {"--inbound-port", "-1", "0"},
        {"--dns-prot", "53", "dns-port"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *const words[] = {cases[i].flag, cases[i].value, NULL};
        struct redirect_spec s;
        struct arena arena;
        struct err err;
        arena_init(&arena, 1024);
        assert_int_equal(read_words(words, &arena, &s, &err), -ERR_CONFIG);
        if (strstr(err.text, cases[i].says) == NULL) {
            fail_msg("case %zu says: %s", i, err.text);
        }
        arena_dispose(&arena);
    }
}

static void test_limits(void **state)
{
    UNUSED(state);
    static const char *const flags[] = {"--proxy-uid",
                                        "--proxy-gid",
                                        "--include-inbound-ports",
                                        "--exclude-inbound-ports",
                                        "--exclude-outbound-ports",
                                        "--include-outbound-cidrs",
                                        "--exclude-outbound-cidrs",
                                        "--exclude-interfaces"};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        for (int over = 0; over < 2; over++) {
            struct redirect_spec s;
            struct arena arena;
            struct buf list;
            struct err err;
            bool is_cidr = strstr(flags[i], "cidrs") != NULL;
            arena_init(&arena, 1024);
            buf_init(&list, 65536);
            for (int k = 0; k < REDIRECT_LIST_MAX + over; k++) {
                assert_int_equal(buf_printf(&list, is_cidr ? "%s10.0.%d.0/24" : "%s%d",
                                            k > 0 ? "," : "", is_cidr ? k % 256 : k + 1),
                                 0);
            }
            const char *const words[] = {flags[i], buf_cstr(&list), NULL};
            assert_int_equal(read_words(words, &arena, &s, &err), over ? -ERR_LIMIT : 0);
            if (over) {
                assert_non_null(strstr(err.text, "at most 256"));
            }
            buf_dispose(&list);
            arena_dispose(&arena);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_lists_take_commas_and_repeat),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
