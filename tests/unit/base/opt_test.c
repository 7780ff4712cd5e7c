/* base/opt: the four layers, every type, messages, help. */
#include "base/opt.c"

#include <unistd.h>

#include "unit/cm.h"

struct target {
    bool verbose;
    int64_t workers;
    const char *file;
    struct opt_list hosts;
    int64_t drain;
    int64_t most;
    int lb;
};

static const char *const balancers[] = {"round_robin", "least_request", "ring_hash", NULL};

#define AT(field) offsetof(struct target, field)
static const struct opt rows[] = {
    {"verbose", 'v', OPT_BOOL, AT(verbose), "false", NULL, "say more", NULL, 0, 0, NULL},
    {"workers", 'w', OPT_INT, AT(workers), "2", NULL, "threads", NULL, 1, 64, NULL},
    {"xds-file", 0, OPT_TEXT, AT(file), NULL, "FILE", "resources", NULL, 0, 0, NULL},
    {"host", 'H', OPT_LIST, AT(hosts), "a,b", "NAME", "hosts", NULL, 0, 0, "HOSTS"},
    {"drain", 0, OPT_DURATION, AT(drain), "5s", NULL, "how long", NULL, 0, 3600000, NULL},
    {"most", 0, OPT_BYTES, AT(most), "64KiB", NULL, "memory", NULL, 0, 0, ""},
    {"lb", 0, OPT_CHOICE, AT(lb), "least_request", NULL, "balancer", balancers, 0, 0, NULL},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh proxy",
    .section = "proxy",
    .summary = "carries traffic",
    .examples = "mesh proxy --lb ring_hash\nmesh proxy -v",
    .operands = "NAME...",
    .rows = rows,
};
static const struct opt_spec spec_without_operands = {
    .command = "mesh proxy", .section = "proxy", .summary = "carries traffic", .rows = rows};

static struct arena arena;
static char ini_path[] = "/tmp/mesh_opt_XXXXXX";

/* Parses a command line given as words apart by blanks. */
static int parse(const struct opt_spec *s, const char *line, struct target *t,
                 struct opt_list *operands, struct err *err)
{
    char *argv[16];
    int argc = 0;
    arena_reset(&arena);
    *t = (struct target){.lb = -1};
    for (struct span rest = span_of(line); rest.at != NULL;) {
        argv[argc++] = arena_cstr(&arena, span_cut(&rest, ' '));
    }
    return opt_parse(s, t, argc, argv, &arena, operands, err);
}

static void describe(const struct target *t, const struct opt_list *operands, char *to, size_t room)
{
    size_t len =
        (size_t)snprintf(to, room, "%d %lld %s %lld %lld %d", t->verbose, (long long)t->workers,
                         t->file ? t->file : "-", (long long)t->drain, (long long)t->most, t->lb);
    for (size_t i = 0; i < t->hosts.count; i++) {
        len += (size_t)snprintf(to + len, room - len, " %s", t->hosts.items[i]);
    }
    for (size_t i = 0; i < operands->count; i++) {
        len += (size_t)snprintf(to + len, room - len, " [%s]", operands->items[i]);
    }
}

