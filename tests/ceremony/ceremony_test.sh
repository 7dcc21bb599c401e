#!/usr/bin/env bash
# Key ceremonies end to end. usage: ceremony_test.sh SOURCE_FOLDER BINARY_FOLDER; QSCD_FULL=1 for every kill point.
set -uo pipefail
shopt -s inherit_errexit
source_folder=$1 REAL_FOLDER=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ceremony=$source_folder/hsm-config/ceremony/ceremony
top=$(mktemp -d "${TMPDIR:-/tmp}/qscd-ceremony-test-XXXXXX")
trap 'rm -rf "$top"' EXIT
export REAL_FOLDER QSCD_BIN=$REAL_FOLDER KILLED_MARK=$top/killed TMPDIR=$top

chmod 711 "$top"  # daemons under users of their own must get through

passed=0 failed=0
ok() { passed=$((passed + 1)); printf 'ok   %s\n' "$*"; }
not_ok() { failed=$((failed + 1)); printf 'FAIL %s\n' "$*"; sed 's/^/     /' "$top/out" | tail -n 12; }
expect() { # name, wanted exit status, command
    local name=$1 wanted=$2 status=0
    shift 2
    "$@" >"$top/out" 2>&1 || status=$?
    cat "$top/out" >>"$top/everything-said"
    if [ "$status" = "$wanted" ]; then ok "$name"; else not_ok "$name: exit status $status, not $wanted"; fi
}
says() { if grep -q -- "$2" "$top/out"; then ok "$1"; else not_ok "$1: it does not say '$2'"; fi; }

# People: an EC and an RSA key, and halves that must never be seen again.
people=$top/people deployment=$top/deployment
mkdir -p "$people"
for name in anna boris carla; do
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$people/$name.key.pem" 2>/dev/null
done
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$people/boris.key.pem" 2>/dev/null
for name in anna boris; do openssl pkey -in "$people/$name.key.pem" -pubout -out "$people/$name.pub.pem"; done
printf 'canary-so-anna\ncanary-root-anna\n' >"$people/anna.halves"
printf 'canary-so-boris\ncanary-root-boris\n' >"$people/boris.halves"

by=(--officer "anna=$people/anna.key.pem" --officer "boris=$people/boris.key.pem"
    --halves "anna=$people/anna.halves" --halves "boris=$people/boris.halves" --witness "Clara Witness")
settings_for() { # ceremony
    case $1 in
        tokens) printf '%s\n' --policy "$source_folder/policy/presets/trial.toml" --modules "$source_folder/hsm-config/modules" ;;
        authorities) printf '%s\n' --country EU --organisation "qscd TEST" ;;
    esac
}
hold() { # ceremony, more words; both officers type their names as often as they are asked
    local words
    mapfile -t words < <(settings_for "$1")
    "$ceremony" "$1" --deployment "$deployment" "${by[@]}" "${words[@]}" "${@:2}" < <(yes $'anna\nboris')
}
record() { printf '%s/ceremonies/%s' "$deployment" "$1"; }
fresh() { rm -rf "$deployment"; }
keep_as() { rm -rf "${top:?}/$1"; cp -a "$deployment" "$top/$1"; }
back_to() { fresh; if [ "$1" != nothing ]; then cp -a "$top/$1" "$deployment"; fi; }
objects_in() { "$QSCD_BIN/qscd" --deployment "$deployment" --json ceremony show "$1" "${@:2}" | jq '.objects | length'; }

# --- Who may hold one
alone=(--officer "anna=$people/anna.key.pem")
expect "QSCD-17 one officer is refused" 4 "$ceremony" tokens --deployment "$deployment" "${alone[@]}"
says "QSCD-17 and it says why" "at least two"
expect "QSCD-17 nobody is refused" 4 "$ceremony" tokens --deployment "$deployment"
expect "QSCD-17 the same officer twice is refused" 4 "$ceremony" tokens --deployment "$deployment" "${alone[@]}" "${alone[@]}"
expect "QSCD-17 one key under two names is refused" 4 "$ceremony" tokens --deployment "$deployment" "${alone[@]}" --officer "boris=$people/anna.key.pem"
expect "an officer without a key is refused" 2 "$ceremony" tokens --deployment "$deployment" "${alone[@]}" --officer boris
expect "a public key is no officer's key" 4 "$ceremony" tokens --deployment "$deployment" "${alone[@]}" \
    --officer "boris=$people/boris.pub.pem"
