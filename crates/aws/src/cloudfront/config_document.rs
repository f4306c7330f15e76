//! A target's configuration as the XML that CloudFront sent, without loss.
//!
//! `UpdateDistribution` replaces the whole configuration, and the SDK's types drop elements that
//! they do not know. So the document is never parsed into types: the elements that name the
//! certificate are cut out and inserted by position, and every other byte is unchanged.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use rotation_core::ids::CertificateId;
use serde::{Deserialize, Serialize};

/// The viewer certificate of a distribution or tenant, as in its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewerCertificateRef {
    /// An ACM ARN.
    Acm(String),
    /// An IAM server-certificate id.
    Iam(String),
}

impl ViewerCertificateRef {
    /// Is it this certificate?
    pub fn is(&self, id: &CertificateId) -> bool {
        match (self, id) {
            (Self::Acm(served), CertificateId::Acm { arn }) => served == arn,
            (Self::Iam(served), CertificateId::Iam { id, .. }) => served == id,
            _ => false,
        }
    }

    /// The ARN or id.
    pub fn id(&self) -> &str {
        match self {
            Self::Acm(id) | Self::Iam(id) => id,
        }
    }
}

/// A configuration, with the ETag of the read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigDocument {
    /// The `If-Match` of the write.
    pub etag: String,
    /// The document.
    pub xml: String,
    certificate: Option<ViewerCertificateRef>,
    /// The elements that name the certificate now, to be cut out.
    cuts: Vec<Range<usize>>,
    /// Where the new name is inserted, and which elements surround it; `None` if there is no element
    /// for a certificate.
    slot: Option<Slot>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Slot {
    /// In `ViewerCertificate`, at this position.
    Distribution(usize),
    /// In place of `Customizations/Certificate/Arn`, the only cut.
    Tenant(usize),
}

/// The document is not in CloudFront's format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotUnderstood(String);

/// The members of `ViewerCertificate` that name the certificate. `Certificate` and
/// `CertificateSource` are deprecated: reads return them, and writes fail when they contradict the
/// others (API reference, ViewerCertificate).
const NAMES: [&str; 5] = [
    "ACMCertificateArn",
    "IAMCertificateId",
    "Certificate",
    "CertificateSource",
    "CloudFrontDefaultCertificate",
];

/// Elements in the response of GetDistributionTenant that the request of UpdateDistributionTenant
/// does not have.
const READ_ONLY: [&str; 7] =
    ["Id", "Name", "Arn", "Tags", "CreatedTime", "LastModifiedTime", "Status"];

const NAMESPACE: &str = "http://cloudfront.amazonaws.com/doc/2020-05-31/";

impl ConfigDocument {
    /// Parses a `DistributionConfig`, the body of GetDistributionConfig.
    ///
    /// # Errors
    /// When it is not well-formed, or has no `DistributionConfig`.
    pub fn of_distribution(etag: &str, xml: &str) -> Result<Self, NotUnderstood> {
        let elements = elements(xml)?;
        if find(&elements, "DistributionConfig").is_none() {
            return Err(NotUnderstood("no DistributionConfig in the answer".into()));
        }
        // A client may have removed it since the plan.
        let inner = find(&elements, "DistributionConfig/ViewerCertificate")
            .and_then(|viewer| viewer.inner.clone());
        let mut certificate = None;
        let mut cuts = Vec::new();
        for name in NAMES {
            let path = format!("DistributionConfig/ViewerCertificate/{name}");
            for element in elements.iter().filter(|element| element.path == path) {
                let text = element.text.trim().to_owned();
                match name {
                    "ACMCertificateArn" if !text.is_empty() => {
                        certificate = Some(ViewerCertificateRef::Acm(text));
                    }
                    "IAMCertificateId" if !text.is_empty() => {
                        certificate = Some(ViewerCertificateRef::Iam(text));
                    }
                    _ => {}
                }
                cuts.push(element.outer.clone());
            }
        }
        cuts.sort_by_key(|cut| cut.start);
        let slot = inner.map(|inner| Slot::Distribution(inner.start));
        Ok(Self { etag: etag.into(), xml: xml.into(), certificate, cuts, slot })
    }

