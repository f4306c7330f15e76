//! Decides whether the old certificate may be deleted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::Fingerprint;
use crate::finding::listed;
use crate::ids::{Serves, TargetId};
use crate::plan::state::{FleetSnapshot, TargetState};

/// The uses found just before a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Distributions and tenants that serve the old certificate.
    pub serving: Vec<TargetId>,
    /// Targets of the rotation that serve the new certificate and are not `Deployed`.
    pub deploying: Vec<TargetId>,
    /// The ARNs in ACM's `InUseBy`. IAM has no such list.
    pub in_use_by: Vec<String>,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing uses it.
    Delete,
    /// It is used by something that this rotation does not move, for the reason given.
    Keep(String),
    /// It may be in use, and that is expected to end, for the reason given.
    TryLater(String),
}

/// Decides on fresh uses.
///
/// `planned` are the rotation's targets: if one of them appears with the old certificate, the list
/// is most likely from before its update. `account` distinguishes the account's own distributions
/// in `InUseBy` from those that AWS runs for API Gateway or Cognito, which this rotation cannot
/// move. ACM names a distribution for 10 to 30 minutes after it has another certificate.
pub fn decide(uses: &Uses, planned: &[TargetId], account: &str) -> Decision {
    let foreign: Vec<&TargetId> =
        uses.serving.iter().filter(|target| !planned.contains(target)).collect();
    if !foreign.is_empty() {
        return Decision::Keep(format!("it is still served by {}", listed(&foreign)));
    }
    let others: Vec<&String> =
        uses.in_use_by.iter().filter(|arn| is_elsewhere(arn, account)).collect();
    if !others.is_empty() {
        return Decision::Keep(format!("it is still used by {}", listed(&others)));
    }
    if !uses.serving.is_empty() {
        return Decision::TryLater(format!("it is still served by {}", listed(&uses.serving)));
    }
    if !uses.deploying.is_empty() {
        return Decision::TryLater(format!("{} not Deployed yet", listed(&uses.deploying)));
    }
    if !uses.in_use_by.is_empty() {
        let arns = listed(&uses.in_use_by);
        return Decision::TryLater(format!("ACM still reports it in use by {arns}"));
    }
    Decision::Delete
}

/// Is this user of a certificate, in `InUseBy`, anything but a distribution of the account?
pub fn is_elsewhere(arn: &str, account: &str) -> bool {
    let mut parts = arn.splitn(6, ':').skip(2);
    !(parts.next() == Some("cloudfront") && parts.nth(1) == Some(account))
}

/// Why the certificate under the old id is not the planned one, if it is not: another program may
/// have imported a new one into the same ARN since the plan (ACM API, `ImportCertificate` with
/// `CertificateArn`). It then may live longer than the new one, and is not this rotation's to delete.
pub fn reimported(planned: Option<&str>, stored: &Fingerprint) -> Option<String> {
    let stored = stored.to_string();
    planned.filter(|planned| *planned != stored).map(|planned| {
        format!(
            "another program imported another certificate into it since the plan: it was {planned}, and is {stored}"
        )
    })
}

/// The outcome of the deletion: the output of `delete-certificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Was it deleted?
    pub deleted: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The evidence from just before; `None` if it was already deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// The evidence for the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// When CloudFront was read.
    pub at: Timestamp,
    /// How many distributions were read: all of the account.
    pub distributions: usize,
    /// How many tenants with one of the two certificates were read.
    pub tenants: usize,
    /// Targets that serve the old certificate.
    pub serving: Vec<String>,
    /// Targets that are not `Deployed`.
    pub deploying: Vec<String>,
    /// From ACM's `InUseBy`.
    pub in_use_by: Vec<String>,
}

/// How many entries of each kind the evidence lists.
const NAMED: usize = 20;

