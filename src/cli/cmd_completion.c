/* mesh completion bash|zsh|fish: a script for the shell; the words are those of the tables that dispatch. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/verb.h"

static const char *const words[] = {
#define COMMAND(word, run, group, summary) word,
#include "cli/commands.def"
#undef COMMAND
    "help",
    "version",
};
static const char *const summaries[] = {
#define COMMAND(word, run, group, summary) summary,
#include "cli/commands.def"
#undef COMMAND
    "topics and verbs",
    "the version of this binary",
};

static void bash(void)
{
    printf("_mesh() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]}\n"
           "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
           "        COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        printf("%s%s", i ? " " : "", words[i]);
    }
    printf("\" -- \"$word\"))\n"
           "    else\n"
           "        COMPREPLY=($(compgen -W \"$(mesh \"${COMP_WORDS[1]}\" --help 2>/dev/null |\n"
           "            grep -oE -- '--[a-z-]+')\" -- \"$word\"))\n"
           "    fi\n"
           "}\n"
           "complete -F _mesh mesh\n");
}

static void zsh(void)
{
    printf("#compdef mesh\n_mesh() {\n    local -a verbs\n    verbs=(\n");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        printf("        '%s:", words[i]);
        for (const char *at = summaries[i]; *at; at++) {
            if (*at == ':' || *at == '\'') {
                putchar('\\');
            }
            putchar(*at);
        }
        printf("'\n");
    }
    printf("    )\n    (( CURRENT == 2 )) && _describe verb verbs\n}\ncompdef _mesh mesh\n");
}

static void fish(void)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        printf("complete -c mesh -f -n __fish_use_subcommand -a %s -d \"%s\"\n", words[i],
               summaries[i]);
    }
}

int cmd_completion(int argc, char **argv)
{
    const char *shell = argc == 2 ? argv[1] : "";
    if (strcmp(shell, "bash") == 0) {
        bash();
    } else if (strcmp(shell, "zsh") == 0) {
        zsh();
    } else if (strcmp(shell, "fish") == 0) {
        fish();
    } else {
        bool is_help = strcmp(shell, "--help") == 0 || strcmp(shell, "-h") == 0;
        fprintf(is_help ? stdout : stderr,
                "  source <(mesh completion bash)\n"
                "  mesh completion zsh > ~/.zfunc/_mesh\n"
                "  mesh completion fish > ~/.config/fish/completions/mesh.fish\n");
        return is_help ? EXIT_DONE : EXIT_USAGE;
    }
    return EXIT_DONE;
}