cp "$people/anna.halves" "$people/same.halves"
expect "QSCD-17 equal halves are refused" 4 hold tokens --halves "boris=$people/same.halves"
fresh
expect "the order is kept: tokens come first" 4 hold infrastructure
expect "init goes on after ceremonies only" 2 "$QSCD_BIN/qscd" --deployment "$deployment" init --after-ceremonies
expect "a ceremony that never began is no hindrance to init" 0 "$QSCD_BIN/qscd" --deployment "$deployment" init \
    --policy "$source_folder/policy/presets/trial.toml" --modules "$source_folder/hsm-config/modules"
expect "no ceremony where a deployment lives" 4 hold tokens
fresh
expect "one rehearsing officer is refused" 4 "$ceremony" tokens --rehearse --unattended --officer anna
expect "the script is printed and nothing is done" 0 "$ceremony" authorities --script
says "it is numbered" "^## 5. The certificates"
if [ -e "$deployment/tokens" ]; then not_ok "nothing was made"; else ok "nothing was made"; fi
fresh

# --- Held in full
hold_with_a_refusal() {
    local words
    mapfile -t words < <(settings_for tokens)
    "$ceremony" tokens --deployment "$deployment" "${by[@]}" "${words[@]}" < <(printf 'anna\nno\n')
}
expect "an officer who does not confirm stops it" 4 hold_with_a_refusal
stranger=(--officer "anna=$people/anna.key.pem" --officer "carla=$people/carla.key.pem")
expect "others do not finish it" 4 "$ceremony" tokens --deployment "$deployment" "${stranger[@]}" \
    --policy "$source_folder/policy/presets/trial.toml" --modules "$source_folder/hsm-config/modules"
says "they are told who" "begun by anna, boris"
for each in tokens infrastructure authorities; do
    expect "$each is held" 0 hold $each
    expect "$each: its record holds" 0 "$ceremony" verify "$(record $each)" --officer "anna=$people/anna.pub.pem"
    expect "$each: given again, it was held" 0 hold $each
    says "and says so" "was held"
    keep_as "after-$each"
done

back_to after-tokens
expect "QSCD-17 who is not in the first roster holds no later one" 4 "$ceremony" infrastructure --deployment "$deployment" "${stranger[@]}"
expect "init waits for all ceremonies" 2 "$QSCD_BIN/qscd" --deployment "$deployment" init --after-ceremonies
expect "somebody puts a key into a token" 0 "$QSCD_BIN/qscd" --deployment "$deployment" ceremony keys rule
expect "and that is noticed" 1 hold infrastructure
says "by its name" "qscd-ra: it is not empty"
back_to after-authorities

# --- What the record says
of_tokens=$(record tokens)/record.json of_infrastructure=$(record infrastructure)/record.json of_authorities=$(record authorities)/record.json
holds_that() { # name, file, jq expression
    cp "$2" "$top/out"
    if jq -e "$3" "$2" >/dev/null 2>&1; then ok "$1"; else not_ok "$1"; fi
}
holds_that "two officers and the witness are in it" "$of_tokens" '([.officers[].name] == ["anna", "boris"]) and .witnesses == ["Clara Witness"]'
holds_that "serial, model and firmware of five tokens" "$of_tokens" \
    '[.steps[].result | select(.tokens) | .tokens[] | select(.serial != "" and .model != "" and .firmware != "") | .label] | unique | length == 5'
