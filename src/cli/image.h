#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H
/* A container image made of one program, as an archive that podman, buildah, skopeo and containerd read (OCI image layout) and `docker load`, too
 * (its manifest.json). One layer with the one file /mesh; user 1337:1337; the same program gives the same bytes.
 * Sources: OCI image specification (image-layout, manifest, config, layer, annotations), POSIX ustar, moby image/spec v1.2 (manifest.json). */
#include "base/buf.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define IMAGE_MAX (64u << 20)

struct image_spec {
    struct span program; /* of this machine's architecture; must need no libraries */
    const char *name;    /* "mesh:v0.1.0", "registry.example/team/mesh:v0.1.0" */
    const char *version;
};
/* Appends the archive. -ERR_CONFIG: no static ELF program, or a name that is none; -ERR_LIMIT. */
MUST_USE int image_write(const struct image_spec *spec, struct buf *out, struct err *err);
#endif
