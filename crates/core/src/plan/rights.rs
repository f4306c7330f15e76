//! Missing permissions: which ones CloudFront may require besides that of the call itself, and
//! which one an error of AWS is about.
//!
//! UpdateDistribution requires `cloudfront:UpdateDistribution`, and for some associations of the
//! distribution a permission on the associated resource too (CloudFront Developer Guide, "Set up
//! IAM permissions and roles for Lambda@Edge", "Permissions required to configure standard
//! logging"; IAM has no list of them). No source says whether CloudFront checks them again for
//! associations that an update does not change. So a possibly missing one is never a reason not to
//! start.

use serde::{Deserialize, Serialize};

use crate::finding::listed;
use crate::ids::Serves;
use crate::ids::TargetId;
use crate::plan::Member;

/// The section that lists these permissions, and who needs them.
const SECTION: &str = "see \"Side permissions of UpdateDistribution\" in docs/deployment.md";

/// What a target may be associated with, as far as CloudFront's lists show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Association {
    /// A web ACL of AWS WAF or AWS WAF Classic.
    WebAcl,
    /// A Lambda@Edge function, in any of its cache behaviors.
    EdgeFunction,
    /// A VPC origin.
    VpcOrigin,
}

impl Association {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WebAcl, Self::EdgeFunction, Self::VpcOrigin];

    fn what(self) -> &'static str {
        match self {
            Self::WebAcl => "Associated with a web ACL",
            Self::EdgeFunction => "Associated with Lambda@Edge functions",
            Self::VpcOrigin => "With a VPC origin",
        }
    }

    fn rights(self) -> &'static str {
        match self {
            Self::WebAcl => "wafv2:GetWebACL (waf:GetWebACL for AWS WAF Classic)",
            Self::EdgeFunction => {
                "lambda:GetFunction, lambda:EnableReplication* and lambda:DisableReplication*"
            }
            Self::VpcOrigin => "cloudfront:GetVpcOrigin",
        }
    }

    /// The stack parameter that grants the permission; `None` if it is always granted.
    fn parameter(self) -> Option<&'static str> {
        match self {
            Self::EdgeFunction => Some("EdgeFunctions"),
            Self::WebAcl | Self::VpcOrigin => None,
        }
    }
}

/// A note for each kind of association of the targets to be moved, and one on associations that
/// cannot be seen.
pub fn notes(planned: &[Member]) -> Vec<String> {
    let moved = || planned.iter().filter(|member| member.serves == Serves::Old);
    let mut notes: Vec<String> = Association::ALL
        .into_iter()
        .filter_map(|association| {
            let targets: Vec<&TargetId> = moved()
                .filter(|member| member.associations.contains(&association))
                .map(|member| &member.target)
                .collect();
            let granted = match association.parameter() {
                Some(parameter) => format!("only with its parameter {parameter}"),
                None => "by default".to_owned(),
            };
            (!targets.is_empty()).then(|| {
                format!(
                    "{}: {}. CloudFront may require {} to update them, which the stack has {granted}.",
                    association.what(),
                    listed(&targets),
                    association.rights()
                )
            })
        })
        .collect();
    if !notes.is_empty() {
        notes.push(format!(
            "CloudFront's lists do not show access logs: for targets that write them to a bucket it may require \
             s3:GetBucketAcl and s3:PutBucketAcl, which the stack has only with its parameter LogBuckets; {SECTION}."
        ));
    }
    notes
}

/// Error messages of CloudFront for updates, and the missing permission. Those about web ACLs,
/// functions and buckets were reported by users (aws-sdk-java#2901, terraform#17544, aws-cdk#1474,
/// serverless-lambda-edge-pre-existing-cloudfront#36, terraform-provider-aws#3622 and #36663,
/// aws-cdk#33297, aws-samples/aws-lex-web-ui#515).
const SENTENCES: [(&str, &str); 7] = [
    (
        "unable to verify read permissions on web acl",
        "The missing permission is wafv2:GetWebACL (waf:GetWebACL for AWS WAF Classic) on the web ACL of the target",
    ),
    (
        "web acl is not accessible by the requester",
        "The missing permission is wafv2:GetWebACL (waf:GetWebACL for AWS WAF Classic) on the web ACL of the target, or the \
         web ACL itself",
    ),
    (
        "cannot retrieve the specified lambda function",
        "The missing permission is lambda:GetFunction on the Lambda@Edge function, which the parameter EdgeFunctions grants",
    ),
    (
        "lambda:enablereplication",
        "The missing permission is lambda:EnableReplication* on the Lambda@Edge function, which the parameter EdgeFunctions grants",
    ),
    (
        "lambda:disablereplication",
        "The missing permission is lambda:DisableReplication* on the Lambda@Edge function, which the parameter EdgeFunctions grants",
    ),
    (
        "you don't have permission to access the s3 bucket for cloudfront logs",
        "The missing permission is s3:GetBucketAcl and s3:PutBucketAcl on the bucket for access logs, which the parameter LogBuckets grants",
    ),
    (
        "does not enable acl access",
        "No permission is missing: ACLs are disabled on the bucket for access logs. Set its object \
         ownership to \"Bucket owner preferred\"",
    ),
];