holds_that "a refused step is there as begun twice" "$of_tokens" '.steps[0].begun | length == 2'
roster=$(jq -r '.steps[] | select(.step == "roster") | .result.roster_sha256' "$of_tokens")
for each in "$of_infrastructure" "$of_authorities"; do
    holds_that "QSCD-17 a later record names the first roster" "$each" ".previous.roster_sha256 == \"$roster\" and (\"$roster\" | length == 64)"
done
holds_that "key ids and attributes of K_cell, K_pin and K_attest" "$of_infrastructure" \
    '[.steps[] | select(.step == "sam_keys") | .result.objects[] | select(.kind != "data") | select(.id | length == 32)
      | select(.attributes.CKA_EXTRACTABLE == false and .attributes.CKA_NEVER_EXTRACTABLE) | .label] == ["K_attest", "K_cell", "K_pin"]'
holds_that "the digests of genesis and attestation key" "$of_infrastructure" \
    '[.steps[] | select(.step == "sam_keys") | .result.genesis | .sha256, .attestation_key_sha256 | length == 64] | all'
holds_that "digests of the CAs' public keys and certificates" "$of_authorities" \
    '[.steps[] | select(.step == "certificates") | .result.files[] | .certificate_sha256 // empty] | length == 3'
root_digest=$(openssl x509 -in "$deployment/pki/root.pem" -outform DER | sha256sum | cut -d ' ' -f 1)
holds_that "which are those of pki/" "$of_authorities" "[.. | .certificate_sha256? // empty] | any(. == \"$root_digest\")"

# --- openssl alone
alone() (
    cd "$(record infrastructure)" || return 1
    for name in anna boris; do
        for file in record.json record.md; do
            openssl dgst -sha256 -verify "$name.pub.pem" -signature "$file.$name.sig" "$file" || return 1
        done
    done
    { printf 'qscd/ceremony-record/v1\0'; cat record.json; } |
        openssl dgst -sha256 -verify "$deployment/pki/sam-attestation.pub.pem" -signature record.json.sam.sig
)
expect "the record is verified by openssl alone" 0 alone

# --- A record that was changed
changed() { # name, command in a copy of the record's folder
    rm -rf "$top/changed"
    mkdir "$top/changed"
    cp -a "$deployment/ceremonies/." "$top/changed/"
    (cd "$top/changed/infrastructure" && eval "$2")
    expect "refused: $1" 4 "$ceremony" verify "$top/changed/infrastructure"
}
changed "a witness was added to the JSON" 'sed -i "s/Clara Witness/Clara Nobody/" record.json'
changed "a word was changed in the text" 'sed -i "s/qscd-sam/qscd-spy/" record.md'
changed "JSON and text changed alike" 'sed -i "s/Clara Witness/Clara Nobody/" record.json record.md'
changed "one signature is missing" 'rm record.json.boris.sig'
changed "one signature is the other's" 'cp record.json.anna.sig record.json.boris.sig'
changed "the attestation key did not sign" 'cp record.json.anna.sig record.json.sam.sig'
changed "an officer's public key was exchanged" 'cp anna.pub.pem boris.pub.pem'
changed "the record before was changed" 'printf " " >>../tokens/record.json'
resigned='for n in anna boris; do for f in record.json record.md; do openssl dgst -sha256 -sign $people/$n.key.pem -out $f.$n.sig $f; done; done'
rendered='jq -r -L $source_folder/hsm-config/ceremony "include \"record\"; record_text" record.json >record.md'
changed "officers sign without the SAM" "sed -i 's/Clara Witness/Clara Nobody/' record.json; $rendered; $resigned"
changed "a step was left out" "jq -S 'del(.steps[1])' record.json >n; mv n record.json; $rendered; $resigned"
changed "one officer only" "jq -S 'del(.officers[1])' record.json >n; mv n record.json; $rendered; $resigned"
expect "refused: other keys than the given ones" 4 "$ceremony" verify "$(record infrastructure)" --officer "anna=$people/boris.pub.pem"
expect "refused: another attestation key" 4 "$ceremony" verify "$(record infrastructure)" --attestation-key "$people/boris.pub.pem"
expect "the given keys are the right ones" 0 "$ceremony" verify "$(record infrastructure)" --officer "boris=$people/boris.pub.pem" \
    --attestation-key "$deployment/pki/sam-attestation.pub.pem"

