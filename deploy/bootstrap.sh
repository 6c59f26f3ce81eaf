#!/usr/bin/env bash
# Installs what codex-brief needs on Debian or Ubuntu to be built, tested and run.
# It says what it will do before it does it, may be run again at any time, and does nothing (in well
# under a second, without the network) when nothing is missing. See usage() below.
set -euo pipefail

# Pinned, so that a new release of the tool cannot turn the lint red by itself.
readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_FUZZ_VERSION=0.13.1

usage() {
    cat <<'USAGE'
usage: deploy/bootstrap.sh [--check] [test] [lint] [fuzz]

  (nothing)  installs the packages that building and running need
  test       installs also Chromium with its driver (some 300 MB), in which a test clicks
  lint       installs also cargo-deny, which takes some minutes the first time
  fuzz       installs also cargo-fuzz and a C++ compiler, for `make fuzz`
  --check    installs nothing; tells what is missing and exits 1 if anything is
USAGE
}

say() { printf 'bootstrap: %s\n' "$*"; }
fail() {
    printf 'bootstrap: %s\n' "$*" >&2
    exit 1
}

check=no
tests=no
lint=no
fuzz=no
for argument in "$@"; do
    case "$argument" in
        --check) check=yes ;;
        test) tests=yes ;;
        lint) lint=yes ;;
        fuzz) fuzz=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
done

# Prints the packages that hold the commands which this machine lacks.
missing_packages() {
    local command package
    # git fetches and pushes; bwrap isolates the steps; cc, make and pkg-config build the crates that
    # hold C (aws-lc, libgit2, SQLite); python3 is what some test steps are written in; curl and jq are
    # what docs and demo tell people to type; faketime sets the clock of a server under test; openssl makes
    # the certificate of a cluster under test.
    while read -r command package; do
        command -v "$command" >/dev/null || printf '%s\n' "$package"
    done <<'LIST'
git git
bwrap bubblewrap
cc gcc
make make
pkg-config pkg-config
curl curl
jq jq
python3 python3
faketime faketime
openssl openssl
LIST
    if [[ $tests == yes ]] && ! command -v chromedriver >/dev/null; then
        # On Ubuntu it is called otherwise, and brings a snap.
        if grep -qsx 'ID=ubuntu' /etc/os-release; then
            printf 'chromium-browser\nchromium-chromedriver\n'
        else
            printf 'chromium\nchromium-driver\n'
        fi
    fi
    # libFuzzer is C++.
    [[ $fuzz == no ]] || command -v c++ >/dev/null || printf 'g++\n'
    # A compiler without the C library's headers builds nothing.
    [[ -e /usr/include/stdio.h ]] || printf 'libc6-dev\n'
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || printf 'ca-certificates\n'
}

# Runs a command as root: directly, or by sudo.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and sudo is missing. As root, run: $*"
    fi
}

is_debian() {
    [[ -r /etc/os-release ]] || return 1
    # shellcheck source=/dev/null
    (. /etc/os-release && [[ " ${ID:-} ${ID_LIKE:-} " =~ \ (debian|ubuntu)\  ]])
}

install_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    if [[ ${#packages[@]} -eq 0 ]]; then
        return 0
    fi
    if [[ $check == yes ]]; then
        say "missing: ${packages[*]}"
        return 1
    fi
    if ! is_debian || ! command -v apt-get >/dev/null; then
        fail "missing: ${packages[*]}. This script knows only Debian and Ubuntu; install these by hand."
    fi
    say "installing with apt-get: ${packages[*]}"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
    mapfile -t packages < <(missing_packages)
    [[ ${#packages[@]} -eq 0 ]] || fail "still missing after the installation: ${packages[*]}"
}

check_rust() {
    command -v cargo >/dev/null && return 0
    local text="cargo is missing. Install Rust from https://rustup.rs; rust-toolchain.toml names the version."
    [[ $check == yes ]] || fail "$text"
    say "$text"
    return 1
}

# A sandbox that is installed may still be forbidden, and then no lane would take work.
check_sandbox() {
    # Its absence has been told with the packages.
    command -v bwrap >/dev/null || return 1
    local error
    if error=$(bwrap --unshare-all --ro-bind / / true 2>&1); then
        return 0
    fi
    say "bubblewrap is installed, but does not work for user $(id -un): ${error}" >&2
    if [[ $(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null) == 1 ]]; then
        say "AppArmor forbids user namespaces here (Ubuntu 23.10 and later). Give bwrap a profile that" \
            "has the rule 'userns,', or, if you accept that for every program:" \
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0" >&2
    elif [[ $(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null) == 0 ]]; then
        say "the kernel forbids user namespaces: sudo sysctl kernel.unprivileged_userns_clone=1" >&2
    elif [[ $(cat /proc/sys/user/max_user_namespaces 2>/dev/null) == 0 ]]; then
        say "the kernel allows no user namespaces: sudo sysctl user.max_user_namespaces=10000" >&2
    else
        say "in a container, its runtime must allow user namespaces and mounts" >&2
    fi
    return 1
}

install_cargo_deny() {
    if [[ "$(cargo deny --version 2>/dev/null)" == "cargo-deny ${CARGO_DENY_VERSION}" ]]; then
        return 0
    fi
    if [[ $check == yes ]]; then
        say "missing: cargo-deny ${CARGO_DENY_VERSION}"
        return 1
    fi
    say "installing cargo-deny ${CARGO_DENY_VERSION} from crates.io; about 3 minutes on 2 cores"
    cargo install --quiet --locked --version "$CARGO_DENY_VERSION" cargo-deny
    # Where cargo's folder for programs is not in PATH, `cargo deny` is found by cargo all the same.
    cargo deny --version >/dev/null || fail "cargo-deny was installed, but does not start"
}

install_cargo_fuzz() {
    if [[ "$(cargo fuzz --version 2>/dev/null)" == "cargo-fuzz ${CARGO_FUZZ_VERSION}" ]]; then
        return 0
    fi
    if [[ $check == yes ]]; then
        say "missing: cargo-fuzz ${CARGO_FUZZ_VERSION}"
        return 1
    fi
    say "installing cargo-fuzz ${CARGO_FUZZ_VERSION} from crates.io; about a minute on 2 cores"
    cargo install --quiet --locked --version "$CARGO_FUZZ_VERSION" cargo-fuzz
    cargo fuzz --version >/dev/null || fail "cargo-fuzz was installed, but does not start"
}

status=0
install_packages || status=1
check_rust || status=1
check_sandbox || status=1
if [[ $lint == yes ]] && command -v cargo >/dev/null; then
    install_cargo_deny || status=1
fi

if [[ $fuzz == yes ]] && command -v cargo >/dev/null; then
    install_cargo_fuzz || status=1
fi

if [[ $status -ne 0 ]]; then
    fail "not everything is in place; see above"
fi
[[ $check == no ]] || say "everything is in place"
