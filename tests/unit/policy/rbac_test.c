/* policy/rbac*: who may do what, case by case with the field of Envoy's API that says so. */
#include "policy/rbac.c"

#include "unit/cm.h"
#include "proto/rbac.pb.h"
#include "unit/policy/policy_test.h"

static struct arena arena;
static struct arena scratch;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 65536);
    arena_init(&scratch, 4096);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_dispose(&arena);
    arena_dispose(&scratch);
    return 0;
}

static int compile(struct rbac **out, const char *yaml, bool opaque, struct err *err)
{
    return rbac_compile(out, &arena, policy_test_read(&arena, &pb_rbac_RBAC_desc, yaml), opaque,
                        err);
}

static struct rbac *rbac_of(const char *yaml, bool opaque)
{
    struct err err = {0};
    struct rbac *r = NULL;
    if (compile(&r, yaml, opaque, &err) != 0) {
        print_error("%s\n", err.text);
        fail();
    }
    return r;
}

/* "method=GET path=/x host=h tls peer=... sni=... src=IP remote=IP dst=IP port=N h:NAME=VALUE" */
static struct traffic traffic_of(const char *line)
{
    struct traffic tr = {0};
    struct header *fields = arena_array(&arena, 8, sizeof(*fields));
    struct span rest = span_of(line);
    while (rest.at && rest.len > 0) {
        struct span value = span_cut(&rest, ' ');
        struct span key = span_cut(&value, '=');
        const char *text = value.at ? arena_cstr(&arena, value) : NULL;
        uint64_t number = 0;
        if (span_is(key, "method")) {
            tr.method = value;
        } else if (span_is(key, "path")) {
            tr.path = value;
        } else if (span_is(key, "host")) {
            tr.authority = value;
        } else if (span_is(key, "tls")) {
            tr.tls = true;
        } else if (span_is(key, "peer")) {
            tr.principal = value;
            tr.tls = true;
        } else if (span_is(key, "sni")) {
            tr.sni = value;
        } else if (span_is(key, "src")) {
            tr.direct_ip = policy_test_ip(text);
        } else if (span_is(key, "remote")) {
            tr.remote_ip = policy_test_ip(text);
        } else if (span_is(key, "dst")) {
            tr.destination_ip = policy_test_ip(text);
        } else if (span_is(key, "port")) {
            assert_true(span_to_u64(value, &number));
            tr.destination_port = (uint16_t)number;
        } else {
            assert_true(span_starts(key, SPAN("h:")));
            fields[tr.field_count++] = (struct header){span_from_offset(key, 2), value};
        }
    }
    tr.fields = fields;
    return tr;
}

struct check {
    const char *field; /* of Envoy's API: what the case is about */
    const char *traffic;
    bool want;
};

static void run(const struct rbac *r, const struct check *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct traffic tr = traffic_of(cases[i].traffic);
        struct explain ex = {0};
        buf_init(&ex.text, 65536);
        struct rbac_answer got = rbac_check(r, &tr, &scratch, NULL);
        struct rbac_answer explained = rbac_check(r, &tr, &scratch, &ex);
        if (got.allowed != cases[i].want || explained.allowed != got.allowed ||
            !span_eq(got.policy, explained.policy)) {
            print_error("%s: %s: got %d, want %d\n%.*s", cases[i].field, cases[i].traffic,
                        got.allowed, cases[i].want, SPAN_ARG(buf_span(&ex.text)));
            fail();
        }
        buf_dispose(&ex.text);
        arena_reset(&scratch);
    }
}

#define POLICY(permission, principal) \
    "{policies: {p: {permissions: [" permission "], principals: [" principal "]}}}"
#define ANY "{any: true}"

/* One condition a row: what it is, traffic that it holds for, traffic that it does not hold for. */
struct condition {
    const char *field, *config, *yes, *no;
};

