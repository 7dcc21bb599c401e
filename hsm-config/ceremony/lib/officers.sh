# shellcheck shell=bash
# Who is there: officers prove that they have their keys, and give their halves of the PINs. Two people at least.

declare -A passphrase=() officer_pem=() officer_digest=() so_half=() root_half=()
half_pattern='^[!-~]{8,64}$'

# In a subshell, $(read_secret …): the terminal is as before when that ends. Echo is off before anybody is asked.
read_secret() { # prompt
    local line before
    before=$(stty -g </dev/tty 2>/dev/null) || fail "no terminal to ask at"
    # shellcheck disable=SC2064  # the state as it is known now
    trap "stty '$before' </dev/tty" EXIT
    stty -echo </dev/tty
    printf '%s: ' "$1" >&2
    IFS= read -r line </dev/tty || fail "nobody answers at the terminal"
    printf '\n' >&2
    printf '%s' "$line"
}

# openssl with the officer's key. The passphrase, if there is one, was asked for once.
with_key() { # officer, openssl words before -in or -sign
    openssl "${@:2}" -passin fd:3 3< <(printf '%s\n' "${passphrase[$1]}")
}

prove_key() { # officer
    local nonce proof
    [ -r "${key_file[$1]:-}" ] || misuse "officer $1: the file of the private key is needed: --officer $1=KEY.pem"
    passphrase[$1]=
    if grep -q ENCRYPTED "${key_file[$1]}"; then passphrase[$1]=$(read_secret "passphrase of $1's key"); fi
    officer_pem[$1]=$(with_key "$1" pkey -in "${key_file[$1]}" -pubout 2>/dev/null) ||
        refuse "officer $1: the private key cannot be used"
    officer_digest[$1]=$(openssl pkey -pubin -outform DER <<<"${officer_pem[$1]}" | sha256sum | cut -d ' ' -f 1)
    nonce=$(openssl rand -hex 32)
    proof=$(mktemp)
    if ! with_key "$1" dgst -sha256 -sign "${key_file[$1]}" -out "$proof" <<<"$nonce" 2>/dev/null ||
        ! openssl dgst -sha256 -verify <(printf '%s\n' "${officer_pem[$1]}") -signature "$proof" <<<"$nonce" >/dev/null 2>&1; then
        rm -f "$proof"
        refuse "officer $1: the key does not sign; an EC or RSA key is needed"
    fi
    rm -f "$proof"
}

check_officers() {
    local one other
    [ "${#officers[@]}" -ge 2 ] || refuse "${#officers[@]} officer: a ceremony needs at least two"
    for one in "${officers[@]}"; do prove_key "$one"; done
    for one in "${officers[@]}"; do
        for other in "${officers[@]}"; do
            [ "$one" = "$other" ] || [ "${officer_digest[$one]}" != "${officer_digest[$other]}" ] ||
                refuse "$one and $other have the same key: two officers are two people"
        done
    done
    describe_people
}

# The first two officers hold the halves.
holders() { printf '%s\n' "${officers[@]:0:2}"; }

take_half() { # officer, purpose, line of the file
    local half again
    if [ -n "${halves_file[$1]:-}" ]; then
        half=${halves[$3]:-}
    else
        half=$(read_secret "$1, your half of the $2")
        again=$(read_secret "$1, the same again")
        [ "$half" = "$again" ] || refuse "the two entries of $1 differ"
    fi
    [[ $half =~ $half_pattern ]] || refuse "the half of $1 has not 8 to 64 printable characters without blanks"
    taken=$half
}

# Halves of two people: equal ones would be one person's, or one known to both.
take_halves() {
    local one a b
    [ ${#root_half[@]} = 0 ] || return 0
    while read -r one <&8; do
        local halves=()
        if [ -n "${halves_file[$one]:-}" ]; then mapfile -t halves <"${halves_file[$one]}"; fi
        take_half "$one" "SO PIN" 0
        so_half[$one]=$taken
        take_half "$one" "root's PIN" 1
        root_half[$one]=$taken
        taken=
    done 8< <(holders)
    a=${officers[0]} b=${officers[1]}
    [ "${so_half[$a]}" != "${so_half[$b]}" ] && [ "${root_half[$a]}" != "${root_half[$b]}" ] ||
        refuse "the halves of $a and $b are the same"
}

# On a descriptor only: so_pin | command 3<&0
so_pin() { printf '%s%s\n' "${so_half[${officers[0]}]}" "${so_half[${officers[1]}]}"; }
root_pin() { printf '%s%s\n' "${root_half[${officers[0]}]}" "${root_half[${officers[1]}]}"; }

confirm() { # what
    local one typed
    if [ "$unattended" = 1 ]; then return 0; fi
    for one in "${officers[@]}"; do
        typed=$(ask "$one, if you saw that and agree, type your name")
        [ "$typed" = "$one" ] || refuse "$one did not confirm: $1"
    done
}
confirmers() { if [ "$unattended" = 1 ]; then echo '[]'; else printf '%s' "$names_json"; fi; }
