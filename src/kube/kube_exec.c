/* A credential plugin: run, read, judged.
 * In: the exec of a kubeconfig. Out: io/process. Next: on_done in kube_credentials.c. */
#include "kube/kube_exec.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/date.h"
#include "io/deadline.h"
#include "io/process.h"

#define OUTPUT_MAX (1u << 20)
#define INFO_MAX (8u << 20)
#define PLUGIN_MS 60000
#define PERSON_MS 600000 /* who is asked to log in may take a while */

struct kube_exec_run {
    struct loop *loop;            /* borrowed */
    const struct kube_conf *conf; /* borrowed */
    void (*on_done)(void *arg, const struct kube_exec_answer *a, const struct err *err);
    void *arg;
    struct process *process; /* owned */
    int fd;                  /* owned; what it prints */
    struct loop_fd watch;
    struct deadline deadline;
    struct buf out;
    bool too_long;
};

/* ---- finding it ---- */

/* As a shell looks for it; NULL: it is not there. */
static const char *find_program(struct arena *arena, const char *name)
{
    if (strchr(name, '/') != NULL) {
        return name;
    }
    const char *path = getenv("PATH");
    struct span rest = span_of(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin");
    while (rest.at != NULL) {
        struct span folder = span_cut(&rest, ':');
        const char *file = arena_printf(arena, "%.*s/%s", SPAN_ARG(folder), name);
        if (folder.len > 0 && access(file, X_OK) == 0) {
            return file;
        }
    }
    return NULL;
}

static int not_there(const struct kube_exec *x, const char *what, struct err *err)
{
    struct span hint = span_trim(x->install_hint);
    return err_set(err, -EACCES, "the credential plugin '%s' %s%s%.*s", x->argv[0], what,
                   hint.len > 0 ? "; " : "; install it, or mend 'command' in the kubeconfig",
                   (int)size_min(hint.len, 300), hint.len > 0 ? hint.at : "");
}

/* ---- what it is told ---- */

static void set_cluster(struct arena *arena, const struct kube_conf *conf, struct doc_node *spec)
{
    struct doc_node *cluster = doc_map_in(arena, spec, "cluster");
    doc_set_text(arena, cluster, "server", conf->server);
    if (conf->tls_name.len > 0) {
        doc_set_text(arena, cluster, "tls-server-name", conf->tls_name);
    }
    if (conf->insecure) {
        doc_set(arena, cluster, "insecure-skip-tls-verify", doc_bool(arena, true));
    }
    if (conf->ca_pem.len > 0) {
        char *text = arena_bytes(arena, base64_encoded_len(BASE64_STANDARD, conf->ca_pem.len));
        size_t len = base64_encode(BASE64_STANDARD, conf->ca_pem, text);
        doc_set_text(arena, cluster, "certificate-authority-data", span_from(text, len));
    }
    if (conf->exec_config != NULL) {
        doc_set(arena, cluster, "config", doc_dup(arena, conf->exec_config));
    }
}

/* KUBERNETES_EXEC_INFO. */
static const char *make_info(struct arena *arena, const struct kube_conf *conf, bool interactive)
{
    struct doc_node *info = doc_new_map(arena);
    struct buf text;
    doc_set_text(arena, info, "apiVersion", conf->exec->api_version);
    doc_set(arena, info, "kind", doc_cstr(arena, "ExecCredential"));
    struct doc_node *spec = doc_map_in(arena, info, "spec");
    doc_set(arena, spec, "interactive", doc_bool(arena, interactive));
    if (conf->exec->provide_cluster_info) {
        set_cluster(arena, conf, spec);
    }
    buf_init(&text, INFO_MAX);
    int code = doc_write_json(info, false, &text);
    ASSERT(code == 0); /* a kubeconfig is smaller */
    const char *line = arena_printf(arena, "KUBERNETES_EXEC_INFO=%.*s", SPAN_ARG(buf_span(&text)));
    buf_dispose(&text);
    return line;
}

static const char *const *make_env(struct arena *arena, const struct kube_conf *conf,
                                   bool interactive)
{
    const char *const *given = conf->exec->env;
    size_t count = 0;
    while (given != NULL && given[count] != NULL) {
        count++;
    }
    const char **env = arena_array(arena, count + 2, sizeof(*env));
    for (size_t i = 0; i < count; i++) {
        env[i] = given[i];
    }
    env[count] = make_info(arena, conf, interactive);
    return env;
}

/* ---- what it says ---- */

static int wrong(struct err *err, const char *what)
{
    return err_set(err, -EACCES, "%s", what);
}

static int read_status(struct arena *arena, const struct doc_node *status,
                       struct kube_exec_answer *out, struct err *err)
{
    struct span expires = SPAN_EMPTY;
    int code = doc_read_text(status, "token", &out->token, NULL);
    code = code != 0 ? code : doc_read_text(status, "clientCertificateData", &out->cert_pem, NULL);
    code = code != 0 ? code : doc_read_text(status, "clientKeyData", &out->key_pem, NULL);
    code = code != 0 ? code : doc_read_text(status, "expirationTimestamp", &expires, NULL);
    if (code != 0) {
        return wrong(err, "a field of its 'status' is no text");
    }
    out->token = arena_dup(arena, out->token);
    if ((out->cert_pem.len > 0) != (out->key_pem.len > 0)) {
        return wrong(err, "it gave a certificate without its key, or a key alone");
    }
    if (out->token.len + out->cert_pem.len == 0) {
        return wrong(err, "it gave neither a token nor a client certificate");
    }
    out->expires_us = INT64_MAX;
    if (expires.len > 0 && date_parse_rfc3339(expires, &out->expires_us) != 0) {
        return wrong(err, "its 'expirationTimestamp' is not an RFC 3339 date");
    }
    return 0;
}

int kube_exec_read(struct arena *arena, struct span text, struct span api_version,
                   struct kube_exec_answer *out, struct err *err)
{
    struct doc_node *doc;
    struct err unheard;
    struct span version = SPAN_EMPTY;
    struct span kind = SPAN_EMPTY;
    struct doc_node *status = NULL;
    *out = (struct kube_exec_answer){.expires_us = 0};
    if (doc_parse_json(arena, text, "plugin", &doc, &unheard) != 0 || !doc_is(doc, DOC_MAP)) {
        return wrong(err, "what it printed is not JSON");
    }
    if (doc_read_text(doc, "kind", &kind, NULL) != 0 || !span_is(kind, "ExecCredential")) {
        return wrong(err, "what it printed is no ExecCredential");
    }
    if (doc_read_text(doc, "apiVersion", &version, NULL) != 0 || !span_eq(version, api_version)) {
        return err_set(err, -EACCES, "it speaks '%.*s', the kubeconfig says '%.*s'",
                       (int)size_min(version.len, 80), version.at, SPAN_ARG(api_version));
    }
    if (doc_read_map(doc, "status", &status, NULL) != 0 || status == NULL) {
        return wrong(err, "it gave no 'status'");
    }
    return read_status(arena, status, out, err);
}

/* ---- its run ---- */

static void run_free(void *obj)
{
    struct kube_exec_run *run = obj;
    buf_dispose(&run->out);
    mem_free(run);
}

void kube_exec_free(struct kube_exec_run *run)
{
    if (run == NULL) {
        return;
    }
    deadline_disarm(&run->deadline);
    loop_fd_dispose(&run->watch);
    (void)close(run->fd); /* only read from */
    process_free(run->process);
    loop_bury(run->loop, run_free, run);
}

static void finish(struct kube_exec_run *run, struct err *err)
{
    struct arena arena;
    struct kube_exec_answer answer;
    const struct kube_exec *x = run->conf->exec;
    arena_init(&arena, 4096);
    if (err->code == 0 &&
        kube_exec_read(&arena, buf_span(&run->out), x->api_version, &answer, err) != 0) {
        err_prefix(err, "the credential plugin '%s' is no good", x->argv[0]);
    }
    kube_exec_free(run);
    run->on_done(run->arg, err->code == 0 ? &answer : NULL, err);
    arena_dispose(&arena);
}

static void read_out(struct kube_exec_run *run)
{
    char part[4096];
    ssize_t n;
    while ((n = read(run->fd, part, sizeof(part))) > 0) {
        if (buf_append(&run->out, part, (size_t)n) != 0) {
            run->too_long = true;
        }
    }
    if (n == 0) {
        loop_fd_watch(&run->watch, 0); /* it said all; its end will be told */
    }
}

static void on_readable(struct loop_fd *watch, unsigned events)
{
    UNUSED(events);
    read_out(container_of(watch, struct kube_exec_run, watch));
}

static void on_exit_(void *arg, struct process *p, int status)
{
    UNUSED(p);
    struct kube_exec_run *run = arg;
    struct err err;
    err_clear(&err);
    const char *name = run->conf->exec->argv[0];
    read_out(run); /* what is left in the pipe */
    if (WIFSIGNALED(status)) {
        (void)err_set(&err, -EACCES, "the credential plugin '%s' was ended by signal %d", name,
                      WTERMSIG(status));
    } else if (WEXITSTATUS(status) != 0) {
        (void)err_set(&err, -EACCES,
                      "the credential plugin '%s' failed with exit code %d; what it said is above",
                      name, WEXITSTATUS(status));
    } else if (run->too_long) {
        (void)err_set(&err, -EACCES, "the credential plugin '%s' printed more than %u bytes", name,
                      OUTPUT_MAX);
    }
    finish(run, &err);
}

static void on_due(struct deadline *d)
{
    struct kube_exec_run *run = container_of(d, struct kube_exec_run, deadline);
    struct err err;
    (void)err_set(&err, -EACCES, "the credential plugin '%s' took too long and was ended",
                  run->conf->exec->argv[0]);
    finish(run, &err);
}

static int start_process(struct kube_exec_run *run, const char *program, bool interactive,
                         int out_fd, struct err *err)
{
    struct arena arena;
    const struct kube_exec *x = run->conf->exec;
    size_t count = 0;
    while (x->argv[count] != NULL) {
        count++;
    }
    arena_init(&arena, 4096);
    const char **argv = arena_array(&arena, count + 1, sizeof(*argv));
    memcpy(argv, x->argv, count * sizeof(*argv));
    argv[0] = program;
    struct process_spec spec = {
        .argv = argv,
        .env = make_env(&arena, run->conf, interactive),
        .out_fd = out_fd,
        .err_fd = -1,
        .net_ns_fd = -1,
        .keep_in = interactive,
    };
    int code = process_start(&run->process, run->loop, &spec, on_exit_, run, err);
    arena_dispose(&arena);
    return code;
}

static int start(struct kube_exec_run *run, const char *program, bool interactive, struct err *err)
{
    int ends[2];
    struct err why;
    if (pipe2(ends, O_CLOEXEC) == -1) {
        return err_set(err, -EACCES, "no pipe for the credential plugin: %s", err_name(-errno));
    }
    int code = fcntl(ends[0], F_SETFL, O_NONBLOCK) == -1 ? -errno : 0;
    code = code != 0 ? err_set(&why, code, "%s", err_name(code))
                     : start_process(run, program, interactive, ends[1], &why);
    (void)close(ends[1]); /* the child has its own */
    if (code != 0) {
        (void)close(ends[0]);
        return not_there(run->conf->exec, why.text, err);
    }
    run->fd = ends[0];
    loop_fd_init(&run->watch, run->loop, run->fd, on_readable);
    loop_fd_watch(&run->watch, IO_READ);
    deadline_arm(&run->deadline, run->loop, interactive ? PERSON_MS : PLUGIN_MS);
    return 0;
}

int kube_exec_start(struct kube_exec_run **out, struct loop *loop, const struct kube_conf *conf,
                    void (*on_done)(void *arg, const struct kube_exec_answer *a,
                                    const struct err *err),
                    void *arg, struct err *err)
{
    struct arena arena;
    const struct kube_exec *x = conf->exec;
    bool interactive = x->input != KUBE_EXEC_NEVER && isatty(STDIN_FILENO);
    if (x->input == KUBE_EXEC_ALWAYS && !interactive) {
        return err_set(err, -EACCES,
                       "the credential plugin '%s' wants to ask a person (interactiveMode: "
                       "Always), and there is no terminal",
                       x->argv[0]);
    }
    arena_init(&arena, 1024);
    const char *program = find_program(&arena, x->argv[0]);
    int code = 0;
    if (program == NULL) {
        code = not_there(x, "is not in PATH", err);
    } else {
        struct kube_exec_run *run = mem_new(struct kube_exec_run);
        run->loop = loop;
        run->conf = conf;
        run->on_done = on_done;
        run->arg = arg;
        deadline_init(&run->deadline, on_due);
        buf_init(&run->out, OUTPUT_MAX);
        code = start(run, program, interactive, err);
        if (code != 0) {
            run_free(run);
        } else {
            *out = run;
        }
    }
    arena_dispose(&arena);
    return code;
}
