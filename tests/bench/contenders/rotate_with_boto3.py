"""A typical script: lists, reads, updates and waits, one distribution after the other.

Usage: rotate_with_boto3.py OLD_ARN CERTIFICATE KEY CHAIN
"""

import sys
from pathlib import Path

import boto3

old, certificate, key, chain = sys.argv[1], *(Path(name).read_bytes() for name in sys.argv[2:5])
acm, cloudfront = boto3.client("acm", region_name="us-east-1"), boto3.client("cloudfront")
new = acm.import_certificate(Certificate=certificate, PrivateKey=key, CertificateChain=chain)["CertificateArn"]
waiter = cloudfront.get_waiter("distribution_deployed")
for page in cloudfront.get_paginator("list_distributions").paginate():
    for summary in page["DistributionList"].get("Items", []):
        if summary["ViewerCertificate"].get("ACMCertificateArn") != old:
            continue
        answer = cloudfront.get_distribution_config(Id=summary["Id"])
        config, viewer = answer["DistributionConfig"], answer["DistributionConfig"]["ViewerCertificate"]
        viewer["ACMCertificateArn"] = new
        for deprecated in ("Certificate", "CertificateSource"):
            viewer.pop(deprecated, None)
        cloudfront.update_distribution(Id=summary["Id"], IfMatch=answer["ETag"], DistributionConfig=config)
        waiter.wait(Id=summary["Id"])
acm.delete_certificate(CertificateArn=old)
