//! Finds the old certificate: named in the request, or by its tag.

use rotation_aws::store::{self, Stored};
use rotation_core::certificate::bundle::Bundle;
use rotation_core::failure::Ending;
use rotation_core::finding::{Finding, listed};
use rotation_core::ids::{CertificateId, Store};
use rotation_core::request::Request;
use rotation_core::request::tags;

use crate::account::fleet::list_fleet;
use crate::account::reading::Reading;
use crate::lambda::error::StepError;

/// The result of the search for the old certificate.
pub(super) enum Old {
    /// It is in its store.
    Found(Box<Stored>),
    /// An earlier rotation has replaced it with the certificate `by` and deleted it.
    Replaced { store: Store, given: String, by: CertificateId },
    /// It was not found, or there are several.
    Missing(Finding),
}

/// Finds the certificate that the request names, or the one tagged with its source.
pub(super) async fn find_old(
    reading: &Reading<'_>,
    request: &Request,
    bundle: Option<&Bundle>,
) -> Result<Old, StepError> {
    let aws = &reading.context().aws;
    let Some(old) = &request.old else {
        return find_managed(reading, request, bundle).await;
    };
    if let Some(found) = store::find(aws, old).await? {
        return Ok(Old::Found(Box::new(found)));
    }
    if let Some(bundle) = bundle {
        for store in [Store::Acm, Store::Iam] {
            for by in store::copies(aws, store, &bundle.leaf).await? {
                let tags = store::describe(aws, &by).await?.map(|found| found.tags);
                if tags.is_some_and(|tags| tags::replaces(&tags, old.as_str())) {
                    return Ok(Old::Replaced { store, given: old.as_str().to_owned(), by });
                }
            }
        }
    }
    Ok(Old::Missing(Finding::new(
        Ending::CertificateNotFound,
        format!("oldCertificate {}", old.as_str()),
        "is in neither store of this account",
        "look up its ARN or id in ACM (us-east-1) or with iam list-server-certificates",
    )))
}

/// The certificate whose tag names this source; of several, the one that is served.
async fn find_managed(
    reading: &Reading<'_>,
    request: &Request,
    bundle: Option<&Bundle>,
) -> Result<Old, StepError> {
    let new = bundle.map(|bundle| bundle.leaf.fingerprint());
    let (current, mut older): (Vec<Stored>, Vec<Stored>) =
        store::managed(&reading.context().aws, |source| source == request.source)
            .await?
            .into_iter()
            .partition(|stored| Some(stored.certificate.fingerprint()) == new);
    if older.len() > 1 {
        let ids: Vec<&CertificateId> = older.iter().map(|stored| &stored.id).collect();
        let fleet = list_fleet(reading, &ids).await?;
        let served: Vec<bool> = ids.iter().map(|id| !fleet.targets_of(id).is_empty()).collect();
        if served.iter().filter(|served| **served).count() == 1 {
            let mut served = served.into_iter();
            older.retain(|_| served.next().unwrap_or(false));
        }
    }
    let ids: Vec<String> = older.iter().map(|stored| stored.id.to_string()).collect();
    Ok(match (older.pop(), older.is_empty(), current.into_iter().next()) {
        (Some(one), true, _) => Old::Found(Box::new(one)),
        (Some(_), false, _) => Old::Missing(Finding::new(
            Ending::RequestInvalid,
            "field oldCertificate",
            format!(
                "is missing, and more than one certificate is tagged {} = {}: {}",
                tags::SOURCE,
                request.source,
                listed(&ids)
            ),
            "name the one to replace in oldCertificate, or delete those that nothing uses",
        )),
        (None, _, Some(stored)) => Old::Replaced {
            store: stored.id.store(),
            given: tags::replaced(&stored.tags).as_ref().unwrap_or(&stored.id).id().to_owned(),
            by: stored.id,
        },
        (None, _, None) => Old::Missing(no_managed(request)),
    })
}

fn no_managed(request: &Request) -> Finding {
    Finding::new(
        Ending::CertificateNotFound,
        "field oldCertificate",
        format!("is missing, and no certificate is tagged {} = {}", tags::SOURCE, request.source),
        "name the certificate to replace in oldCertificate, or tag it; a tag may be found some minutes after it was set",
    )
}
