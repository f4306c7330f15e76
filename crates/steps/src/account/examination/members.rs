//! CloudFront as the plan sees it: every distribution and tenant as a [`Member`].

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use rotation_aws::cloudfront::{
    DistributionFacts, Status, TenantFacts, continuous_deployment_policies,
    continuous_deployment_policy_of,
};
use rotation_core::ids::{CertificateId, Serves, TargetId};
use rotation_core::plan::Member;

use crate::account::fleet::{Fleet, list, serves, tenant_serves, tenants_of};
use crate::account::reading::Reading;
use crate::lambda::error::StepError;

/// How many distributions are read in parallel.
const SIDE_BY_SIDE: usize = 8;

/// All members. Distributions that serve another certificate are included, because the request may
/// name them.
pub(super) async fn members(
    reading: &Reading<'_>,
    fleet: &Fleet,
    old: &CertificateId,
    new: Option<&CertificateId>,
) -> Result<Vec<Member>, StepError> {
    let client = reading.context().aws.cloudfront();
    // The policy id is in the configuration, not in the list. Most accounts have no policy, so one
    // call saves a read of every configuration.
    let any_policy = !list(reading, "policies", async |marker| {
        continuous_deployment_policies(client, marker).await
    })
    .await?
    .is_empty();
    let members = fleet.distributions.iter().map(async |facts| {
        let serves = serves(facts.certificate.as_ref(), old, new);
        let mut member = distribution_member(facts, serves);
        if serves == Serves::Old {
            let id = facts.id.as_str();
            if any_policy {
                let policy = continuous_deployment_policy_of(client, id);
                let question = format!("policy of {id}");
                member.continuous_deployment_policy = reading.ask(question, policy).await?;
            }
            if facts.tenant_only {
                let tenants = tenants_of(reading, id).await?.into_iter();
                let without_own = tenants.filter(|tenant| tenant.certificate_arn.is_none());
                for tenant in without_own {
                    let (names, idle) = names_of(&tenant);
                    member.names.extend(names);
                    member.idle_names.extend(idle);
                }
            }
        }
        Ok::<_, StepError>(member)
    });
    let mut members: Vec<Member> =
        stream::iter(members).buffered(SIDE_BY_SIDE).try_collect().await?;
    let templates: BTreeMap<&str, &DistributionFacts> =
        fleet.distributions.iter().map(|facts| (facts.id.as_str(), facts)).collect();
    for facts in &fleet.tenants {
        let template = templates.get(facts.distribution_id.as_str()).copied();
        members.push(tenant_member(facts, template, tenant_serves(facts, old, new)));
    }
    Ok(members)
}

fn distribution_member(facts: &DistributionFacts, serves: Serves) -> Member {
    Member {
        target: TargetId::distribution(&facts.id),
        serves,
        deployed: facts.status == Status::Deployed,
        in_progress_since: facts.changed.filter(|_| facts.status != Status::Deployed),
        names: facts.aliases.clone(),
        idle_names: Vec::new(),
        http_version: facts.http_version.clone(),
        staging: facts.staging,
        multi_tenant: facts.tenant_only,
        continuous_deployment_policy: None,
        dedicated_ip: facts.ssl_support_method.as_deref() == Some("vip"),
        associations: facts.associations.clone(),
    }
}

/// The domains of a tenant that viewers reach, and the others.
fn names_of(tenant: &TenantFacts) -> (Vec<String>, Vec<String>) {
    let is_reached = |domain: &&String| tenant.enabled && tenant.served.contains(domain);
    let (reached, idle): (Vec<&String>, Vec<&String>) = tenant.domains.iter().partition(is_reached);
    (reached.into_iter().cloned().collect(), idle.into_iter().cloned().collect())
}

fn tenant_member(
    facts: &TenantFacts,
    template: Option<&DistributionFacts>,
    serves: Serves,
) -> Member {
    let (names, idle_names) = names_of(facts);
    Member {
        target: TargetId::tenant(&facts.id),
        serves,
        deployed: facts.status == Status::Deployed,
        in_progress_since: facts.changed.filter(|_| facts.status != Status::Deployed),
        names,
        idle_names,
        http_version: template.map(|template| template.http_version.clone()).unwrap_or_default(),
        staging: false,
        multi_tenant: true,
        continuous_deployment_policy: None,
        dedicated_ip: false,
        associations: facts.associations.clone(),
    }
}
