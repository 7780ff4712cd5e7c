#ifndef CLI_CMD_INJECT_H
#define CLI_CMD_INJECT_H
/* What `mesh inject`, `mesh uninject` and `mesh inject explain` share. */
#include "cli/verb.h"
#include "inject/manifest.h"

struct cmd_inject {
    struct verb_flags common;
    struct opt_list files;
    const char *settings_file, *image;
    bool native, quiet;
};
#define CMD_INJECT_FILE_ROW                        \
    {.name = "filename",                           \
     .letter = 'f',                                \
     .type = OPT_LIST,                             \
     .offset = offsetof(struct cmd_inject, files), \
     .arg = "FILE",                                \
     .help = "YAML or JSON, - for stdin; may be given again"}
#define CMD_INJECT_QUIET_ROW                       \
    {.name = "quiet",                              \
     .letter = 'q',                                \
     .type = OPT_BOOL,                             \
     .offset = offsetof(struct cmd_inject, quiet), \
     .help = "say nothing about what was done, but mistakes"}

/* Settings of the built-in kind, then --settings, then flags: 0, or the exit code after an error. */
MUST_USE int cmd_inject_settings(struct verb *v, const struct cmd_inject *set,
                                 struct inject_settings *out);
/* Reads all -f, one after the other, through manifest_inject; 0, or the exit code after an error. `out` has the stream. */
MUST_USE int cmd_inject_stream(struct verb *v, const struct cmd_inject *set,
                               struct manifest_spec *spec, struct buf *out);
/* All -f to stdout, with proxies, or without them when `settings` is NULL; the exit code. */
int cmd_inject_run(struct verb *v, const struct cmd_inject *set,
                   const struct inject_settings *settings);
/* mesh inject explain; the operands begin with the word. */
int cmd_inject_explain(struct verb *v, const struct cmd_inject *set);
#endif
