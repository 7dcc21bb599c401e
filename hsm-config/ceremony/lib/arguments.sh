# shellcheck shell=bash
# The command line. Nothing secret is ever an argument.

deployment='' policy='' modules='' module=softhsm2 library='' country='' organisation=''
rehearse=0 unattended=0 keep=0 rehearsal_folder='' undo=0 script_only=0
officers=() witnesses=()
declare -A key_file=() halves_file=()
record_folder='' pinned_attestation=''
declare -A pinned_officer=()

officer_name='^[a-z][a-z0-9-]{0,31}$'

split_officer() { # NAME=REST
    officer=${1%%=*} rest=${1#*=}
    [[ $officer =~ $officer_name ]] || misuse "'$officer' is no officer's name: small letters, digits and -"
}

add_officer() {
    local other
    split_officer "$1"
    for other in "${officers[@]}"; do
        [ "$other" != "$officer" ] || refuse "$officer is named twice: two officers are two people"
    done
    officers+=("$officer")
    if [ "$rest" != "$1" ]; then key_file[$officer]=$rest; fi
}

parse_arguments() {
    while (($#)); do
        case $1 in
            --rehearse) rehearse=1; shift; continue ;;
            --unattended) unattended=1; shift; continue ;;
            --keep) keep=1; shift; continue ;;
            --undo) undo=1; shift; continue ;;
            --script) script_only=1; shift; continue ;;
        esac
        [ $# -ge 2 ] || misuse "$1: unknown, or its value is missing"
        case $1 in
            --deployment) deployment=$2 ;;
            --in) rehearsal_folder=$2 ;;
            --officer) add_officer "$2" ;;
            --witness) witnesses+=("$2") ;;
            --halves) split_officer "$2"; halves_file[$officer]=$rest ;;
            --policy) policy=$2 ;;
            --modules) modules=$2 ;;
            --module) module=$2 ;;
            --library) library=$2 ;;
            --country) country=$2 ;;
            --organisation) organisation=$2 ;;
            *) misuse "no option $1" ;;
        esac
        shift 2
    done
    [ "$script_only" = 1 ] || [ "$rehearse" = 1 ] || [ -n "$deployment" ] || misuse "--deployment is needed"
    [ "$rehearse" = 1 ] || [ "$unattended$keep" = 00 ] || misuse "--unattended and --keep are for --rehearse"
    local each
    for each in "${witnesses[@]}"; do
        [[ $each =~ ^[[:print:]]{1,80}$ ]] || misuse "a witness's name has 1 to 80 printable characters"
    done
}

parse_verification() {
    [ $# -ge 1 ] || misuse "verify needs the folder of a record"
    record_folder=$1
    shift
    while (($#)); do
        [ $# -ge 2 ] || misuse "$1: unknown, or its value is missing"
        case $1 in
            --officer) split_officer "$2"; pinned_officer[$officer]=$rest ;;
            --attestation-key) pinned_attestation=$2 ;;
            *) misuse "verify has no option $1" ;;
        esac
        shift 2
    done
}
