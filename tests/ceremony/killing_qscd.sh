#!/usr/bin/env bash
# Stands in the path for `qscd` or `mv`, and ends the whole ceremony by SIGKILL at the call whose words match KILL_ON: before
# it, after it, or in its midst. KILL_CALL says which of several such calls. Everything else is passed on.
real=$REAL_FOLDER/${0##*/}
[ "${0##*/}" = qscd ] || real=/usr/bin/${0##*/}
if [[ -n ${KILL_ON:-} && " $* " == *"$KILL_ON"* && ! -e $KILLED_MARK ]]; then
    printf x >>"$KILLED_MARK.calls"
    if [ "$(wc -c <"$KILLED_MARK.calls")" -lt "$KILL_CALL" ]; then exec "$real" "$@"; fi
    touch "$KILLED_MARK"
    case $KILL_HOW in
        before) ;;
        after) "$real" "$@" >/dev/null ;;
        during)
            "$real" "$@" >/dev/null &
            sleep "$KILL_AFTER"  # the point in time is what is tried out
            ;;
    esac
    kill -KILL 0
fi
exec "$real" "$@"
