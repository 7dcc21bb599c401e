# shellcheck shell=bash
# A ceremony is a list of steps: each is read aloud, done, shown, confirmed by every officer and noted. What is noted is
# not done again.

qscd_program=${QSCD_BIN:+$QSCD_BIN/}qscd
# Daemons' users must reach what it makes; what is secret it makes so by itself.
qscd() (
    umask 022
    exec "$qscd_program" --deployment "$deployment" "$@"
)
step_qscd() { qscd --json ceremony "$@"; }  # a step of the product: its answer is the step's result

# steps/NAME.sh sets `steps` and `undo_steps` (identifiers), `with_halves` (those that need the PINs of people) and
# `titles`, and defines aloud_ID and do_ID.
load_steps() { # ceremony
    # shellcheck source=/dev/null  # one of steps/*.sh
    source "$here/steps/$1.sh"
}

script_of() { # number, step: Markdown, read aloud
    printf '\n## %s. %s\n' "$1" "${titles[$2]}"
    if declare -F "aloud_$2" >/dev/null; then
        printf '\n'
        "aloud_$2"
    fi
}

print_script() {
    local number=0 step
    printf '# Key ceremony: %s\n\n' "$ceremony"
    aloud_opening
    for step in "${steps[@]}"; do script_of $((++number)) "$step"; done
}

aloud_opening() {
    cat <<'TEXT'
At least two officers are here, each with a key of their own, and witnesses. One person reads this script aloud. Nobody
goes on before a step's result was seen by all. After each step every officer types their name; who does not agree types
anything else, and the ceremony stops there. It can be taken up again, or taken back. At the end all officers sign the
record.
TEXT
}

show_result() { jq -r -L "$here" 'include "record"; if type == "object" then result_lines("    ") else error("no result") end' <<<"$1"; }

# Why it ended, for who stands before it.
running_step=
after_step() { # exit status
    [ "$1" -eq 0 ] || [ -z "$running_step" ] || printf 'ceremony: %s: not done. Give the command again to go on, or with --undo\n' "$running_step" >&2
}

run_step() { # ceremony, number, step
    local result
    if [ -n "${noted[$3]:-}" ]; then
        say "$2. ${titles[$3]}: done before, see the record"
        return 0
    fi
    script_of "$2" "$3"
    note_plain "$1" begun "$3"
    say ""
    running_step="step $2, ${titles[$3]}"
    if [[ " ${with_halves[*]} " = *" $3 "* ]]; then take_halves; fi
    result=$("do_$3")
    show_result "$result"
    confirm "${titles[$3]}"
    jq -ncS --arg s "$3" --arg t "${titles[$3]}" --arg at "$(now)" --argjson r "$result" --argjson by "$(confirmers)" \
        '{event:"done", step:$s, title:$t, at:$at, result:$r, confirmed:$by}' | note_event "$1"
    noted[$3]=1
    running_step=
}

run_ceremony() { # ceremony
    local number=0 step
    load_steps "$1"
    open_journal "$1"
    read_done "$1"
    read_settings "$1"
    if has_event "$1" finished; then
        if ! (verify_record "$(dirname "$(journal_in "$1")")" >/dev/null 2>&1); then finish_record "$1"; fi
        say "the ceremony was held: $(dirname "$(journal_in "$1")")"
        return 0
    fi
    say "# Key ceremony: $1$([ "$rehearse" = 0 ] || echo ' (REHEARSAL)')"
    say ""
    aloud_opening
    for step in "${steps[@]}"; do run_step "$1" $((++number)) "$step"; done
    note_plain "$1" finished
    finish_record "$1"
    say ""
    say "the record is in $(dirname "$(journal_in "$1")")"
}


# Keys must be what they shall be, as the token itself says. On standard input a step's result; passes it on.
only_strict_keys() {
    local result
    result=$(cat)
    jq -e '[.objects[] | select(.kind != "data") | .attributes
            | .CKA_SENSITIVE and .CKA_ALWAYS_SENSITIVE and (.CKA_EXTRACTABLE | not) and .CKA_NEVER_EXTRACTABLE
              and .CKA_LOCAL and .CKA_SIGN and (.CKA_WRAP | not) and (.CKA_UNWRAP | not) and (.CKA_DECRYPT | not)] | all' \
        <<<"$result" >/dev/null || fail "a key's attributes are not what they must be: $result"
    printf '%s' "$result"
}

# Nothing was changed between the step and now.
same_as_in() { # ceremony, step; now on standard input
    local result
    result=$(cat)
    [ "$(jq -cS . <<<"$result")" = "$(result_of "$1" "$2" | jq -cS .)" ] || fail "the token does not hold what step $2 recorded"
    printf '%s' "$result"
}

# A fresh token, the one that the ceremony of tokens recorded. Its state on standard input; passes it on.
empty_token_of_record() {
    local seen why
    seen=$(cat)
    why=$(jq -r --slurpfile journal "$(journal_in tokens)" '.token as $t | .objects as $o
        | [$journal[] | select(.event == "done") | .result.tokens // [] | .[] | select(.label == $t.label)] as $recorded
        | if $recorded == [] or ($recorded | all(.serial == $t.serial) | not) then "serial \($t.serial) is not that of the recorded token"
          elif $o != [] then "it is not empty" else empty end' <<<"$seen")
    [ -z "$why" ] || fail "token $(jq -r .token.label <<<"$seen"): $why"
    printf '%s' "$seen"
}