# --- The deployment that comes of it
expect "init does not begin it anew" 2 "$QSCD_BIN/qscd" --deployment "$deployment" init --policy "$source_folder/policy/presets/trial.toml" --modules "$source_folder/hsm-config/modules"
expect "init goes on after the ceremonies" 0 "$QSCD_BIN/qscd" --deployment "$deployment" init --after-ceremonies --api-port 0 --status-port 0
starts() {
    local line
    exec 7< <("$QSCD_BIN/qscd" --deployment "$deployment" up 2>"$top/up.log")
    local supervisor=$!
    IFS= read -t 60 -r line <&7
    printf '%s\n' "$line"
    kill -TERM "$supervisor"
    cat "$top/up.log" - <&7
    [[ $line == ready:* ]]
}
expect "and it runs" 0 starts
if grep -q "out of reach" "$top/out"; then not_ok "in folders that the daemons' users can reach"; else ok "in folders that the daemons' users can reach"; fi
expect "a ceremony on a deployment in use is refused" 4 hold infrastructure --undo
expect "the root's PIN is in no file" 1 test -e "$deployment/secrets/qscd-root.pin"
with_half() { printf '%s\n' "$1" >"$top/pin"; "$QSCD_BIN/qscd" --deployment "$deployment" --json ceremony show qscd-root --pin-fd 3 3<"$top/pin"; }
rm "$deployment/qscd.toml"
expect "QSCD-15 one holder's half does not open the root's token" 2 with_half canary-root-anna
expect "QSCD-15 both halves do" 0 with_half canary-root-annacanary-root-boris

