#!/bin/sh
# Puts a certificate, its chain and its key into a secret that is there already:
#   put-certificate.sh SECRET FULLCHAIN.pem KEY.pem
# The key goes from its file through pipes: it is in no argument, no variable and no other file.
set -eu
umask 077
[ $# -eq 3 ] || { echo "usage: $0 SECRET FULLCHAIN.pem KEY.pem" >&2; exit 2; }
secret=$1 certificate=$2 key=$3

fail() { echo "$secret: not changed: $1" >&2; exit 1; }

# The rotation checks far more. These are the mix-ups that are cheap to notice here.
of_certificate=$(openssl x509 -in "$certificate" -noout -pubkey) || fail "$certificate has no certificate"
of_key=$(openssl pkey -in "$key" -passin pass: -pubout) || fail "$key has no key, or an encrypted one"
[ "$of_certificate" = "$of_key" ] || fail "the key does not belong to the first certificate"
openssl x509 -in "$certificate" -noout -checkend 86400 >/dev/null || fail "the certificate expires within a day"

content() { jq -n --rawfile certificate "$certificate" --rawfile privateKey "$key" '$ARGS.named'; }
bytes=$(content | wc -c)
[ "$bytes" -gt 0 ] || fail "jq gave nothing"
[ "$bytes" -le 65536 ] || fail "it would be $bytes bytes, and a secret holds 65536"

content | aws secretsmanager put-secret-value --secret-id "$secret" \
  --secret-string file:///dev/stdin --query VersionId --output text
