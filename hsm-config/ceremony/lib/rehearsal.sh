# shellcheck shell=bash
# A rehearsal: everything as in the real ceremony, on throw-away software tokens, with throw-away people.

prepare_rehearsal() {
    local one top root halves
    root=$(cd "$here/../.." && pwd)
    [ -z "$deployment" ] || misuse "--rehearse takes no --deployment: it makes one of its own"
    if [ -n "$rehearsal_folder" ]; then
        mkdir -p "$rehearsal_folder"
        top=$(cd "$rehearsal_folder" && pwd)
    else
        top=$(mktemp -d "${TMPDIR:-/tmp}/qscd-rehearsal-XXXXXX")
    fi
    if [ "$keep" = 0 ]; then
        # shellcheck disable=SC2064  # the folder as it is known now
        trap "end_rehearsal '$top'" EXIT
    else
        say "the rehearsal is in $top"
    fi
    deployment=$top/deployment
    mkdir -p "$top/officers"
    [ ${#officers[@]} -gt 0 ] || officers=(first-officer second-officer)
    for one in "${officers[@]}"; do
        halves=$top/officers/$one.halves
        if [ ! -s "$halves" ]; then { openssl rand -hex 8; openssl rand -hex 8; } | write_whole "$halves"; fi
        [ -n "${halves_file[$one]:-}" ] || halves_file[$one]=$halves
        [ -z "${key_file[$one]:-}" ] || continue
        key_file[$one]=$top/officers/$one.key.pem
        if [ ! -s "${key_file[$one]}" ]; then
            openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 2>/dev/null | write_whole "${key_file[$one]}"
        fi
    done
    policy=${policy:-$root/policy/presets/trial.toml}
    modules=${modules:-$root/hsm-config/modules}
    country=${country:-EU}
    organisation=${organisation:-qscd TEST}
}

end_rehearsal() { # folder
    local status=$?
    after_step $status
    if [ "$status" -eq 0 ] || ! compgen -G "$1/deployment/ceremonies/*/journal.jsonl" >/dev/null; then
        rm -rf "$1"
        return 0
    fi
    say "the rehearsal stands in $1: give the command again with --in $1, or remove it"
}
