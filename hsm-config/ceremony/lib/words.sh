# shellcheck shell=bash
# What is said, and how it ends.

say() { printf '%s\n' "$*"; }
fail() { printf 'ceremony: %s\n' "$*" >&2; exit 1; }
misuse() { printf 'ceremony: %s; see: ceremony help\n' "$*" >&2; exit 2; }
refuse() { printf 'ceremony: refused: %s\n' "$*" >&2; exit 4; }

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
digest_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# The file is whole or absent, and survives a power cut.
write_whole() { # file; content on standard input
    cat >"$1.new"
    sync "$1.new"
    mv "$1.new" "$1"
    sync "$(dirname "$1")"
}

# A line that somebody types. The prompt is for people, not for pipes.
ask() { # prompt
    local line
    printf '%s: ' "$1" >&2
    IFS= read -r line || fail "nobody answers: standard input has ended"
    printf '%s' "$line"
}