    /// Builds the request that leaves a tenant unchanged, from the body of GetDistributionTenant.
    /// Read-only elements are dropped; unknown elements are kept.
    ///
    /// # Errors
    /// When it is not well-formed, or has no `DistributionTenant`.
    pub fn of_tenant(etag: &str, xml: &str) -> Result<Self, NotUnderstood> {
        let root = "DistributionTenant";
        let answer = elements(xml)?;
        let Some(inner) = find(&answer, root).and_then(|root| root.inner.clone()) else {
            return Err(NotUnderstood("no DistributionTenant in the answer".into()));
        };
        let mut cuts: Vec<Range<usize>> = answer
            .iter()
            .filter(|element| {
                READ_ONLY.iter().any(|name| element.path == format!("{root}/{name}"))
                    || (element.path.starts_with("DistributionTenant/Domains/")
                        && element.path.matches('/').count() == 3
                        && element.path.ends_with("/Status"))
            })
            .map(|element| element.outer.clone())
            .collect();
        cuts.sort_by_key(|cut| cut.start);
        let body = without(xml, inner, &cuts);
        let xml = format!(
            "<UpdateDistributionTenantRequest xmlns=\"{NAMESPACE}\">{body}</UpdateDistributionTenantRequest>"
        );

        let request = elements(&xml)?;
        let path = "UpdateDistributionTenantRequest/Customizations/Certificate/Arn";
        // Without one it has its template's, perhaps since the plan.
        let arn = find(&request, path);
        Ok(Self {
            etag: etag.into(),
            certificate: arn.map(|arn| ViewerCertificateRef::Acm(arn.text.trim().to_owned())),
            slot: arn.map(|arn| Slot::Tenant(arn.outer.start)),
            cuts: arn.map(|arn| arn.outer.clone()).into_iter().collect(),
            xml,
        })
    }

    /// The certificate in the document; `None` for CloudFront's default certificate, and for a tenant
    /// that has its template's.
    pub fn certificate(&self) -> Option<&ViewerCertificateRef> {
        self.certificate.as_ref()
    }

    /// The same document with another certificate; `None` if it has no element for one.
    pub fn with_certificate(&self, id: &CertificateId) -> Option<String> {
        let (at, element) = match (self.slot.as_ref()?, id) {
            (Slot::Tenant(at), id) => (*at, format!("<Arn>{}</Arn>", escape(id.id()))),
            (Slot::Distribution(at), CertificateId::Acm { arn }) => {
                (*at, format!("<ACMCertificateArn>{}</ACMCertificateArn>", escape(arn.as_str())))
            }
            (Slot::Distribution(at), CertificateId::Iam { id, .. }) => {
                (*at, format!("<IAMCertificateId>{}</IAMCertificateId>", escape(id.as_str())))
            }
        };
        let after = self.cuts.partition_point(|cut| cut.start < at);
        let (before, after) = self.cuts.split_at(after);
        let head = without(&self.xml, 0..at, before);
        let tail = without(&self.xml, at..self.xml.len(), after);
        Some(format!("{head}{element}{tail}"))
    }
}

/// A part of a text without some ranges, which are in order and do not overlap.
fn without(text: &str, part: Range<usize>, cuts: &[Range<usize>]) -> String {
    let mut kept = String::with_capacity(part.len());
    let mut at = part.start;
    for cut in cuts {
        kept.push_str(&text[at..cut.start]);
        at = cut.end;
    }
    kept.push_str(&text[at..part.end]);
    kept
}

/// An element, with its path from the root; local names only.
struct Element {
    path: String,
    /// From its start tag to its end tag.
    outer: Range<usize>,
    /// Between its tags; `None` for an empty-element tag.
    inner: Option<Range<usize>>,
    /// Its own text.
    text: String,
}

fn find<'a>(elements: &'a [Element], path: &str) -> Option<&'a Element> {
    elements.iter().find(|element| element.path == path)
}

/// All elements with their positions.
fn elements(xml: &str) -> Result<Vec<Element>, NotUnderstood> {
    let broken = |error: &dyn std::fmt::Display| NotUnderstood(format!("not well-formed: {error}"));
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = Vec::new();
    let mut done = Vec::new();
    loop {
        // Lossless: a document is far smaller than usize.
        let start = reader.buffer_position() as usize;
        let event = reader.read_event().map_err(|error| broken(&error))?;
        let end = reader.buffer_position() as usize;
        let path_of = |name: &str| {
            open.last().map_or_else(|| name.to_owned(), |parent| format!("{}/{name}", parent.path))
        };
        match event {
            Event::Start(tag) => {
                let path = path_of(tag.local_name().as_ref());
                open.push(Element {
                    path,
                    outer: start..end,
                    inner: Some(end..end),
                    text: String::new(),
                });
            }
            Event::Empty(tag) => {
                let path = path_of(tag.local_name().as_ref());
                done.push(Element { path, outer: start..end, inner: None, text: String::new() });
            }
            Event::End(_) => {
                if let Some(mut element) = open.pop() {
                    element.outer.end = end;
                    element.inner = element.inner.map(|inner| inner.start..start);
                    done.push(element);
                }
            }
            Event::Text(text) => {
                if let Some(element) = open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            Event::Eof if open.is_empty() => return Ok(done),
            Event::Eof => return Err(NotUnderstood("not well-formed: cut short".into())),
            _ => {}
        }
    }
}
