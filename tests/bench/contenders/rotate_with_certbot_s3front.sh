#!/usr/bin/env bash
# The same with `certbot install` and its plugin certbot-s3front, which takes one distribution at a time and finds
# none by itself: $DISTRIBUTIONS has their ids. Usage: rotate_with_certbot_s3front.sh OLD_ID CERTIFICATE KEY CHAIN
set -uo pipefail
directory=$(dirname "$2")/certbot
code=0
for id in $DISTRIBUTIONS; do
  certbot install --non-interactive --quiet --config-dir "$directory" --work-dir "$directory" --logs-dir "$directory" \
    --installer installer --installer-cf-distribution-id "$id" --domains example.com \
    --cert-path "$2" --key-path "$3" --chain-path "$4" --fullchain-path "$2" || code=$?
  # It uploads the certificate again each time, with the second in its name: on AWS its calls take longer than one.
  for ((second = EPOCHSECONDS; EPOCHSECONDS == second; )); do sleep 0.02; done
done
exit "$code"
