#!/usr/bin/env bash
# The demo: a fresh deployment, two signers, one signed PDF, verified by openssl; then it keeps serving. Everything goes
# through the same commands that an operator types. Called by `./dev demo`.
#   --dir DIR   state directory (default var/demo)     --reset   start over     --once   stop after signing
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${QSCD_BIN:-$root/build/release/bin}
dir=var/demo once=0 reset=0
while (($#)); do
    case $1 in
        --dir) dir=${2:?--dir needs a folder}; shift 2 ;;
        --once) once=1; shift ;;
        --reset) reset=1; shift ;;
        *) echo "demo: unknown option $1 (--dir DIR, --reset, --once)" >&2; exit 2 ;;
    esac
done

ok() { printf '  [ok] %s\n' "$*"; }
step() { printf '\n%s\n' "$*"; }
die() { printf '\n  [FAILED] %s\n' "$*" >&2; exit 1; }

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
# A demo that still runs on this folder is stopped before its state goes. Who runs it holds the lock; the number in a lock
# that nobody holds may be anybody's by now.
lock=$dir/deployment/run/qscd.lock
if [ $reset = 1 ] && [ -s "$lock" ] && ! flock -n "$lock" true; then
    kill -TERM "$(tr -dc 0-9 <"$lock")" 2>/dev/null || true
    flock -w 60 "$lock" true || die "the demo that runs in $dir does not stop"
fi
[ $reset = 0 ] || rm -rf "${dir:?}"/{deployment,signers,out,demo.json,portal.json,sign.json,last-code}
deployment=$dir/deployment
qscd() { "$bin/qscd" --deployment "$deployment" "$@"; }

