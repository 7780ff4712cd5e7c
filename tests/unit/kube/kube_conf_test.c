/* kube/kube_conf: what a kubeconfig says, whose word counts when there are several, and what is said about bad ones. */
#include "kube/kube_conf.c"

#include <stdio.h>
#include <unistd.h>

#include "unit/cm.h"
#include "unit/guard.h"

static char folder[] = "/tmp/mesh-kube-conf-XXXXXX";
static struct err err;

#define PEM "-----BEGIN X-----\nAAAA\n-----END X-----\n"
#define PEM64 "LS0tLS1CRUdJTiBYLS0tLS0KQUFBQQotLS0tLUVORCBYLS0tLS0K"

static const char *put(const char *name, const char *text)
{
    static char path[4][256];
    static unsigned turn;
    char *to = path[turn++ % 4];
    (void)snprintf(to, sizeof(path[0]), "%s/%s", folder, name);
    assert_int_equal(file_write(to, span_of(text), 0600, &err), 0);
    return to;
}

static int set_up(void **state)
{
    UNUSED(state);
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    put("ca.pem", PEM);
    put("junk.pem", "junk");
    put("token", "t1\n");
    return 0;
}

static int tear_down(void **state)
{
    UNUSED(state);
    char line[128];
    (void)snprintf(line, sizeof(line), "rm -r %s", folder);
    return system(line);
}

/* A file of one context, with these fields of cluster and user in braces. */
static const char *config(const char *cluster, const char *user)
{
    static char text[8192];
    (void)snprintf(text, sizeof(text),
                   "apiVersion: v1\n"
                   "kind: Config\n"
                   "current-context: main\n"
                   "contexts:\n"
                   "- {name: main, context: {cluster: c, user: u, namespace: blue}}\n"
                   "clusters:\n"
                   "- name: c\n"
                   "  cluster: {%s}\n"
                   "users:\n"
                   "- name: u\n"
                   "  user: {%s}\n",
                   cluster, user);
    return text;
}

#define HTTP "server: 'http://h'"

static void test_good(void **state)
{
    UNUSED(state);
    struct kube_conf c;
    const char *text = config(
        "server: 'https://1.2.3.4:6443/k/', certificate-authority: ca.pem, tls-server-name: kube",
        "client-certificate-data: '" PEM64 "', client-key: ./ca.pem, token: t, as: me, "
        "as-uid: '7', as-groups: [g1, g2], as-user-extra: {Acme/Scope: [x]}");
    assert_int_equal(kube_conf_parse(&c, span_of(text), "f", folder, NULL, &err), 0);
    assert_span(c.server, "https://1.2.3.4:6443/k");
    assert_span(c.ca_pem, PEM);
    assert_span(c.tls_name, "kube");
    assert_span(c.cert_pem, PEM);
    assert_span(c.key_pem, PEM);
    assert_span(c.token, "t");
    assert_span(c.impersonate, "me");
    assert_span(c.context, "main");
    assert_span(c.namespace, "blue");
    assert_false(c.insecure || c.in_cluster);
    static const char *const more[][2] = {{"impersonate-group", "g1"},
                                          {"impersonate-group", "g2"},
                                          {"impersonate-uid", "7"},
                                          {"impersonate-extra-acme%2fscope", "x"}};
    assert_int_equal(c.impersonate_more_count, ARRAY_LEN(more));
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        assert_span(c.impersonate_more[i].name, more[i][0]);
        assert_span(c.impersonate_more[i].value, more[i][1]);
    }
    kube_conf_dispose(&c);

    text = config("server: 'https://h', insecure-skip-tls-verify: true",
                  "username: u, password: 'p:w', tokenFile: ''");
    assert_int_equal(kube_conf_parse(&c, span_of(text), "f", folder, "main", &err), 0);
    assert_true(c.insecure);
    assert_span(c.username, "u");
    assert_span(c.password, "p:w");
    assert_null(c.token_file);
    kube_conf_dispose(&c);
}

