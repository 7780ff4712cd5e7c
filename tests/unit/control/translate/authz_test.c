/* control/translate/authz: policies as they are written, decided by policy/rbac as the proxy decides. */
#include "control/translate/authz.c"

#include "policy/rbac.h"
#include "unit/cm.h"
#include "unit/control/translate/translate_lab.h"

static const char policies[] =
    "apiVersion: security.istio.io/v1\n"
    "kind: AuthorizationPolicy\n"
    "metadata: {name: readers, namespace: shop}\n"
    "spec:\n"
    "  selector: {matchLabels: {app: shop}}\n"
    "  rules:\n"
    "    - from: [{source: {principals: [cluster.local/ns/front/sa/web, '*/sa/robot']}}]\n"
    "      to: [{operation: {methods: [GET], paths: [/api/*, '/x/{*}/y/{**}'], notPaths: "
    "[/api/secret]}}]\n"
    "    - from: [{source: {namespaces: [ops, 'team-*']}}]\n"
    "    - from: [{source: {ipBlocks: [10.1.0.0/16], notPrincipals: ['*']}}]\n"
    "      to: [{operation: {ports: ['5432']}}]\n"
    "    - when: [{key: 'request.headers[x-pass]', values: [open*]}]\n"
    "      to: [{operation: {hosts: ['*.shop.example']}}]\n"
    "---\n"
    "apiVersion: security.istio.io/v1\n"
    "kind: AuthorizationPolicy\n"
    "metadata: {name: no-admin, namespace: istio-system}\n"
    "spec:\n"
    "  action: DENY\n"
    "  rules: [{to: [{operation: {paths: [/admin*]}}], from: [{source: {notNamespaces: [ops]}}]}]\n"
    "---\n"
    "apiVersion: security.istio.io/v1\n"
    "kind: AuthorizationPolicy\n"
    "metadata: {name: nothing, namespace: closed}\n"
    "spec: {}\n";

#define WEB "spiffe://td.example/ns/front/sa/web"

static const struct authz_case {
    const char *principal, *method, *path, *host, *pass;
    const char *ip;
    uint16_t port;
    bool opaque;
    const char *want; /* "+": allowed, "-": by no rule, "-x": by policy x */
} cases[] = {
    {WEB, "GET", "/api/1", "a", NULL, "10.0.0.1", 80, false, "+"},
    {WEB, "GET", "/api/1?q=/api/secret", "a", NULL, "10.0.0.1", 80, false, "+"},
    {WEB, "GET", "/api/secret", "a", NULL, "10.0.0.1", 80, false, "-"},
    {WEB, "POST", "/api/1", "a", NULL, "10.0.0.1", 80, false, "-"},
    {WEB, "GET", "/other", "a", NULL, "10.0.0.1", 80, false, "-"},
    {WEB, "GET", "/x/1/y/2/3", "a", NULL, "10.0.0.1", 80, false, "+"},
    {WEB, "GET", "/x/1/2/y/3", "a", NULL, "10.0.0.1", 80, false, "-"},
    {"spiffe://other/ns/front/sa/web", "GET", "/api/1", "a", NULL, "10.0.0.1", 80, false, "-"},
    {"spiffe://td.example/ns/front/sa/robot", "GET", "/api/1", "a", NULL, "10.0.0.1", 80, false,
     "+"},
    {"spiffe://td.example/ns/ops/sa/any", "PUT", "/any", "a", NULL, "10.0.0.1", 80, false, "+"},
    {"spiffe://td.example/ns/team-a/sa/any", "PUT", "/any", "a", NULL, "10.0.0.1", 80, false, "+"},
    {"spiffe://td.example/ns/opsx/sa/any", "PUT", "/any", "a", NULL, "10.0.0.1", 80, false, "-"},
    {"spiffe://td.example/ns/ops/sa/any", "GET", "/admin/x", "a", NULL, "10.0.0.1", 80, false, "+"},
    {WEB, "GET", "/admin/x", "a", NULL, "10.0.0.1", 80, false,
     "-ns[istio-system]-policy[no-admin]-rule[0]"},
    {"", "GET", "/", "b.shop.example", "opensesame", "10.0.0.1", 80, false, "+"},
    {"", "GET", "/", "b.shop.example", "closed", "10.0.0.1", 80, false, "-"},
    {"", "GET", "/", "shop.example", "open", "10.0.0.1", 80, false, "-"},
    {"", "GET", "/", "a", NULL, "10.1.2.3", 5432, false, "+"},
    {WEB, "GET", "/", "a", NULL, "10.1.2.3", 5432, false, "-"},
    /* Opaque: rules about HTTP are void for ALLOW, and DENY loses the condition, not the rule. */
    {"", NULL, NULL, NULL, NULL, "10.1.2.3", 5432, true,
     "-ns[istio-system]-policy[no-admin]-rule[0]"},
    {"spiffe://td.example/ns/ops/sa/any", NULL, NULL, NULL, NULL, "10.0.0.1", 5432, true, "+"},
};