static void reads_lines(void **state)
{
    static const struct {
        const char *line;
        const char *want; /* verbose workers file drain most lb hosts... [operands] */
        const char *error;
    } cases[] = {
        {"proxy", "0 2 - 5000 65536 1 a b", NULL},
        {"proxy -v -w 3", "1 3 - 5000 65536 1 a b", NULL},
        {"proxy -vw3", "1 3 - 5000 65536 1 a b", NULL},
        {"proxy --verbose --workers=4 x y", "1 4 - 5000 65536 1 a b [x] [y]", NULL},
        {"proxy --verbose=false", "0 2 - 5000 65536 1 a b", NULL},
        {"proxy --xds-file f --xds-file=g=h", "0 2 g=h 5000 65536 1 a b", NULL},
        {"proxy -H x,y --host z", "0 2 - 5000 65536 1 x,y z", NULL},
        {"proxy --drain 1m30s --most 2MiB --lb ring_hash", "0 2 - 90000 2097152 2 a b", NULL},
        {"proxy - -- -v --lb", "0 2 - 5000 65536 1 a b [-] [-v] [--lb]", NULL},
        {"proxy --xds-file=", "0 2  5000 65536 1 a b", NULL},
        {"proxy --wokers 3", NULL, "unknown flag '--wokers'; did you mean '--workers'?"},
        {"proxy --confg=x", NULL, "unknown flag '--confg'; did you mean '--config'?"},
        {"proxy --zzz", NULL, "unknown flag '--zzz'; see 'mesh proxy --help'"},
        {"proxy -z", NULL, "unknown flag '-z'; see 'mesh proxy --help'"},
        {"proxy -w", NULL, "'-w' wants a value: TEXT"},
        {"proxy --xds-file", NULL, "'--xds-file' wants a value: FILE"},
        {"proxy -w 0", NULL, "'-w' is '0'; use 1 to 64"},
        {"proxy --workers=many", NULL, "'--workers' is 'many'; use a whole number"},
        {"proxy --verbose=maybe", NULL, "'--verbose' is 'maybe'; use true or false"},
        {"proxy --drain=5", NULL,
         "'--drain' is '5'; use a duration such as 100ms, 5s, 1m30s or 2h"},
        {"proxy --drain=2h", NULL, "'--drain' is '2h'; use 0ms to 3600000ms"},
        {"proxy --most=5X", NULL, "'--most' is '5X'; use a size such as 512, 64KiB, 4MiB or 1GiB"},
        {"proxy --lb=x", NULL, "'--lb' is 'x'; use round_robin, least_request or ring_hash"},
        {"proxy --config /nonexistent", NULL, "/nonexistent: no such file or directory"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct target t;
        struct opt_list operands;
        struct err err = {.code = 0};
        char got[256] = "";
        int answer = parse(&spec, cases[i].line, &t, &operands, &err);
        if (cases[i].error == NULL) {
            assert_int_equal(answer, 0);
            describe(&t, &operands, got, sizeof(got));
            assert_string_equal(got, cases[i].want);
        } else {
            assert_true(answer < 0);
            assert_string_equal(err.text, cases[i].error);
        }
    }
}

static void refuses_operands_where_none_belong(void **state)
{
    UNUSED(state);
    struct target t;
    struct opt_list operands;
    struct err err;
    assert_int_equal(parse(&spec_without_operands, "proxy x", &t, &operands, &err), -ERR_CONFIG);
    assert_string_equal(err.text, "unexpected word 'x'; mesh proxy takes flags only");
}

static void write_ini(const char *text)
{
    FILE *file = fopen(ini_path, "we");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void layers_win_in_order(void **state)
{
    UNUSED(state);
    struct target t;
    struct opt_list operands;
    struct err err = {.code = 0};
    char got[256];
    write_ini("[other]\nworkers = x\n[proxy]\nworkers = 7\nhost = p, q,,r\nlb = round_robin\n");
    (void)setenv("MESH_CONFIG", ini_path, 1);
    assert_int_equal(parse(&spec, "proxy", &t, &operands, &err), 0);
    describe(&t, &operands, got, sizeof(got));
    assert_string_equal(got, "0 7 - 5000 65536 0 p q r");
    (void)setenv("MESH_WORKERS", "8", 1);
    (void)setenv("HOSTS", "s", 1);
    (void)setenv("MESH_MOST", "1", 1); /* has no variable */
    (void)setenv("MESH_XDS_FILE", "f", 1);
    assert_int_equal(parse(&spec, "proxy --lb=ring_hash", &t, &operands, &err), 0);
    describe(&t, &operands, got, sizeof(got));
    assert_string_equal(got, "0 8 f 5000 65536 2 s");
    assert_int_equal(parse(&spec, "proxy -w 9 -H u", &t, &operands, &err), 0);
    describe(&t, &operands, got, sizeof(got));
    assert_string_equal(got, "0 9 f 5000 65536 0 u");
    (void)setenv("MESH_WORKERS", "no", 1);
    assert_int_equal(parse(&spec, "proxy", &t, &operands, &err), -ERR_CONFIG);
    assert_string_equal(err.text, "'MESH_WORKERS' is 'no'; use a whole number");
    (void)unsetenv("MESH_WORKERS");
    (void)unsetenv("HOSTS");
    (void)unsetenv("MESH_MOST");
    (void)unsetenv("MESH_XDS_FILE");
    (void)unsetenv("MESH_CONFIG");
}

static void ini_messages_say_where(void **state)
{
    static const struct {
        const char *text;
        const char *error; /* after the path */
    } cases[] = {
        {"[proxy]\n\nlb = rond_robin\n",
         ":3: 'lb' is 'rond_robin'; use round_robin, least_request or ring_hash"},
        {"[proxy]\nworker = 1\n", ":2: unknown key 'worker'; did you mean 'workers'?"},
        {"[proxy]\nqqqqqqqq = 1\n", ":2: unknown key 'qqqqqqqq'"},
        {"workers = 1\n", ":1: 'workers' stands before any section; put it under [proxy]"},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct target t;
        struct opt_list operands;
        struct err err = {.code = 0};
        char line[64];
        write_ini(cases[i].text);
        (void)snprintf(line, sizeof(line), "proxy --config=%s", ini_path);
        assert_int_equal(parse(&spec, line, &t, &operands, &err), -ERR_CONFIG);
        assert_string_equal(err.text + strlen(ini_path), cases[i].error);
    }
}

static void reads_durations_and_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: not one */
        int64_t bytes;
    } cases[] = {
        {"0", 0, 0},
        {"100ms", 100, -1},
        {"5s", 5000, -1},
        {"1m30s", 90000, -1},
        {"2h", 7200000, -1},
        {"1h1m1s1ms", 3661001, -1},
        {"512", -1, 512},
        {"64KiB", -1, 65536},
        {"4Mi", -1, 4194304},
        {"1GiB", -1, 1 << 30},
        {"1B", -1, 1},
        {"", -1, -1},
        {"s", -1, -1},
        {"-5s", -1, -1},
        {"5s ", -1, -1},
        {"5 s", -1, -1},
        {"1.5s", -1, -1},
        {"99999999999999999999s", -1, -1},
        {"9223372036854775807h", -1, -1},
        {"9223372036854775807GiB", -1, -1},
    };
    UNUSED(state);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = -1;
        int failed = opt_duration_ms(cases[i].text, &value);
        assert_int_equal(failed ? -1 : value, cases[i].ms);
        failed = opt_bytes(cases[i].text, &value);
        assert_int_equal(failed ? -1 : value, cases[i].bytes);
    }
}