/// The permissions that only associations of a distribution require.
const SIDE_RIGHTS: [&str; 6] = [
    "cloudfront:getvpcorigin",
    "wafv2:getwebacl",
    "waf:getwebacl",
    "s3:getbucketacl",
    "s3:putbucketacl",
    "lambda:getfunction",
];

/// The kind of policy that denies, by a phrase in IAM's message (IAM User Guide, "Troubleshoot
/// access denied error messages"), and the cure.
const DENIERS: [(&str, &str); 7] = [
    (
        "service control policy",
        "a service control policy of the organization does not allow it in this account",
    ),
    (
        "resource control policy",
        "a resource control policy of the organization does not allow it in this account",
    ),
    ("permissions boundary", "the permissions boundary of the role does not allow it"),
    ("vpc endpoint policy", "the policy of a VPC endpoint does not allow it"),
    ("session policy", "the session policy does not allow it"),
    ("resource-based policy", "the resource's own policy does not allow the role"),
    (
        "identity-based policy",
        "the role does not have it: deploy the template of this version, and check what else changes the role",
    ),
];

/// The missing permission in an error message, and what to do about it, as a sentence. `None` for
/// messages that are unknown, or that are not about permissions.
pub fn missing(words: &str) -> Option<String> {
    let lower = words.to_ascii_lowercase();
    if lower.contains("your account must be verified") {
        let cure = "No permission is missing: AWS Support must verify the account first.";
        return Some(cure.to_owned());
    }
    if let Some((_, cure)) = SENTENCES.iter().find(|(sentence, _)| lower.contains(sentence)) {
        return Some(format!("{cure}; {SECTION}."));
    }
    let (_, rest) = words.split_once("not authorized to perform: ")?;
    let right = rest.split_whitespace().next()?.trim_end_matches([',', '.']);
    let denier = DENIERS.iter().find(|(denier, _)| lower.contains(denier));
    let why = match denier {
        Some((denier, why)) if *denier != "identity-based policy" => format!(", and {why}."),
        _ if SIDE_RIGHTS.contains(&right.to_ascii_lowercase().as_str()) => format!("; {SECTION}."),
        Some((_, why)) => format!(", and {why}."),
        None => ".".to_owned(),
    };
    Some(format!("The missing permission is {right}{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TargetKind;

    fn member(id: &str, serves: Serves, associations: &[Association]) -> Member {
        Member {
            target: TargetId { kind: TargetKind::Distribution, id: id.into() },
            serves,
            deployed: true,
            in_progress_since: None,
            names: Vec::new(),
            idle_names: Vec::new(),
            http_version: "http2".into(),
            staging: false,
            multi_tenant: false,
            continuous_deployment_policy: None,
            dedicated_ip: false,
            associations: associations.to_vec(),
        }
    }

    const ACL: &str = "Associated with a web ACL: distribution E1. CloudFront may require wafv2:GetWebACL (waf:GetWebACL for AWS WAF Classic) to update them, which the stack has by default.";
    const FUNCTION: &str = "Associated with Lambda@Edge functions: distribution E1. CloudFront may require lambda:GetFunction, lambda:EnableReplication* and lambda:DisableReplication* to update them, which the stack has only with its parameter EdgeFunctions.";
    const ORIGIN: &str = "With a VPC origin: distribution E1. CloudFront may require cloudfront:GetVpcOrigin to update them, which the stack has by default.";
    const LOGS: &str = "CloudFront's lists do not show access logs: for targets that write them to a bucket it may require s3:GetBucketAcl and s3:PutBucketAcl, which the stack has only with its parameter LogBuckets; see \"Side permissions of UpdateDistribution\" in docs/deployment.md.";

    #[test]
    fn each_kind_of_association_is_noted_with_its_targets_and_permissions() {
        use Association::{EdgeFunction, VpcOrigin, WebAcl};
        for (serves, associations, expected) in [
            (Serves::Old, &[][..], &[][..]),
            (Serves::Old, &[WebAcl], &[ACL, LOGS]),
            (Serves::Old, &[EdgeFunction], &[FUNCTION, LOGS]),
            (Serves::Old, &[VpcOrigin], &[ORIGIN, LOGS]),
            (Serves::Old, &[VpcOrigin, EdgeFunction, WebAcl], &[ACL, FUNCTION, ORIGIN, LOGS]),
            // Targets that are not updated need no permission.
            (Serves::New, &[WebAcl, EdgeFunction, VpcOrigin], &[]),
        ] {
            let bare = member("E2", Serves::Old, &[]);
            assert_eq!(
                notes(&[member("E1", serves, associations), bare]),
                expected,
                "{serves:?} {associations:?}"
            );
        }
    }

    #[test]
    fn notes_on_ten_thousand_targets_are_short() {
        let all: Vec<Member> = (0..10_000)
            .map(|number| member(&format!("E{number:013}"), Serves::Old, &Association::ALL))
            .collect();
        let notes = notes(&all);
        assert_eq!(notes.len(), 4);
        for note in &notes[..3] {
            assert!(note.contains("distribution E0000000000009 and 9990 more. "), "{note}");
        }
        assert!(notes.iter().map(String::len).sum::<usize>() < 3_000);
    }

    #[test]
    fn the_missing_permission_is_found_in_awss_message() {
        const USER: &str =
            "User: arn:aws:sts::111122223333:assumed-role/r/f is not authorized to perform: ";
        for (words, expected) in [
            (
                "InvalidWebACLId: Unable to verify read permissions on Web ACL. Please retry the request",
                Some("wafv2:GetWebACL (waf:GetWebACL for AWS WAF Classic) on the web ACL"),
            ),
            (
                "InvalidWebACLId: Web ACL is not accessible by the requester.",
                Some(
                    "wafv2:GetWebACL (waf:GetWebACL for AWS WAF Classic) on the web ACL of the target, or the web ACL itself; see",
                ),
            ),
            (
                "InvalidLambdaFunctionAssociation: Lambda@Edge cannot retrieve the specified Lambda function. Update the IAM policy to add permission: lambda:GetFunction for resource: arn:aws:lambda:us-east-1:111122223333:function:f:2 and try again.",
                Some("lambda:GetFunction on the Lambda@Edge function"),
            ),
            (
                "InvalidLambdaFunctionAssociation: Lambda@Edge cannot enable replication for the specified Lambda function. Update the IAM policy to add permission: lambda:EnableReplication* for resource: arn:aws:lambda:us-east-1:111122223333:function:f:2 and try again.",
                Some("lambda:EnableReplication* on the Lambda@Edge function"),
            ),
            // Assumed, by analogy with the one above.
            (
                "InvalidLambdaFunctionAssociation: Update the IAM policy to add permission: lambda:DisableReplication* and try again.",
                Some("lambda:DisableReplication* on the Lambda@Edge function"),
            ),
            (
                "AccessDenied: You don't have permission to access the S3 bucket for CloudFront logs: logs.s3.amazonaws.com If you're using IAM, you need s3:GetBucketAcl and s3:PutBucketAcl permissions to create a distribution or to update log settings for an existing distribution. In addition, the S3 ACL for the bucket must grant you FULL_CONTROL.",
                Some(
                    "s3:GetBucketAcl and s3:PutBucketAcl on the bucket for access logs, which the parameter LogBuckets grants; see",
                ),
            ),
            (
                "InvalidArgument: The S3 bucket that you specified for CloudFront logs does not enable ACL access: logs.s3.amazonaws.com",
                Some("No permission is missing: ACLs are disabled on the bucket for access logs"),
            ),
            (
                "AccessDenied: Your account must be verified before you can add new CloudFront resources. To verify your account, please contact AWS Support.",
                Some("No permission is missing: AWS Support"),
            ),
            (
                &format!(
                    "AccessDenied: {USER}cloudfront:GetVpcOrigin on resource: arn:aws:cloudfront::111122223333:vpcorigin/vo_1 because no identity-based policy allows the cloudfront:GetVpcOrigin action"
                ),
                Some(
                    "The missing permission is cloudfront:GetVpcOrigin; see \"Side permissions of UpdateDistribution\" in docs/deployment.md.",
                ),
            ),
            (
                &format!(
                    "AccessDenied: {USER}cloudfront:UpdateDistribution on resource: arn:aws:cloudfront::111122223333:distribution/E1 because no identity-based policy allows the cloudfront:UpdateDistribution action"
                ),
                Some(
                    "The missing permission is cloudfront:UpdateDistribution, and the role does not have it: deploy",
                ),
            ),
            (
                &format!(
                    "AccessDenied: {USER}cloudfront:UpdateDistribution on resource: arn:aws:cloudfront::111122223333:distribution/E1 with an explicit deny in a service control policy"
                ),
                Some(
                    "The missing permission is cloudfront:UpdateDistribution, and a service control policy",
                ),
            ),
            (
                &format!(
                    "AccessDeniedException: {USER}wafv2:GetWebACL on resource: arn because no permissions boundary allows the wafv2:GetWebACL action"
                ),
                Some(
                    "The missing permission is wafv2:GetWebACL, and the permissions boundary of the role",
                ),
            ),
            (
                &format!("AccessDeniedException: {USER}acm:ImportCertificate"),
                Some("The missing permission is acm:ImportCertificate."),
            ),
            ("AccessDenied: Access Denied", None),
            ("InvalidWebACLId: Invalid webACL identifier provided", None),
            ("InvalidViewerCertificate: The specified SSL certificate doesn't exist", None),
            ("", None),
            ("is not authorized to perform: ", None),
        ] {
            match (missing(words), expected) {
                (Some(said), Some(expected)) => {
                    assert!(said.contains(expected) && said.ends_with('.'), "{words}: {said}");
                }
                (said, expected) => assert_eq!(said.as_deref(), expected, "{words}"),
            }
        }
    }
}
