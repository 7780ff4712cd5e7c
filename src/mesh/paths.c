/* Where things lie on this machine. */
#include "mesh/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The value of a variable that is set and not empty, or NULL. */
static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* A login of root has a folder there that no other user may pass, so nothing that root's processes share with those of other
 * users can be in it. */
#define LOGIN_OF_ROOT "/run/user/0"

static char *runtime(char *to, const char *name)
{
    const char *dir = env("XDG_RUNTIME_DIR");
    if (dir && geteuid() == 0 && strcmp(dir, LOGIN_OF_ROOT) == 0) {
        dir = NULL;
    }
    if (dir) {
        snprintf(to, PATHS_BYTES, "%s/%s", dir, name);
    } else {
        snprintf(to, PATHS_BYTES, "/tmp/%s-%u", name, (unsigned)geteuid());
    }
    return to;
}

char *paths_control_socket(char *to)
{
    char dir[PATHS_BYTES];
    if (geteuid() == 0) {
        snprintf(to, PATHS_BYTES, "/run/mesh/control.sock");
    } else {
        snprintf(to, PATHS_BYTES, "%.480s/control.sock", runtime(dir, "mesh"));
    }
    return to;
}

char *paths_data_dir(char *to)
{
    const char *state = env("XDG_STATE_HOME");
    const char *home = env("HOME");
    if (geteuid() == 0) {
        snprintf(to, PATHS_BYTES, "/var/lib/mesh");
    } else if (state) {
        snprintf(to, PATHS_BYTES, "%s/mesh", state);
    } else {
        snprintf(to, PATHS_BYTES, "%s/.local/state/mesh", home ? home : "/tmp");
    }
    return to;
}

char *paths_demo_dir(char *to)
{
    return runtime(to, "mesh-demo");
}
