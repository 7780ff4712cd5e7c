/* In: cmd_image, cmd_install. Next: codec/gzip, tls/digest. */
#include "cli/image.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "codec/gzip.h"
#include "codec/hex.h"
#include "tls/digest.h"

#define TAR_BLOCK 512
#define JSON_BYTES 2048

#if defined(__x86_64__)
#define ARCHITECTURE "amd64"
#elif defined(__aarch64__)
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "unknown"
#endif

/* ---- tar ---- */

/* POSIX ustar: texts and octal numbers at fixed places. */
struct tar_head {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[155];
    char unused[12];
};
_Static_assert(sizeof(struct tar_head) == TAR_BLOCK, "a block");

static int add_zeros(struct buf *to, size_t count)
{
    static const char zeros[TAR_BLOCK * 2];
    return buf_append(to, zeros, count);
}

static int add_file(struct buf *to, const char *name, unsigned mode, struct span bytes)
{
    struct tar_head head = {.type = '0'};
    unsigned sum = 0;
    (void)snprintf(head.name, sizeof head.name, "%s", name);
    (void)snprintf(head.mode, sizeof head.mode, "%07o", mode);
    (void)snprintf(head.uid, sizeof head.uid, "%07o", 0);
    (void)snprintf(head.gid, sizeof head.gid, "%07o", 0);
    (void)snprintf(head.size, sizeof head.size, "%011zo", bytes.len);
    (void)snprintf(head.mtime, sizeof head.mtime, "%011o", 0);
    memcpy(head.magic, "ustar", 6);
    memcpy(head.version, "00", 2);
    memset(head.sum, ' ', sizeof head.sum);
    for (size_t i = 0; i < sizeof head; i++) {
        sum += ((const unsigned char *)&head)[i];
    }
    (void)snprintf(head.sum, sizeof head.sum - 1, "%06o", sum);
    int code = buf_append(to, &head, sizeof head);
    code = code ? code : buf_append_span(to, bytes);
    return code ? code : add_zeros(to, (TAR_BLOCK - bytes.len % TAR_BLOCK) % TAR_BLOCK);
}

static int end_tar(struct buf *to)
{
    return add_zeros(to, (size_t)TAR_BLOCK * 2);
}

/* ---- parts ---- */

struct blob {
    char hash[DIGEST_BYTES * 2 + 1];
    size_t length;
};

static struct blob blob_of(struct span bytes)
{
    struct blob b = {.length = bytes.len};
    uint8_t digest[DIGEST_BYTES];
    digest_sha256(bytes, digest);
    (void)hex_encode(span_from(digest, sizeof digest), b.hash); /* the rest of it is zero */
    return b;
}

static int add_blob(struct buf *to, const struct blob *b, struct span bytes)
{
    char name[100];
    (void)snprintf(name, sizeof name, "blobs/sha256/%s", b->hash);
    return add_file(to, name, 0644, bytes);
}

/* Only what needs nothing else runs alone in an image. */
static int check_program(struct span program, struct err *err)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    if (program.len < sizeof head || memcmp(program.at, ELFMAG, SELFMAG) != 0) {
        return err_set(err, -ERR_CONFIG, "it is no program");
    }
    memcpy(&head, program.at, sizeof head);
    for (size_t i = 0; i < head.e_phnum; i++) {
        size_t at = head.e_phoff + i * sizeof part;
        if (head.e_phoff > program.len || at + sizeof part > program.len) {
            return err_set(err, -ERR_CONFIG, "it is cut short");
        }
        memcpy(&part, program.at + at, sizeof part);
        if (part.p_type == PT_INTERP) {
            return err_set(
                err, -ERR_CONFIG,
                "it needs the libraries of this machine: take the release, which needs none");
        }
    }
    return 0;
}

