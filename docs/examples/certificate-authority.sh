#!/bin/sh
# Orders a certificate from a commercial authority with a new key, and puts it into a secret:
#   certificate-authority.sh order www.example.com [example.com …]   prints the order's id
#   certificate-authority.sh fetch ORDER SECRET                      once the order is issued
# Adapt the two calls to your authority's API: the paths and the fields are an example.
#
# CA_URL    where the API is, https://…
# CA_TOKEN  a file with the one line "Authorization: Bearer …", readable by you alone
# ORDERS    where keys wait for their certificates; one directory for each order
set -eu
umask 077
: "${CA_URL:?}" "${CA_TOKEN:?}"
orders=${ORDERS:-$HOME/.certificate-orders}

# --header @FILE keeps the token out of the process list (curl 7.55 and later).
call() { curl --silent --show-error --fail --header "@$CA_TOKEN" "$@"; }

order() {
  mkdir -p "$orders"
  new=$(mktemp -d "$orders/new.XXXXXX")
  names=$(printf ',DNS:%s' "$@")
  # RSA up to 4096 bits and P-256 are what CloudFront takes. A new key each time.
  openssl req -new -newkey rsa:2048 -nodes -keyout "$new/key.pem" -out "$new/request.pem" \
    -subj "/CN=$1" -addext "subjectAltName=${names#,}" 2>"$new/openssl.log" || { cat "$new/openssl.log" >&2; exit 1; }
  id=$(jq -n --rawfile csr "$new/request.pem" '{csr: $csr}' |
    call --header 'Content-Type: application/json' --data-binary @- "$CA_URL/orders" | jq -er .id)
  mv "$new" "$orders/$id"
  echo "$id"
}

fetch() {
  key=$orders/$1/key.pem chain=$orders/$1/fullchain.pem
  [ -f "$key" ] || { echo "no key waits for order $1" >&2; exit 1; }
  # The leaf first, then its issuers, as PEM.
  call --output "$chain" "$CA_URL/orders/$1/certificate"
  "$(dirname "$0")/put-certificate.sh" "$2" "$chain" "$key"
  # From now on the secret is the one place of the key.
  rm -r "${orders:?}/$1"
}

case "${1:-} $#" in
  'order 1' | 'order 0') ;;
  'order '*) shift; order "$@"; exit ;;
  'fetch 3') fetch "$2" "$3"; exit ;;
esac
echo "usage: $0 order DOMAIN… | fetch ORDER SECRET" >&2
exit 2
