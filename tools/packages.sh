# shellcheck shell=bash
# tools/packages.sh: sourced by ./dev. Installs the Debian packages of some groups of
# tools/packages.txt that are not there yet, without letting any installed server start.

# packages_of GROUP...: the packages of these groups, one per line, each once.
packages_of() {
    local group
    for group in "$@"; do
        awk -v group="$group" '$1 == group { print $2 }' "$ROOT/tools/packages.txt"
    done | sort -u
}

reason_for() {
    awk -v package="$1" '$2 == package { $1 = ""; $2 = ""; sub(/^ +/, ""); print; exit }' \
        "$ROOT/tools/packages.txt"
}

is_installed() {
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# As root, or through sudo; says what to type where there is neither.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        die "packages are missing and there is no sudo: run this as root: $*"
    fi
}

# Debian asks /usr/sbin/policy-rc.d before it starts a service that it has just installed; 101 means
# "do not". Redis and etcd are wanted here as programs, not as daemons on their default ports.
# The guard runs in one shell of root's, so that whatever was there comes back even on failure.
install_without_starting() {
    # shellcheck disable=SC2016  # expanded by the inner shell
    as_root bash -c '
        set -eu
        guard=/usr/sbin/policy-rc.d
        saved=
        restore() {
            rm -f "$guard"
            if [ -n "$saved" ]; then mv -f "$saved" "$guard"; fi
        }
        trap restore EXIT
        trap "exit 130" INT TERM
        if [ -e "$guard" ] || [ -L "$guard" ]; then
            saved="$guard.asterias-saved"
            mv -f "$guard" "$saved"
        fi
        printf "#!/bin/sh\nexit 101\n" >"$guard"
        chmod 755 "$guard"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -q -y --no-install-recommends "$@"
    ' install-guard "$@"
}

# need_packages GROUP...: makes sure that these are installed; says what it does and why.
need_packages() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "no apt here: this needs what Debian 12 calls: $(packages_of "$@" | tr '\n' ' ')"
        return
    fi
    local package missing=()
    while read -r package; do
        is_installed "$package" || missing+=("$package")
    done < <(packages_of "$@")
    ((${#missing[@]})) || return 0
    say "installing ${#missing[@]} missing packages (no service is started):"
    for package in "${missing[@]}"; do
        printf '    %-20s %s\n' "$package" "$(reason_for "$package")" >&2
    done
    local log
    log="$(log_file packages)"
    if ! install_without_starting "${missing[@]}" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "the installation failed; the whole of it is in $log"
    fi
    say "installed; apt's words are in $log"
}
