//! Selects the targets of a rotation, and checks whether each of them can be rotated.

pub mod claim;
pub mod estimate;
mod lanes;
pub mod policy;
pub mod progress;
pub mod quota;
pub mod rights;
pub mod state;

pub use lanes::{MAX_LANES, lanes, waves};

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::certificate::covers;
use crate::failure::{Ending, Failure};
use crate::finding::{Finding, listed};
use crate::ids::{Serves, Store, TargetId, TargetKind};
use crate::plan::rights::Association;
use crate::request::tags;
use crate::target::record::Halt;

/// A distribution or tenant as read from CloudFront.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Which one.
    pub target: TargetId,
    /// What it serves.
    pub serves: Serves,
    /// Is it `Deployed`?
    pub deployed: bool,
    /// If it is not `Deployed`: when it was changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress_since: Option<Timestamp>,
    /// The names that viewers use: a distribution's aliases, a tenant's domains, and for the
    /// template of a multi-tenant distribution the domains of tenants without their own
    /// certificate.
    pub names: Vec<String>,
    /// Names that CloudFront does not serve now: inactive domains, and those of disabled tenants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub idle_names: Vec<String>,
    /// The option "Supported HTTP versions" in lower case: `http1.1`, `http2`, `http2and3`,
    /// `http3`.
    pub http_version: String,
    /// Is it a staging distribution?
    pub staging: bool,
    /// Is it a tenant, or the template of tenants? They accept certificates from ACM only.
    pub multi_tenant: bool,
    /// The continuous-deployment policy that it belongs to, as primary or as staging distribution.
    pub continuous_deployment_policy: Option<String>,
    /// Does it use dedicated IP addresses (`vip`)?
    pub dedicated_ip: bool,
    /// Associations for which CloudFront may require further permissions when the target is
    /// updated.
    pub associations: Vec<Association>,
}

/// The new certificate, as far as its targets have to fit it.
#[derive(Clone, Copy, Debug)]
pub struct Successor<'a> {
    /// Its DNS names.
    pub names: &'a [String],
    /// Its store.
    pub store: Store,
    /// Would viewers that support only RSA fail with it, and not with the old one? False if the
    /// request allows it (`allowKeyChange`).
    pub excludes_rsa_viewers: bool,
}

/// Which targets a rotation is for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Selection<'a> {
    /// `targets` of the request: the ids that the rotation is limited to.
    pub named: Option<&'a [String]>,
    /// `excludeTargets` of the request.
    pub excluded: &'a [String],
    /// The ids of distributions and tenants with the tag `cert-rotation:ignore`.
    pub ignored: &'a [String],
}

impl Selection<'_> {
    fn is_named(&self, member: &Member) -> bool {
        self.named.is_none_or(|ids| ids.contains(&member.target.id))
    }

    /// Is it left alone because somebody said so?
    fn is_left_out(&self, member: &Member) -> bool {
        self.excluded.contains(&member.target.id) || self.ignored.contains(&member.target.id)
    }

    fn is_wanted(&self, member: &Member) -> bool {
        self.is_named(member) && !self.is_left_out(member)
    }
}

/// The targets of a rotation, and the findings against rotating them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// The targets to be moved, and those that were moved earlier; ordered by kind and id.
    pub planned: Vec<Member>,
    /// How many that serve the old certificate are left alone because they are excluded or ignored.
    pub excluded: usize,
    /// The findings that prevent the whole rotation.
    pub findings: Vec<Finding>,
    /// The findings that prevent one planned target from being moved, target by target.
    pub held: Vec<Held>,
    /// What CloudFront allows with the old certificate today, and therefore prevents nothing.
    pub notes: Vec<String>,
}

/// A target that cannot be moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Which one.
    pub target: TargetId,
    /// Why.
    pub finding: Finding,
}

impl Held {
    /// The target as one that has failed.
    pub fn halt(&self) -> Halt {
        let error = self.finding.ending.name().to_owned();
        let failure = Failure { error, cause: self.finding.to_string() };
        Halt { target: self.target.clone(), failure }
    }
}