/// The uses of the old certificate in a snapshot, for the decision and as evidence.
pub fn uses(
    snapshot: &FleetSnapshot,
    planned: &[TargetId],
    in_use_by: &[String],
) -> (Uses, Evidence) {
    let pick = |wanted: fn(&TargetState) -> bool| -> Vec<TargetId> {
        let wanted = snapshot.targets.iter().filter(|target| wanted(&target.state));
        wanted.map(|target| target.id.clone()).collect()
    };
    let mut deploying = pick(|state| state.serves == Serves::New && !state.deployed);
    deploying.retain(|target| planned.contains(target));
    let uses = Uses {
        serving: pick(|state| state.serves == Serves::Old),
        deploying,
        in_use_by: in_use_by.to_vec(),
    };
    let named =
        |targets: &[TargetId]| targets.iter().take(NAMED).map(TargetId::to_string).collect();
    let evidence = Evidence {
        at: snapshot.at,
        distributions: snapshot.distributions,
        tenants: snapshot.tenants,
        serving: named(&uses.serving),
        deploying: named(&uses.deploying),
        in_use_by: in_use_by.iter().take(NAMED).cloned().collect(),
    };
    (uses, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TargetKind;
    use crate::plan::state::TargetSnapshot;

    fn target(id: &str) -> TargetId {
        TargetId { kind: TargetKind::Distribution, id: id.into() }
    }

    fn check(serving: &[&str], deploying: &[&str], in_use_by: &[&str]) -> Decision {
        let targets = |ids: &[&str]| ids.iter().map(|id| target(id)).collect();
        let uses = Uses {
            serving: targets(serving),
            deploying: targets(deploying),
            in_use_by: in_use_by.iter().map(|arn| (*arn).to_owned()).collect(),
        };
        decide(&uses, &[target("E1"), target("E2")], "111122223333")
    }

    const ELB: &str =
        "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/www/50dc6c495c0c9188";
    const OWN: &str = "arn:aws:cloudfront::111122223333:distribution/E1";
    const AWS_OWNED: &str = "arn:aws:cloudfront::969236854626:distribution/E9";

    #[test]
    fn only_an_unused_certificate_is_deleted() {
        assert_eq!(check(&[], &[], &[]), Decision::Delete);
    }

    /// Case S26: also those of distributions that AWS runs for other services.
    #[test]
    fn a_certificate_with_other_uses_is_kept_and_they_are_named() {
        for (decision, named) in [
            (check(&["E7"], &[], &[]), "distribution E7"),
            (check(&["E1", "E7"], &[], &[OWN]), "distribution E7"),
            (check(&[], &[], &[ELB]), ELB),
            (check(&[], &["E1"], &[OWN, ELB]), ELB),
            (check(&[], &[], &[AWS_OWNED]), AWS_OWNED),
        ] {
            assert!(
                matches!(&decision, Decision::Keep(why) if why.contains(named)),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn what_passes_is_waited_for() {
        for (decision, named) in [
            (check(&["E1"], &[], &[]), "still served by distribution E1"),
            (check(&[], &["E2"], &[]), "distribution E2 not Deployed"),
            (check(&[], &[], &[OWN]), OWN),
        ] {
            assert!(
                matches!(&decision, Decision::TryLater(why) if why.contains(named)),
                "{decision:?}"
            );
        }
    }

    #[test]
    fn only_another_certificate_under_the_same_id_is_a_reimport() {
        let (planned, other) = (Fingerprint::of(b"planned"), Fingerprint::of(b"other"));
        let text = planned.to_string();
        assert_eq!(reimported(Some(&text), &planned), None);
        assert_eq!(reimported(None, &planned), None);
        let why = reimported(Some(&text), &other).expect("a reason");
        assert!(why.contains(&text) && why.contains(&other.to_string()), "{why}");
    }

    /// E1 and E2 are the rotation's targets; E7 and E8 are not.
    #[test]
    fn uses_and_evidence_in_a_snapshot() {
        let of = |id, serves, deployed| TargetSnapshot {
            id: target(id),
            state: TargetState { serves, deployed },
        };
        let snapshot = FleetSnapshot {
            at: Timestamp::UNIX_EPOCH,
            distributions: 9,
            tenants: 3,
            targets: vec![
                of("E1", Serves::New, false),
                of("E2", Serves::New, true),
                of("E3", Serves::Other, false),
                of("E7", Serves::Old, true),
                of("E8", Serves::New, false),
                of("E9", Serves::Old, false),
            ],
        };
        let (uses, evidence) = uses(&snapshot, &[target("E1"), target("E2")], &[OWN.to_owned()]);
        let expected = Uses {
            serving: vec![target("E7"), target("E9")],
            deploying: vec![target("E1")],
            in_use_by: vec![OWN.to_owned()],
        };
        assert_eq!(uses, expected);
        let expected = Evidence {
            at: Timestamp::UNIX_EPOCH,
            distributions: 9,
            tenants: 3,
            serving: vec!["distribution E7".to_owned(), "distribution E9".to_owned()],
            deploying: vec!["distribution E1".to_owned()],
            in_use_by: vec![OWN.to_owned()],
        };
        assert_eq!(evidence, expected);
    }
}