static void check_conditions(const struct condition *cases, size_t count, const char *form,
                             bool opaque)
{
    for (size_t i = 0; i < count; i++) {
        const struct rbac *r = rbac_of(arena_printf(&arena, form, cases[i].config), opaque);
        struct check rows[] = {{cases[i].field, cases[i].yes, true},
                               {cases[i].field, cases[i].no, false}};
        if (cases[i].yes) {
            run(r, rows, 1);
        }
        if (cases[i].no) {
            run(r, rows + 1, 1);
        }
    }
}

static void evaluates_permissions(void **state)
{
    (void)state;
    static const struct condition cases[] = {
        {"Permission.any", ANY, "method=GET", NULL},
        {"Permission.header exact", "{header: {name: x, exact_match: v}}", "h:x=v", "h:x=w"},
        {"Permission.header absent", "{header: {name: x, exact_match: v}}", "h:x=v", "h:other=v"},
        {"Permission.header :method", "{header: {name: ':method', exact_match: GET}}", "method=GET",
         "method=PUT"},
        {"Permission.header :authority",
         "{header: {name: ':authority', string_match: {exact: A.com, ignore_case: true}}}",
         "host=a.COM", "host=b.com"},
        {"Permission.header host", "{header: {name: Host, exact_match: a}}", "host=a", "host=b"},
        {"Permission.header present", "{header: {name: x, present_match: true}}", "h:x=", "h:xx=1"},
        {"Permission.header invert, absent",
         "{header: {name: x, exact_match: v, invert_match: true}}", "h:x=w", "method=GET"},
        {"Permission.header treat_missing_header_as_empty",
         "{header: {name: x, exact_match: v, invert_match: true, treat_missing_header_as_empty: true}}",
         "method=GET", "h:x=v"},
        {"Permission.header twice", "{header: {name: x, exact_match: 'a,b'}}", "h:x=a h:x=b",
         "h:x=a"},
        {"Permission.header regex", "{header: {name: x, safe_regex_match: {regex: 'a+'}}}",
         "h:x=aaa", "h:x=aab"},
        {"Permission.header range", "{header: {name: x, range_match: {start: 1, end: 3}}}", "h:x=2",
         "h:x=3"},
        {"Permission.url_path exact", "{url_path: {path: {exact: /a}}}", "path=/a", "path=/a/"},
        {"Permission.url_path without query", "{url_path: {path: {exact: /a}}}", "path=/a?b=c",
         "path=/b?/a"},
        {"Permission.url_path without fragment", "{url_path: {path: {exact: /a}}}", "path=/a#b",
         "path=/A"},
        {"Permission.url_path prefix", "{url_path: {path: {prefix: /api/}}}", "path=/api/x",
         "path=/api"},
        {"Permission.url_path suffix", "{url_path: {path: {suffix: .html}}}", "path=/a.html?x",
         "path=/a.htm"},
        {"Permission.url_path contains", "{url_path: {path: {contains: mid}}}", "path=/a/mid/b",
         "path=/a/b?mid"},
        {"Permission.url_path regex is whole",
         "{url_path: {path: {safe_regex: {regex: '/a/[0-9]+'}}}}", "path=/a/1", "path=/a/1/b"},
        {"Permission.url_path ignore_case",
         "{url_path: {path: {prefix: /ADMIN, ignore_case: true}}}", "path=/admin/x", "path=/user"},
        {"Permission.url_path without path", "{url_path: {path: {prefix: /}}}", "path=/",
         "method=CONNECT"},
        {"Permission.destination_ip", "{destination_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}",
         "dst=10.9.8.7", "dst=11.0.0.1"},
        {"Permission.destination_ip /32",
         "{destination_ip: {address_prefix: 10.0.0.1, prefix_len: 32}}", "dst=10.0.0.1",
         "dst=10.0.0.2"},
        {"Permission.destination_ip v6",
         "{destination_ip: {address_prefix: 'fd00::', prefix_len: 8}}", "dst=fd00::1",
         "dst=10.0.0.1"},
        {"Permission.destination_ip, unknown",
         "{destination_ip: {address_prefix: 0.0.0.0, prefix_len: 0}}", "dst=1.2.3.4", "method=GET"},
        {"Permission.destination_port", "{destination_port: 8080}", "port=8080", "port=8081"},
        {"Permission.destination_port_range start",
         "{destination_port_range: {start: 80, end: 90}}", "port=80", "port=79"},
        {"Permission.destination_port_range end is out",
         "{destination_port_range: {start: 80, end: 90}}", "port=89", "port=90"},
        {"Permission.requested_server_name", "{requested_server_name: {exact: a.com}}", "sni=a.com",
         "sni=b.com"},
        {"Permission.requested_server_name suffix", "{requested_server_name: {suffix: .com}}",
         "sni=a.com", "sni=com.org"},
        {"Permission.requested_server_name absent", "{requested_server_name: {prefix: a}}", "sni=a",
         "method=GET"},
        {"Permission.and_rules",
         "{and_rules: {rules: [{destination_port: 1}, {header: {name: x}}]}}", "port=1 h:x=1",
         "port=1"},
        {"Permission.or_rules",
         "{or_rules: {rules: [{destination_port: 1}, {destination_port: 2}]}}", "port=2", "port=3"},
        {"Permission.not_rule", "{not_rule: {destination_port: 1}}", "port=2", "port=1"},
        {"Permission.not_rule of and",
         "{not_rule: {and_rules: {rules: [{destination_port: 1}, {header: {name: x}}]}}}", "port=1",
         "port=1 h:x=1"},
        {"Permission.not_rule of not", "{not_rule: {not_rule: {destination_port: 1}}}", "port=1",
         "port=2"},
        {"Policy.permissions: one is enough", "{destination_port: 1}, {destination_port: 2}",
         "port=2", "port=3"},
    };
    check_conditions(cases, ARRAY_LEN(cases), POLICY("%s", ANY), false);
}