/// Selects the targets from `members` and checks for everything that would make CloudFront refuse a
/// change, or break a viewer.
pub fn targets(members: &[Member], selection: Selection<'_>, new: Successor<'_>) -> Targets {
    let mut planned: Vec<Member> = members
        .iter()
        .filter(|member| member.serves != Serves::Other && selection.is_wanted(member))
        .cloned()
        .collect();
    planned.sort_by(|a, b| a.target.cmp(&b.target));

    let mut held = Vec::new();
    for member in planned.iter().filter(|member| member.serves == Serves::Old) {
        let all = [
            uncovered(member, new.names),
            held_by_policy(member),
            store_not_taken(member, new.store),
            old_viewers(member, new.excludes_rsa_viewers),
        ];
        let target = &member.target;
        held.extend(
            all.into_iter().flatten().map(|finding| Held { target: target.clone(), finding }),
        );
    }
    let mut findings = selection.named.map(|ids| misnamed(members, ids)).unwrap_or_default();
    let left_out: Vec<&Member> = members
        .iter()
        .filter(|m| m.serves == Serves::Old && selection.is_named(m) && selection.is_left_out(m))
        .collect();
    let excluded = left_out.len();
    findings.extend(
        members
            .iter()
            .filter(|m| m.staging && m.serves == Serves::Old)
            .filter(|m| !selection.is_named(m) && !selection.is_left_out(m))
            .map(staging_left_out),
    );
    let mut notes = Vec::from_iter(left_out_note(left_out, selection.ignored));
    notes.extend(idle_uncovered(&planned, new.names));
    if planned.iter().any(|member| member.serves == Serves::Old) {
        let sharing = planned
            .iter()
            .chain(members.iter().filter(|m| m.serves == Serves::New && !selection.is_wanted(m)));
        // Those that share the old certificate now may share the new one.
        let today: BTreeSet<&str> = members
            .iter()
            .filter(|member| member.serves == Serves::Old)
            .map(|member| member.http_version.as_str())
            .collect();
        for (member, finding) in mixed_http_versions(sharing) {
            if today.len() > 1 && today.contains(&member.http_version[..]) {
                notes.push(format!(
                    "Mixed HTTP versions: {} {}. With the old certificate CloudFront allows it today.",
                    finding.subject, finding.problem
                ));
            } else if planned.iter().any(|one| one.target == member.target) {
                held.push(Held { target: member.target.clone(), finding });
            } else {
                findings.push(finding);
            }
        }
    }
    Targets { planned, excluded, findings, held, notes }
}

/// What a rotation has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Rotate.
    Rotate,
    /// A dry run ends here.
    Planned,
    /// No target serves the old certificate and nothing else is left to do.
    NothingToDo,
}

/// Decides the outcome of a plan. `begun` is true if the new certificate is in its store already,
/// from an earlier rotation or by hand: then deployments or the deletion of the old one may be
/// left.
pub fn outcome(
    members: &[Member],
    planned: &[Member],
    begun: bool,
    delete_old: bool,
    dry_run: bool,
) -> Outcome {
    let to_move = planned.iter().any(|member| member.serves == Serves::Old);
    let deploying = planned.iter().any(|m| m.serves == Serves::New && !m.deployed);
    let deletion = delete_old && !members.iter().any(|member| member.serves == Serves::Old);
    if !(to_move || begun && (deploying || deletion)) {
        Outcome::NothingToDo
    } else if dry_run {
        Outcome::Planned
    } else {
        Outcome::Rotate
    }
}

fn not_rotatable(member: &Member, problem: String, cure: &str) -> Finding {
    Finding::new(Ending::TargetNotRotatable, member.target.to_string(), problem, cure)
}

/// Findings for ids in the request that are no targets. A target that already serves the new
/// certificate is fine.
fn misnamed(members: &[Member], ids: &[String]) -> Vec<Finding> {
    ids.iter()
        .filter_map(|id| {
            let problem = match members.iter().find(|member| member.target.id == *id) {
                None => "is neither a distribution nor a tenant that serves a certificate of this rotation",
                Some(member) if member.serves == Serves::Other => {
                    "serves neither the old certificate nor the new one"
                }
                Some(_) => return None,
            };
            Some(Finding::new(
                Ending::TargetNotRotatable,
                format!("target {id}"),
                problem,
                "remove it from targets, or correct oldCertificate",
            ))
        })
        .collect()
}

/// CloudFront Developer Guide, "Requirements for using alternate domain names": the certificate
/// must cover every name, or the update is refused as InvalidViewerCertificate.
fn uncovered(member: &Member, names: &[String]) -> Option<Finding> {
    let missing: Vec<&str> =
        member.names.iter().map(String::as_str).filter(|name| !covers(names, name)).collect();
    let what = match (member.target.kind, missing.len()) {
        (TargetKind::Distribution, 1) => "alias",
        (TargetKind::Distribution, _) => "aliases",
        (TargetKind::Tenant, 1) => "domain",
        (TargetKind::Tenant, _) => "domains",
    };
    let verb = if missing.len() == 1 { "is" } else { "are" };
    (!missing.is_empty()).then(|| {
        Finding::new(
            Ending::AliasNotCovered,
            member.target.to_string(),
            format!(
                "{what} {} {verb} not covered by the new certificate, whose names are {}",
                missing.join(", "),
                listed(names)
            ),
            "order a certificate that has these names too, or exclude the target with excludeTargets",
        )
    })
}

/// The targets that are left alone because somebody said so. They keep the old certificate from
/// being deleted.
fn left_out_note(left_out: Vec<&Member>, ignored: &[String]) -> Option<String> {
    let why = |member: &Member| match ignored.contains(&member.target.id) {
        true => format!("{} (tag {})", member.target, tags::IGNORE),
        false => format!("{} (excludeTargets)", member.target),
    };
    let left_out: Vec<String> = left_out.into_iter().map(why).collect();
    (!left_out.is_empty()).then(|| {
        format!("Left on the old certificate, which is therefore kept: {}.", listed(&left_out))
    })
}

