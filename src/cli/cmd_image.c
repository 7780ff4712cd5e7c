/* mesh image: a container image made of this very program. In: commands.def. Next: image_load. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/image_load.h"
#include "cli/verb.h"
#include "version.h"

struct settings {
    struct verb_flags common;
    const char *file, *name, *binary;
};

#define AT(field) offsetof(struct settings, field)
static const struct opt rows[] = {
    {.name = "file",
     .letter = 'o',
     .type = OPT_TEXT,
     .offset = AT(file),
     .arg = "FILE",
     .fallback = "-",
     .help = "where the archive goes; - is standard output"},
    {.name = "name",
     .type = OPT_TEXT,
     .offset = AT(name),
     .arg = "NAME:TAG",
     .fallback = "mesh:" MESH_VERSION,
     .help = "what the image is called"},
    {.name = "binary",
     .type = OPT_TEXT,
     .offset = AT(binary),
     .arg = "FILE",
     .help = "another program than this one"},
    {.name = NULL},
};

static const struct opt_spec image_spec = {
    .command = "mesh image",
    .section = "cli",
    .summary =
        "A container image of this program, as an archive for podman, docker, skopeo, containerd.",
    .examples =
        "mesh image -o mesh.tar && docker load -i mesh.tar\n"
        "mesh image --name registry.example/mesh:v1 > mesh.tar\n"
        "mesh image -o mesh.tar && skopeo copy oci-archive:mesh.tar docker://registry.example/mesh:v1\n",
    .rows = rows,
};

int cmd_image(int argc, char **argv)
{
    struct settings set = {.file = "-"};
    struct verb v;
    int status;
    if (verb_open(&v, &image_spec, &set, argc, argv, &status) == 0) {
        bool is_stdout = strcmp(set.file, "-") == 0;
        status = is_stdout && v.is_tty ? verb_fail(&v, EXIT_USAGE, 1330, "mesh image -o mesh.tar",
                                                   "an archive is nothing for a terminal")
                                       : image_load_write(&v, set.binary, set.name, set.file);
        if (status == EXIT_DONE && !is_stdout) {
            fprintf(stderr, "%s is %s; next: docker load -i %s\n", set.file, set.name, set.file);
        }
    }
    verb_close(&v);
    return status;
}
