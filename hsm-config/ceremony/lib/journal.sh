# shellcheck shell=bash
# What has happened so far, one JSON object a line. A line is there whole, and before anybody is told, or not at all:
# so a ceremony that was killed knows where to go on.

journal_in() { printf '%s/ceremonies/%s/journal.jsonl' "$deployment" "$1"; }

lock_deployment() {
    (umask 022 && mkdir -p "$deployment")
    mkdir -p "$deployment/ceremonies"
    exec 9>"$deployment/ceremonies/lock"
    flock -w 30 9 || refuse "another ceremony is being held in $deployment"
}

note_event() { # ceremony; one line of JSON on standard input
    local file
    file=$(journal_in "$1")
    { if [ -f "$file" ]; then cat "$file"; fi; cat; } | write_whole "$file"
}

note_plain() { # ceremony, event, step or nothing: words of ours, which need no escaping
    printf '{"at":"%s","event":"%s"%s}\n' "$(now)" "$2" "${3:+,\"step\":\"$3\"}" | note_event "$1"
}

# The steps that are noted as done: read once, kept up by note_done.
declare -A noted=()
read_done() { # ceremony
    local step
    noted=()
    [ -f "$(journal_in "$1")" ] || return 0
    while read -r step; do noted[$step]=1; done < <(jq -r 'select(.event == "done") | .step' "$(journal_in "$1")")
}
has_event() { # ceremony, event
    [ -f "$(journal_in "$1")" ] && jq -es --arg e "$2" 'any(.[]; .event == $e)' "$(journal_in "$1")" >/dev/null
}
result_of() { # ceremony, step
    jq -cs --arg s "$2" '[.[] | select(.event == "done" and .step == $s)] | last | .result' "$(journal_in "$1")"
}
opening_of() { jq -cs 'first' "$(journal_in "$1")"; }

# Once the officers have proved their keys: who they are, for the record.
people_json='' names_json=''
describe_people() {
    local one
    people_json=$(for one in "${officers[@]}"; do printf '%s\n' "$one" "${officer_digest[$one]}" "${officer_pem[$one]}" ""; done |
        jq -Rcs 'split("\n\n")[:-1] | map(split("\n") | {name:.[0], public_key_sha256:.[1], public_key:(.[2:] | join("\n") + "\n")})')
    names_json=$(jq -c 'map(.name)' <<<"$people_json")
}
witness_list() { if [ ${#witnesses[@]} -gt 0 ]; then printf '%s\n' "${witnesses[@]}" | jq -R . | jq -cs .; else echo '[]'; fi; }

# Opens the journal, or finds who opened it: the same people finish what they began.
open_journal() { # ceremony
    local file opened kind=resumed
    file=$(journal_in "$1")
    mkdir -p "$(dirname "$file")"
    if [ -f "$file" ]; then
        opened=$(opening_of "$1")
        jq -e --argjson p "$people_json" 'def who: map({name, public_key_sha256}); (.officers | who) == ($p | who)' <<<"$opened" >/dev/null ||
            refuse "this ceremony was begun by $(jq -r '[.officers[].name] | join(", ")' <<<"$opened"): they finish it, named in this order"
        if has_event "$1" finished && [ "$undo" = 0 ]; then return 0; fi
    else
        kind=opened
    fi
    jq -ncS --arg event "$kind" --arg c "$1" --arg at "$(now)" --argjson o "$people_json" --argjson w "$(witness_list)" \
        --argjson rehearsal "$([ "$rehearse" = 1 ] && echo true || echo false)" \
        --argjson attended "$([ "$unattended" = 1 ] && echo false || echo true)" \
        --arg host "$(uname -n)" --arg version "$(qscd --version)" --arg program "$(digest_of "$(command -v "$qscd_program")")" \
        --argjson previous "$(previous_of "$1")" --argjson settings "$(settings_of "$1")" \
        '{event:$event, ceremony:$c, at:$at, officers:$o, witnesses:$w, rehearsal:$rehearsal, attended:$attended, host:$host,
          software:{qscd:$version, qscd_sha256:$program}, previous:$previous, settings:$settings}' | note_event "$1"
}
