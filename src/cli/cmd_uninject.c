/* mesh uninject -f FILE: workloads as they were before mesh inject; the way back is written in them (inject/pod_undo.h). */
#include "cli/cmd_inject.h"
#include "cli/commands.h"

static const struct opt rows[] = {
    CMD_INJECT_FILE_ROW,
    CMD_INJECT_QUIET_ROW,
    VERB_ROWS(struct cmd_inject),
    {.name = NULL},
};

static const struct opt_spec spec = {
    .command = "mesh uninject",
    .section = "cli",
    .summary = "Takes out of YAML what mesh inject put in.",
    .examples = "mesh uninject -f injected.yaml | kubectl apply -f -\n"
                "kubectl get deployment web -o yaml | mesh uninject -f - | kubectl apply -f -\n"
                "mesh inject -f web.yaml | mesh uninject -f -\n",
    .rows = rows,
};

int cmd_uninject(int argc, char **argv)
{
    struct cmd_inject set = {.quiet = false};
    struct verb v;
    int status;
    if (verb_open(&v, &spec, &set, argc, argv, &status) == 0) {
        status = cmd_inject_run(&v, &set, NULL);
    }
    verb_close(&v);
    return status;
}
