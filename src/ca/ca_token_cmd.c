/* mesh ca token: join tokens from the command line.
 * In: ca_role.c. Out: HTTP on the socket of mesh ca or mesh control (ca_api.c, control/api). */
#include "ca/ca_token_cmd.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/opt.h"
#include "codec/doc.h"
#include "http/http_client.h"
#include "io/file.h"
#include "mesh/paths.h"

struct token_options {
    const char *socket, *data_dir, *ns, *account, *ttl;
    int64_t uses;
};

#define AT(field) offsetof(struct token_options, field)
static const struct opt rows[] = {
    {.name = "namespace",
     .letter = 'n',
     .type = OPT_TEXT,
     .offset = AT(ns),
     .arg = "NAME",
     .fallback = "default",
     .help = "of the workload"},
    {.name = "service-account",
     .type = OPT_TEXT,
     .offset = AT(account),
     .arg = "NAME",
     .fallback = "default",
     .help = "of the workload; '*' for any of the namespace"},
    {.name = "uses",
     .type = OPT_INT,
     .offset = AT(uses),
     .arg = "N",
     .fallback = "1",
     .min = -1,
     .max = 1000000,
     .help = "how often it can be used; -1 = any number"},
    {.name = "ttl",
     .type = OPT_TEXT,
     .offset = AT(ttl),
     .arg = "TIME",
     .fallback = "24h",
     .help = "how long it can be used"},
    {.name = "socket",
     .type = OPT_TEXT,
     .offset = AT(socket),
     .arg = "FILE",
     .help = "of mesh ca or mesh control; default: whichever there is"},
    {.name = "data-dir",
     .type = OPT_TEXT,
     .offset = AT(data_dir),
     .arg = "DIR",
     .help = "of mesh ca, whose socket is in it"},
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh ca token",
    .section = "ca",
    .summary = "Join tokens: a new workload's proof of identity, good for its first certificate.",
    .examples = "mesh ca token create --service-account web\n"
                "mesh ca token create -n shop --service-account '*' --uses 10 --ttl 1h\n"
                "mesh ca token list\n"
                "mesh ca token revoke k3x9m2p7qa\n",
    .operands = "create | list | revoke ID",
    .rows = rows,
};

struct token_call {
    struct arena *arena;
    struct loop *loop;
    struct doc_node *answer; /* NULL: none came */
    unsigned status;
    struct err err;
};

static void on_answer(void *arg, const struct http_answer *a)
{
    struct token_call *call = arg;
    loop_stop(call->loop);
    if (a->err != NULL) {
        call->err = *a->err;
        return;
    }
    call->status = a->head->status;
    if (doc_parse_json(call->arena, arena_dup(call->arena, a->body), "answer", &call->answer,
                       &call->err) != 0) {
        call->answer = NULL;
    }
}

static const char *find_socket(struct arena *a, const struct token_options *set)
{
    char path[PATHS_BYTES];
    if (set->socket != NULL) {
        return set->socket;
    }
    const char *lone =
        arena_printf(a, "%s/ca.sock", set->data_dir != NULL ? set->data_dir : paths_data_dir(path));
    return set->data_dir != NULL || file_exists(lone) ? lone
                                                      : arena_strdup(a, paths_control_socket(path));
}

static int ask(struct token_call *call, const char *socket, const char *method, const char *path,
               struct span body)
{
    struct http_client *client;
    const struct http_client_spec http = {
        .origin = span_of(arena_printf(call->arena, "unix:%s", socket)),
    };
    int code = http_client_new(&client, call->loop, &http, &call->err);
    if (code != 0) {
        return code;
    }
    const struct http_call request = {
        .method = span_of(method),
        .path = span_of(path),
        .body = body,
        .on_answer = on_answer,
        .arg = call,
    };
    http_client_call(client, &request);
    loop_run(call->loop);
    http_client_free(client);
    if (call->answer == NULL) {
        return err_prefix(&call->err, "'%s'", socket);
    }
    struct span why = SPAN("refused");
    if (call->status >= 400) {
        const struct doc_node *message = doc_get(call->answer, "message");
        why = doc_is(message, DOC_TEXT) ? message->text : why;
        return err_set(&call->err, -ERR_DENIED, "%.*s", SPAN_ARG(why));
    }
    return 0;
}

