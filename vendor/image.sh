#!/bin/sh
# image.sh BINARY VERSION : a container image with the binary and nothing else, by the last stage of the Dockerfile, with
# buildah, podman or docker, whichever is there. It is called mesh:VERSION and mesh:latest.
set -eu
binary=$1
version=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp "$binary" "$dir/mesh"
sed -n '/^FROM scratch/,$ { s,COPY --from=build /src/build/,COPY ,; p; }' Dockerfile > "$dir/Dockerfile"
for tool in buildah podman docker; do
    if command -v $tool > /dev/null 2>&1; then
        set -- -q -f "$dir/Dockerfile" -t "mesh:$version" -t mesh:latest "$dir"
        [ $tool = docker ] || set -- --isolation=chroot "$@"
        $tool build "$@"
        echo "made mesh:$version with $tool"
        exit 0
    fi
done
echo "image: no buildah, podman or docker" >&2
exit 1
