# shellcheck shell=bash
# Folders, the first roster, tokens and PINs.

steps=(folder roster tokens_samd tokens_rad tokens_cad tokens_root review)
undo_steps=(remove_root remove_cad remove_rad remove_samd remove_roster)
with_halves=(tokens_samd tokens_rad tokens_cad tokens_root review)
declare -gA titles=(
    [folder]="Folders, policy and module"
    [roster]="The first roster"
    [tokens_samd]="Tokens of the signers and of the SAM"
    [tokens_rad]="Token of the registration authority"
    [tokens_cad]="Token of the issuing CAs"
    [tokens_root]="Token of the root CA"
    [review]="All tokens once more"
    [remove_root]="The root's token is removed"
    [remove_cad]="The issuing CAs' token is removed"
    [remove_rad]="The registration authority's token is removed"
    [remove_samd]="The tokens of the signers and of the SAM are removed"
    [remove_roster]="The first roster is void"
)

aloud_folder() {
    cat <<'TEXT'
The folders of the deployment are made; the policy and the entry of the module registry are copied into them. Compare the
policy's digest with the one that was approved, and the digests of the module's library and of `qscd` with those of the
release.
TEXT
}
do_folder() {
    step_qscd folder --policy "${settings[policy]}" --modules "${settings[modules]}" --module "${settings[module]}" "${library_words[@]}"
}

aloud_roster() {
    cat <<'TEXT'
The officers who are here form the first roster, with a quorum of two. Each officer compares the digest of the own public
key. The digest of the roster stands in this record and in those that follow.
TEXT
}
do_roster() {
    jq -cS '{format:"qscd-roster 1", quorum:2, officers:[.officers[] | {name, public_key_sha256}]}' <<<"$(opening_of tokens)" |
        write_whole "$(roster_file)"
    jq -c --arg d "$(digest_of "$(roster_file)")" '{roster_sha256:$d, quorum, officers}' "$(roster_file)"
}

aloud_tokens() { # whose, where the user PIN goes
    cat <<TEXT
The first two officers give their halves of the SO PIN; together, in the order in which they are named, they are the SO PIN.
It is written nowhere. $2
Write down label and serial number of $1.
TEXT
}
daemon_pin="The user PIN is drawn by the machine and kept for the daemon in \`secrets/\`; nobody sees it."
aloud_tokens_samd() { aloud_tokens "both tokens" "$daemon_pin"; }
aloud_tokens_rad() { aloud_tokens "the token" "$daemon_pin"; }
aloud_tokens_cad() { aloud_tokens "the token" "$daemon_pin"; }
aloud_tokens_root() {
    aloud_tokens "the token" "They give two more halves: the root's user PIN, which is written nowhere either. Without both officers the root signs nothing."
}

make_tokens() { # daemon
    step_qscd tokens "$1" "${library_words[@]}" --so-pin-fd 3 "${@:2}" 3< <(so_pin)
}
do_tokens_samd() { make_tokens samd; }
do_tokens_rad() { make_tokens rad; }
do_tokens_cad() { make_tokens cad; }
do_tokens_root() { make_tokens root --pin-fd 4 4< <(root_pin); }

aloud_review() {
    cat <<'TEXT'
Every token is opened again with its user PIN and listed. Compare labels and serial numbers with what you wrote down; all
must be empty.
TEXT
}
do_review() {
    local label seen=()
    for label in qscd-signers-1 qscd-sam qscd-ra qscd-ca qscd-root; do
        if [ "$label" = qscd-root ]; then
            seen+=("$(step_qscd show "$label" "${library_words[@]}" --pin-fd 3 3< <(root_pin) | empty_token_of_record)")
        else
            seen+=("$(step_qscd show "$label" "${library_words[@]}" | empty_token_of_record)")
        fi
    done
    printf '%s\n' "${seen[@]}" | jq -cs '{tokens:map(.token)}'
}

do_remove_root() { step_qscd remove-tokens root; }
do_remove_cad() { step_qscd remove-tokens cad; }
do_remove_rad() { step_qscd remove-tokens rad; }
do_remove_samd() { step_qscd remove-tokens samd; }
do_remove_roster() { rm -f "$(roster_file)"; echo '{"removed":"roster"}'; }
