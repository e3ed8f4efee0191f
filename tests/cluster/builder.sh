#!/usr/bin/env bash
# Builds localhost/rust-builder, which replaces docker.io/library/rust where no image registry can be reached: Debian
# bookworm with the packages of the slim image, from debootstrap, and this machine's Rust at the same paths.
#
#     tests/cluster/builder.sh [flags of buildah, such as --root DIR --runroot DIR]
#
# It needs root, buildah, debootstrap and rustup, one or two minutes, and 1 GB.
set -euo pipefail

name=localhost/rust-builder
packages=ca-certificates,gcc,libc6-dev
sysroot=$(rustc --print sysroot)
version=$(rustc --version | cut -d' ' -f2)
host=$(rustc -vV | sed -n 's/^host: //p')
toolchain=$version-$host

flags=("$@")
buildah() {
    command buildah "${flags[@]}" "$@"
}

container=$(buildah from scratch)
trap 'buildah rm "$container" >/dev/null' EXIT
root=$(buildah mount "$container")

debootstrap --variant=minbase --include="$packages" bookworm "$root"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

# The same as in the official image, without documentation: rustup, its proxies, and one toolchain.
mkdir -p "$root/usr/local/cargo/bin" "$root/usr/local/rustup/toolchains/$toolchain"
tar -C "$sysroot" --exclude=./share/doc --exclude=./share/man -cf - . |
    tar -C "$root/usr/local/rustup/toolchains/$toolchain" --no-same-owner -xf -
cp "$(readlink -f "$(command -v rustup)")" "$root/usr/local/cargo/bin/rustup"
for proxy in cargo rustc rustdoc; do
    ln -s rustup "$root/usr/local/cargo/bin/$proxy"
done
printf '%s\n' 'version = "12"' 'profile = "minimal"' "default_toolchain = \"$toolchain\"" \
    >"$root/usr/local/rustup/settings.toml"

# The authorities that this machine trusts, which may include those of a proxy in front of the registries. They are used
# for downloads only: the image must not trust such a proxy.
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$root/usr/local/share/downloads.crt"

buildah config \
    --env CARGO_HTTP_CAINFO=/usr/local/share/downloads.crt --env SSL_CERT_FILE=/usr/local/share/downloads.crt \
    --env PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    --env RUSTUP_HOME=/usr/local/rustup --env CARGO_HOME=/usr/local/cargo --env RUST_VERSION="$version" \
    "$container"
buildah umount "$container" >/dev/null
buildah commit --quiet "$container" "$name"
