# The image is the binary and nothing else. This file builds it from source with no other tool than docker or podman:
#   docker build --build-arg VERSION=$(git describe --tags --always) -t mesh .
# `make image` makes the same out of the binary of this machine, without such a tool.
FROM debian:trixie AS build
ARG VERSION=unknown
RUN apt-get update && apt-get install -y --no-install-recommends make
COPY . /src
RUN make -C /src VERSION="$VERSION"

FROM scratch
COPY --from=build /src/build/mesh /mesh
USER 1337:1337
ENTRYPOINT ["/mesh"]
