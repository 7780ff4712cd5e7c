/* mesh upgrade. In: commands.def. Next: cmd_install. */
#include "cli/cmd_install.h"
#include "cli/commands.h"

static const struct opt_spec upgrade_spec = {
    .command = "mesh upgrade",
    .section = "cli",
    .summary =
        "Brings the mesh of a cluster to this version, with the settings it was installed with.",
    .examples = "mesh upgrade --dry-run\n"
                "mesh upgrade -y\n"
                "mesh upgrade --set values.global.tag=v0.2.0 -y\n",
    .rows = cmd_install_rows,
};

int cmd_upgrade(int argc, char **argv)
{
    return cmd_install_run(&upgrade_spec, true, argc, argv);
}
