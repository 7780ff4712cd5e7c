/* In: cmd_image, cmd_install. Next: image, io/process. */
#include "cli/image_load.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/image.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/process.h"
#include "version.h"

#define WORDS_MAX 8

int image_load_write(struct verb *v, const char *program, const char *name, const char *path)
{
    struct buf bytes, archive;
    struct err err;
    const char *from = program ? program : process_self();
    buf_init(&bytes, IMAGE_MAX);
    buf_init(&archive, 2 * IMAGE_MAX);
    int code = file_read(from, &bytes, &err);
    if (code == 0) {
        const struct image_spec spec = {
            .program = buf_span(&bytes), .name = name, .version = MESH_VERSION};
        code = image_write(&spec, &archive, &err);
    }
    if (code == 0 && strcmp(path, "-") == 0) {
        bool is_done =
            fwrite(buf_span(&archive).at, 1, buf_len(&archive), stdout) == buf_len(&archive);
        code = is_done ? 0 : err_set(&err, -EIO, "it could not be written");
    } else if (code == 0) {
        code = file_write(path, buf_span(&archive), 0644, &err);
    }
    buf_dispose(&bytes);
    buf_dispose(&archive);
    return code ? verb_fail(v, EXIT_INVALID, 1330, NULL, "no image of %s: %s", from, err.text)
                : EXIT_DONE;
}

/* ---- tools ---- */

/* Where PATH has it, or NULL. */
static const char *find_tool(struct verb *v, const char *name)
{
    const char *path = getenv("PATH");
    for (struct span rest = span_of(path); rest.at != NULL;) {
        struct span folder = span_cut(&rest, ':');
        const char *file = arena_printf(&v->arena, "%.*s/%s", SPAN_ARG(folder), name);
        if (access(file, X_OK) == 0) {
            return file;
        }
    }
    return NULL;
}

/* By the names that these tools give to contexts. FILE, NAME and REST (of the context after the beginning) are filled in. */
static const struct {
    const char *prefix, *words[WORDS_MAX];
} tools[] = {
    {"kind-", {"kind", "load", "image-archive", "FILE", "--name", "REST"}},
    {"k3d-", {"k3d", "image", "import", "FILE", "-c", "REST"}},
    {"minikube", {"minikube", "image", "load", "FILE"}},
    {"docker-desktop", {"docker", "load", "-i", "FILE"}},
    {"orbstack", {"docker", "load", "-i", "FILE"}},
    {"rancher-desktop", {"docker", "load", "-i", "FILE"}},
    {"podman", {"podman", "load", "-i", "FILE"}},
    {"microk8s", {"microk8s", "ctr", "image", "import", "FILE"}},
    {"default", {"k3s", "ctr", "images", "import", "FILE"}}, /* what k3s calls its own */
};

void image_load_choose(struct verb *v, const char *context, const char *path, const char *name,
                       struct image_load *out)
{
    *out = (struct image_load){
        .command = arena_printf(
            &v->arena,
            "skopeo copy oci-archive:%s docker://REGISTRY/%s, then --set hub=REGISTRY; "
            "or on each node: ctr -n k8s.io images import %s",
            path, name, path)};
    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        size_t len = strlen(tools[i].prefix);
        const char *tool =
            strncmp(context, tools[i].prefix, len) == 0 ? find_tool(v, tools[i].words[0]) : NULL;
        if (!tool) {
            continue;
        }
        const char **argv = arena_array(&v->arena, WORDS_MAX + 1, sizeof *argv);
        out->command = "";
        for (size_t j = 0; j < WORDS_MAX && tools[i].words[j]; j++) {
            const char *word = tools[i].words[j];
            argv[j] = strcmp(word, "FILE") == 0   ? path
                      : strcmp(word, "REST") == 0 ? arena_strdup(&v->arena, context + len)
                                                  : word;
            out->command =
                arena_printf(&v->arena, "%s%s%s", out->command, j > 0 ? " " : "", argv[j]);
        }
        argv[0] = tool;
        out->argv = argv;
        out->tool = tools[i].words[0];
        return;
    }
}

struct running {
    struct loop *loop;
    int status;
};

static void on_exit_of(void *arg, struct process *p, int status)
{
    struct running *r = arg;
    UNUSED(p);
    r->status = status;
    loop_stop(r->loop);
}

int image_load_run(struct verb *v, const struct image_load *load, struct err *err)
{
    struct process *p = NULL;
    v->loop = v->loop ? v->loop : loop_new(false);
    struct running r = {.loop = v->loop};
    const struct process_spec spec = {
        .argv = load->argv, .out_fd = STDERR_FILENO, .err_fd = -1, .net_ns_fd = -1};
    int code = process_start(&p, v->loop, &spec, on_exit_of, &r, err);
    if (code != 0) {
        return code;
    }
    loop_run(v->loop);
    process_free(p);
    return WIFEXITED(r.status) && WEXITSTATUS(r.status) == 0
               ? 0
               : err_set(err, -ERR_UNAVAILABLE, "'%s' did not succeed", load->command);
}
