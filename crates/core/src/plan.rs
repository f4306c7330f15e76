//! Which targets a rotation has, and whether each of them can be rotated.

pub mod claim;
pub mod estimate;
pub mod quota;
pub mod rights;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::certificate::covers;
use crate::finding::{Ending, Finding, listed};
use crate::ids::{Store, TargetId, TargetKind};
use crate::plan::rights::Association;

/// Which of the two certificates something serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serves {
    /// The old certificate.
    Old,
    /// The new certificate.
    New,
    /// A third one, or CloudFront's own.
    Other,
}

/// A distribution or tenant as it was found in CloudFront.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Which one.
    pub target: TargetId,
    /// What it serves.
    pub serves: Serves,
    /// Is it `Deployed`?
    pub deployed: bool,
    /// The names under which viewers reach it: a distribution's aliases, a tenant's domains, and for
    /// the template of a multi-tenant distribution the domains of tenants without a certificate of
    /// their own.
    pub names: Vec<String>,
    /// The option "Supported HTTP versions", lower case: `http1.1`, `http2`, `http2and3`, `http3`.
    pub http_version: String,
    /// Is it a staging distribution?
    pub staging: bool,
    /// Is it a tenant, or the template of tenants? Those take certificates from ACM only.
    pub multi_tenant: bool,
    /// The continuous-deployment policy it is part of, as primary or as staging distribution.
    pub continuous_deployment_policy: Option<String>,
    /// Does it serve on dedicated IP addresses (`vip`)?
    pub dedicated_ip: bool,
    /// What CloudFront may ask for further rights on when the target is updated.
    pub associations: Vec<Association>,
}

/// The targets of a rotation and what speaks against rotating them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Targets {
    /// What is to be moved, or was moved earlier; in order of kind and id.
    pub planned: Vec<Member>,
    /// Why not, target by target.
    pub findings: Vec<Finding>,
}

/// Picks the targets out of `members` and looks for everything that would make CloudFront refuse a
/// change, or break a viewer.
///
/// `named` are the ids that the request limits the rotation to. `names` are the DNS names of the new
/// certificate and `store` is where it is going to lie.
pub fn targets(
    members: &[Member],
    named: Option<&[String]>,
    names: &[String],
    store: Store,
) -> Targets {
    let is_wanted = |member: &Member| named.is_none_or(|ids| ids.contains(&member.target.id));
    let mut planned: Vec<Member> = members
        .iter()
        .filter(|member| member.serves != Serves::Other && is_wanted(member))
        .cloned()
        .collect();
    planned.sort_by(|a, b| a.target.cmp(&b.target));

    let mut findings = named.map(|ids| misnamed(members, ids)).unwrap_or_default();
    for member in planned.iter().filter(|member| member.serves == Serves::Old) {
        findings.extend(uncovered(member, names));
        findings.extend(held_by_policy(member));
        findings.extend(store_not_taken(member, store));
    }
    findings.extend(
        members
            .iter()
            .filter(|m| m.staging && m.serves == Serves::Old && !is_wanted(m))
            .map(staging_left_out),
    );
    if planned.iter().any(|member| member.serves == Serves::Old) {
        let sharing = planned
            .iter()
            .chain(members.iter().filter(|m| m.serves == Serves::New && !is_wanted(m)));
        findings.extend(mixed_http_versions(sharing));
    }
    Targets { planned, findings }
}

/// As many lanes as an inline Map of Step Functions runs at once.
pub const MAX_LANES: u64 = 40;

/// Deals targets out to `concurrency` lanes, [`MAX_LANES`] at most. The targets of a lane are taken one
/// after the other, so there are never more under way than there are lanes.
pub fn lanes<T: Clone>(targets: &[T], concurrency: u64) -> Vec<Vec<T>> {
    let count = concurrency.clamp(1, MAX_LANES).min(targets.len() as u64) as usize;
    (0..count).map(|lane| targets.iter().skip(lane).step_by(count).cloned().collect()).collect()
}

/// The waves in which targets are moved: each is a number of lanes side by side, and begins when the one
/// before has ended. With several at once one target goes alone before all others, so that a bad
/// certificate meets one: the first that is to be moved, if possible one that viewers can reach.
pub fn waves(planned: &[Member], concurrency: u64) -> Vec<Vec<Vec<&Member>>> {
    let mut targets: Vec<&Member> = planned.iter().collect();
    if concurrency > 1 {
        let is_moved = |member: &&Member| member.serves == Serves::Old;
        let first = targets
            .iter()
            .position(|member| is_moved(member) && !member.staging && !member.names.is_empty())
            .or_else(|| targets.iter().position(is_moved));
        if let Some(first) = first {
            let alone = targets.remove(first);
            let others = lanes(&targets, concurrency);
            return [vec![vec![alone]], others]
                .into_iter()
                .filter(|wave| !wave.is_empty())
                .collect();
        }
    }
    [lanes(&targets, concurrency)].into_iter().filter(|wave| !wave.is_empty()).collect()
}

