#ifndef MESH_PATHS_H
#define MESH_PATHS_H
/* Where things lie on this machine unless an option says otherwise, so that the CLI finds what a role made (XDG base directories for
 * users, the usual places of the system for root). Answers are terminated texts in `to` (PATHS_BYTES). */
#include "base/compiler.h"

#define PATHS_BYTES 512

/* root: /run/mesh/control.sock; else $XDG_RUNTIME_DIR/mesh/control.sock, or /tmp/mesh-UID/control.sock */
char *paths_control_socket(char *to);
/* root: /var/lib/mesh; else $XDG_STATE_HOME/mesh, or ~/.local/state/mesh */
char *paths_data_dir(char *to);
/* $XDG_RUNTIME_DIR/mesh-demo, or /tmp/mesh-demo-UID (root's /run/user/0 does not count: it lets no other user in): what `mesh demo` leaves nothing of when it ends */
char *paths_demo_dir(char *to);
#endif
