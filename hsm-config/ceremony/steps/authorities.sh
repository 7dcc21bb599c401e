# shellcheck shell=bash
# The keys and certificates of the CAs.

steps=(token_ca issuing_keys token_root root_key certificates review)
undo_steps=(clear_root clear_ca)
with_halves=(token_root root_key certificates review clear_root)
declare -gA titles=(
    [token_ca]="The issuing CAs' token"
    [issuing_keys]="The issuing CAs' keys"
    [token_root]="The root's token"
    [root_key]="The root's key"
    [certificates]="The certificates"
    [review]="Both tokens once more"
    [clear_root]="The root's key is destroyed"
    [clear_ca]="The issuing CAs' keys are destroyed"
)

root_qscd() { # step words; the root's PIN comes from both holders
    step_qscd "$@" "${library_words[@]}" --pin-fd 3 3< <(root_pin)
}

aloud_token_ca() { echo "The issuing CAs' token is opened. Compare its serial number. It must be empty."; }
do_token_ca() { step_qscd show qscd-ca "${library_words[@]}" | empty_token_of_record; }

aloud_issuing_keys() { echo "One key for certificates of type LCP and one for qualified ones are made. Write down the digests of the public keys."; }
do_issuing_keys() { step_qscd keys issuing "${library_words[@]}" | only_strict_keys; }

aloud_token_root() { echo "The holders give their halves of the root's PIN. The root's token is opened; compare its serial number. It must be empty."; }
do_token_root() { root_qscd show qscd-root | empty_token_of_record; }

aloud_root_key() { echo "The root's key is made. Write down the digest of the public key."; }
do_root_key() { root_qscd keys root | only_strict_keys; }

aloud_certificates() {
    cat <<'TEXT'
The root certifies itself and both issuing CAs, and signs its first revocation list. Compare names and the digests of the
public keys with those of the steps before. Write down the digest of the root's certificate: that is what others will trust.
TEXT
}
do_certificates() {
    root_qscd certificates --country "${settings[country]}" --organisation "${settings[organisation]}" | only_strict_keys
}

aloud_review() {
    echo "Both tokens are listed again, and hold what was recorded. Then the root's token is put away, and each holder keeps the own half."
}
do_review() {
    local ca root
    ca=$(step_qscd show qscd-ca "${library_words[@]}")
    [ "$(jq -cS .objects <<<"$ca")" = "$(result_of authorities issuing_keys | jq -cS .objects)" ] || fail "qscd-ca does not hold what was recorded"
    root=$(root_qscd show qscd-root | same_as_in authorities certificates)
    jq -cn --argjson c "$ca" --argjson r "$root" '{unchanged:[$c.token.label, $r.token.label]}'
}

do_clear_root() { root_qscd clear qscd-root; }
do_clear_ca() { step_qscd clear qscd-ca "${library_words[@]}"; }