static void evaluates_principals(void **state)
{
    (void)state;
    static const struct condition cases[] = {
        {"Principal.any", ANY, "method=GET", NULL},
        {"Principal.authenticated exact",
         "{authenticated: {principal_name: {exact: 'spiffe://td/ns/a/sa/b'}}}",
         "peer=spiffe://td/ns/a/sa/b", "peer=spiffe://td/ns/a/sa/bb"},
        {"Principal.authenticated prefix",
         "{authenticated: {principal_name: {prefix: 'spiffe://td/ns/a/'}}}",
         "peer=spiffe://td/ns/a/sa/x", "peer=spiffe://td/ns/aa/sa/x"},
        {"Principal.authenticated suffix", "{authenticated: {principal_name: {suffix: /sa/b}}}",
         "peer=spiffe://td/ns/a/sa/b", "peer=spiffe://td/ns/a/sa/c"},
        {"Principal.authenticated regex",
         "{authenticated: {principal_name: {safe_regex: {regex: '.*/ns/a/.*'}}}}",
         "peer=spiffe://td/ns/a/sa/b", "peer=spiffe://td/ns/b/sa/b"},
        {"Principal.authenticated regex .+, nobody",
         "{authenticated: {principal_name: {safe_regex: {regex: '.+'}}}}", "peer=x", "tls"},
        {"Principal.authenticated regex .*, nobody",
         "{authenticated: {principal_name: {safe_regex: {regex: '.*'}}}}", "peer=x", "method=GET"},
        {"Principal.authenticated without name: TLS", "{authenticated: {}}", "tls", "method=GET"},
        {"Principal.authenticated not matched by a header",
         "{authenticated: {principal_name: {exact: 'spiffe://a'}}}", "peer=spiffe://a",
         "h:x-forwarded-client-cert=URI=spiffe://a"},
        {"Principal.filter_state io.istio.peer_principal",
         "{filter_state: {key: io.istio.peer_principal, string_match: {exact: 'spiffe://a'}}}",
         "peer=spiffe://a", "peer=spiffe://b"},
        {"Principal.filter_state, nobody",
         "{filter_state: {key: io.istio.peer_principal, string_match: {safe_regex: {regex: '.*'}}}}",
         "peer=a", "tls"},
        {"Principal.source_ip", "{source_ip: {address_prefix: 10.0.0.0, prefix_len: 24}}",
         "src=10.0.0.9 remote=1.1.1.1", "src=10.0.1.9 remote=10.0.0.1"},
        {"Principal.direct_remote_ip",
         "{direct_remote_ip: {address_prefix: 10.0.0.0, prefix_len: 24}}",
         "src=10.0.0.9 remote=1.1.1.1", "src=10.0.1.9 remote=10.0.0.1"},
        {"Principal.remote_ip", "{remote_ip: {address_prefix: 10.0.0.0, prefix_len: 24}}",
         "src=1.1.1.1 remote=10.0.0.1", "src=10.0.0.1 remote=1.1.1.1"},
        {"Principal.remote_ip v6", "{remote_ip: {address_prefix: '2001:db8::', prefix_len: 32}}",
         "remote=2001:db8::1", "remote=2001:db9::1"},
        {"Principal.header", "{header: {name: x, exact_match: v}}", "h:x=v", "h:x=w"},
        {"Principal.url_path", "{url_path: {path: {prefix: /pub}}}", "path=/public",
         "path=/private"},
        {"Principal.and_ids",
         "{and_ids: {ids: [{authenticated: {principal_name: {exact: a}}},"
         " {remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}]}}",
         "peer=a remote=10.1.1.1", "peer=a remote=11.1.1.1"},
        {"Principal.or_ids",
         "{or_ids: {ids: [{authenticated: {principal_name: {exact: a}}},"
         " {authenticated: {principal_name: {exact: b}}}]}}",
         "peer=b", "peer=c"},
        {"Principal.not_id", "{not_id: {authenticated: {principal_name: {exact: a}}}}", "peer=b",
         "peer=a"},
        {"Principal.not_id, nobody", "{not_id: {authenticated: {principal_name: {exact: a}}}}",
         "method=GET", "peer=a"},
        {"Principal.not_id of or",
         "{not_id: {or_ids: {ids: [{authenticated: {principal_name: {exact: a}}},"
         " {authenticated: {principal_name: {exact: b}}}]}}}",
         "peer=c", "peer=b"},
        {"Policy.principals: one is enough",
         "{authenticated: {principal_name: {exact: a}}}, {source_ip:"
         " {address_prefix: 1.1.1.1, prefix_len: 32}}",
         "src=1.1.1.1", "src=1.1.1.2"},
        {"Istio namespaces and principals",
         "{and_ids: {ids: [{or_ids: {ids: [{authenticated: {principal_name:"
         " {safe_regex: {regex: '.*/ns/prod/.*'}}}}]}}, {not_id: {or_ids: {ids: [{authenticated: {principal_name:"
         " {exact: 'spiffe://td/ns/prod/sa/bad'}}}]}}}]}}",
         "peer=spiffe://td/ns/prod/sa/ok", "peer=spiffe://td/ns/prod/sa/bad"},
    };
    check_conditions(cases, ARRAY_LEN(cases), POLICY(ANY, "%s"), false);
}

