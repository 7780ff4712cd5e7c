/* A real folder: written in place, replaced by rename, mended, moved, removed. */
#include "control/sources/from_files.c"

#include <stdio.h>

#include "base/instant.h"
#include "unit/cm.h"

struct bench {
    char folder[64];
    struct loop *loop;
    struct sources *s;
    struct from_files *f;
    struct store *store; /* NULL = without */
    unsigned settled;
    unsigned gone;
    char text[1024];
};

static void on_came(void *arg, struct object *o)
{
    UNUSED(arg);
    object_unref(o);
}

static void on_gone(void *arg, struct span key)
{
    UNUSED(key);
    ((struct bench *)arg)->gone++;
}

static void on_settled(void *arg)
{
    ((struct bench *)arg)->settled++;
}

static const struct source_events events = {
    .on_object = on_came, .on_gone = on_gone, .on_settled = on_settled};

static char *path_of(const struct bench *b, const char *name)
{
    static char paths[4][256];
    static unsigned at;
    char *path = paths[at++ % 4];
    snprintf(path, 256, "%s/%s", b->folder, name);
    return path;
}

static void write_text(const struct bench *b, const char *name, const char *text)
{
    int fd = open(path_of(b, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd != -1);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void open_files(struct bench *b)
{
    struct err err;
    b->s = sources_new(&events, b);
    assert_int_equal(from_files_new(&b->f, b->loop, b->s, b->store, b->folder, &err), 0);
    sources_settle(b->s);
}

static void setup(struct bench *b)
{
    memset(b, 0, sizeof(*b));
    snprintf(b->folder, sizeof(b->folder), "/tmp/mesh-files-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    b->loop = loop_new(false);
}

static void remove_below(const char *folder)
{
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && unlink(path) == -1) {
            remove_below(path);
            rmdir(path);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

static void close_files(struct bench *b)
{
    from_files_free(b->f);
    sources_free(b->s);
    loop_turn(b->loop, false);
}

static void teardown(struct bench *b)
{
    close_files(b);
    loop_free(b->loop);
    remove_below(b->folder);
    rmdir(b->folder);
}

static void on_each(void *arg, const struct object *o)
{
    struct bench *b = arg;
    size_t n = strlen(b->text);
    int64_t port = -1;
    struct err err;
    assert_int_equal(doc_read_int(doc_path(o->doc, "spec.ports.0"), "port", 0, 65535, &port, &err),
                     0);
    snprintf(b->text + n, sizeof(b->text) - n, "%.*s:%d ", SPAN_ARG(o->name), (int)port);
}

static const char *objects(struct bench *b)
{
    b->text[0] = '\0';
    sources_each(b->s, on_each, b);
    return b->text;
}

static void on_finding(void *arg, const struct finding *f)
{
    struct bench *b = arg;
    size_t n = strlen(b->text);
    struct span file = span_from_offset(f->file, strlen(b->folder) + 1);
    snprintf(b->text + n, sizeof(b->text) - n, "%u %.*s:%u; ", f->code, SPAN_ARG(file), f->line);
}

static const char *findings(struct bench *b)
{
    b->text[0] = '\0';
    sources_each_finding(b->s, on_finding, b);
    return b->text;
}

/* Turns until it reads so. */
static void until(struct bench *b, const char *(*what)(struct bench *b), const char *want)
{
    int64_t begin = instant_mono_ms();
    while (strcmp(what(b), want) != 0) {
        if (instant_mono_ms() - begin > 20000) {
            assert_string_equal(what(b), want);
        }
        loop_turn(b->loop, true);
    }
}

#define SERVICE(name, port) \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {ports: [{port: " port "}]}\n"

static void test_start(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    mkdir(path_of(&b, "sub"), 0700);
    mkdir(path_of(&b, "sub/deep"), 0700);
    mkdir(path_of(&b, ".git"), 0700);
    write_text(&b, "a.yaml", SERVICE("a", "1") "---\n" SERVICE("aa", "1"));
    write_text(&b, "b.yml", SERVICE("b", "2"));
    write_text(&b, "c.json",
               "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"c\"},"
               "\"spec\":{\"ports\":[{\"port\":3}]}}");
    write_text(&b, "sub/d.yaml", SERVICE("d", "4"));
    write_text(&b, "sub/deep/e.yaml", SERVICE("e", "5"));
    write_text(&b, "README.md", "not ours");
    write_text(&b, ".hidden.yaml", SERVICE("no", "1"));
    write_text(&b, ".git/f.yaml", SERVICE("no", "1"));
    write_text(&b, "g.yaml~", SERVICE("no", "1"));
    open_files(&b);
    assert_string_equal(objects(&b), "a:1 aa:1 b:2 c:3 d:4 e:5 ");
    assert_string_equal(findings(&b), "");
    teardown(&b);
}

static void test_changes(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    write_text(&b, "a.yaml", SERVICE("a", "1"));
    open_files(&b);
    assert_string_equal(objects(&b), "a:1 ");
    write_text(&b, "a.yaml", SERVICE("a", "2")); /* in place, of the same size */
    until(&b, objects, "a:2 ");
    write_text(&b, ".a.yaml.swp", SERVICE("a", "3")); /* as editors do */
    assert_int_equal(rename(path_of(&b, ".a.yaml.swp"), path_of(&b, "a.yaml")), 0);
    until(&b, objects, "a:3 ");
    write_text(&b, "b.yaml", SERVICE("b", "1"));
    until(&b, objects, "a:3 b:1 ");
    assert_int_equal(b.gone, 0);
    assert_int_equal(rename(path_of(&b, "b.yaml"), path_of(&b, "c.yaml")), 0);
    write_text(&b, "d.yaml", SERVICE("d", "1"));
    until(&b, objects, "a:3 b:1 d:1 ");
    assert_int_equal(b.gone, 0); /* it moved */
    assert_int_equal(unlink(path_of(&b, "c.yaml")), 0);
    until(&b, objects, "a:3 d:1 ");
    mkdir(path_of(&b, "sub"), 0700);
    write_text(&b, "sub/e.yaml", SERVICE("e", "1"));
    until(&b, objects, "a:3 d:1 e:1 ");
    write_text(&b, "sub/e.yaml", SERVICE("e", "2"));
    until(&b, objects, "a:3 d:1 e:2 ");
    remove_below(path_of(&b, "sub"));
    rmdir(path_of(&b, "sub"));
    until(&b, objects, "a:3 d:1 ");
    teardown(&b);
}

/* Files of a Kubernetes volume: links into a folder that is swapped as a whole. */
static void test_volume(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    mkdir(path_of(&b, "..1"), 0700);
    mkdir(path_of(&b, "..2"), 0700);
    write_text(&b, "..1/a.yaml", SERVICE("a", "1"));
    write_text(&b, "..2/a.yaml", SERVICE("a", "2"));
    assert_int_equal(symlink("..1", path_of(&b, "..data")), 0);
    assert_int_equal(symlink("..data/a.yaml", path_of(&b, "a.yaml")), 0);
    open_files(&b);
    assert_string_equal(objects(&b), "a:1 ");
    assert_int_equal(symlink("..2", path_of(&b, "..data_tmp")), 0);
    assert_int_equal(rename(path_of(&b, "..data_tmp"), path_of(&b, "..data")), 0);
    until(&b, objects, "a:2 ");
    teardown(&b);
}

static void test_bad(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    write_text(&b, "a.yaml", SERVICE("a", "1") "---\n" SERVICE("b", "1"));
    write_text(&b, "z.yaml", SERVICE("z", "1"));
    open_files(&b);
    assert_string_equal(objects(&b), "a:1 b:1 z:1 ");
    static const char *const bad[] = {
        "apiVersion: v1\nkind: [Service\n",             /* no YAML */
        SERVICE("a", "7") "---\n" SERVICE("b", "many"), /* one object of two */
        SERVICE("a", "7") "---\nkind: Service\n",       /* half an object */
        SERVICE("a", "7") "---\n" SERVICE("b", "{"),    /* syntax, late */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_text(&b, "a.yaml", bad[i]);
        char before[256];
        snprintf(before, sizeof(before), "%s", findings(&b));
        int64_t begin = instant_mono_ms();
        while (strcmp(findings(&b), before) == 0) {
            assert_true(instant_mono_ms() - begin < 20000);
            loop_turn(b.loop, true);
        }
        assert_non_null(strstr(findings(&b), " a.yaml:"));
        assert_string_equal(objects(&b), "a:1 b:1 z:1 ");
        write_text(&b, "a.yaml", SERVICE("a", "1") "---\n" SERVICE("b", "1")); /* mended */
        until(&b, findings, "");
        assert_string_equal(objects(&b), "a:1 b:1 z:1 ");
    }
    assert_int_equal(b.settled, 1); /* nothing in force ever changed */
    write_text(&b, "a.yaml", bad[0]);
    until(&b, findings, "2001 a.yaml:3; ");
    assert_int_equal(unlink(path_of(&b, "a.yaml")), 0); /* gone with what it said */
    until(&b, objects, "z:1 ");
    assert_string_equal(findings(&b), "");
    teardown(&b);
}

static void test_twin_files(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    write_text(&b, "b.yaml", SERVICE("a", "2"));
    open_files(&b);
    assert_string_equal(objects(&b), "a:2 ");
    write_text(&b, "a.yaml", SERVICE("a", "1"));
    until(&b, objects, "a:1 ");
    assert_string_equal(findings(&b), "5003 b.yaml:1; ");
    assert_int_equal(unlink(path_of(&b, "a.yaml")), 0);
    until(&b, objects, "a:2 ");
    assert_string_equal(findings(&b), "");
    assert_int_equal(b.gone, 0);
    teardown(&b);
}

/* The folder itself goes: what it said stays; it comes back. */
static void test_folder_gone(void **state)
{
    UNUSED(state);
    struct bench b;
    setup(&b);
    mkdir(path_of(&b, "conf"), 0700);
    write_text(&b, "conf/a.yaml", SERVICE("a", "1"));
    char keep[64];
    snprintf(keep, sizeof(keep), "%s", b.folder);
    snprintf(b.folder, sizeof(b.folder), "%s/conf", keep);
    open_files(&b);
    assert_string_equal(objects(&b), "a:1 ");
    char away[80];
    snprintf(away, sizeof(away), "%s/away", keep);
    assert_int_equal(rename(b.folder, away), 0);
    for (unsigned seen = b.f->stamp; b.f->stamp == seen;) {
        loop_turn(b.loop, true);
    }
    assert_string_equal(objects(&b), "a:1 ");
    mkdir(b.folder, 0700);
    write_text(&b, "b.yaml", SERVICE("b", "1"));
    until(&b, objects, "b:1 ");
    snprintf(b.folder, sizeof(b.folder), "%s", keep);
    teardown(&b);
}

static void test_refused(void **state)
{
    UNUSED(state);
    struct bench b;
    struct err err;
    struct from_files *f;
    setup(&b);
    b.s = sources_new(&events, &b);
    assert_int_equal(from_files_new(&f, b.loop, b.s, NULL, "/nowhere/at/all", &err), -ENOENT);
    assert_string_equal(err.text,
                        "can not read the folder '/nowhere/at/all': no such file or directory");
    assert_int_equal(from_files_new(&f, b.loop, b.s, NULL, "/etc/passwd", &err), -ERR_CONFIG);
    assert_string_equal(err.text, "'/etc/passwd' is no folder");
    teardown(&b);
}

/* A restart beside a bad file changes nothing: the store remembers what it said. */
static void test_restart(void **state)
{
    UNUSED(state);
    struct bench b;
    struct err err;
    setup(&b);
    assert_int_equal(store_open(&b.store, path_of(&b, "mesh.db"), &err), 0);
    write_text(&b, "a.yaml", SERVICE("a", "1"));
    write_text(&b, "b.yaml", SERVICE("b", "1"));
    open_files(&b);
    assert_string_equal(objects(&b), "a:1 b:1 ");
    close_files(&b);
    write_text(&b, "a.yaml", "kind: [");
    write_text(&b, "c.yaml", "kind: ["); /* was never good */
    open_files(&b);
    assert_string_equal(objects(&b), "b:1 "); /* the store has not answered yet */
    until(&b, objects, "a:1 b:1 ");
    assert_string_equal(findings(&b), "2001 a.yaml:2; 5007 a.yaml:0; 2001 c.yaml:2; ");
    write_text(&b, "a.yaml", "\nkind: ["); /* still bad */
    until(&b, findings, "2001 a.yaml:3; 5007 a.yaml:0; 2001 c.yaml:2; ");
    assert_string_equal(objects(&b), "a:1 b:1 ");
    write_text(&b, "a.yaml", SERVICE("a", "2"));
    until(&b, objects, "a:2 b:1 ");
    assert_string_equal(findings(&b), "2001 c.yaml:2; ");
    /* Forgotten with the file. */
    assert_int_equal(unlink(path_of(&b, "a.yaml")), 0);
    until(&b, objects, "b:1 ");
    close_files(&b);
    write_text(&b, "a.yaml", "kind: [");
    open_files(&b);
    for (unsigned seen = b.f->stamp; b.f->stamp < seen + 1;) { /* a look later */
        loop_turn(b.loop, true);
    }
    assert_string_equal(objects(&b), "b:1 ");
    close_files(&b);
    store_close(b.store);
    b.store = NULL;
    open_files(&b);
    assert_string_equal(objects(&b), "b:1 ");
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start),      cmocka_unit_test(test_changes),
        cmocka_unit_test(test_volume),     cmocka_unit_test(test_bad),
        cmocka_unit_test(test_twin_files), cmocka_unit_test(test_folder_gone),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