/* A name goes into JSON as it is. */
static int check_name(const char *name, struct err *err)
{
    for (const char *at = name; *at; at++) {
        bool is_good = (*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') ||
                       (*at >= 'A' && *at <= 'Z') || strchr("._-/:@", *at);
        if (!is_good) {
            return err_set(err, -ERR_CONFIG, "'%s' is no name of an image", name);
        }
    }
    const char *slash = strrchr(name, '/');
    const char *colon = strchr(slash ? slash : name, ':');
    return colon && colon[1] && strlen(name) < 256
               ? 0
               : err_set(err, -ERR_CONFIG, "'%s' is no name of an image: write NAME:TAG", name);
}

/* What containerd calls it: with a registry, as docker.io is the one of short names. */
static const char *prefix_of(const char *name)
{
    size_t first = strcspn(name, "/");
    bool has_registry =
        name[first] == '/' && (memchr(name, '.', first) || memchr(name, ':', first) ||
                               (first == 9 && memcmp(name, "localhost", 9) == 0));
    return has_registry ? "" : name[first] == '/' ? "docker.io/" : "docker.io/library/";
}

struct parts {
    struct buf layer, packed; /* the layer, and the same packed */
    char config[JSON_BYTES], manifest[JSON_BYTES], index[JSON_BYTES], docker[JSON_BYTES];
    struct blob config_blob, layer_blob, manifest_blob;
};

static int fill_layer(const struct image_spec *spec, struct parts *p)
{
    int code = add_file(&p->layer, "mesh", 0755, spec->program);
    code = code ? code : end_tar(&p->layer);
    return code ? code : gzip_pack(buf_span(&p->layer), &p->packed);
}

static void write_texts(const struct image_spec *spec, struct parts *p)
{
    struct blob plain = blob_of(buf_span(&p->layer));
    p->layer_blob = blob_of(buf_span(&p->packed));
    (void)snprintf(
        p->config, sizeof p->config,
        "{\"created\":\"1970-01-01T00:00:00Z\",\"architecture\":\"" ARCHITECTURE
        "\",\"os\":\"linux\",\"config\":{\"User\":\"1337:1337\",\"Entrypoint\":[\"/mesh\"],"
        "\"Labels\":{\"org.opencontainers.image.title\":\"mesh\","
        "\"org.opencontainers.image.version\":\"%s\"}},\"rootfs\":{\"type\":\"layers\","
        "\"diff_ids\":[\"sha256:%s\"]},\"history\":[{\"created\":\"1970-01-01T00:00:00Z\","
        "\"created_by\":\"mesh image\"}]}",
        spec->version, plain.hash);
    p->config_blob = blob_of(span_of(p->config));
    (void)snprintf(
        p->manifest, sizeof p->manifest,
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
        "\"digest\":\"sha256:%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
        "\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:%s\","
        "\"size\":%zu}]}",
        p->config_blob.hash, p->config_blob.length, p->layer_blob.hash, p->layer_blob.length);
    p->manifest_blob = blob_of(span_of(p->manifest));
    (void)snprintf(
        p->index, sizeof p->index,
        "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
        "\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"digest\":\"sha256:%s\",\"size\":%zu,\"annotations\":{"
        "\"io.containerd.image.name\":\"%s%s\",\"org.opencontainers.image.ref.name\":\"%s\"},"
        "\"platform\":{\"architecture\":\"" ARCHITECTURE "\",\"os\":\"linux\"}}]}",
        p->manifest_blob.hash, p->manifest_blob.length, prefix_of(spec->name), spec->name,
        strrchr(spec->name, ':') + 1);
    (void)snprintf(p->docker, sizeof p->docker,
                   "[{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":[\"%s\"],"
                   "\"Layers\":[\"blobs/sha256/%s\"]}]",
                   p->config_blob.hash, spec->name, p->layer_blob.hash);
}

static int write_archive(const struct parts *p, struct buf *out)
{
    int code = add_file(out, "oci-layout", 0644, SPAN("{\"imageLayoutVersion\":\"1.0.0\"}"));
    code = code ? code : add_file(out, "index.json", 0644, span_of(p->index));
    code = code ? code : add_file(out, "manifest.json", 0644, span_of(p->docker));
    code = code ? code : add_blob(out, &p->manifest_blob, span_of(p->manifest));
    code = code ? code : add_blob(out, &p->config_blob, span_of(p->config));
    code = code ? code : add_blob(out, &p->layer_blob, buf_span(&p->packed));
    return code ? code : end_tar(out);
}

int image_write(const struct image_spec *spec, struct buf *out, struct err *err)
{
    struct parts parts = {.config = ""};
    int code = check_name(spec->name, err); /* what was typed comes first */
    code = code ? code : check_program(spec->program, err);
    if (code != 0) {
        return code;
    }
    buf_init(&parts.layer, IMAGE_MAX);
    buf_init(&parts.packed, IMAGE_MAX);
    code = fill_layer(spec, &parts);
    if (code == 0) {
        write_texts(spec, &parts);
        code = write_archive(&parts, out);
    }
    buf_dispose(&parts.layer);
    buf_dispose(&parts.packed);
    return code ? err_set(err, code, "the program is larger than %u MiB", IMAGE_MAX >> 20) : 0;
}
