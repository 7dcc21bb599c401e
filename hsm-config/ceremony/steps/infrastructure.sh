# shellcheck shell=bash
# The keys of the SAM and of the registration authority.

steps=(token_sam sam_keys token_ra rule_key review)
undo_steps=(clear_ra clear_sam)
with_halves=()
declare -gA titles=(
    [token_sam]="The SAM's token"
    [sam_keys]="The SAM's keys and the genesis"
    [token_ra]="The registration authority's token"
    [rule_key]="The registration authority's rule key"
    [review]="Both tokens once more"
    [clear_ra]="The registration authority's keys are destroyed"
    [clear_sam]="The SAM's keys and genesis are destroyed"
)

aloud_token_sam() { echo "The SAM's token is opened. Compare its serial number with the record of the first ceremony. It must be empty."; }
do_token_sam() { step_qscd show qscd-sam "${library_words[@]}" | empty_token_of_record; }

aloud_sam_keys() {
    cat <<'TEXT'
The SAM's keys are made in its token, one for each purpose: `K_cell` seals credentials, `K_pin` verifies PINs, `K_attest`
attests what the SAM made. Two anchors say that the log is empty. The genesis names all of them and the policy; its digest
names this SAM for ever. The head key, which signs the log, is not made here: the SAM makes a new one at each start and
destroys the one before.

Read aloud and write down: the digest of the genesis, the digest of the attestation key. Of every key: sensitive, not
extractable, never was, made in the token.
TEXT
}
do_sam_keys() { step_qscd keys sam "${library_words[@]}" | only_strict_keys; }

aloud_token_ra() { echo "The registration authority's token is opened. Compare its serial number. It must be empty."; }
do_token_ra() { step_qscd show qscd-ra "${library_words[@]}" | empty_token_of_record; }

aloud_rule_key() {
    cat <<'TEXT'
The key with which the registration authority grants credentials by rule is made in its token. Write down the digest of the
public key.
TEXT
}
do_rule_key() { step_qscd keys rule "${library_words[@]}" | only_strict_keys; }

aloud_review() { echo "Both tokens are listed again, and hold what was recorded: nothing more, nothing less."; }
do_review() {
    local sam ra
    sam=$(step_qscd show qscd-sam "${library_words[@]}" | same_as_in infrastructure sam_keys)
    ra=$(step_qscd show qscd-ra "${library_words[@]}" | same_as_in infrastructure rule_key)
    jq -cn --argjson s "$sam" --argjson r "$ra" '{unchanged:[$s.token.label, $r.token.label]}'
}

do_clear_ra() { step_qscd clear qscd-ra "${library_words[@]}"; }
do_clear_sam() { step_qscd clear qscd-sam "${library_words[@]}"; }
