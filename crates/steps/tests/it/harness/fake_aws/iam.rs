//! The server certificates of IAM: awsQuery.

use rotation_core::ids::CertificateId;

use super::{Answer, Request, page};
use crate::harness::account::{ACCOUNT, Account, StoredCertificate, leaf_of, matches_key};

pub(super) fn operation(request: &Request) -> (String, String) {
    let resource = request.get("ServerCertificateName").unwrap_or("*");
    (request.get("Action").expect("an action").to_owned(), resource.to_owned())
}

pub(super) fn answer(account: &mut Account, request: &Request) -> Answer {
    let operation = request.operation.as_str();
    let name = request.resource.as_str();
    let error = |status, code: &str, message: &str| Answer::error("iam", status, code, message);
    let result = match operation {
        "ListServerCertificates" => {
            let shown = account.iam.iter().filter(|_| !account.iam_list_lags);
            let all = shown.map(|(name, stored)| metadata(name, stored)).collect();
            let (items, next) = page(all, request.get("Marker"), account.page_size);
            let marker = next.map(|next| format!("<Marker>{next}</Marker>")).unwrap_or_default();
            format!(
                "<IsTruncated>{}</IsTruncated>{marker}<ServerCertificateMetadataList>{}</ServerCertificateMetadataList>",
                !marker.is_empty(),
                members(&items)
            )
        }
        "GetAccountSummary" => format!(
            "<SummaryMap><entry><key>ServerCertificates</key><value>{}</value></entry><entry><key>ServerCertificatesQuota</key><value>{}</value></entry></SummaryMap>",
            account.iam.len(),
            account.iam_room
        ),
        "UploadServerCertificate" if account.iam.contains_key(name) => {
            return error(409, "EntityAlreadyExists", "the name is taken");
        }
        "UploadServerCertificate" if account.iam.len() >= account.iam_room => {
            return error(409, "LimitExceeded", "Cannot exceed quota");
        }
        "UploadServerCertificate" => {
            let field = |name: &str| request.get(name).unwrap_or_default().to_owned();
            let tag = |n: usize| {
                let part = |part: &str| request.get(&format!("Tags.member.{n}.{part}"));
                Some((part("Key")?.to_owned(), part("Value")?.to_owned()))
            };
            if !matches_key(&field("CertificateBody"), &field("PrivateKey")) {
                return error(400, "KeyPairMismatch", "the private key does not match");
            }
            let stored = StoredCertificate {
                id: account.next_iam_id(),
                path: field("Path"),
                pem: field("CertificateBody"),
                chain: field("CertificateChain"),
                tags: (1..).map_while(tag).collect(),
                ..StoredCertificate::default()
            };
            let shown = metadata(name, &stored);
            account.iam.insert(name.to_owned(), stored);
            format!("<ServerCertificateMetadata>{shown}</ServerCertificateMetadata>")
        }
        operation => {
            let Some(stored) = account.iam.get(name) else {
                return error(404, "NoSuchEntity", "no such server certificate");
            };
            match operation {
                "GetServerCertificate" => {
                    let tags: Vec<String> = stored
                        .tags
                        .iter()
                        .map(|(key, value)| format!("<Key>{key}</Key><Value>{value}</Value>"))
                        .collect();
                    format!(
                        "<ServerCertificate><ServerCertificateMetadata>{}</ServerCertificateMetadata><CertificateBody>{}</CertificateBody><CertificateChain>{}</CertificateChain><Tags>{}</Tags></ServerCertificate>",
                        metadata(name, stored),
                        stored.pem,
                        stored.chain,
                        members(&tags)
                    )
                }
                "DeleteServerCertificate" => {
                    let id = id_of(name, stored);
                    let mut users = account.distributions_serving(&id);
                    users.extend(stored.held_by.clone());
                    if !users.is_empty() {
                        let message =
                            format!("Certificate is currently in use by {}", users.join(", "));
                        return error(409, "DeleteConflict", &message);
                    }
                    account.iam.remove(name);
                    account.deletions += 1;
                    String::new()
                }
                other => panic!("IAM has no {other} here"),
            }
        }
    };
    Answer::ok(format!(
        "<{operation}Response><{operation}Result>{result}</{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

pub(crate) fn id_of(name: &str, stored: &StoredCertificate) -> CertificateId {
    let arn =
        format!("arn:{}:iam::{ACCOUNT}:server-certificate{}{name}", stored.partition, stored.path);
    CertificateId::Iam { id: stored.id.clone(), arn }
}

fn metadata(name: &str, stored: &StoredCertificate) -> String {
    let id = id_of(name, stored);
    format!(
        "<Path>{}</Path><ServerCertificateName>{name}</ServerCertificateName><ServerCertificateId>{}</ServerCertificateId><Arn>{}</Arn><Expiration>{}</Expiration>",
        stored.path,
        id.id(),
        id.arn(),
        leaf_of(&stored.pem).not_after()
    )
}

fn members(items: &[String]) -> String {
    items.iter().map(|item| format!("<member>{item}</member>")).collect()
}
