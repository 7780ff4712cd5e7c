/* The image's archive: every file at its place, every digest that of its bytes. */
#include "cli/image.c"

#include <stdlib.h>

#include "codec/doc.h"
#include "unit/cm.h"

/* A program that needs nothing, or the libraries of its machine. */
static struct span program(char *to, bool needs)
{
    Elf64_Ehdr head = {.e_phoff = sizeof head, .e_phnum = 1};
    Elf64_Phdr part = {.p_type = needs ? PT_INTERP : PT_LOAD};
    memcpy(head.e_ident, ELFMAG, SELFMAG);
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, &part, sizeof part);
    return span_from(to, sizeof head + sizeof part);
}

/* The bytes of a file in a tar; NULL `at`: there is none. */
static struct span file_in(struct span tar, const char *name)
{
    while (tar.len >= TAR_BLOCK && tar.at[0] != '\0') {
        const struct tar_head *h = (const struct tar_head *)tar.at;
        size_t length = strtoul(h->size, NULL, 8);
        struct span rest = span_from_offset(tar, TAR_BLOCK);
        assert_memory_equal(h->magic, "ustar", 6);
        if (strcmp(h->name, name) == 0) {
            return span_first(rest, length);
        }
        tar = span_from_offset(rest, (length + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK);
    }
    return SPAN_EMPTY;
}

static struct doc_node *json(struct arena *a, struct span text)
{
    struct doc_node *doc;
    struct err err;
    assert_non_null(text.at);
    assert_int_equal(doc_parse_json(a, text, "x", &doc, &err), 0);
    return doc;
}

/* A descriptor of OCI: what it names is there, with that digest and size. */
static struct span follow(struct arena *a, struct span tar, const struct doc_node *d)
{
    struct span digest = span_from_offset(doc_get(d, "digest")->text, 7);
    struct span bytes = file_in(tar, arena_printf(a, "blobs/sha256/%.*s", SPAN_ARG(digest)));
    struct blob b = blob_of(bytes);
    assert_true(span_is(digest, b.hash));
    assert_int_equal(doc_get(d, "size")->integer, b.length);
    return bytes;
}

static void test_archive(void **state)
{
    UNUSED(state);
    char bytes[256];
    struct arena a;
    struct buf out, again;
    struct err err = {.code = 0};
    const struct image_spec spec = {
        .program = program(bytes, false), .name = "mesh:v1", .version = "v1"};
    arena_init(&a, 4096);
    buf_init(&out, IMAGE_MAX);
    buf_init(&again, IMAGE_MAX);
    assert_int_equal(image_write(&spec, &out, &err), 0);
    assert_int_equal(image_write(&spec, &again, &err), 0);
    assert_true(span_eq(buf_span(&out), buf_span(&again)));
    struct span tar = buf_span(&out);
    assert_int_equal(tar.len % TAR_BLOCK, 0);
    assert_true(span_is(file_in(tar, "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}"));
    const struct doc_node *index = json(&a, file_in(tar, "index.json"));
    const struct doc_node *notes = doc_path(index, "manifests.0.annotations");
    assert_true(
        span_is(doc_get(notes, "io.containerd.image.name")->text, "docker.io/library/mesh:v1"));
    assert_true(span_is(doc_get(notes, "org.opencontainers.image.ref.name")->text, "v1"));
    const struct doc_node *manifest = json(&a, follow(&a, tar, doc_path(index, "manifests.0")));
    const struct doc_node *config = json(&a, follow(&a, tar, doc_get(manifest, "config")));
    (void)follow(&a, tar, doc_path(manifest, "layers.0"));
    assert_int_equal(doc_count(doc_get(manifest, "layers")), 1);
    assert_true(span_is(doc_path(config, "config.User")->text, "1337:1337"));
    assert_true(span_is(doc_path(config, "config.Entrypoint.0")->text, "/mesh"));
    const struct doc_node *docker = json(&a, file_in(tar, "manifest.json"));
    assert_true(span_is(doc_path(docker, "0.RepoTags.0")->text, "mesh:v1"));
    assert_non_null(file_in(tar, arena_cstr(&a, doc_path(docker, "0.Config")->text)).at);
    assert_non_null(file_in(tar, arena_cstr(&a, doc_path(docker, "0.Layers.0")->text)).at);
    buf_dispose(&out);
    buf_dispose(&again);
    arena_dispose(&a);
}

static void test_refused(void **state)
{
    UNUSED(state);
    char good[256], needy[256];
    const struct image_spec cases[] = {
        {.program = SPAN("#!/bin/sh\n"), .name = "mesh:v1"},
        {.program = program(needy, true), .name = "mesh:v1"},
        {.program = span_first(program(good, false), sizeof(Elf64_Ehdr)), .name = "mesh:v1"},
        {.program = program(good, false), .name = "mesh"},
        {.program = program(good, false), .name = "mesh:"},
        {.program = program(good, false), .name = "host:5000/mesh"},
        {.program = program(good, false), .name = "me sh:v1"},
        {.program = program(good, false), .name = "me\"sh:v1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        struct err err = {.code = 0};
        buf_init(&out, IMAGE_MAX);
        assert_int_equal(image_write(&cases[i], &out, &err), -ERR_CONFIG);
        assert_true(strlen(err.text) > 0);
        buf_dispose(&out);
    }
}

static void test_names(void **state)
{
    UNUSED(state);
    static const char *const cases[][2] = {{"mesh:v1", "docker.io/library/"},
                                           {"team/mesh:v1", "docker.io/"},
                                           {"registry.example/mesh:v1", ""},
                                           {"host:5000/mesh:v1", ""},
                                           {"localhost/mesh:v1", ""}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_string_equal(prefix_of(cases[i][0]), cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archive),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