static void sees_no_http_on_opaque_connections(void **state)
{
    (void)state;
    static const struct condition permissions[] = {
        {"network: destination_port", "{destination_port: 1}", "port=1", "port=2"},
        {"network: header never matches", "{header: {name: x}}", NULL, "h:x=1"},
        {"network: header absent never matches", "{header: {name: x, present_match: false}}", NULL,
         "port=1"},
        {"network: url_path never matches", "{url_path: {path: {prefix: /}}}", NULL, "path=/"},
        {"network: not_rule of header", "{not_rule: {header: {name: x}}}", "port=1", NULL},
        {"network: requested_server_name", "{requested_server_name: {exact: a}}", "sni=a", "sni=b"},
    };
    check_conditions(permissions, ARRAY_LEN(permissions), POLICY("%s", ANY), true);
}

static void acts_as_told(void **state)
{
    (void)state;
    static const struct check allow[] = {{"RBAC.action ALLOW, a policy matches", "port=1", true},
                                         {"RBAC.action ALLOW, none matches", "port=2", false}};
    run(rbac_of(POLICY("{destination_port: 1}", ANY), false), allow, 2);
    static const struct check deny[] = {{"RBAC.action DENY, a policy matches", "port=1", false},
                                        {"RBAC.action DENY, none matches", "port=2", true}};
    const struct rbac *r = rbac_of(
        "{action: DENY, policies: {p: {permissions: [{destination_port: 1}], principals: [{any: true}]}}}",
        false);
    assert_true(rbac_is_deny(r));
    run(r, deny, 2);
    static const struct check log[] = {{"RBAC.action LOG, a policy matches", "port=1", true},
                                       {"RBAC.action LOG, none matches", "port=2", true}};
    run(rbac_of(
            "{action: LOG, policies: {p: {permissions: [{destination_port: 1}], principals: [{any: true}]}}}",
            false),
        log, 2);
    static const struct check empty[] = {{"RBAC.policies empty, ALLOW", "port=1", false}};
    run(rbac_of("{}", false), empty, 1);
    static const struct check none[] = {{"RBAC.policies empty, DENY", "port=1", true}};
    run(rbac_of("{action: DENY}", false), none, 1);
}