static void help_fits(void **state)
{
    UNUSED(state);
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);
    opt_help(&spec, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text,
                        "mesh proxy: carries traffic\n"
                        "\n"
                        "Examples:\n"
                        "  mesh proxy --lb ring_hash\n"
                        "  mesh proxy -v\n"
                        "\n"
                        "Usage: mesh proxy [FLAGS] NAME...\n"
                        "\n"
                        "Flags:\n"
                        "  -v, --verbose                 say more\n"
                        "  -w, --workers N               threads (2)\n"
                        "      --xds-file FILE           resources\n"
                        "  -H, --host NAME               hosts (a,b)\n"
                        "      --drain TIME              how long (5s)\n"
                        "      --most SIZE               memory (64KiB)\n"
                        "      --lb round_robin|least_request|ring_hash\n"
                        "                                balancer (least_request)\n"
                        "      --config FILE             INI file; the section is [proxy]\n"
                        "  -h, --help                    this page\n"
                        "\n"
                        "--some-flag is also the key some-flag in the INI file and the variable "
                        "MESH_SOME_FLAG.\n");
    free(text);
}

static int begin(void **state)
{
    UNUSED(state);
    arena_init(&arena, 4096);
    int fd = mkstemp(ini_path);
    return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
    UNUSED(state);
    arena_dispose(&arena);
    return unlink(ini_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lines),
        cmocka_unit_test(refuses_operands_where_none_belong),
        cmocka_unit_test(layers_win_in_order),
        cmocka_unit_test(ini_messages_say_where),
        cmocka_unit_test(reads_durations_and_sizes),
        cmocka_unit_test(help_fits),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
