# shellcheck shell=bash
# A ceremony is taken back, finished or not, by the people who began it; that is recorded and signed as well.

# Once the first one is taken back, nothing is left but the lock.
forget_empty_ceremonies() {
    if ! compgen -G "$deployment/ceremonies/*/journal.jsonl" >/dev/null; then rm -rf "$deployment/ceremonies"; fi
}

undo_ceremony() {
    local after number=0 step folder target count=1
    after=$(after_of "$ceremony")
    [ ! -e "$deployment/qscd.toml" ] || refuse "$deployment is in use"
    if [ ! -f "$(journal_in "$ceremony")" ]; then
        rm -rf "$(dirname "$(journal_in "$ceremony")")"
        forget_empty_ceremonies
        say "no ceremony of $ceremony was begun: there is nothing to take back"
        return 0
    fi
    [ -z "$after" ] || [ ! -d "$deployment/ceremonies/$after" ] || refuse "the ceremony of $after comes first"
    load_steps "$ceremony"
    open_journal "$ceremony"
    read_done "$ceremony"
    read_settings "$ceremony"
    say "# Key ceremony: $ceremony, taken back$([ "$rehearse" = 0 ] || echo ' (REHEARSAL)')"
    for step in "${undo_steps[@]}"; do run_step "$ceremony" $((++number)) "$step"; done
    if ! has_event "$ceremony" undone; then
        note_plain "$ceremony" undone
    fi
    outcome=undone
    rm -f "$(dirname "$(journal_in "$ceremony")")/record.json.sam.sig"
    finish_record "$ceremony"
    folder=$(dirname "$(journal_in "$ceremony")")
    mkdir -p "$deployment/ceremonies-undone"
    while [ -e "$deployment/ceremonies-undone/$ceremony-$count" ]; do count=$((count + 1)); done
    target=$deployment/ceremonies-undone/$ceremony-$count
    mv -T "$folder" "$target"
    sync "$deployment/ceremonies" "$deployment/ceremonies-undone"
    forget_empty_ceremonies
    say ""
    say "taken back; the record is in $target"
}