static void test_exec(void **state)
{
    UNUSED(state);
    struct kube_conf c;
    const char *text = config(
        HTTP ", extensions: [{name: client.authentication.k8s.io/exec, extension: {a: b}}]",
        "exec: {command: bin/login, args: [a, 'b c'], env: [{name: X, value: 'y=z'}], apiVersion: "
        "client.authentication.k8s.io/v1beta1, installHint: get it, provideClusterInfo: true, "
        "interactiveMode: Always}");
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/bin/login", folder);
    assert_int_equal(kube_conf_parse(&c, span_of(text), "f", folder, NULL, &err), 0);
    assert_string_equal(c.exec->argv[0], path);
    assert_string_equal(c.exec->argv[1], "a");
    assert_string_equal(c.exec->argv[2], "b c");
    assert_null(c.exec->argv[3]);
    assert_string_equal(c.exec->env[0], "X=y=z");
    assert_null(c.exec->env[1]);
    assert_span(c.exec->install_hint, "get it");
    assert_true(c.exec->provide_cluster_info);
    assert_int_equal(c.exec->input, KUBE_EXEC_ALWAYS);
    assert_span(doc_get(c.exec_config, "a")->text, "b");
    kube_conf_dispose(&c);

    text = config(HTTP, "exec: {command: login, apiVersion: client.authentication.k8s.io/v1}");
    assert_int_equal(kube_conf_parse(&c, span_of(text), "f", folder, NULL, &err), 0);
    assert_string_equal(c.exec->argv[0], "login"); /* for PATH */
    assert_int_equal(c.exec->input, KUBE_EXEC_IF_AVAILABLE);
    kube_conf_dispose(&c);
}

