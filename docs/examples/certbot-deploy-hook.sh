#!/bin/sh
# For certbot's --deploy-hook: puts what was issued into the secret tls/NAME, where NAME is what
# `certbot certificates` calls the certificate. SECRET names another one.
set -eu
: "${RENEWED_LINEAGE:?certbot sets this for a deploy hook}"
exec "$(dirname "$0")/put-certificate.sh" "${SECRET:-tls/$(basename "$RENEWED_LINEAGE")}" \
  "$RENEWED_LINEAGE/fullchain.pem" "$RENEWED_LINEAGE/privkey.pem"