static void tells_the_first_policy_by_name(void **state)
{
    (void)state;
    const struct rbac *r =
        rbac_of("{policies: {c: {permissions: [{any: true}], principals: [{any: true}]},"
                " b: {permissions: [{destination_port: 1}], principals: [{any: true}]},"
                " a: {permissions: [{destination_port: 2}], principals: [{any: true}]}}}",
                false);
    struct traffic one = traffic_of("port=1");
    struct traffic two = traffic_of("port=2");
    struct traffic three = traffic_of("port=3");
    assert_span(rbac_check(r, &one, &scratch, NULL).policy, "b");
    assert_span(rbac_check(r, &two, &scratch, NULL).policy, "a");
    assert_span(rbac_check(r, &three, &scratch, NULL).policy, "c");
}

/* ---- what is refused ---- */

static void refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *config, *why;
    } cases[] = {
        {POLICY("{}", ANY), "policy 'p': permission: rule is not set"},
        {POLICY(ANY, "{}"), "policy 'p': principal: identifier is not set"},
        {POLICY("", ANY), "a set of permissions is empty"},
        {POLICY(ANY, ""), "a set of principals is empty"},
        {POLICY("{any: false}", ANY), "any is false"},
        {POLICY(ANY, "{any: false}"), "any is false"},
        {POLICY("{and_rules: {}}", ANY), "a set of permissions is empty"},
        {POLICY("{metadata: {filter: envoy.filters.http.jwt_authn}}", ANY),
         "metadata of 'envoy.filters.http.jwt_authn' can not be evaluated"},
        {POLICY(ANY, "{metadata: {filter: istio_authn}}"), "metadata of 'istio_authn'"},
        {POLICY("{sourced_metadata: {}}", ANY), "sourced_metadata"},
        {POLICY(ANY, "{sourced_metadata: {}}"), "sourced_metadata"},
        {POLICY("{matcher: {name: m}}", ANY), "matcher 'm' is not known"},
        {POLICY("{uri_template: {name: u}}", ANY), "uri_template 'u'"},
        {POLICY(ANY, "{custom: {name: c}}"), "custom 'c'"},
        {POLICY(ANY, "{filter_state: {key: other, string_match: {exact: x}}}"),
         "filter_state 'other' is not known"},
        {POLICY(ANY, "{filter_state: {key: io.istio.peer_principal, address_match: {}}}"),
         "only string_match"},
        {POLICY(ANY, "{authenticated: {principal_name: {}}}"),
         "authenticated: match_pattern is not set"},
        {POLICY("{url_path: {}}", ANY), "url_path: path is missing"},
        {POLICY("{url_path: {path: {safe_regex: {regex: '('}}}}", ANY), "url_path: regex '('"},
        {POLICY("{destination_ip: {address_prefix: x}}", ANY),
         "destination_ip: address_prefix 'x'"},
        {POLICY("{destination_ip: {address_prefix: 10.0.0.0, prefix_len: 33}}", ANY),
         "prefix_len 33 is too long"},
        {POLICY("{destination_port: 70000}", ANY), "destination_port 70000"},
        {POLICY("{destination_port_range: {start: 5, end: 5}}", ANY),
         "destination_port_range is 5 to 5"},
        {POLICY("{destination_port_range: {start: -1, end: 5}}", ANY),
         "destination_port_range is -1"},
        {POLICY("{header: {exact_match: v}}", ANY), "header: name is empty"},
        {POLICY("{requested_server_name: {suffix: ''}}", ANY),
         "requested_server_name: 'suffix' is empty"},
        {"{action: 7}", "action 7 is not known"},
        {"{audit_logging_options: {audit_condition: ON_DENY, logger_configs: [{audit_logger: {name: x}}]}}",
         "audit_logging_options"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        struct rbac *r = NULL;
        int rc = compile(&r, cases[i].config, false, &err);
        if (rc != -ERR_CONFIG || !strstr(err.text, cases[i].why)) {
            print_error("%s\n got %d '%s'\n want '%s'\n", cases[i].config, rc, err.text,
                        cases[i].why);
            fail();
        }
    }
}