static const char *decide(struct lab *l, const struct translated_authz *a,
                          const struct authz_case *c)
{
    struct header field = {SPAN("x-pass"), span_of(c->pass)};
    struct traffic tr = {
        .method = span_of(c->method),
        .authority = span_of(c->host),
        .path = span_of(c->path),
        .fields = &field,
        .field_count = c->pass != NULL,
        .destination_port = c->port,
        .principal = span_of(c->principal),
        .tls = c->principal[0] != '\0',
    };
    assert_int_equal(ip_parse(span_of(c->ip), &tr.direct_ip), 0);
    tr.remote_ip = tr.direct_ip;
    const struct pb_rbac_RBAC *const filters[] = {a->deny, a->allow};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct rbac *r = NULL;
        struct err err = {0};
        if (!filters[i]) {
            continue;
        }
        if (rbac_compile(&r, &l->arena, filters[i], c->opaque, &err) != 0) {
            print_error("%s\n", err.text);
            fail();
        }
        struct rbac_answer answer = rbac_check(r, &tr, &l->arena, NULL);
        if (!answer.allowed) {
            return arena_printf(&l->arena, "-%.*s", SPAN_ARG(answer.policy));
        }
    }
    return "+";
}

static void decides_as_it_is_written(void **state)
{
    struct lab *l = *state;
    struct label labels[] = {{SPAN("app"), SPAN("shop")}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct authz_case *c = &cases[i];
        struct translated_authz a;
        translate_authz(l->w, SPAN("shop"), labels, 1, c->port, c->opaque, &l->arena, &a);
        const char *got = decide(l, &a, c);
        if (strcmp(got, c->want) != 0) {
            print_error("case %zu: got %s, want %s\n", i, got, c->want);
            fail();
        }
    }
}

static void no_rules_allow_nothing(void **state)
{
    struct lab *l = *state;
    struct translated_authz a;
    translate_authz(l->w, SPAN("closed"), NULL, 0, 80, false, &l->arena, &a);
    assert_string_equal(decide(l, &a, &cases[9]), "-");
}

static void others_are_not_selected(void **state)
{
    struct lab *l = *state;
    struct translated_authz a;
    struct label labels[] = {{SPAN("app"), SPAN("cart")}};
    translate_authz(l->w, SPAN("shop"), labels, 1, 80, false, &l->arena, &a);
    assert_null(a.allow);
    assert_non_null(a.deny);
}

static int begin(void **state)
{
    struct lab *l = mem_new(struct lab);
    lab_begin(l);
    const char *mesh = "---\napiVersion: mesh.io/v1\nkind: MeshConfig\nmetadata: {name: default}\n"
                       "spec: {trustDomain: td.example}\n";
    lab_world(l, span_of(arena_printf(&l->arena, "%s%s", policies, mesh)), "t.yaml");
    *state = l;
    return 0;
}

static int end(void **state)
{
    struct lab *l = *state;
    lab_end(l);
    mem_free(l);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_as_it_is_written),
        cmocka_unit_test(no_rules_allow_nothing),
        cmocka_unit_test(others_are_not_selected),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
