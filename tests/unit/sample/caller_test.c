/* A service of a made-up mesh, which calls itself under another path. */
#include "sample/caller.c"

#include "unit/cm.h"

struct fixture {
    struct loop *loop;
    struct http_server *leaf, *root;
    struct peer *to_leaf, *to_root, *to_nobody;
    bool answered;
    unsigned status;
    struct buf body;
};

static void on_test_answer(void *arg, const struct http_answer *answer)
{
    struct fixture *f = arg;
    f->answered = true;
    f->status = answer->err != NULL ? 0 : answer->head->status;
    buf_reset(&f->body);
    if (answer->err == NULL) {
        assert_int_equal(buf_append_span(&f->body, answer->body), 0);
    }
}

static void ask(struct fixture *f, struct peer *peer, const char *path)
{
    const struct http_call call = {
        .method = SPAN("GET"), .path = span_of(path), .on_answer = on_test_answer, .arg = f};
    f->answered = false;
    peer_call(peer, &call);
    while (!f->answered) {
        (void)loop_turn(f->loop, true);
    }
}

static struct http_server *open_server(struct loop *loop, struct peer **peer)
{
    struct listener_spec where = {.addr.kind = ADDR_NONE};
    struct http_server *server;
    struct err err;
    char url[ADDR_TEXT_BYTES + 8], addr[ADDR_TEXT_BYTES];
    assert_int_equal(addr_parse(SPAN("127.0.0.1:0"), &where.addr, &err), 0);
    assert_int_equal(http_server_new(&server, loop, &where, NULL, &err), 0);
    (void)snprintf(url, sizeof(url), "http://%s", addr_format(http_server_addr(server), addr));
    const struct peer_spec spec = {.url = url, .conns = 4};
    assert_int_equal(peer_new(peer, loop, &spec, &err), 0);
    return server;
}

static void test_calls(void **state)
{
    struct fixture f = {.loop = loop_new(false)};
    struct err err;
    UNUSED(state);
    buf_init(&f.body, 1 << 16);
    f.leaf = open_server(f.loop, &f.to_leaf);
    f.root = open_server(f.loop, &f.to_root);
    const struct peer_spec nobody = {.url = "http://127.0.0.1:1", .conns = 1};
    assert_int_equal(peer_new(&f.to_nobody, f.loop, &nobody, &err), 0);
    const struct caller_spec leaf_spec = {.name = "leaf"};
    struct caller_spec root_spec = {
        .name = "root", .peers = {f.to_leaf, f.to_leaf}, .names = {"a", "b"}, .count = 2};
    struct caller *leaf = caller_new(f.leaf, &leaf_spec);
    struct caller *root = caller_new(f.root, &root_spec);

    ask(&f, f.to_leaf, "/x");
    assert_int_equal(f.status, 200);
    assert_span(buf_span(&f.body), "{\"name\":\"leaf\",\"calls\":[]}\n");
    ask(&f, f.to_root, "/x?y");
    assert_int_equal(f.status, 200);
    assert_span(buf_span(&f.body), "{\"name\":\"root\",\"calls\":[{\"name\":\"a\",\"status\":200},"
                                   "{\"name\":\"b\",\"status\":200}]}\n");
    ask(&f, f.to_root, "/health");
    assert_span(buf_span(&f.body), "ok\n");
    root->spec.peers[1] = f.to_nobody;
    ask(&f, f.to_root, "/x");
    assert_int_equal(f.status, 502);
    assert_true(span_find(buf_span(&f.body), SPAN("{\"name\":\"b\",\"status\":500}")) > 0);

    http_server_free(f.root);
    http_server_free(f.leaf);
    caller_free(root);
    caller_free(leaf);
    peer_free(f.to_leaf);
    peer_free(f.to_root);
    peer_free(f.to_nobody);
    (void)loop_turn(f.loop, false);
    loop_free(f.loop);
    buf_dispose(&f.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