static void refuses_conditions(void **state)
{
    (void)state;
    /* policies { key "p" value { condition {} } } */
    static const char wire[] = "\x12\x07\x0a\x01p\x12\x02\x1a\x00";
    struct err err = {0};
    struct rbac *r = NULL;
    const void *msg =
        pb_decode(&pb_rbac_RBAC_desc, &arena, span_from(wire, sizeof(wire) - 1), &err);
    assert_non_null(msg);
    assert_int_equal(rbac_compile(&r, &arena, msg, false, &err), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "field 3 (condition) of envoy.config.rbac.v3.Policy"));
}

static void limits_depth(void **state)
{
    (void)state;
    for (unsigned depth = RBAC_DEPTH_MAX - 2; depth <= RBAC_DEPTH_MAX + 2; depth++) {
        struct buf b;
        buf_init(&b, 65536);
        for (unsigned i = 0; i < depth; i++) {
            assert_int_equal(buf_append_span(&b, SPAN("{not_rule: ")), 0);
        }
        assert_int_equal(buf_append_span(&b, SPAN("{any: true}")), 0);
        for (unsigned i = 0; i < depth; i++) {
            assert_int_equal(buf_append_byte(&b, '}'), 0);
        }
        struct err err = {0};
        struct rbac *r = NULL;
        int rc = compile(&r, arena_printf(&arena, POLICY("%s", ANY), buf_cstr(&b)), false, &err);
        assert_int_equal(rc, depth < RBAC_DEPTH_MAX ? 0 : -ERR_CONFIG);
        buf_dispose(&b);
    }
}

/* ---- many policies ---- */

