/* One run of a verb: flags, terminal, where control is.
 * In: cmd_*.c. Next: verb_call (asking), table (answers). */
#include "cli/verb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/verb_int.h"
#include "http/http_client.h"
#include "io/loop.h"
#include "mesh/paths.h"
#include "mesh/ports.h"

const char *const verb_outputs[] = {"table", "wide", "json", "yaml", "jsonl", "name", "csv", NULL};
const char *const verb_colors[] = {"auto", "always", "never", NULL};

static bool env_is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

static bool env_is(const char *name, const char *want)
{
    const char *value = getenv(name);
    return value && strcmp(value, want) == 0;
}

/* The locale decides which signs may be printed: UTF-8 when it says so. */
static bool is_ascii_locale(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (env_is_set(names[i])) {
            struct span value = span_of(getenv(names[i]));
            return !span_ends_nocase(value, SPAN("UTF-8")) &&
                   !span_ends_nocase(value, SPAN("UTF8"));
        }
    }
    return true;
}

static void look_at_terminal(struct verb *v)
{
    struct winsize size;
    v->is_tty = isatty(STDOUT_FILENO) == 1;
    v->has_color = v->flags->color == COLOR_ALWAYS ||
                   (v->flags->color == COLOR_AUTO && !env_is_set("NO_COLOR") &&
                    (env_is_set("CLICOLOR_FORCE") || (v->is_tty && !env_is("TERM", "dumb"))));
    v->is_ascii = is_ascii_locale();
    if (v->is_tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        v->width = size.ws_col;
    }
}

/* Of a command line that could not be read. */
static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        bool is_output = strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0;
        if (strcmp(argv[i], "-ojson") == 0 || strcmp(argv[i], "--output=json") == 0 ||
            (is_output && strcmp(next, "json") == 0)) {
            return true;
        }
    }
    return false;
}

int verb_open(struct verb *v, const struct opt_spec *spec, void *settings, int argc, char **argv,
              int *status)
{
    struct err err;
    *v = (struct verb){.flags = settings};
    *status = EXIT_DONE;
    arena_init(&v->arena, 4096);
    int code = opt_parse(spec, settings, argc, argv, &v->arena, &v->operands, &err);
    look_at_terminal(v);
    if (code < 0) {
        v->flags->output = wants_json(argc, argv) ? OUTPUT_JSON : OUTPUT_TABLE;
        *status =
            verb_fail(v, EXIT_USAGE, 1011, arena_printf(&v->arena, "%s --help", spec->command),
                      "%s: %s", spec->command, err.text);
    } else if (code > 0) {
        *status = EXIT_DONE;
    }
    return code == 0 ? 0 : -1;
}

void verb_close(struct verb *v)
{
    http_client_free(v->client);
    verb_cluster_close(v);
    if (v->loop) {
        loop_free(v->loop);
    }
    arena_dispose(&v->arena);
}

/* ---- where is control? ---- */

static bool is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void take_socket(struct verb *v, const char *path)
{
    snprintf(v->target, sizeof v->target, "unix:%.150s", path);
}

/* --addr and MESH_ADDR (the option's own environment), a cluster that flags name, the demo, this machine's control, the kubeconfig's cluster;
 * then its usual port. True: in a cluster. */
static bool find_target(struct verb *v, const char **also)
{
    char path[PATHS_BYTES];
    char demo[PATHS_BYTES];
    bool in_cluster = !v->flags->addr && verb_cluster_is_configured(v);
    *also = NULL;
    if (v->flags->addr) {
        snprintf(v->target, sizeof v->target, "%s", v->flags->addr);
        return false;
    }
    if (v->flags->context || v->flags->kubeconfig || env_is(CLI_PLUGIN, "kubectl")) {
        return true;
    }
    snprintf(demo, sizeof demo, "%.480s/control.sock", paths_demo_dir(path));
    bool has_demo = is_socket(demo);
    bool has_machine = is_socket(paths_control_socket(path));
    if (has_demo || has_machine) {
        take_socket(v, has_demo ? demo : path);
        *also = has_demo && has_machine ? "this machine's control (--addr)"
                : in_cluster            ? "a cluster (--context)"
                                        : NULL;
        return false;
    }
    snprintf(v->target, sizeof v->target, "127.0.0.1:%d", PORT_API);
    return in_cluster;
}

static int connect_here(struct verb *v)
{
    struct err err;
    bool is_whole = strncmp(v->target, "unix:", 5) == 0 || strstr(v->target, "://");
    const char *origin = arena_printf(&v->arena, "%s%s", is_whole ? "" : "http://", v->target);
    v->loop = v->loop ? v->loop : loop_new(false);
    const struct http_client_spec spec = {
        .origin = span_of(origin), .connect_ms = v->flags->timeout_ms, .conns = 2};
    if (http_client_new(&v->client, v->loop, &spec, &err) != 0) {
        return verb_fail(v, EXIT_USAGE, 1002, NULL, "--addr '%s': %s", v->target, err.text);
    }
    return 0;
}

int verb_connect(struct verb *v)
{
    const char *also;
    if (v->client || v->cluster) {
        return 0;
    }
    int status = find_target(v, &also) ? verb_cluster_open(v) : connect_here(v);
    if (also && v->is_tty && v->flags->output <= OUTPUT_WIDE) {
        fprintf(stderr, "%s is asked; there is also %s\n", v->target, also);
    }
    return status;
}

const char *verb_escape(struct verb *v, struct span text)
{
    char *to = arena_bytes(&v->arena, text.len * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || (c != 0 && strchr("-._~/", c));
        if (is_plain) {
            to[len++] = (char)c;
        } else {
            static const char digits[] = "0123456789ABCDEF";
            to[len++] = '%';
            to[len++] = digits[c >> 4];
            to[len++] = digits[c & 15];
        }
    }
    to[len] = '\0';
    return to;
}

void verb_split_name(struct verb *v)
{
    const char *slash = v->operands.count == 1 ? strchr(v->operands.items[0], '/') : NULL;
    if (slash) {
        const char **items = arena_array(&v->arena, 2, sizeof *items);
        struct span rest = span_of(v->operands.items[0]);
        items[0] = arena_cstr(&v->arena, span_cut(&rest, '/'));
        items[1] = arena_cstr(&v->arena, rest);
        v->operands = (struct opt_list){.items = items, .count = 2};
    }
}

const char *verb_namespace(const struct verb *v)
{
    return v->flags->namespace ? v->flags->namespace : "default";
}

const char *verb_namespace_query(struct verb *v)
{
    return v->flags->all_namespaces ? ""
                                    : arena_printf(&v->arena, "?namespace=%s",
                                                   verb_escape(v, span_of(verb_namespace(v))));
}

bool verb_cluster_is_wanted(struct verb *v)
{
    const char *also;
    return find_target(v, &also);
}

bool verb_finds_control(struct verb *v)
{
    const char *also;
    return find_target(v, &also) || v->flags->addr || strncmp(v->target, "unix:", 5) == 0;
}
