/* The manual in the binary. In: cli. Pages: cli/help, embedded. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "base/embed.h"
#include "base/span.h"
#include "cli/help_files.h"
#include "cli/verb.h"
#include "version.h"

static const struct {
    const char *group, *title;
} groups[] = {
    {"start", "start"},   {"look", "look"},   {"why", "ask why"},
    {"change", "change"}, {"tools", "tools"},
};

static void print_verbs(const struct role *roles)
{
    printf("usage: mesh VERB [OPTION]...      mesh VERB --help shows examples\n");
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        printf("\n%s\n", groups[i].title);
        for (const struct command *c = commands; c->word; c++) {
            if (strcmp(c->group, groups[i].group) == 0) {
                printf("  %-11s %s\n", c->word, c->summary);
            }
        }
    }
    printf("  %-11s %s\n  %-11s %s\n\nroles\n", "help", "this list; help TOPIC opens the manual",
           "version", "the version of this binary");
    for (const struct role *r = roles; r->name; r++) {
        printf("  %-11s %s\n", r->name, r->summary);
    }
}

static void print_topics(FILE *to)
{
    fprintf(to, "topics:");
    for (const struct embed *f = help_files; f->name; f++) {
        struct span name = span_of(f->name);
        fprintf(to, " %.*s", (int)(name.len - (span_ends(name, SPAN(".txt")) ? 4 : 0)), name.at);
    }
    fprintf(to, "\n");
}

static const struct embed *page(const char *topic)
{
    char name[64];
    snprintf(name, sizeof name, "%.50s.txt", topic);
    return embed_find(help_files, name);
}

int help_main(const char *topic, const struct role *roles)
{
    if (!topic) {
        print_verbs(roles);
        printf("\n");
        print_topics(stdout);
        return EXIT_DONE;
    }
    const struct embed *f = page(topic);
    if (f) {
        fwrite(f->bytes, 1, f->length, stdout);
        return EXIT_DONE;
    }
    for (const struct command *c = commands; c->word; c++) {
        if (strcmp(c->word, topic) == 0) {
            char word[32];
            char flag[] = "--help";
            snprintf(word, sizeof word, "%s", topic);
            char *argv[] = {word, flag, NULL};
            return c->run(2, argv);
        }
    }
    fprintf(stderr, "mesh help: there is no topic \"%s\"\n", topic);
    print_topics(stderr);
    return EXIT_MISSING;
}

int help_version(int argc, char **argv)
{
    bool is_json = argc == 3 && strcmp(argv[1], "-o") == 0 && strcmp(argv[2], "json") == 0;
    if (is_json) {
        printf("{\"apiVersion\":\"mesh/v1\",\"kind\":\"Version\",\"version\":\"%s\"}\n",
               MESH_VERSION);
    } else {
        printf("mesh %s\n", MESH_VERSION);
    }
    return EXIT_DONE;
}
