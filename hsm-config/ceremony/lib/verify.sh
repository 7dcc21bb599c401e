# shellcheck shell=bash
# Whether a record holds: form, people, text, signatures, the record before. Needs openssl and jq, and nothing of qscd.

bad() { printf 'ceremony: the record does not hold: %s\n' "$*" >&2; exit 4; }
good() { printf '  good  %s\n' "$*"; }

signed_by() { # public key, signature; the message on standard input
    openssl dgst -sha256 -verify "$1" -signature "$2" >/dev/null 2>&1
}
digest_of_key() { openssl pkey -pubin -in "$1" -outform DER 2>/dev/null | sha256sum | cut -d ' ' -f 1; }

# Sets the record's fields below; names what is wrong in the JSON itself.
read_fields() {
    local fields wrong
    mapfile -t fields < <(jq -r -L "$here" 'include "record"; wrong_in_record // "",
        (.ceremony, .outcome, .rehearsal, .attended, (.attestation.attestation_key_sha256 // ""), (.previous.ceremony // ""),
         (.previous.record_sha256 // ""), (.previous.roster_sha256 // "") | tostring), ([.steps[].step] | join(" "))' record.json 2>/dev/null)
    [ ${#fields[@]} = 10 ] || bad "record.json is not of this form"
    wrong=${fields[0]}
    [ -z "$wrong" ] || bad "$wrong"
    held=${fields[1]} held_outcome=${fields[2]} was_rehearsal=${fields[3]} was_attended=${fields[4]} attestation_digest=${fields[5]}
    before_name=${fields[6]} before_digest=${fields[7]} roster_digest=${fields[8]} held_steps=${fields[9]}
}

verify_people() {
    local name digest file
    local -A took_part=()
    while read -r name digest; do
        [[ $name =~ $officer_name ]] || bad "an officer's name"
        took_part[$name]=1
        [ "$(digest_of_key "$name.pub.pem")" = "$digest" ] || bad "the public key of $name is another one"
        for file in record.json record.md; do
            signed_by "$name.pub.pem" "$file.$name.sig" <"$file" || bad "the signature of $name on $file"
        done
        if [ -n "${pinned_officer[$name]:-}" ]; then
            [ "$(digest_of_key "${pinned_officer[$name]}")" = "$digest" ] || bad "$name has another key than the one given"
        fi
        good "signed by $name, key $digest"
    done < <(jq -r '.officers[] | "\(.name) \(.public_key_sha256)"' record.json)
    for name in "${!pinned_officer[@]}"; do [ -n "${took_part[$name]:-}" ] || bad "$name took no part"; done
}

verify_steps() {
    local wanted
    wanted=$(load_steps "$held" && printf '%s' "${steps[*]}")
    [ "$held_outcome" = undone ] || [ "$held_steps" = "$wanted" ] || bad "not all steps were done, in their order"
    if [ "$was_attended" = true ]; then
        good "the steps $held_steps, each confirmed by all officers"
    else
        [ "$was_rehearsal" = true ] || bad "nobody confirmed, and it was no rehearsal"
        printf '  not confirmed by anybody: an unattended rehearsal\n'
    fi
}

verify_attestation() {
    if [ -z "$attestation_digest" ]; then
        [ "$held" = tokens ] || [ "$held_outcome" = undone ] || bad "the SAM's attestation key did not sign"
        [ -z "$pinned_attestation" ] || bad "the SAM's attestation key did not sign"
        return 0
    fi
    [ "$(digest_of_key sam-attestation.pub.pem)" = "$attestation_digest" ] || bad "the attestation key is another one"
    if [ -n "$pinned_attestation" ]; then
        [ "$(digest_of_key "$pinned_attestation")" = "$attestation_digest" ] || bad "the attestation key is not the one given"
    fi
    attested_message record.json | signed_by sam-attestation.pub.pem record.json.sam.sig || bad "the signature of the attestation key"
    good "signed by the SAM's attestation key $attestation_digest"
}

verify_previous() {
    if [ -z "$before_name" ]; then return 0; fi
    if [ ! -f "../$before_name/record.json" ]; then
        printf '  not checked: the record of %s is not beside this one\n' "$before_name"
        return 0
    fi
    [ "$(digest_of "../$before_name/record.json")" = "$before_digest" ] || bad "the record of $before_name is not the one it was held upon"
    good "held upon the record of $before_name, first roster $roster_digest"
}

# A subshell of its own: leaves no trace, ends at the first fault with 4.
verify_record() ( # folder
    for name in "${!pinned_officer[@]}"; do pinned_officer[$name]=$(realpath -- "${pinned_officer[$name]}"); done
    if [ -n "$pinned_attestation" ]; then pinned_attestation=$(realpath -- "$pinned_attestation"); fi
    cd "$1" 2>/dev/null || bad "there is no folder $1"
    if [ ! -f record.json ] || [ ! -f record.md ]; then bad "there is no record.json and record.md"; fi
    read_fields
    verify_people
    render_text record.json | cmp -s - record.md || bad "record.md does not say what record.json says"
    good "text and JSON say the same"
    verify_steps
    verify_attestation
    verify_previous
    printf 'the record of ceremony %s holds' "$held"
    if [ "$was_rehearsal" = true ]; then printf ': it was a REHEARSAL'; fi
    if [ "$held_outcome" = undone ]; then printf '; the ceremony was taken back'; fi
    printf '\n'
)