# A port that is free now: the wanted one, or one that the kernel gives.
free_port() {
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo "$1"; return; fi
    local port
    for port in $(shuf -i 20000-60000 -n 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

step "1. The deployment in $deployment"
if [ -f "$deployment/qscd.toml" ]; then
    ok "exists already: its state is used again (--reset starts over)"
else
    rm -rf "$deployment"
    qscd init --policy "$here/policy.toml" --modules "$root/hsm-config/modules" --organisation "qscd TEST" \
        --name "qscd demo" --country EU --region AT --api-port "$(free_port 8443)" --status-port "$(free_port 8080)" |
        sed 's/^/  /' || die "qscd init"
    ok "tokens, keys, root and issuing CAs made"
fi
port_in() { sed -n "/^\[$1\]/,/^\[/s/^port = //p" "$deployment/qscd.toml"; }
api_port=$(port_in api) status_port=$(port_in status)

step "2. The daemons"
"$bin/qscd" --deployment "$deployment" up >"$dir/up.log" 2>&1 &  # no function: $! must be its own process
supervisor=$!
stop() {
    kill -TERM "$supervisor" 2>/dev/null || true
    wait "$supervisor" 2>/dev/null || true
}
trap 'stop' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
base=https://localhost:$api_port
until curl -sf --cacert "$deployment/tls/ca.pem" "$base/health/ready" >/dev/null 2>&1; do
    kill -0 "$supervisor" 2>/dev/null || { tail -5 "$dir/up.log" >&2; die "the daemons did not start"; }
    read -rt 0.2 <> <(:) || true
done
ok "ready: $base/csc/v2"
qscd status | sed 's/^/       /'

# Signers: name, mail, phone, PIN, password. Test data, nothing else.
signers=$dir/signers
mkdir -p "$signers"
chmod 700 "$signers"
field() { jq -r "$2" "$signers/$1.json"; }
set_field() { jq "$2" "$signers/$1.json" >"$signers/$1.json.new" && mv "$signers/$1.json.new" "$signers/$1.json"; }
add_signer() { # username name surname mail phone pin serial
    local file=$signers/$1.json
    if [ ! -f "$file" ]; then
        (umask 077; jq -n --arg u "$1" --arg g "$2" --arg s "$3" --arg e "$4" --arg p "$5" --arg pin "$6" --arg sn "$7" \
            --arg w "$(openssl rand -hex 12)" \
            '{username:$u,given:$g,surname:$s,name:($g+" "+$s),email:$e,phone:$p,pin:$pin,serial:$sn,password:$w,totp:null,credentials:[]}' >"$file")
    fi
    qscd signer add "$1" --email "$4" --phone "$5" --password-fd 3 3< <(field "$1" .password) >/dev/null || die "qscd signer add $1"
}
# The newest code that went to a phone.
code_for() { jq -rs --arg to "$1" '[.[] | select(.to == $to)] | last | .text' "$deployment/outbox/sms.jsonl" | grep -oE '[0-9]{6,8}$'; }
enrol() { # username profile key type authorization policy
    local user=$1 profile=$2 key=$3 type=$4 expression=$5 policy=$6 answer enrolment credential
    if [ "$(field "$user" "[.credentials[] | select(.profile == \"$profile\" and .algorithm == \"$key\")] | length")" != 0 ]; then
        ok "$user has $type, $key, $expression"
        return
    fi
    answer=$(qscd --json signer enrol "$user" --profile "$profile" --key "$key" --country AT --given-name "$(field "$user" .given)" \
        --surname "$(field "$user" .surname)" --serial-number "$(field "$user" .serial)" --common-name "$(field "$user" .name)" \
        --proofing demo --terms "$here/terms.txt" --officer-key "$deployment/officers/registration-1.key.pem" 2>>"$dir/enrolment.log") ||
        die "enrolment of $user: $(jq -r .detail <<<"$answer")"
    enrolment=$(jq -r .enrolment <<<"$answer")
    answer=$(qscd --json signer activate "$enrolment" --terms "$here/terms.txt" --certificate "$signers/$user-$profile-$key.pem" \
        --pin-fd 3 --code-fd 4 3< <(field "$user" .pin) 4< <(code_for "$(field "$user" .phone)") 2>>"$dir/enrolment.log") ||
        die "activation for $user: $(jq -r .detail <<<"$answer")"
    credential=$(jq -r .credential <<<"$answer")
    if [ "$(jq -r '.totp // empty' <<<"$answer")" ]; then set_field "$user" ".totp = $(jq -c .totp <<<"$answer")"; fi
    set_field "$user" ".credentials += [{credentialID:\"$credential\",profile:\"$profile\",type:\"$type\",algorithm:\"$key\",authorization:\"$expression\",policy:\"$policy\",placement:\"resident\",certificate:\"$signers/$user-$profile-$key.pem\"}]"
    ok "$user: Grant, PIN and code, key in the slot, KeyProof, certificate: $type, $key, $expression"
}

step "3. The signers"
add_signer anna Anna "Test One" anna@mail.example +4366000000001 271828 PNOAT-10000001
add_signer boris Boris "Test Two" boris@mail.example +4366000000002 314159 PNOAT-10000002
enrol anna qscd-totp P-256 QCP-n-qscd "PIN AND TOTP" trial
enrol anna qscd-totp RSA-3072 QCP-n-qscd "PIN AND TOTP" trial
enrol anna lcp-totp P-256 LCP "PIN AND TOTP" trial
enrol boris qscd-sms P-256 QCP-n-qscd "PIN AND SMS" trial
enrol boris qscd-page P-256 QCP-n-qscd "PIN AND TOTP" qualified

step "4. The portal"
portal=$dir/portal.json
if [ ! -f "$portal" ]; then
    answer=$(qscd --json client add demo-portal --name "Demo portal" --redirect-uri https://localhost:9999/callback --signer anna --signer boris) || die "qscd client add"
    other=$(qscd --json client add test-portal --name "Test portal" --signer boris) || die "qscd client add"
    (umask 077; jq -n --argjson a "$answer" --argjson b "$other" '{client_id:$a.client_id,client_secret:$a.client_secret,second_client_id:$b.client_id,second_client_secret:$b.client_secret}' >"$portal")
fi
client=$(jq -r .client_id "$portal")
ok "client $client may act for anna and boris"
token=$(qscd client token "$client") || die "qscd client token"

step "5. A signature"
out=$dir/out
mkdir -p "$out"
cp "$here/contract.pdf" "$out/contract.pdf"
rm -f "$out/contract.pdf.p7s"
ca=$(printf '%s/pki/root.pem' "$deployment")
jq -n --arg url "$base/csc/v2" --arg ca "$deployment/tls/ca.pem" --arg root "$ca" --slurpfile p "$portal" \
    '{base_url_v2:$url,tls_ca:$ca,trust_root:$root,client_id:$p[0].client_id,client_secret:$p[0].client_secret}' >"$dir/sign.json"
chmod 600 "$dir/sign.json"
secret=$(field anna .totp.secret_base32) period=$(field anna .totp.period) digits=$(field anna .totp.digits)
sign() { # a code is good once: on a repeat within its step wait for the next one
    oathtool --totp --base32 --time-step-size="${period}s" --digits="$digits" "$secret"
}
if [ "$(cat "$dir/last-code" 2>/dev/null)" = "$(sign)" ]; then
    echo "  waiting for the app's next code (each is good once)"
    while [ "$(cat "$dir/last-code")" = "$(sign)" ]; do read -rt 1 <> <(:) || true; done
fi
code=$(sign)
printf '%s' "$code" | openssl dgst -sha256 >/dev/null
qscd sign "$out/contract.pdf" --portal "$dir/sign.json" --user anna --credential "$(field anna '.credentials[0].credentialID')" \
    --pin-fd 3 --code-fd 4 3< <(field anna .pin) 4<<<"$code" | sed 's/^/  /' || die "qscd sign"
(umask 077; printf '%s' "$code" >"$dir/last-code")
ok "contract.pdf signed with PIN and app code through the HTTPS API"
openssl cms -verify -cades -binary -inform DER -in "$out/contract.pdf.p7s" -content "$out/contract.pdf" \
    -CAfile "$ca" -purpose any -out /dev/null 2>"$dir/verify.log" || { cat "$dir/verify.log" >&2; die "openssl cms -verify"; }
ok "openssl cms -verify -cades: good, up to the demo's root"
qscd verify "$out/contract.pdf" --trust-root "$ca" | sed 's/^/       /'
crl=$(openssl x509 -in "$(field anna '.credentials[0].certificate')" -noout -ext crlDistributionPoints | grep -oE '/crl/[a-z-]+\.crl')
curl -sf "http://localhost:$status_port$crl" | openssl crl -inform DER -noout -CAfile "$deployment/pki/issuing-qualified.pem" 2>/dev/null || die "the CRL at $crl"
ok "the CRL that the certificate names is served and verifies"
echo "  the record of it:"
qscd audit list --credential "$(field anna '.credentials[0].credentialID')" | tail -4 | sed 's/^/       /'

step "6. demo.json"
pids=$(qscd --json status | jq -c '[.daemons[] | {("qscd-"+.name): .pid}] | add')
jq -n --arg base "$base" --arg status "http://localhost:$status_port" --arg d "$deployment" --argjson pids "$pids" \
    --slurpfile p "$portal" --arg token "$token" \
    --slurpfile signers <(jq -s '[.[] | {name,username,password,email,phone,pin,totp_secret_base32:(.totp.secret_base32 // null),totp_period:(.totp.period // null),credentials:[.credentials[] | del(.profile)]}]' "$signers/anna.json" "$signers/boris.json") \
    '{base_url_v1:null,base_url_v2:($base+"/csc/v2"),oauth_issuer:null,admin_url:null,status_url:$status,tsa_url:null,
      tls_ca:($d+"/tls/ca.pem"),trust_root:($d+"/pki/root.pem"),issuing_cas:[($d+"/pki/issuing-lcp.pem"),($d+"/pki/issuing-qualified.pem")],
      client_id:$p[0].client_id,client_secret:$p[0].client_secret,second_client_id:$p[0].second_client_id,second_client_secret:$p[0].second_client_secret,
      redirect_uri:"https://localhost:9999/callback",client_jwk:null,service_token:$token,
      signers:$signers[0],sms_outbox:($d+"/outbox/sms.jsonl"),mail_outbox:($d+"/outbox/mail.jsonl"),officers:null,pids:$pids}' >"$dir/demo.json.new"
chmod 600 "$dir/demo.json.new"
sync "$dir/demo.json.new"
mv "$dir/demo.json.new" "$dir/demo.json"
ok "$dir/demo.json (mode 0600) holds what a client needs"

if [ $once = 1 ]; then
    stop
    trap - EXIT
    step "Done: every step succeeded."
    exit 0
fi
step "Serving until Ctrl-C. Try: $bin/qscd sign FILE --portal $dir/demo.json --user anna"
wait "$supervisor"
