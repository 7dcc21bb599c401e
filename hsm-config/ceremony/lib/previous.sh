# shellcheck shell=bash
# Ceremonies build on each other: each begins with the record of the one before, and with the first roster.

before_of() { case $1 in infrastructure) echo tokens ;; authorities) echo infrastructure ;; esac; }
after_of() { case $1 in tokens) echo infrastructure ;; infrastructure) echo authorities ;; esac; }

record_in() { printf '%s/ceremonies/%s/record.json' "$deployment" "$1"; }
roster_file() { printf '%s/ceremonies/roster.json' "$deployment"; }

# The record before must hold, and today's officers must stand in the first roster.
check_previous() { # ceremony
    local before one
    before=$(before_of "$1")
    [ -n "$before" ] || return 0
    [ -f "$(record_in "$before")" ] || refuse "the ceremony of $before comes first"
    verify_record "$(dirname "$(record_in "$before")")" >/dev/null || refuse "the record of $before does not verify"
    [ "$(digest_of "$(roster_file)")" = "$(result_of tokens roster | jq -r .roster_sha256)" ] || refuse "the roster is not the recorded one"
    for one in "${officers[@]}"; do
        jq -e --arg n "$one" --arg d "${officer_digest[$one]}" \
            'any(.officers[]; .name == $n and .public_key_sha256 == $d)' "$(roster_file)" >/dev/null ||
            refuse "$one with this key is not in the first roster"
    done
}

previous_of() { # ceremony; JSON
    local before
    before=$(before_of "$1")
    if [ -z "$before" ]; then echo null; return 0; fi
    jq -n --arg c "$before" --arg d "$(digest_of "$(record_in "$before")")" --arg r "$(digest_of "$(roster_file)")" \
        '{ceremony:$c, record_sha256:$d, roster_sha256:$r}'
}

settings_of() { # ceremony; JSON
    local absolute
    case $1 in
        tokens)
            [ -r "$policy" ] && [ -d "$modules" ] || misuse "tokens needs --policy FILE and --modules DIR"
            absolute=$(cd "$(dirname "$policy")" && pwd)/$(basename "$policy")
            jq -n --arg p "$absolute" --arg m "$(cd "$modules" && pwd)" --arg n "$module" --arg l "$library" \
                '{policy:$p, modules:$m, module:$n, library:$l}'
            ;;
        authorities)
            [ -n "$country" ] && [ -n "$organisation" ] || misuse "authorities needs --country CC and --organisation NAME"
            jq -n --arg c "$country" --arg o "$organisation" '{country:$c, organisation:$o}'
            ;;
        *) echo '{}' ;;
    esac
}

# What the ceremony was begun with, so that it goes on with the same; `library` goes to each call of `qscd`.
declare -A settings=()
library_words=()
read_settings() { # ceremony
    local name value
    settings=() library_words=()
    while IFS=$'\t' read -r name value; do settings[$name]=$value; done < <(
        jq -r 'select(.event == "opened") | .settings | to_entries[] | "\(.key)\t\(.value)"' "$(journal_in tokens)" "$(journal_in "$1")"
    )
    if [ -n "${settings[library]:-}" ]; then library_words=(--library "${settings[library]}"); fi
}

hold_with_all_before() {
    local before
    [ ! -e "$deployment/qscd.toml" ] || [ -f "$(journal_in "$ceremony")" ] || refuse "$deployment holds a deployment already"
    if [ "$rehearse" = 1 ]; then
        # A rehearsal needs what comes before; it is held unspoken.
        case $ceremony in
            infrastructure) before=(tokens) ;;
            authorities) before=(tokens infrastructure) ;;
            *) before=() ;;
        esac
        local wanted=$ceremony each asked=$unattended
        unattended=1
        for each in "${before[@]}"; do
            ceremony=$each
            check_previous "$each"
            run_ceremony "$each" >/dev/null
        done
        unattended=$asked ceremony=$wanted
    fi
    check_previous "$ceremony"
    run_ceremony "$ceremony"
    if [ "$rehearse" = 1 ]; then verify_record "$(dirname "$(record_in "$ceremony")")"; fi
}