static int create(struct token_call *call, const char *socket, const struct token_options *set)
{
    struct doc_node *body = doc_new_map(call->arena);
    doc_set_text(call->arena, body, "namespace", span_of(set->ns));
    doc_set_text(call->arena, body, "serviceAccount", span_of(set->account));
    doc_set(call->arena, body, "uses", doc_int(call->arena, set->uses));
    doc_set_text(call->arena, body, "ttl", span_of(set->ttl));
    struct buf text;
    buf_init(&text, 65536);
    int code = doc_write_json(body, false, &text);
    code = code ? err_set(&call->err, code, "the request is too long")
                : ask(call, socket, "POST", "/api/v1/tokens", buf_span(&text));
    buf_dispose(&text);
    struct span token = SPAN_EMPTY;
    if (code == 0) {
        code = doc_read_text(call->answer, "token", &token, &call->err);
    }
    if (code == 0) {
        printf("%.*s\n", SPAN_ARG(token));
    }
    return code;
}

static void print_row(const struct doc_node *row)
{
    struct span id = SPAN_EMPTY, ns = SPAN_EMPTY, sa = SPAN_EMPTY, expires = SPAN_EMPTY;
    int64_t uses = 0;
    bool revoked = false;
    struct err err;
    if (doc_read_text(row, "id", &id, &err) != 0 ||
        doc_read_text(row, "namespace", &ns, &err) != 0 ||
        doc_read_text(row, "serviceAccount", &sa, &err) != 0 ||
        doc_read_text(row, "expires", &expires, &err) != 0 ||
        doc_read_int(row, "usesLeft", -1, INT64_MAX, &uses, &err) != 0 ||
        doc_read_bool(row, "revoked", &revoked, &err) != 0) {
        return; /* of a server of another version */
    }
    char left[32];
    (void)snprintf(left, sizeof(left), uses < 0 ? "any" : "%lld", (long long)uses);
    printf("%-16.*s  %-16.*s  %-24.*s  %6s  %.*s%s\n", SPAN_ARG(id), SPAN_ARG(ns), SPAN_ARG(sa),
           left, SPAN_ARG(expires), revoked ? "  revoked" : "");
}

static int list(struct token_call *call, const char *socket)
{
    int code = ask(call, socket, "GET", "/api/v1/tokens", SPAN_EMPTY);
    const struct doc_node *items = code == 0 ? doc_get(call->answer, "items") : NULL;
    if (code == 0) {
        printf("%-16s  %-16s  %-24s  %6s  %s\n", "ID", "NAMESPACE", "SERVICE ACCOUNT", "USES",
               "EXPIRES");
    }
    for (size_t i = 0; i < doc_count(items); i++) {
        print_row(doc_at(items, i));
    }
    return code;
}

static int usage(struct token_call *call)
{
    return err_set(&call->err, -ERR_CONFIG,
                   "say create, list or revoke ID; see mesh ca token --help");
}

static int run(struct token_call *call, const struct token_options *set,
               const struct opt_list *operands)
{
    const char *socket = find_socket(call->arena, set);
    const char *verb = operands->count > 0 ? operands->items[0] : "";
    if (strcmp(verb, "create") == 0 && operands->count == 1) {
        return create(call, socket, set);
    }
    if (strcmp(verb, "list") == 0 && operands->count == 1) {
        return list(call, socket);
    }
    if (strcmp(verb, "revoke") != 0 || operands->count != 2) {
        return usage(call);
    }
    const char *path = arena_printf(call->arena, "/api/v1/tokens/%s", operands->items[1]);
    return ask(call, socket, "DELETE", path, SPAN_EMPTY);
}

int ca_token_cmd(int argc, char **argv)
{
    struct token_options set = {.uses = 1};
    struct arena arena;
    struct opt_list operands;
    struct token_call call = {.arena = &arena};
    arena_init(&arena, 4096);
    err_clear(&call.err);
    int code = opt_parse(&spec, &set, argc, argv, &arena, &operands, &call.err);
    if (code == 0) {
        call.loop = loop_new(false);
        code = run(&call, &set, &operands);
        loop_free(call.loop);
    }
    if (code < 0) {
        fprintf(stderr, "mesh ca token: %s\n", call.err.text);
    }
    arena_dispose(&arena);
    return code >= 0 ? 0 : code == -ERR_CONFIG ? 2 : 1;
}
