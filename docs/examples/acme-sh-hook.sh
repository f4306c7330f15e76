#!/bin/sh
# For --reloadcmd or --renew-hook of acme.sh: puts what was issued into the secret tls/DOMAIN, where
# DOMAIN is the first one, with _ for *. SECRET names another one.
set -eu
: "${Le_Domain:?acme.sh sets this for its hooks}"
exec "$(dirname "$0")/put-certificate.sh" "${SECRET:-tls/$(echo "$Le_Domain" | tr '*' _)}" \
  "$CERT_FULLCHAIN_PATH" "$CERT_KEY_PATH"
