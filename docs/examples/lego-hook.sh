#!/bin/sh
# For --renew-hook and --run-hook of lego 4, or --deploy-hook of lego 5: puts what was issued into the
# secret tls/NAME, where NAME is that of lego's file. SECRET names another one.
set -eu
certificate=${LEGO_HOOK_CERT_PATH:-${LEGO_CERT_PATH:?lego sets this for its hooks}}
key=${LEGO_HOOK_CERT_KEY_PATH:-${LEGO_CERT_KEY_PATH:?lego sets this for its hooks}}
exec "$(dirname "$0")/put-certificate.sh" "${SECRET:-tls/$(basename "$certificate" .crt)}" "$certificate" "$key"
