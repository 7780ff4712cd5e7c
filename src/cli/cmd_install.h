#ifndef CLI_CMD_INSTALL_H
#define CLI_CMD_INSTALL_H
/* Between cmd_install.c and cmd_upgrade.c. */
#include "base/opt.h"

extern const struct opt cmd_install_rows[];
/* The whole verb. An upgrade begins with the settings on record, and takes away what is no longer wanted. */
int cmd_install_run(const struct opt_spec *spec, bool is_upgrade, int argc, char **argv);
#endif
