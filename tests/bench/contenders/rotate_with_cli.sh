#!/usr/bin/env bash
# The same with the AWS CLI and jq. Usage: rotate_with_cli.sh OLD_ARN CERTIFICATE KEY CHAIN
set -euo pipefail
old=$1
new=$(aws acm import-certificate --region us-east-1 --certificate "file://$2" --private-key "file://$3" \
  --certificate-chain "file://$4" --query CertificateArn --output text)
aws cloudfront list-distributions --output json |
  jq -r --arg old "$old" '.DistributionList.Items[]? | select(.ViewerCertificate.ACMCertificateArn == $old) | .Id' |
  while read -r id; do
    answer=$(aws cloudfront get-distribution-config --id "$id" --output json)
    config=$(jq --arg new "$new" '.DistributionConfig | .ViewerCertificate.ACMCertificateArn = $new
      | del(.ViewerCertificate.Certificate, .ViewerCertificate.CertificateSource)' <<<"$answer")
    aws cloudfront update-distribution --id "$id" --if-match "$(jq -r .ETag <<<"$answer")" \
      --distribution-config "$config" >/dev/null
    aws cloudfront wait distribution-deployed --id "$id"
  done
aws acm delete-certificate --region us-east-1 --certificate-arn "$old"
