# The image: one static binary, the certificate authorities that it trusts, and no shell.
#
#     docker buildx build --platform linux/amd64,linux/arm64 --tag gemini-grpc .
#     buildah build --timestamp 0 --tag gemini-grpc .
#
# The same sources, arguments and builder give the same digest with `buildah build --timestamp`, or with BuildKit's
# SOURCE_DATE_EPOCH and `--output type=image,rewrite-timestamp=true`. A tag can move: for the same digest years later, name
# the builder by its digest (--build-arg BUILDER=docker.io/library/rust@sha256:...).
ARG BUILDER=docker.io/library/rust:1.95-slim-bookworm

# Always on the architecture of the build machine: other architectures are cross-compiled, not emulated.
FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
ARG TARGETARCH

# The target, and its compiler: the image only has the one for its own architecture.
RUN set -eu; \
    own=$(dpkg --print-architecture); \
    case "${TARGETARCH:=$own}" in \
        amd64) triple=x86_64-unknown-linux-gnu gcc=x86_64-linux-gnu package=x86-64-linux-gnu ;; \
        arm64) triple=aarch64-unknown-linux-gnu gcc=aarch64-linux-gnu package=aarch64-linux-gnu ;; \
        *) echo "no image for $TARGETARCH" >&2; exit 1 ;; \
    esac; \
    if [ "$TARGETARCH" != "$own" ]; then \
        apt-get update; \
        apt-get install -y --no-install-recommends "gcc-$package" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
        rustup target add "$triple"; \
    fi; \
    linker=CARGO_TARGET_$(echo "$triple" | tr a-z- A-Z_)_LINKER; \
    echo "export CARGO_BUILD_TARGET=$triple $linker=$gcc-gcc" >/target.sh; \
    echo "compiler=$gcc-gcc" >>/target.sh

WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs buf.yaml buf.gen.yaml ./
COPY benches benches
COPY proto proto
COPY release/nss.c release/nss.c
COPY release/profiles release/profiles
COPY src src

# Downloads are cached between builds: one build at a time writes, any number read.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    . /target.sh && cargo fetch --locked --target "$CARGO_BUILD_TARGET"

# Static, so that the image needs no libraries. glibc 2.36 itself reads /etc/hosts and queries DNS, and with nss.c nothing
# else, also where the binary runs without this image. Objects are not cached between builds, since they may come from
# another builder's compiler. mimalloc's C code contains its build time, which gcc takes from SOURCE_DATE_EPOCH. Where there
# is a profile of what runs most, the code is laid out by it (release/train).
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    set -eu; \
    . /target.sh; \
    export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=/target SOURCE_DATE_EPOCH=0; \
    "$compiler" -O2 -c -o /nss.o release/nss.c; \
    export RUSTFLAGS="-C target-feature=+crt-static -C link-arg=/nss.o --remap-path-prefix=/usr/local/cargo=/cargo"; \
    profile=/src/release/profiles/$CARGO_BUILD_TARGET.profdata; \
    if [ -e "$profile" ]; then RUSTFLAGS="$RUSTFLAGS -C profile-use=$profile"; fi; \
    cargo build --release --locked --bin gemini-grpc; \
    install -D "/target/$CARGO_BUILD_TARGET/release/gemini-grpc" /image/usr/bin/gemini-grpc

# The rest of the image. SOURCE_DATE_EPOCH is the modification time of all files.
ARG SOURCE_DATE_EPOCH=0
COPY LICENSE /LICENSE
RUN set -eu; \
    install -D -m 644 /LICENSE /image/usr/share/licenses/gemini-grpc/LICENSE; \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt; \
    cd /image/etc; \
    echo 'root:x:0:0:root:/:/sbin/nologin' >passwd; \
    echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >>passwd; \
    echo 'root:x:0:' >group; \
    echo 'nonroot:x:65532:' >>group; \
    echo 'hosts: files dns' >nsswitch.conf; \
    chmod 644 passwd group nsswitch.conf; \
    find /image -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="gemini-grpc"
LABEL org.opencontainers.image.description="The Gemini API over gRPC, REST and gRPC-Web: streaming, with deadlines, cancellation and rich errors"
LABEL org.opencontainers.image.source="https://github.com/mountsea/gemini-grpc"
LABEL org.opencontainers.image.licenses="Apache-2.0"
LABEL org.opencontainers.image.version="${VERSION}"
LABEL org.opencontainers.image.revision="${REVISION}"
LABEL org.opencontainers.image.created="${CREATED}"
COPY --from=build /image/ /
# A published port does not reach the container's loopback. On this address a gateway with its own key does not start until
# GEMINI_GRPC_AUTH says how callers are identified (docs/callers.md); one without a key does.
ENV GEMINI_GRPC_LISTEN=0.0.0.0:50051
EXPOSE 50051
# A number, since Kubernetes cannot check whether a name is root.
USER 65532:65532
STOPSIGNAL SIGTERM
# For Docker only: OCI images have no field for it (`buildah build --format docker` keeps it), and Kubernetes has its own
# probes. It checks the default address in plaintext; GEMINI_GRPC_ENDPOINT sets another.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/usr/bin/gemini-grpc", "healthcheck"]
ENTRYPOINT ["/usr/bin/gemini-grpc"]
CMD ["serve"]