static void test_bad(void **state)
{
    UNUSED(state);
#define V1 "apiVersion: client.authentication.k8s.io/v1"
    static const struct {
        const char *cluster, *user, *want;
    } rows[] = {
        {"", "", "f:8: 'server' is missing; want https://HOST:PORT"},
        {"server: 'ftp://h'", "", "f:8: 'server' is 'ftp://h'; want https://HOST:PORT"},
        {"server: h", "", "f:8: 'server' is 'h'; want https://HOST:PORT"},
        {"server: 'https://u:p@h'", "", "f:8: 'server' is 'https://u:p@h'; want https://HOST:PORT"},
        {"server: 'https://h?x'", "", "f:8: 'server' is 'https://h?x'; want https://HOST:PORT"},
        {"server: 5", "", "f:8: 'server' is '5'; want text; put it in quotes"},
        {HTTP ", proxy-url: 'http://p'", "",
         "f:8: 'proxy-url' is 'http://p'; mesh does not speak through proxies: remove it and reach "
         "the server directly, or through 'kubectl proxy'"},
        {HTTP ", insecure-skip-tls-verify: maybe", "",
         "f:8: 'insecure-skip-tls-verify' is 'maybe'; want true or false"},
        {HTTP ", insecure-skip-tls-verify: true, certificate-authority: ca.pem", "",
         "f:8: 'insecure-skip-tls-verify' is 'true'; with a certificate-authority it means "
         "nothing; keep one of them"},
        {HTTP ", certificate-authority-data: '!!'", "",
         "f:8: 'certificate-authority-data' is not base64"},
        {HTTP ", certificate-authority-data: AAAA", "",
         "f:8: what 'certificate-authority-data' holds is not PEM (-----BEGIN ...-----)"},
        {HTTP ", certificate-authority: junk.pem", "",
         "f:8: what 'certificate-authority' holds is not PEM (-----BEGIN ...-----)"},
        {HTTP ", certificate-authority: none.pem", "",
         "f:8: 'certificate-authority' can not be read: 'FOLDER/none.pem' can not be opened: no such file or directory"},
        {HTTP, "token: 12", "f:11: 'token' is no text; put it in quotes"},
        {HTTP, "token: \"a\\tb\"", "f:11: 'token' has a byte that no token has"},
        {HTTP, "username: u, password: 12", "f:11: 'password' is no text; put it in quotes"},
        {HTTP, "username: u, token: t",
         "f:11: 'username' is 'u'; the user has a token too; keep one way to authenticate"},
        {HTTP, "client-certificate: ca.pem",
         "f:11: 'client-key-data' is missing; a client certificate and its key belong together"},
        {HTTP, "client-key: ca.pem",
         "f:11: 'client-certificate-data' is missing; a client certificate and its key belong "
         "together"},
        {HTTP, "auth-provider: {name: gcp}",
         "f:11: 'auth-provider' is a map; such providers are gone since Kubernetes 1.26: use an "
         "exec plugin"},
        {HTTP, "exec: x", "f:11: 'exec' is 'x'; want a map"},
        {HTTP, "exec: {}", "f:11: 'command' is missing; want the program to run"},
        {HTTP, "exec: {command: x}",
         "f:11: 'apiVersion' is missing; use client.authentication.k8s.io/v1 or v1beta1 (v1alpha1 "
         "is gone: update the plugin and its entry)"},
        {HTTP, "exec: {command: x, " V1 ", args: [1]}",
         "f:11: 'args' is '1'; want text; put it in quotes"},
        {HTTP, "exec: {command: x, " V1 ", env: [A]}",
         "f:11: 'env' is 'A'; want a map with name and value"},
        {HTTP, "exec: {command: x, " V1 ", env: [{value: A}]}",
         "f:11: 'name' is missing; want the name of a variable"},
        {HTTP, "exec: {command: x, " V1 ", interactiveMode: Sometimes}",
         "f:11: 'interactiveMode' is 'Sometimes'; use Never, IfAvailable or Always"},
        {HTTP, "as-groups: [g]",
         "f:11: 'as' is missing; as-groups, as-uid and as-user-extra want it"},
        {HTTP, "as: me, as-groups: [\"a\\nb\"]",
         "f:11: 'as-groups' is 'a\nb'; want text without control characters"},
        {HTTP, "as: me, as-user-extra: {a: b}", "f:11: 'as-user-extra' is 'b'; want lists of text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kube_conf c;
        char want[512];
        const char *mark = strstr(rows[i].want, "FOLDER");
        const char *text = config(rows[i].cluster, rows[i].user);
        (void)snprintf(want, sizeof(want), "%.*s%s%s", mark ? (int)(mark - rows[i].want) : 0,
                       rows[i].want, mark ? folder : "", mark ? mark + 6 : rows[i].want);
        assert_int_equal(kube_conf_parse(&c, span_of(text), "f", folder, NULL, &err), -ERR_CONFIG);
        assert_string_equal(err.text, want);
    }
}

static void test_choice(void **state)
{
    UNUSED(state);
    static const struct {
        const char *text, *context, *want;
    } rows[] = {
        {"", NULL, "f: the kubeconfig is empty"},
        {"[]", NULL, "f:1: this is no kubeconfig: want a map with clusters, contexts and users"},
        {"kind: Pod", NULL, "f:1: 'kind' is 'Pod'; a kubeconfig's is Config"},
        {"a: b", NULL,
         "f: no 'current-context' is set; name a context with --context, or set it with 'kubectl "
         "config use-context'; there are: none"},
        {"contexts: [{name: a}, {name: b}]", NULL,
         "f: no 'current-context' is set; name a context with --context, or set it with 'kubectl "
         "config use-context'; there are: a, b"},
        {"contexts: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: f}, {name: g}]",
         "x", "f: there is no context 'x'; there are: a, b, c, d, e, f, ..."},
        {"current-context: x\ncontexts: [{name: a}]", NULL,
         "f:1: there is no context 'x'; there are: a"},
        {"contexts: [{name: a}]", "a", "f: context 'a' is empty; want cluster and user"},
        {"contexts: [7]", "a", "f:1: 'contexts' is '7'; want a map with 'name'"},
        {"contexts: 7", "a", "f:1: 'contexts' is '7'; want a list"},
        {"contexts: [{name: a, context: {}},\n {name: a}]", "a",
         "f:2: 'name' is 'a'; the list has that name twice; remove one"},
        {"contexts: [{name: a, context: {user: u}}]", "a",
         "f:1: 'cluster' is missing; want the name of a cluster"},
        {"contexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: d}]", "a",
         "f:1: there is no cluster 'c'; there are: d"},
        {"contexts: [{name: a, context: {cluster: c, user: u}}]\n"
         "clusters: [{name: c, cluster: {server: 'http://h'}}]\nusers: [{name: v}]",
         "a", "f:1: there is no user 'u'; there are: v"},
        {"a: [", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct kube_conf c;
        assert_int_equal(
            kube_conf_parse(&c, span_of(rows[i].text), "f", folder, rows[i].context, &err),
            -ERR_CONFIG);
        if (rows[i].want != NULL) {
            assert_string_equal(err.text, rows[i].want);
        }
    }
}

/* No length of a good text may be read past its end, or leave anything behind. */
static void test_truncated(void **state)
{
    UNUSED(state);
    const char *text = config(HTTP ", certificate-authority-data: " PEM64,
                              "exec: {command: x, args: [a], " V1 ", env: [{name: A, value: b}]}");
    for (size_t len = 0; len <= strlen(text); len++) {
        struct kube_conf c;
        struct span cut = guard_copy(0, span_from(text, len));
        if (kube_conf_parse(&c, cut, "f", folder, NULL, &err) == 0) {
            kube_conf_dispose(&c);
        } else {
            assert_int_equal(err.code, -ERR_CONFIG);
        }
    }
}

/* ---- which files ---- */

static int load_it(struct kube_conf *c, const char *list, const char *kubeconfig,
                   const char *context)
{
    struct kube_conf_spec spec = {.kubeconfig = kubeconfig, .context = context};
    if (list != NULL) {
        setenv("KUBECONFIG", list, 1);
    } else {
        unsetenv("KUBECONFIG");
    }
    return kube_conf_load(c, &spec, &err);
}

static void test_merge(void **state)
{
    UNUSED(state);
    struct kube_conf c;
    char list[1024];
    setenv("HOME", "/nonexistent", 1);
    unsetenv("KUBERNETES_SERVICE_HOST");
    const char *one = put("one", "current-context: ''\n"
                                 "clusters: [{name: c, cluster: {server: 'http://one'}}]\n"
                                 "users: [{name: u, user: {token: one}}]\n");
    const char *two =
        put("two", "current-context: a\n"
                   "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
                   "clusters: [{name: c, cluster: {server: 'http://two', tls-server-name: x}},\n"
                   "           {name: d, cluster: {server: 'http://d'}}]\n");
    const char *three = put("three", "current-context: b\n"
                                     "contexts: [{name: a, context: {cluster: d, user: u}},\n"
                                     "           {name: b, context: {cluster: d, user: v}}]\n"
                                     "users: [{name: v, user: {tokenFile: token}}]\n");
    const char *empty = put("empty", "");
    /* Missing and empty files do not count; the first that names a thing has all the say about it. */
    (void)snprintf(list, sizeof(list), "/nonexistent/x::%s:%s:%s:%s", empty, one, two, three);
    assert_int_equal(load_it(&c, list, NULL, NULL), 0);
    assert_span(c.context, "a");
    assert_span(c.server, "http://one");
    assert_span(c.tls_name, "");
    assert_span(c.token, "one");
    assert_span(c.namespace, "default");
    kube_conf_dispose(&c);
    assert_int_equal(load_it(&c, list, NULL, "b"), 0);
    assert_span(c.server, "http://d");
    (void)snprintf(list, sizeof(list), "%s/token", folder); /* against the folder of its own file */
    assert_string_equal(c.token_file, list);
    kube_conf_dispose(&c);
    /* --kubeconfig is that file and no other. */
    assert_int_equal(load_it(&c, list, two, NULL), -ERR_CONFIG);
    assert_non_null(strstr(err.text, "there is no user 'u'"));
    assert_int_equal(load_it(&c, list, "/nonexistent/x", NULL), -ERR_CONFIG);
    assert_string_equal(err.text, "'/nonexistent/x' can not be opened: no such file or directory");
    assert_int_equal(load_it(&c, list, put("void", "---\n"), NULL), -ERR_CONFIG);
    /* What can not be read, or is too deep, is not passed over. */
    assert_int_equal(load_it(&c, folder, NULL, NULL), -ERR_CONFIG);
    assert_non_null(strstr(err.text, folder));
    char deep[DOC_DEPTH_MAX * 2 + 1];
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(kube_conf_parse(&c, span_of(deep), "f", folder, NULL, &err), -ERR_CONFIG);
    assert_int_equal(err.code, -ERR_CONFIG);
    assert_non_null(strstr(err.text, "f:1: "));
}

static void test_nothing(void **state)
{
    UNUSED(state);
    struct kube_conf c;
    char home[256];
    setenv("HOME", folder, 1);
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(load_it(&c, "/nonexistent/a", NULL, NULL), -ENOENT);
    assert_string_equal(err.text, "no Kubernetes is configured here: there is no kubeconfig at "
                                  "'/nonexistent/a' (KUBECONFIG), and this is no pod; name one "
                                  "with --kubeconfig or KUBECONFIG");
    assert_int_equal(load_it(&c, NULL, NULL, "a"), -ENOENT);
    (void)snprintf(home, sizeof(home), "%s/.kube", folder);
    assert_int_equal(file_make_folder(home, &err), 0);
    put(".kube/config", config(HTTP, "token: home"));
    assert_int_equal(load_it(&c, NULL, NULL, NULL), 0);
    assert_span(c.token, "home");
    kube_conf_dispose(&c);
    unsetenv("HOME");
    assert_int_equal(load_it(&c, NULL, NULL, NULL), -ENOENT);
}

static void test_pod(void **state)
{
    UNUSED(state);
    struct kube_conf c;
    conf_init(&c);
    put("ca.crt", PEM);
    put("namespace", "blue\n");
    assert_int_equal(load_pod(&c, folder, "10.96.0.1", "443", &err), 0);
    assert_span(c.server, "https://10.96.0.1:443");
    assert_span(c.ca_pem, PEM);
    assert_span(c.namespace, "blue");
    assert_non_null(strstr(c.token_file, "/token"));
    assert_true(c.in_cluster);
    kube_conf_dispose(&c);
    conf_init(&c);
    assert_int_equal(load_pod(&c, folder, "fd00::1", "443", &err), 0);
    assert_span(c.server, "https://[fd00::1]:443");
    kube_conf_dispose(&c);
    conf_init(&c);
    assert_int_equal(load_pod(&c, "/nonexistent", "h", "443", &err), -ERR_CONFIG);
    assert_string_equal(err.text,
                        "this pod has no service account (is "
                        "automountServiceAccountToken off?): '/nonexistent/token' can not "
                        "be opened: no such file or directory");
    assert_int_equal(load_pod(&c, folder, NULL, "443", &err), -ENOENT);
    assert_int_equal(load_pod(&c, folder, "h", "", &err), -ENOENT);
    kube_conf_dispose(&c);
    /* A pod without an account is a mistake to be told, not a reason to look on. */
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    if (access(KUBE_POD_FOLDER "/token", F_OK) != 0) {
        struct kube_conf_spec spec = {.in_cluster_first = true};
        assert_int_equal(kube_conf_load(&c, &spec, &err), -ERR_CONFIG);
    }
    unsetenv("KUBERNETES_SERVICE_HOST");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_exec),
        cmocka_unit_test(test_bad),       cmocka_unit_test(test_choice),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_merge),
        cmocka_unit_test(test_nothing),   cmocka_unit_test(test_pod),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
