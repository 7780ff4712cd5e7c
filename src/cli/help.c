/* The manual in the binary. In: cli. Pages: cli/help, embedded. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "base/embed.h"
#include "base/span.h"
#include "cli/help_files.h"
#include "cli/verb.h"
#include "http/limits.h"
#include "mesh/codes.h"
#include "version.h"

static const struct {
    const char *group, *title;
} groups[] = {
    {"start", "start"},   {"look", "look"},   {"why", "ask why"},
    {"change", "change"}, {"tools", "tools"},
};

static struct span name_of(const struct embed *page)
{
    struct span name = span_of(page->name);
    return span_first(name, name.len - (span_ends(name, SPAN(".txt")) ? 4 : 0));
}

static void print_verbs(const struct role *roles)
{
    printf("usage: mesh VERB [OPTION]...      mesh VERB --help shows examples\n");
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        printf("\n%s\n", groups[i].title);
        for (const struct command *c = cli_commands; c->word; c++) {
            if (strcmp(c->group, groups[i].group) == 0) {
                printf("  %-11s %s\n", c->word, c->summary);
            }
        }
    }
    printf("  %-11s %s\n  %-11s %s\n\nroles\n", "help",
           "this list; help TOPIC opens the manual, help -s WORD searches it", "version",
           "the version of this binary");
    for (const struct role *r = roles; r->name; r++) {
        printf("  %-11s %s\n", r->name, r->summary);
    }
}

static void print_topics(void)
{
    size_t column = 0;
    printf("\ntopics of mesh help\n ");
    for (const struct embed *f = help_files; f->name; f++) {
        struct span name = name_of(f);
        if (column + name.len > 88) {
            printf("\n ");
            column = 0;
        }
        printf(" %.*s", SPAN_ARG(name));
        column += name.len + 1;
    }
    printf("\n");
}

/* ---- search ---- */

static bool has(struct span text, struct span word)
{
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if (span_starts_nocase(span_from_offset(text, i), word)) {
            return true;
        }
    }
    return false;
}

static int search(const char *word)
{
    size_t found = 0;
    for (const struct embed *f = help_files; f->name; f++) {
        for (struct span rest = span_from(f->bytes, f->length); rest.at;) {
            struct span line = span_cut(&rest, '\n');
            if (has(line, span_of(word))) {
                printf("%-16.*s %.*s\n", SPAN_ARG(name_of(f)), SPAN_ARG(span_trim(line)));
                found++;
            }
        }
    }
    for (const struct command *c = cli_commands; c->word; c++) {
        if (has(span_of(c->word), span_of(word)) || has(span_of(c->summary), span_of(word))) {
            printf("mesh %-11s %s\n", c->word, c->summary);
            found++;
        }
    }
    for (size_t i = 0; i < codes_row_count; i++) {
        if (has(span_of(codes_rows[i].meaning), span_of(word))) {
            printf("MESH%04u         %.82s\n", codes_rows[i].number, codes_rows[i].meaning);
            found++;
        }
    }
    printf("%zu found\n", found);
    return found > 0 ? EXIT_DONE : EXIT_MISSING;
}

/* ---- pages ---- */

static int verb_page(const struct command *c)
{
    char word[32];
    char flag[] = "--help";
    snprintf(word, sizeof word, "%s", c->word);
    char *argv[] = {word, flag, NULL};
    return c->run(2, argv);
}

/* The page "limits" goes on with the table that the product is made of. */
static void print_limits(void)
{
    static const char *const units[] = {" bytes", "", " ms", " bytes/s"};
    for (size_t i = LIMIT_NONE + 1; i < LIMIT_COUNT; i++) {
        const struct limit_row *r = &limits_rows[i];
        printf("\n%s\n  %s\n  default %lld%s%s   answer: %s\n", r->name, r->what,
               (long long)r->value, units[r->unit], r->value == 0 ? " (none)" : "", r->reply);
        if (r->envoy[0] != '\0') {
            printf("  set by  %s\n", r->envoy);
        }
        if (limits_stats[r->stat] != NULL) {
            printf("  counter http.PREFIX.%s\n", limits_stats[r->stat]);
        }
    }
}

static int open_page(const char *topic, const struct role *roles)
{
    char name[64];
    snprintf(name, sizeof name, "%.50s.txt", topic);
    const struct embed *f = embed_find(help_files, name);
    if (f) {
        fwrite(f->bytes, 1, f->length, stdout);
        if (strcmp(topic, "limits") == 0) {
            print_limits();
        }
        return EXIT_DONE;
    }
    for (const struct command *c = cli_commands; c->word; c++) {
        if (strcmp(c->word, topic) == 0) {
            return verb_page(c);
        }
    }
    for (const struct role *r = roles; r->name; r++) {
        if (strcmp(r->name, topic) == 0) {
            char flag[] = "--help";
            snprintf(name, sizeof name, "%s", topic);
            char *argv[] = {name, flag, NULL};
            return r->main(2, argv);
        }
    }
    fprintf(stderr,
            "error[MESH1014]: the manual has no page \"%s\"\n"
            "  fix     mesh help -s %s\n  more    mesh explain MESH1014\n",
            topic, topic);
    return EXIT_MISSING;
}

int help_main(int argc, char **argv, const struct role *roles)
{
    if (argc == 3 && (strcmp(argv[1], "-s") == 0 || strcmp(argv[1], "--search") == 0)) {
        return search(argv[2]);
    }
    if (argc >= 2 && argv[1][0] != '-') {
        return open_page(argv[1], roles);
    }
    print_verbs(roles);
    print_topics();
    return EXIT_DONE;
}

static const struct opt_spec version_spec = {
    .command = "mesh version",
    .section = "cli",
    .summary = "The version of this binary.",
    .examples = "mesh version\n"
                "mesh version -o json\n"
                "mesh version -o yaml\n",
    .rows = verb_plain_rows,
};

int help_version(int argc, char **argv)
{
    struct verb_flags set = {.timeout_ms = 0};
    struct verb v;
    int status;
    if (verb_open(&v, &version_spec, &set, argc, argv, &status) == 0) {
        struct doc_node *doc = doc_new_map(&v.arena);
        doc_set(&v.arena, doc, "apiVersion", doc_cstr(&v.arena, "mesh/v1"));
        doc_set(&v.arena, doc, "kind", doc_cstr(&v.arena, "Version"));
        doc_set(&v.arena, doc, "version", doc_cstr(&v.arena, MESH_VERSION));
        if (!verb_print_doc(&v, doc)) {
            printf("mesh %s\n", MESH_VERSION);
        }
    }
    verb_close(&v);
    return status;
}