# --- Secrets
canaries=$(for each in "$people"/*.halves "$deployment"/secrets/*.pin; do printf '%s\n' "$(cat "$each")"; done)
if grep -rqF -e "$canaries" "$deployment/ceremonies" "$top/everything-said"; then not_ok "no PIN in records and output"; else ok "no PIN in records and output"; fi
if grep -rqF -e "$canaries" "$deployment/secrets" && grep -rqF -e "$canaries" "$people"; then ok "and the search finds"; else not_ok "and the search finds"; fi

# --- Killed at a step: finished, or taken back
shims=$top/shims
mkdir -p "$shims"
cp "$here/killing_qscd.sh" "$shims/qscd"
cp "$here/killing_qscd.sh" "$shims/mv"
killed() { # ceremony, how, call, which of several such calls, more words
    rm -f "$KILLED_MARK" "$KILLED_MARK".*
    local words
    mapfile -t words < <(settings_for "$1")
    KILL_HOW=$2 KILL_ON=$3 KILL_CALL=$4 KILL_AFTER=0.0$((RANDOM % 10))$((RANDOM % 10)) PATH=$shims:$PATH QSCD_BIN=$shims \
        setsid -fw "$ceremony" "$1" --deployment "$deployment" "${by[@]}" "${words[@]}" "${@:5}" < <(yes $'anna\nboris') >>"$top/everything-said" 2>&1
    [ -e "$KILLED_MARK" ]
}
is_undone() { # ceremony
    case $1 in
        tokens) [ -z "$(ls -A "$deployment/tokens" 2>/dev/null)" ] && [ ! -e "$deployment/ceremonies" ] ;;
        infrastructure) [ "$(objects_in qscd-sam)$(objects_in qscd-ra)" = 00 ] && [ ! -e "$deployment/pki/sam-attestation.pub.pem" ] ;;
        authorities) [ "$(objects_in qscd-ca)" = 0 ] && [ ! -e "$deployment/pki/root.pem" ] ;;
    esac
}
tried=0 full=${QSCD_FULL:-0}
# Each point of time is tried; whether it then goes on or is taken back alternates, unless all is asked for.
try_kill() { # ceremony, state before, how, call
    local name="$1 killed $3 '$4'${5:+ (call $5)}"
    back_to "$2"
    if killed "$1" "$3" "$4" "${5:-1}"; then ok "$name"; elif [ -n "${5:-}" ]; then return 0; else cp "$top/everything-said" "$top/out"; not_ok "$name: it was not"; return; fi
    keep_as killed-state
    tried=$((tried + 1))
    if [ "$full" = 1 ] || [ $((tried % 2)) = 1 ]; then goes_on "$name" "$1"; fi
    back_to killed-state
    if [ "$full" = 1 ] || [ $((tried % 2)) = 0 ]; then is_taken_back "$name" "$1"; fi
}
goes_on() { # name, ceremony
    local resumed=1 journal=$top/killed-state/ceremonies/$2/journal.jsonl
    expect "$1: it goes on and ends" 0 hold "$2"
    expect "$1: and its record holds" 0 "$ceremony" verify "$(record "$2")"
    if [ ! -s "$journal" ] || grep -q '"event":"finished"' "$journal"; then resumed=0; fi
    holds_that "$1: that it was taken up again is in the record" "$(record "$2")/record.json" "(.resumed | length) == $resumed"
}
is_taken_back() { # name, ceremony
    local undone=$deployment/ceremonies-undone/$2-1
    local begun=1
    if [ ! -s "$top/killed-state/ceremonies/$2/journal.jsonl" ]; then begun=0; fi
    expect "$1: it is taken back" 0 hold "$2" --undo
    [ $begun = 0 ] || expect "$1: and that is on record" 0 "$ceremony" verify "$undone"
    expect "$1: nothing is left of it" 0 is_undone "$2"
}
# Each step that makes something, and the record; with QSCD_FULL those between them, too.
kill_points() {
    cat <<'TEXT'
tokens nothing after ceremony folder
tokens nothing before roster.json
tokens nothing during ceremony tokens samd
full tokens nothing after ceremony tokens rad
full tokens nothing during ceremony tokens cad
tokens nothing after ceremony tokens root
full tokens nothing after ceremony show qscd-root
tokens nothing before record.md.boris.sig
full infrastructure after-tokens after ceremony show qscd-sam
infrastructure after-tokens during ceremony keys sam
infrastructure after-tokens after ceremony keys sam
full infrastructure after-tokens after ceremony show qscd-ra
infrastructure after-tokens during ceremony keys rule
infrastructure after-tokens before ceremony attest
full authorities after-infrastructure after ceremony show qscd-ca
authorities after-infrastructure during ceremony keys issuing
full authorities after-infrastructure after ceremony show qscd-root
authorities after-infrastructure during ceremony keys root
authorities after-infrastructure during ceremony certificates
full authorities after-infrastructure after ceremony certificates
full authorities after-infrastructure after ceremony attest
TEXT
}
while read -r which before how call; do try_kill "$which" "$before" "$how" "$call"; done < <(
    if [ "$full" = 1 ]; then kill_points | sed 's/^full //'; else kill_points | grep -v '^full '; fi
)
if [ "$full" = 1 ]; then
    for each in "tokens nothing" "infrastructure after-tokens" "authorities after-infrastructure"; do
        read -r which before <<<"$each"
        for call in $(seq 1 100); do
            try_kill "$which" "$before" before journal.jsonl.new "$call"
            [ -e "$KILLED_MARK" ] || break
        done
    done
fi
back_to after-authorities
expect "a finished ceremony is taken back" 0 hold authorities --undo
expect "nothing is left of it" 0 is_undone authorities
expect "and is held anew" 0 hold authorities
expect "the one before cannot go first" 4 hold infrastructure --undo
for each in "infrastructure during ceremony clear qscd-sam" "infrastructure after ceremony clear qscd-ra" "tokens after ceremony remove-tokens cad" "tokens before ceremonies-undone"; do
    read -r which how call <<<"$each"
    back_to "after-$which"
    if killed "$which" "$how" "$call" 1 --undo; then ok "taking back $which, killed $how '$call'"; else not_ok "taking back $which, killed $how '$call': it was not"; fi
    expect "taking back $which: it goes on and ends" 0 hold "$which" --undo
    expect "taking back $which: and that is on record" 0 "$ceremony" verify "$deployment/ceremonies-undone/$which-1"
    expect "taking back $which: nothing is left of it" 0 is_undone "$which"
done

# --- The guides' registry entries are of the form that is read today
registry=$top/registry
mkdir "$registry"
cp "$source_folder/hsm-config/modules/softhsm2.toml" "$registry"
for each in "$source_folder"/docs/hsm/{luna,nshield,utimaco}.md; do
    sed -n '/^```toml$/,/^```$/{/^```/d;p}' "$each" >"$top/entry.toml"
    cp "$top/entry.toml" "$registry/$(sed -n 's/^name *= *"\(.*\)"$/\1/p' "$top/entry.toml").toml"
done
expect "three guides, three entries" 0 test "$(find "$registry" -name '*.toml' | wc -l)" = 4
expect "the registry takes them" 0 "$QSCD_BIN/qscd" --deployment "$top/guides" ceremony folder \
    --policy "$source_folder/policy/presets/trial.toml" --modules "$registry"

# --- At a terminal: the passphrase of a key, and halves that are typed
typed=(correct-horse canary-so-anna canary-so-anna canary-root-anna canary-root-anna
    canary-so-boris canary-so-boris canary-root-boris canary-root-boris)
openssl pkey -in "$people/anna.key.pem" -aes256 -passout pass:correct-horse -out "$people/locked.key.pem"
at_terminal() { # answers names to confirmations, and what is typed to all else, whenever a prompt ends in ": "
    local char line='' secrets=0 status
    local command="'$ceremony' tokens --deployment '$deployment' --officer 'anna=$people/locked.key.pem' --officer 'boris=$people/boris.key.pem' --policy '$source_folder/policy/presets/trial.toml' --modules '$source_folder/hsm-config/modules'"
    coproc TERMINAL { script -qefc "$command" /dev/null; }
    local process=$TERMINAL_PID
    while IFS= read -r -N 1 -t 60 -u "${TERMINAL[0]}" char; do
        printf '%s' "$char"
        case $char in $'\n' | $'\r') line='' ;; *) line+=$char ;; esac
        case $line in
            *", type your name: ") printf '%s\n' "${line%%,*}" >&"${TERMINAL[1]}"; line='' ;;
            passphrase*": " | *", your half"*": " | *"the same again: ")
                printf '%s\n' "${typed[secrets++]}" >&"${TERMINAL[1]}"
                line=''
                ;;
        esac
    done
    status=0
    wait "$process" || status=$?
    [ $secrets = ${#typed[@]} ] || { echo "asked $secrets times"; return 9; }
    return $status
}
fresh
expect "held at a terminal" 0 at_terminal
if grep -qF -e canary -e correct-horse "$top/out"; then not_ok "what is typed is not echoed"; else ok "what is typed is not echoed"; fi
expect "and its record holds" 0 "$ceremony" verify "$(record tokens)"

# --- Rehearsals
for each in tokens infrastructure authorities; do
    expect "QSCD-17 $each is rehearsed" 0 "$ceremony" $each --rehearse --unattended
    says "marked as rehearsal" "it was a REHEARSAL"
done
if [ "$(id -u)" = 0 ]; then
    mkdir -m 777 "$top/nobody"
    expect "rehearsed by nobody, too" 0 env TMPDIR="$top/nobody" setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$ceremony" tokens --rehearse --unattended
fi
if compgen -G "$top/qscd-rehearsal-*" >/dev/null; then not_ok "a rehearsal leaves nothing"; else ok "a rehearsal leaves nothing"; fi

printf '%d passed, %d failed\n' $passed $failed
[ $failed = 0 ]
