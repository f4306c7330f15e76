#!/bin/sh
# Gives CloudFront distributions a new certificate from the IAM store, one after the other:
#   iam-certificate.sh FULLCHAIN.pem KEY.pem OLD_ID DISTRIBUTION…
# OLD_ID (ASCA…) is what they serve now; a distribution that serves anything else is left alone.
# It stops at the first failure and deletes nothing. Run it again with the same arguments to go on.
set -eu
umask 077
[ $# -ge 4 ] || { echo "usage: $0 FULLCHAIN.pem KEY.pem OLD_ID DISTRIBUTION…" >&2; exit 2; }
fullchain=$1 key=$2 old=$3
shift 3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# IAM wants the leaf and its issuers apart, and CloudFront no root.
openssl x509 -in "$fullchain" -out "$work/leaf.pem"
awk -v out="$work/" '/BEGIN CERTIFICATE/ {n++} n > 1 {print > (out "issuer" n ".pem")}' "$fullchain"
for issuer in "$work"/issuer*.pem; do
  [ -f "$issuer" ] || continue
  [ "$(openssl x509 -in "$issuer" -noout -subject_hash)" = "$(openssl x509 -in "$issuer" -noout -issuer_hash)" ] ||
    openssl x509 -in "$issuer" >>"$work/chain.pem"
done
[ -s "$work/chain.pem" ] || { echo "$fullchain has no issuer after its first certificate" >&2; exit 1; }

# IAM keeps names unique: one that comes from the certificate finds it again when this runs twice.
name=certificate-$(openssl x509 -in "$work/leaf.pem" -outform DER | openssl dgst -sha256 -r | cut -c1-32)
id_of() {
  aws iam list-server-certificates --path-prefix /cloudfront/ --output text \
    --query "ServerCertificateMetadataList[?ServerCertificateName=='$name'].ServerCertificateId"
}
new=$(id_of)
if [ -z "$new" ]; then
  aws iam upload-server-certificate --server-certificate-name "$name" --path /cloudfront/ \
    --certificate-body "file://$work/leaf.pem" --certificate-chain "file://$work/chain.pem" \
    --private-key "file://$key" >/dev/null
  new=$(id_of)
  sleep "${SETTLE_SECONDS:-15}" # CloudFront may not know the certificate at once
fi
echo "new certificate: $new"

for distribution in "$@"; do
  aws cloudfront get-distribution-config --id "$distribution" >"$work/before.json"
  case $(jq -r '.DistributionConfig.ViewerCertificate.IAMCertificateId // ""' "$work/before.json") in
    "$new") ;;
    "$old")
      jq --arg new "$new" '.DistributionConfig | .ViewerCertificate |= (
        del(.CloudFrontDefaultCertificate, .ACMCertificateArn, .Certificate, .CertificateSource)
        + {IAMCertificateId: $new})' "$work/before.json" >"$work/after.json"
      aws cloudfront update-distribution --id "$distribution" --if-match "$(jq -r .ETag "$work/before.json")" \
        --distribution-config "file://$work/after.json" >/dev/null
      ;;
    *) echo "$distribution serves another certificate: left alone"; continue ;;
  esac
  aws cloudfront wait distribution-deployed --id "$distribution"
  echo "$distribution: deployed"
done