/// Names that the new certificate does not cover and that no viewer gets an answer for now. Whether
/// CloudFront checks them in an update is not documented; if it refuses, it does so in its own words.
fn idle_uncovered(planned: &[Member], names: &[String]) -> Option<String> {
    let idle: Vec<String> = planned
        .iter()
        .filter(|member| member.serves == Serves::Old)
        .flat_map(|member| member.idle_names.iter().map(move |name| (name, &member.target)))
        .filter(|(name, _)| !covers(names, name))
        .map(|(name, target)| format!("{name} ({target})"))
        .collect();
    (!idle.is_empty()).then(|| {
        format!(
            "Not covered by the new certificate, and not served now, since the domain is inactive or its tenant is disabled: {}. Once such a domain is active, viewers get a certificate that does not cover it.",
            listed(&idle)
        )
    })
}

/// AWS refuses a change of the viewer certificate while a continuous-deployment policy is attached
/// (CloudFront Developer Guide, "Understanding continuous deployment": what can be changed).
fn held_by_policy(member: &Member) -> Option<Finding> {
    let policy = member.continuous_deployment_policy.as_ref()?;
    let role = if member.staging { "staging" } else { "primary" };
    Some(not_rotatable(
        member,
        format!(
            "is the {role} distribution of continuous-deployment policy {policy}, and CloudFront refuses certificate changes while a policy is attached"
        ),
        "detach the policy from the primary distribution, rotate both distributions, and attach it again",
    ))
}

/// CloudFront Developer Guide, "Unsupported features" of multi-tenant distributions.
fn store_not_taken(member: &Member, store: Store) -> Option<Finding> {
    (member.multi_tenant && store == Store::Iam).then(|| {
        not_rotatable(
            member,
            "is multi-tenant, and multi-tenant distributions accept certificates from ACM only"
                .into(),
            "rotate it with \"store\": \"acm\"",
        )
    })
}

/// Dedicated IP addresses are paid for old viewers, which do not send a server name; many of those
/// support only RSA.
fn old_viewers(member: &Member, excludes_rsa_viewers: bool) -> Option<Finding> {
    (member.dedicated_ip && excludes_rsa_viewers).then(|| {
        not_rotatable(
            member,
            "has dedicated IP addresses, which serve old viewers, and the new certificate has an ECDSA key: viewers that support only RSA would fail to connect".into(),
            "have the certificate issued for an RSA key; if no such viewer is left, allow the change with \"allowKeyChange\": true, or with the tag cert-rotation:allow-key-change = true on the old certificate",
        )
    })
}

/// A deployment usually takes minutes; after this time somebody should look at it.
const LONG_DEPLOYMENT: SignedDuration = SignedDuration::from_mins(60);

/// The targets to be moved that have been `InProgress` for long. An update is accepted nevertheless,
/// and it may take as long.
pub fn long_in_progress(planned: &[Member], now: Timestamp) -> Option<String> {
    let long: Vec<String> = planned
        .iter()
        .filter(|member| member.serves == Serves::Old)
        .filter_map(|member| Some((member, member.in_progress_since?)))
        .filter(|(_, since)| now.duration_since(*since) > LONG_DEPLOYMENT)
        .map(|(member, since)| format!("{} (since {since})", member.target))
        .collect();
    (!long.is_empty()).then(|| {
        format!(
            "InProgress for more than an hour already: {}. A deployment usually takes minutes; if it stays so, the target fails as DeploymentStalled.",
            listed(&long)
        )
    })
}

/// API reference, UpdateDistributionWithStagingConfig: promotion overwrites the primary's
/// configuration with that of the staging distribution, including the certificate.
fn staging_left_out(member: &Member) -> Finding {
    not_rotatable(
        member,
        "is a staging distribution that serves the old certificate and is not among targets: promoting it would restore the old certificate".into(),
        "add it to targets, or delete it",
    )
}

/// CloudFront Developer Guide, "Supported HTTP versions" in the requirements for certificates: all
/// distributions of one certificate must have the same option. The most common one is assumed to be
/// intended.
fn mixed_http_versions<'a>(
    sharing: impl Iterator<Item = &'a Member>,
) -> Vec<(&'a Member, Finding)> {
    let mut groups: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in sharing {
        groups.entry(&member.http_version).or_default().push(member);
    }
    let Some(common) = groups.iter().max_by_key(|(_, members)| members.len()).map(|(v, _)| *v)
    else {
        return Vec::new();
    };
    groups
        .iter()
        .filter(|(version, _)| **version != common)
        .flat_map(|(version, members)| members.iter().map(move |member| (version, *member)))
        .map(|(version, member)| {
            let finding = not_rotatable(
                member,
                format!("supports {version} while the others that will share the new certificate support {common}, and CloudFront requires one setting for all distributions that share a certificate"),
                "set the same HTTP versions on all of them",
            );
            (member, finding)
        })
        .collect()
}

#[cfg(test)]
mod tests;
