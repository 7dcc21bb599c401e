# shellcheck shell=bash
# The record: JSON, the same as text, and both signed by each officer; by the SAM's attestation key too, once it exists.

attestation_pem() { printf '%s/pki/sam-attestation.pub.pem' "$deployment"; }
attestation_domain='qscd/ceremony-record/v1'

# What the attestation key signs: domain, a zero byte, the file.
attested_message() { printf '%s\0' "$attestation_domain"; cat "$1"; }

can_attest() { # ceremony: the key exists once the infrastructure's was held
    [ "$outcome" = finished ] && [ "$1" != tokens ] && [ -f "$(attestation_pem)" ]
}

render_text() { jq -r -L "$here" 'include "record"; record_text' "$1"; }

sign_by_officers() { # folder
    local one file
    for one in "${officers[@]}"; do
        printf '%s\n' "${officer_pem[$one]}" | write_whole "$1/$one.pub.pem"
        for file in record.json record.md; do
            with_key "$one" dgst -sha256 -sign "${key_file[$one]}" <"$1/$file" | write_whole "$1/$file.$one.sig"
        done
    done
}

finish_record() { # ceremony; outcome is finished unless undo says otherwise
    local folder attestation=null
    outcome=${outcome:-finished}
    folder=$(dirname "$(journal_in "$1")")
    if can_attest "$1"; then
        openssl pkey -pubin -in "$(attestation_pem)" | write_whole "$folder/sam-attestation.pub.pem"
        attestation=$(openssl pkey -pubin -in "$(attestation_pem)" -outform DER | sha256sum | cut -d ' ' -f 1 |
            jq -R '{attestation_key_sha256:.}')
    fi
    jq -S -s -L "$here" --arg outcome "$outcome" --argjson a "$attestation" \
        'include "record"; record_of_journal($outcome; $a)' "$(journal_in "$1")" | write_whole "$folder/record.json"
    render_text "$folder/record.json" | write_whole "$folder/record.md"
    sign_by_officers "$folder"
    if can_attest "$1"; then
            step_qscd attest "${library_words[@]}" --record "$folder/record.json" --signature "$folder/record.json.sam.sig" >/dev/null
    fi
    (verify_record "$folder" >/dev/null)
}