/// What is left for a rotation to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Go on.
    Rotate,
    /// A dry run: this is all.
    Planned,
    /// No target serves the old certificate and nothing else is left.
    NothingToDo,
}

/// What a plan comes to. `begun` says that the new certificate lies in its store already, from an
/// earlier rotation or by hand: then waiting for deployments and deleting the old one may be left.
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

/// Ids of the request that are no targets. One that already serves the new certificate is fine.
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

/// CloudFront Developer Guide, "Requirements for using alternate domain names": every one of them
/// must be covered by the certificate, or the update is refused as InvalidViewerCertificate.
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
            "order a certificate that has these names too, or exclude the target with targets",
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

/// API reference, UpdateDistributionWithStagingConfig: promoting overwrites the primary's
/// configuration with the staging one's, certificate included.
fn staging_left_out(member: &Member) -> Finding {
    not_rotatable(
        member,
        "is a staging distribution that serves the old certificate and is not among targets: promoting it would restore the old certificate".into(),
        "add it to targets, or delete it",
    )
}

/// CloudFront Developer Guide, "Supported HTTP versions" in the requirements for certificates: all
/// distributions of one certificate must have the same option. The most common one is taken as meant.
fn mixed_http_versions<'a>(sharing: impl Iterator<Item = &'a Member>) -> Vec<Finding> {
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
        .flat_map(|(version, members)| members.iter().map(move |member| (version, member)))
        .map(|(version, member)| {
            not_rotatable(
                member,
                format!("supports {version} while the others that will share the new certificate support {common}, and CloudFront requires one setting for all distributions that share a certificate"),
                "set the same HTTP versions on all of them",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, serves: Serves) -> Member {
        Member {
            target: TargetId { kind: TargetKind::Distribution, id: id.into() },
            serves,
            deployed: true,
            names: vec!["www.example.com".into()],
            http_version: "http2".into(),
            staging: false,
            multi_tenant: false,
            continuous_deployment_policy: None,
            dedicated_ip: false,
            associations: Vec::new(),
        }
    }

    fn ids(members: &[Member]) -> Vec<&str> {
        members.iter().map(|member| member.target.id.as_str()).collect()
    }

    fn check(
        members: &[Member],
        named: Option<&[&str]>,
        store: Store,
    ) -> (Vec<String>, Vec<String>) {
        let named: Option<Vec<String>> =
            named.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        let names = ["www.example.com".to_owned(), "*.shop.example.com".to_owned()];
        let targets = targets(members, named.as_deref(), &names, store);
        (
            ids(&targets.planned).into_iter().map(str::to_owned).collect(),
            targets.findings.iter().map(|f| format!("{} {f}", f.ending.name())).collect(),
        )
    }

    #[test]
    fn every_target_of_the_old_certificate_and_those_already_moved() {
        let members =
            [member("E3", Serves::Old), member("E1", Serves::New), member("E2", Serves::Other)];
        assert_eq!(check(&members, None, Store::Acm), (vec!["E1".into(), "E3".into()], vec![]));
    }

    #[test]
    fn named_targets_limit_the_rotation_and_must_be_targets() {
        let members = [
            member("E1", Serves::Old),
            member("E2", Serves::New),
            member("E3", Serves::Other),
            member("E4", Serves::Old),
        ];
        let (planned, findings) = check(&members, Some(&["E1", "E2", "E3", "E9"]), Store::Acm);
        assert_eq!(planned, ["E1", "E2"]);
        assert_eq!(findings.len(), 2);
        assert!(findings[0].starts_with("TargetNotRotatable target E3: serves neither"));
        assert!(findings[1].starts_with("TargetNotRotatable target E9: is neither"));
    }

    #[test]
    fn every_uncovered_alias_of_every_target_is_named() {
        let mut one = member("E1", Serves::Old);
        one.names =
            vec!["www.example.com".into(), "api.example.com".into(), "x.example.org".into()];
        let mut two = member("E2", Serves::Old);
        two.names = vec!["a.shop.example.com".into(), "a.b.shop.example.com".into()];
        let (_, findings) = check(&[one, two], None, Store::Acm);
        assert!(findings[0].contains("E1: aliases api.example.com, x.example.org are not covered"));
        assert!(findings[1].contains("E2: alias a.b.shop.example.com is not covered"));
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn what_a_moved_or_unwanted_target_is_like_does_not_matter() {
        let mut moved = member("E1", Serves::New);
        moved.names = vec!["elsewhere.example.org".into()];
        let mut unwanted = member("E2", Serves::Old);
        unwanted.names = vec!["elsewhere.example.org".into()];
        let members = [moved, unwanted, member("E3", Serves::Old)];
        assert_eq!(check(&members, Some(&["E1", "E3"]), Store::Acm).1, Vec::<String>::new());
    }

    #[test]
    fn a_continuous_deployment_policy_holds_both_its_distributions() {
        let mut primary = member("E1", Serves::Old);
        primary.continuous_deployment_policy = Some("p-1".into());
        let mut staging = primary.clone();
        staging.target.id = "E2".into();
        staging.staging = true;
        let (_, findings) = check(&[primary, staging], None, Store::Acm);
        assert!(
            findings[0]
                .contains("E1: is the primary distribution of continuous-deployment policy p-1")
        );
        assert!(
            findings[1]
                .contains("E2: is the staging distribution of continuous-deployment policy p-1")
        );
    }

    #[test]
    fn a_staging_distribution_must_not_be_left_behind() {
        let mut staging = member("E2", Serves::Old);
        staging.staging = true;
        let members = [member("E1", Serves::Old), staging];
        assert!(check(&members, None, Store::Acm).1.is_empty());
        let findings = check(&members, Some(&["E1"]), Store::Acm).1;
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("E2: is a staging distribution"));
    }

    #[test]
    fn multi_tenant_targets_take_acm_only() {
        let mut tenant = member("dt_1", Serves::Old);
        tenant.multi_tenant = true;
        tenant.target.kind = TargetKind::Tenant;
        assert!(check(std::slice::from_ref(&tenant), None, Store::Acm).1.is_empty());
        assert!(
            check(&[tenant], None, Store::Iam).1[0]
                .contains("distribution tenant dt_1: is multi-tenant")
        );
    }

    #[test]
    fn one_http_versions_option_for_all_that_will_share_the_certificate() {
        let mut odd = member("E3", Serves::New);
        odd.http_version = "http2and3".into();
        let members = [member("E1", Serves::Old), member("E2", Serves::Old), odd];
        let findings = check(&members, Some(&["E1", "E2"]), Store::Acm).1;
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains("E3: supports http2and3"));
        assert!(check(&members[..2], None, Store::Acm).1.is_empty());
    }

    #[test]
    fn targets_are_dealt_out_to_lanes() {
        let members: Vec<Member> = (1..=7).map(|n| member(&format!("E{n}"), Serves::Old)).collect();
        let check = |members: &[Member], concurrency| -> Vec<Vec<String>> {
            let lanes = lanes(members, concurrency);
            lanes.into_iter().map(|l| l.iter().map(|m| m.target.id.clone()).collect()).collect()
        };
        assert_eq!(check(&members, 1), [["E1", "E2", "E3", "E4", "E5", "E6", "E7"]]);
        assert_eq!(
            check(&members, 3),
            [vec!["E1", "E4", "E7"], vec!["E2", "E5"], vec!["E3", "E6"]]
        );
        assert_eq!(check(&members, 1_000).len(), 7, "no empty lanes");
        assert!(check(&[], 3).is_empty());
        let many = vec![member("E1", Serves::Old); 100];
        let sizes: Vec<usize> = lanes(&many, 1_000).iter().map(Vec::len).collect();
        assert_eq!((sizes.len() as u64, sizes.iter().sum()), (MAX_LANES, 100));
    }

    #[test]
    fn with_several_at_once_one_goes_before_all_others() {
        let staging = Member { staging: true, ..member("E2", Serves::Old) };
        let nameless = Member { names: vec![], ..member("E3", Serves::Old) };
        let members = [
            member("E1", Serves::New),
            staging,
            nameless,
            member("E4", Serves::Old),
            member("E5", Serves::Old),
        ];
        let check = |members: &[Member], concurrency, expected: &str| {
            let waves: Vec<String> = waves(members, concurrency)
                .iter()
                .map(|wave| {
                    let lane = |lane: &Vec<&Member>| {
                        lane.iter().map(|m| m.target.id.as_str()).collect::<Vec<_>>().join(" ")
                    };
                    wave.iter().map(lane).collect::<Vec<_>>().join(" | ")
                })
                .collect();
            assert_eq!(waves.join(" then "), expected);
        };
        check(&members, 1, "E1 E2 E3 E4 E5");
        check(&members, 2, "E4 then E1 E3 | E2 E5");
        check(&members[..3], 9, "E2 then E1 | E3");
        check(&members[3..4], 9, "E4");
        check(&members[..1], 9, "E1");
        check(&[], 9, "");
    }

    #[test]
    fn outcomes() {
        let old = || member("E1", Serves::Old);
        let new = || member("E2", Serves::New);
        let deploying = || Member { deployed: false, ..new() };
        // members, planned, begun, delete_old, dry_run
        for (members, planned, begun, delete_old, dry_run, expected) in [
            (vec![old()], vec![old()], false, true, false, Outcome::Rotate),
            (vec![old()], vec![old()], false, true, true, Outcome::Planned),
            (vec![], vec![], false, true, false, Outcome::NothingToDo),
            (vec![new()], vec![new()], true, true, false, Outcome::Rotate),
            (vec![new()], vec![new()], true, true, true, Outcome::Planned),
            (vec![new()], vec![new()], true, false, false, Outcome::NothingToDo),
            (vec![deploying()], vec![deploying()], true, false, false, Outcome::Rotate),
            // Its own target is moved; others serve the old certificate, which must stay.
            (vec![old(), new()], vec![new()], true, true, false, Outcome::NothingToDo),
        ] {
            assert_eq!(outcome(&members, &planned, begun, delete_old, dry_run), expected);
        }
    }
}