static void finds_the_same_with_an_index(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4 << 20);
    assert_int_equal(buf_append_span(&b, SPAN("{policies: {")), 0);
    for (unsigned i = 0; i < 200; i++) {
        static const char *const forms[] = {
            "{authenticated: {principal_name: {exact: sa%u}}}",
            "{or_ids: {ids: [{authenticated: {principal_name: {exact: sa%u}}}, {filter_state: {key:"
            " io.istio.peer_principal, string_match: {exact: sb}}}]}}",
            "{and_ids: {ids: [{remote_ip: {address_prefix: 10.0.0.0, prefix_len: 8}}, {authenticated:"
            " {principal_name: {exact: sa%u}}}]}}",
            "{not_id: {authenticated: {principal_name: {exact: sa%u}}}}",
            "{authenticated: {principal_name: {prefix: sa%u}}}",
            "{authenticated: {principal_name: {exact: SA%u, ignore_case: true}}}",
        };
        static const char *const things[] = {
            "%sp%03u: {permissions: [{destination_port: %u}], principals: [",
            "%sp%03u: {permissions: [{url_path: {path: {exact: /%u}}}], principals: [",
            "%sp%03u: {permissions: [{and_rules: {rules: [{any: true}, {url_path: {path: {exact: /%u}}}]}}],"
            " principals: [",
            "%sp%03u: {permissions: [{not_rule: {url_path: {path: {exact: /%u}}}}], principals: [",
        };
        assert_int_equal(
            buf_printf(&b, things[i % ARRAY_LEN(things)], i ? "," : "", (i * 37) % 200, i % 7), 0);
        assert_int_equal(buf_printf(&b, forms[i % ARRAY_LEN(forms)], i / 6), 0);
        assert_int_equal(buf_append_span(&b, SPAN("]}")), 0);
    }
    assert_int_equal(buf_append_span(&b, SPAN("}}")), 0);
    const struct rbac *r = rbac_of(buf_cstr(&b), false);
    buf_dispose(&b);
    assert_non_null(r->index);
    struct rbac scanned = *r;
    scanned.index = NULL;
    for (unsigned i = 0; i < 600; i++) {
        struct traffic tr =
            traffic_of(arena_printf(&arena, "port=%u path=/%u%s remote=%s%s%s%u", i % 8, i % 9,
                                    i % 4 ? "" : "?q", i % 2 ? "10.1.1.1" : "11.1.1.1",
                                    i % 5 ? " peer=" : " h:x=", i % 3 ? "sa" : "SA", i % 40));
        struct rbac_answer got = rbac_check(r, &tr, &scratch, NULL);
        struct rbac_answer want = rbac_check(&scanned, &tr, &scratch, NULL);
        assert_int_equal(got.allowed, want.allowed);
        assert_true(span_eq(got.policy, want.policy));
    }
}

static void explains(void **state)
{
    (void)state;
    const struct rbac *r = rbac_of(
        POLICY(
            "{and_rules: {rules: [{header: {name: ':method', exact_match: GET}}, {destination_port: 80}]}}",
            "{authenticated: {principal_name: {exact: a}}}"),
        false);
    struct traffic tr = traffic_of("method=PUT port=80 peer=a");
    struct explain ex = {0};
    buf_init(&ex.text, 4096);
    assert_false(rbac_check(r, &tr, &scratch, &ex).allowed);
    assert_string_equal(buf_cstr(&ex.text), "policy 'p'\n"
                                            "  no  all of\n"
                                            "    no  header ':method'\n"
                                            "      header ':method' is 'PUT', want exact 'GET'\n"
                                            "    yes destination port 80 against 80 to 80\n"
                                            "  yes principal 'a' against exact 'a'\n"
                                            "denied: ALLOW policy (none matched)\n");
    buf_dispose(&ex.text);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        T(evaluates_permissions),
        T(evaluates_principals),
        T(sees_no_http_on_opaque_connections),
        T(acts_as_told),
        T(tells_the_first_policy_by_name),
        T(refuses_by_name),
        T(refuses_conditions),
        T(limits_depth),
        T(finds_the_same_with_an_index),
        T(explains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
