//! The endpoints where viewers reach a target, and the names that they send there.

use std::collections::BTreeMap;

use aws_sdk_cloudfront::Client;
use rotation_core::ids::TargetId;
use serde::{Deserialize, Serialize};

use crate::cloudfront::{all_pages, tenants_of};
use crate::error::{AwsError, SdkResultExt};

/// How viewers reach a target, as far as one read shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// A disabled target serves no viewers.
    pub enabled: bool,
    /// Where viewers connect.
    pub at: ReachedAt,
}

/// `at` of a [`Reach`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReachedAt {
    /// A distribution's own edge name.
    Edge(Entrance),
    /// A template: the endpoints of its tenants.
    Tenants,
    /// A tenant: the endpoint of its connection group.
    #[serde(rename_all = "camelCase")]
    ConnectionGroup {
        /// The id of the connection group; `None` for the default one.
        group: Option<String>,
        /// The tenant's active domains.
        names: Vec<String>,
    },
}

/// An endpoint, and the names that viewers send there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entrance {
    /// The edge name: `d….cloudfront.net`, for a tenant that of its connection group.
    pub host: String,
    /// The active aliases or domains.
    pub names: Vec<String>,
    /// Does it serve viewers that send no name (`vip`)?
    pub without_sni: bool,
}

/// The endpoints of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entrances {
    /// Those that viewers can connect to.
    pub open: Vec<Entrance>,
    /// The names that no viewer can reach, because the connection group is disabled.
    pub closed: Vec<String>,
}

/// The endpoints of a target. For the template of tenants these are the endpoints of the tenants
/// without their own certificate. The endpoints of tenants are read only if `with_hosts` is set.
pub async fn entrances(
    client: &Client,
    target: &TargetId,
    reach: &Reach,
    with_hosts: bool,
) -> Result<Entrances, AwsError> {
    let tenants = match &reach.at {
        ReachedAt::Edge(entrance) => return Ok(open(vec![entrance.clone()])),
        ReachedAt::ConnectionGroup { group, names } => vec![(group.clone(), names.clone())],
        ReachedAt::Tenants => {
            all_pages(async |marker| tenants_of(client, &target.id, marker).await)
                .await?
                .into_iter()
                .filter(|tenant| tenant.enabled && tenant.certificate_arn.is_none())
                .map(|tenant| (tenant.connection_group, tenant.served))
                .collect()
        }
    };
    tenant_entrances(client, target, tenants, with_hosts).await
}

/// The domains of tenants by the endpoint of their connection group. Tenants without one use the
/// default group (CloudFront Developer Guide, "Connection groups").
async fn tenant_entrances(
    client: &Client,
    target: &TargetId,
    tenants: Vec<(Option<String>, Vec<String>)>,
    with_hosts: bool,
) -> Result<Entrances, AwsError> {
    const OPERATION: &str = "ListConnectionGroups";
    let entrance = |(host, names)| Entrance { host, names, without_sni: false };
    if tenants.is_empty() {
        return Ok(Entrances::default());
    }
    if !with_hosts {
        let names = tenants.into_iter().flat_map(|(_, names)| names).collect();
        return Ok(open(vec![entrance(("every edge".to_owned(), names))]));
    }
    let mut pages = client.list_connection_groups().into_paginator().items().send();
    let mut groups = Vec::new();
    while let Some(group) = pages.next().await {
        groups.push(group.operation(OPERATION, "the account")?);
    }
    let mut by_host: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut closed = Vec::new();
    for (named, names) in tenants {
        let group = groups.iter().find(|group| match &named {
            Some(id) => group.id == *id,
            None => group.is_default == Some(true),
        });
        let group = group.ok_or_else(|| {
            AwsError::malformed(OPERATION, &target.id, "a connection group is not listed")
        })?;
        if group.enabled == Some(false) {
            closed.extend(names);
        } else {
            by_host.entry(group.routing_endpoint.clone()).or_default().extend(names);
        }
    }
    Ok(Entrances { closed, ..open(by_host.into_iter().map(entrance).collect()) })
}

fn open(open: Vec<Entrance>) -> Entrances {
    Entrances { open, closed: Vec::new() }
}
