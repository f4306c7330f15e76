"""The same with Lemur's plugins for AWS, called as `lemur certificate rotate` and `lemur source clean` call them.

What Lemur keeps in its database (the endpoints of an old certificate, and its replacement) is passed in here: the
endpoints come from the plugin, as in `lemur source sync`.

Usage: rotate_with_lemur.py OLD_ID CERTIFICATE KEY CHAIN
"""

import contextlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

# lemur imports every login method; python-ldap has no wheel and needs headers of OpenLDAP. No login happens here.
sys.modules["ldap"], sys.modules["ldap.filter"] = ModuleType("ldap"), ModuleType("ldap.filter")
sys.modules["ldap.filter"].escape_filter_chars = str  # type: ignore[attr-defined]

from flask import Flask  # noqa: E402
from lemur.plugins.lemur_aws import iam  # noqa: E402
from lemur.plugins.lemur_aws.plugin import AWSDestinationPlugin, AWSSourcePlugin  # noqa: E402

ACCOUNT = "000000000000"
OPTIONS = [
    {"name": "accountNumber", "value": ACCOUNT},
    {"name": "path", "value": "/cloudfront/"},
    {"name": "endpointType", "value": "cloudfront"},
]
body, key, chain = (Path(name).read_text() for name in sys.argv[2:5])
source, new = AWSSourcePlugin(), SimpleNamespace(name="new-example.com")
with Flask("lemur").app_context():
    old = SimpleNamespace(name=iam.get_certificate_id_to_name(account_number=ACCOUNT)[sys.argv[1]])
    found = [one for one in source.get_endpoints(OPTIONS) if one["certificate_name"] == old.name]
    AWSDestinationPlugin().upload(new.name, body, key, chain, OPTIONS)
    for one in found:
        endpoint = SimpleNamespace(name=one["name"], type=one["type"], source=SimpleNamespace(options=OPTIONS))
        # As lemur.certificates.cli.request_rotation does: it reports a failure and continues with the next one.
        try:
            source.update_endpoint(endpoint, new)
        except Exception as error:
            print(f"[!] Failed to rotate endpoint {endpoint.name} to certificate {new.name} reason: {error}")
    print("[+] Done!")
    # As lemur.sources.cli.execute_clean does.
    with contextlib.suppress(Exception):
        source.clean(old, OPTIONS)
