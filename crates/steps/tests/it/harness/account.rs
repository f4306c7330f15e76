//! The content of an AWS account, as far as a rotation sees it. Tests compare it before and after.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rcgen::KeyPair;
use rotation_core::certificate::Certificate;
use rotation_core::ids::{CertificateId, Store};
use serde_json::Value;

use crate::harness::certificates::certificates;
use rotation_test_pki::Issued;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const BUCKET: &str = "rotation-bucket";
/// The source of the new certificate, as a secret, a parameter and an object.
pub(crate) const SECRET: &str = "tls/www";
pub(crate) const PARAMETER: &str = "/tls/www";
pub(crate) const OBJECT: &str = "sources/www.pem";

/// Elements of configurations.
pub(crate) const TEMPLATE: &str = "<ConnectionMode>tenant-only</ConnectionMode>";
pub(crate) const STAGING: &str = "<Staging>true</Staging>";
pub(crate) const POLICY: &str =
    "<ContinuousDeploymentPolicyId>policy-1</ContinuousDeploymentPolicyId>";
/// Makes `Distribution::serving` use dedicated IP addresses.
pub(crate) const DEDICATED_IP: &str = "<Vip/>";

/// The fixed time of all tests.
pub(crate) fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Account {
    /// By ARN.
    pub(crate) acm: BTreeMap<String, StoredCertificate>,
    /// By name.
    pub(crate) iam: BTreeMap<String, StoredCertificate>,
    pub(crate) distributions: BTreeMap<String, Distribution>,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    /// Applied value and default, by quota code.
    pub(crate) quotas: BTreeMap<String, (Option<f64>, Option<f64>)>,
    pub(crate) quota_requests: Vec<QuotaRequest>,
    /// Is every increase granted immediately?
    pub(crate) quotas_granted: bool,
    /// By bucket and key.
    pub(crate) objects: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    /// Type and value.
    pub(crate) parameters: BTreeMap<String, (String, String)>,
    /// How many certificates the stores accept, whatever the quotas say.
    pub(crate) acm_room: usize,
    pub(crate) iam_room: usize,
    /// How many reads an updated target takes until it is `Deployed`.
    pub(crate) reads_until_deployed: u32,
    pub(crate) page_size: usize,
    pub(crate) list_backwards: bool,
    /// Tags in the index of the tagging API, by ARN, that the resource no longer has, or that it has
    /// in place of these.
    pub(crate) outdated_tags: BTreeMap<String, Vec<(String, String)>>,
    /// IAM's list does not show new uploads yet.
    pub(crate) iam_list_lags: bool,
    /// Another client edits a distribution right after the next read of its configuration.
    pub(crate) edited_meanwhile: bool,
    /// Executions of the state machine, by ARN.
    pub(crate) executions: BTreeMap<String, Execution>,
    /// Messages sent by SNS: subjects and texts.
    pub(crate) messages: Vec<(String, String)>,
    /// Events put on the bus.
    pub(crate) events: Vec<Value>,
    /// Does the network have an IPv6 connection?
    pub(crate) has_ipv6: bool,
    /// Edges that behave differently, by name; all others serve the deployed certificate.
    pub(crate) odd_edges: BTreeMap<String, OddEdge>,
    /// Ids of disabled connection groups. Their edges refuse connections.
    pub(crate) disabled_groups: Vec<String>,
    /// How many certificates were deleted.
    pub(crate) deletions: u32,
    /// How many certificates were ever added to a store.
    issued: u32,
}

/// An execution, as Step Functions describes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Execution {
    pub(crate) status: String,
    pub(crate) started: Timestamp,
    pub(crate) input: String,
    /// When it ended, and the name and cause of its error if it failed.
    pub(crate) ended: Option<(Timestamp, String, String)>,
}

impl Execution {
    pub(crate) fn running(started: Timestamp) -> Self {
        Self { status: "RUNNING".into(), started, input: "{}".into(), ended: None }
    }

    /// The same execution after it has ended, or while it waits for a redrive.
    pub(crate) fn is(self, status: &str, at: Timestamp, error: &str, cause: &str) -> Self {
        Self { status: status.into(), ended: Some((at, error.into(), cause.into())), ..self }
    }
}

/// What an edge does instead of serving the deployed certificate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OddEdge {
    /// Serves this PEM chain, with this key.
    Serves { chain: String, key: String },
    /// Serves this PEM chain, with this key, in place of the new certificate.
    ServesInsteadOfNew { chain: String, key: String },
    /// Closes the connection.
    HangsUp,
    /// Refuses connections.
    Unreachable,
    /// Requires a client certificate (viewer mTLS), and refuses a viewer without one by an alert, or
    /// without a word. In TLS 1.2 this happens within the handshake.
    WantsCertificate { tls12: bool, silent: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredCertificate {
    /// IAM only.
    pub(crate) id: String,
    /// IAM only.
    pub(crate) path: String,
    /// IAM only: the partition of the ARN.
    pub(crate) partition: String,
    /// ACM only.
    pub(crate) kind: String,
    pub(crate) pem: String,
    pub(crate) chain: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) imported_at: i64,
    /// ARNs of other uses: besides this account's distributions and tenants, and those that are
    /// gone but that the store still lists.
    pub(crate) held_by: Vec<String>,
}

impl Default for StoredCertificate {
    fn default() -> Self {
        Self {
            id: String::new(),
            path: String::new(),
            partition: "aws".into(),
            kind: "IMPORTED".into(),
            pem: String::new(),
            chain: String::new(),
            tags: Vec::new(),
            imported_at: 0,
            held_by: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Distribution {
    /// The content of its `DistributionConfig`, element by element as it was written.
    pub(crate) config: String,
    pub(crate) version: u32,
    pub(crate) reads_until_deployed: u32,
    pub(crate) tags: Vec<(String, String)>,
}

impl Distribution {
    /// A distribution with this certificate and these aliases, and `extra` elements.
    pub(crate) fn serving(id: &CertificateId, aliases: &[&str], extra: &str) -> Self {
        let aliases: String =
            aliases.iter().map(|alias| format!("<CNAME>{alias}</CNAME>")).collect();
        let (name, source) = match id {
            CertificateId::Acm { .. } => ("ACMCertificateArn", "acm"),
            CertificateId::Iam { .. } => ("IAMCertificateId", "iam"),
        };
        let method = if extra.contains(DEDICATED_IP) { "vip" } else { "sni-only" };
        // Reads return the deprecated members Certificate and CertificateSource.
        let viewer = format!(
            "<CloudFrontDefaultCertificate>false</CloudFrontDefaultCertificate><{name}>{id}</{name}><SSLSupportMethod>{method}</SSLSupportMethod><MinimumProtocolVersion>TLSv1.2_2021</MinimumProtocolVersion><Certificate>{id}</Certificate><CertificateSource>{source}</CertificateSource><Unheard of=\"viewers\"/>"
        );
        let version =
            if extra.contains("<HttpVersion>") { "" } else { "<HttpVersion>http2</HttpVersion>" };
        Self {
            config: format!(
                "<CallerReference>r</CallerReference><Aliases><Quantity>1</Quantity><Items>{aliases}</Items></Aliases><Comment>a &amp; b</Comment><ViewerCertificate>{viewer}</ViewerCertificate>{version}<Enabled>true</Enabled>\n  <NewSetting level=\"2\"><!-- kept -->on</NewSetting>{extra}"
            ),
            version: 1,
            reads_until_deployed: 0,
            tags: Vec::new(),
        }
    }

    pub(crate) fn etag(&self) -> String {
        format!("E{}", self.version)
    }

    pub(crate) fn serves(&self, id: &CertificateId) -> bool {
        let name = match id {
            CertificateId::Acm { .. } => "ACMCertificateArn",
            CertificateId::Iam { .. } => "IAMCertificateId",
        };
        self.config.contains(&format!("<{name}>{id}</{name}>"))
    }

    pub(crate) fn policy(&self) -> Option<&str> {
        let (_, rest) = self.config.split_once("<ContinuousDeploymentPolicyId>")?;
        rest.split_once('<').map(|(id, _)| id).filter(|id| !id.is_empty())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tenant {
    /// The part that an update may contain, as it was written.
    pub(crate) body: String,
    pub(crate) version: u32,
    pub(crate) reads_until_deployed: u32,
    pub(crate) tags: Vec<(String, String)>,
}

impl Tenant {
    /// A tenant of a template, with its own certificate or the template's.
    pub(crate) fn of(template: &str, domain: &str, own: Option<&CertificateId>) -> Self {
        let own =
            own.map(|id| format!("<Certificate><Arn>{id}</Arn></Certificate>")).unwrap_or_default();
        Self {
            body: format!(
                "<DistributionId>{template}</DistributionId><Domains><member><Domain>{domain}</Domain></member></Domains><Customizations><WebAcl><Action>override</Action><Arn>arn:acl</Arn></WebAcl>{own}<Unheard>of</Unheard></Customizations><Enabled>true</Enabled><NewThing n=\"1\"/>"
            ),
            version: 1,
            reads_until_deployed: 0,
            tags: Vec::new(),
        }
    }

    pub(crate) fn etag(&self) -> String {
        format!("T{}", self.version)
    }

    pub(crate) fn serves(&self, id: &CertificateId) -> bool {
        self.body.contains(&format!("<Certificate><Arn>{id}</Arn></Certificate>"))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QuotaRequest {
    pub(crate) id: String,
    pub(crate) code: String,
    pub(crate) status: String,
    pub(crate) desired: f64,
    pub(crate) created: Timestamp,
}

impl Default for Account {
    /// An account with only the new certificate, in each kind of source.
    fn default() -> Self {
        let source = certificates().new.source();
        Self {
            acm: BTreeMap::new(),
            iam: BTreeMap::new(),
            distributions: BTreeMap::new(),
            tenants: BTreeMap::new(),
            quotas: BTreeMap::new(),
            quota_requests: Vec::new(),
            quotas_granted: false,
            objects: [(OBJECT.to_owned(), source.clone())].into(),
            secrets: [(SECRET.to_owned(), source.clone())].into(),
            parameters: [(PARAMETER.to_owned(), ("SecureString".to_owned(), source))].into(),
            acm_room: 100,
            iam_room: 20,
            reads_until_deployed: 0,
            page_size: 100,
            list_backwards: false,
            outdated_tags: BTreeMap::new(),
            iam_list_lags: false,
            edited_meanwhile: false,
            executions: BTreeMap::new(),
            messages: Vec::new(),
            events: Vec::new(),
            has_ipv6: false,
            odd_edges: BTreeMap::new(),
            disabled_groups: Vec::new(),
            deletions: 0,
            issued: 0,
        }
    }
}

impl Account {
    /// An account with an old certificate in this store, two distributions that serve it and one
    /// that serves another.
    pub(crate) fn with_old_in(store: Store) -> (Self, CertificateId) {
        let mut account = Self::default();
        let tags = [("team", "web"), ("cert-rotation:source", SECRET)];
        let old = match store {
            Store::Acm => account.put_acm(&certificates().old, &tags),
            Store::Iam => account.put_iam("www-old", &certificates().old, &tags),
        };
        let other = account.put_acm(&certificates().other, &[]);
        account.add("E1", &old, &["www.example.com"], "");
        account.add("E2", &old, &["a.shop.example.com", "b.shop.example.com"], "");
        account.add("E3", &other, &["www.example.com"], "");
        (account, old)
    }

    /// The same in ACM, with a template and two tenants: one has the old certificate as its own.
    pub(crate) fn with_tenants() -> (Self, CertificateId) {
        let (mut account, old) = Self::with_old_in(Store::Acm);
        account.add("E4", &old, &[], TEMPLATE);
        let own = Tenant::of("E4", "t1.shop.example.com", Some(&old));
        let inherits = Tenant::of("E4", "t2.shop.example.com", None);
        account.tenants = [("dt_1".to_owned(), own), ("dt_2".to_owned(), inherits)].into();
        (account, old)
    }

    pub(crate) fn add(&mut self, id: &str, serves: &CertificateId, aliases: &[&str], extra: &str) {
        let distribution = Distribution::serving(serves, aliases, extra);
        self.distributions.insert(id.to_owned(), distribution);
    }

    pub(crate) fn distribution(&mut self, id: &str) -> &mut Distribution {
        self.distributions.get_mut(id).expect("it is there")
    }

    /// Puts another certificate into all three sources.
    pub(crate) fn put_source(&mut self, content: &str) {
        self.secrets.insert(SECRET.to_owned(), content.to_owned());
        self.parameters
            .insert(PARAMETER.to_owned(), ("SecureString".to_owned(), content.to_owned()));
        self.objects.insert(OBJECT.to_owned(), content.to_owned());
    }

    pub(crate) fn next_acm_arn(&mut self) -> String {
        self.issued += 1;
        format!("arn:aws:acm:us-east-1:{ACCOUNT}:certificate/{:08}", self.issued)
    }

    pub(crate) fn next_iam_id(&mut self) -> String {
        self.issued += 1;
        format!("ASCA{:016}", self.issued)
    }

    pub(crate) fn put_acm(&mut self, material: &Issued, tags: &[(&str, &str)]) -> CertificateId {
        let arn = self.next_acm_arn();
        self.acm.insert(arn.clone(), stored(material, tags));
        CertificateId::Acm { arn }
    }

    pub(crate) fn put_iam(
        &mut self,
        name: &str,
        material: &Issued,
        tags: &[(&str, &str)],
    ) -> CertificateId {
        let id = self.next_iam_id();
        let arn = format!("arn:aws:iam::{ACCOUNT}:server-certificate/cloudfront/{name}");
        let path = "/cloudfront/".to_owned();
        let certificate = StoredCertificate { id: id.clone(), path, ..stored(material, tags) };
        self.iam.insert(name.to_owned(), certificate);
        CertificateId::Iam { id, arn }
    }

    pub(crate) fn stored_mut(&mut self, id: &CertificateId) -> &mut StoredCertificate {
        match id {
            CertificateId::Acm { arn } => self.acm.get_mut(arn),
            CertificateId::Iam { id, .. } => self.iam.values_mut().find(|one| one.id == *id),
        }
        .expect("it is in its store")
    }

    pub(crate) fn has(&self, id: &CertificateId) -> bool {
        match id {
            CertificateId::Acm { arn } => self.acm.contains_key(arn),
            CertificateId::Iam { id, .. } => self.iam.values().any(|one| one.id == *id),
        }
    }

    pub(crate) fn distribution_arn(id: &str) -> String {
        format!("arn:aws:cloudfront::{ACCOUNT}:distribution/{id}")
    }

    pub(crate) fn tenant_arn(id: &str) -> String {
        format!("arn:aws:cloudfront::{ACCOUNT}:distribution-tenant/{id}")
    }

    pub(crate) fn distributions_serving(&self, id: &CertificateId) -> Vec<String> {
        let serving = self.distributions.iter().filter(|(_, one)| one.serves(id));
        serving.map(|(id, _)| Self::distribution_arn(id)).collect()
    }

    /// How many reads a target still takes until it is `Deployed`.
    pub(crate) fn reads_left(&mut self, id: &str) -> &mut u32 {
        let distribution = self.distributions.get_mut(id).map(|one| &mut one.reads_until_deployed);
        let tenant = self.tenants.get_mut(id).map(|one| &mut one.reads_until_deployed);
        distribution.or(tenant).expect("a target")
    }

    /// Each target's own certificate, by id.
    pub(crate) fn serving(&self) -> BTreeMap<String, String> {
        let id = |document: &str| {
            ["<ACMCertificateArn>", "<IAMCertificateId>", "<Certificate><Arn>"]
                .iter()
                .find_map(|tag| between(document, tag))
                .map(str::to_owned)
        };
        let distributions = self.distributions.iter().map(|(name, one)| (name, id(&one.config)));
        let tenants = self.tenants.iter().map(|(name, one)| (name, id(&one.body)));
        distributions.chain(tenants).filter_map(|(name, has)| Some((name.clone(), has?))).collect()
    }

    /// The certificates in the stores, by their ids in CloudFront.
    pub(crate) fn certificates(&self) -> BTreeSet<String> {
        self.acm.keys().cloned().chain(self.iam.values().map(|one| one.id.clone())).collect()
    }

    /// The certificate with this id in CloudFront.
    pub(crate) fn pem_of(&self, id: &str) -> Option<&str> {
        let server = || self.iam.values().find(|one| one.id == id);
        self.acm.get(id).or_else(server).map(|one| one.pem.as_str())
    }

    /// The certificate that viewers are served under this name: that of the tenant or distribution
    /// with the name, or else with its wildcard. Without a name it is that of dedicated IP
    /// addresses.
    pub(crate) fn served_under(&self, name: &str) -> Option<&StoredCertificate> {
        let wildcard = format!("*.{}", name.split_once('.').map_or("", |(_, domain)| domain));
        for wanted in [name, &wildcard] {
            for tenant in self.tenants.values() {
                if tenant.body.contains(&format!("<Domain>{wanted}</Domain>")) {
                    let template = between(&tenant.body, "<DistributionId>");
                    return self
                        .certificate_in(&tenant.body)
                        .or_else(|| self.certificate_in(&self.distributions[template?].config));
                }
            }
            for distribution in self.distributions.values() {
                let bare = name.is_empty() && distribution.config.contains(DEDICATED_IP);
                if bare || distribution.config.contains(&format!("<CNAME>{wanted}</CNAME>")) {
                    return self.certificate_in(&distribution.config);
                }
            }
        }
        None
    }

    fn certificate_in(&self, document: &str) -> Option<&StoredCertificate> {
        let arn = between(document, "<ACMCertificateArn>")
            .or_else(|| between(document, "<Certificate><Arn>"));
        match (arn, between(document, "<IAMCertificateId>")) {
            (Some(arn), _) => self.acm.get(arn),
            (None, id) => self.iam.values().find(|one| Some(one.id.as_str()) == id),
        }
    }

    /// ACM's `InUseBy`.
    pub(crate) fn acm_in_use_by(&self, arn: &str) -> Vec<String> {
        let id = CertificateId::Acm { arn: arn.to_owned() };
        let mut users = self.distributions_serving(&id);
        let tenants = self.tenants.iter().filter(|(_, tenant)| tenant.serves(&id));
        users.extend(tenants.map(|(id, _)| Self::tenant_arn(id)));
        users.extend(self.acm.get(arn).map(|one| one.held_by.clone()).unwrap_or_default());
        users
    }

    pub(crate) fn policies(&self) -> Vec<&str> {
        self.distributions.values().filter_map(Distribution::policy).collect()
    }

    /// The objects in the folders of rotations.
    pub(crate) fn folder(&self) -> impl Iterator<Item = (&String, &String)> {
        self.objects.iter().filter(|(key, _)| key.starts_with(BUCKET))
    }
}

/// The text after an opening tag, up to the next tag.
fn between<'a>(document: &'a str, tag: &str) -> Option<&'a str> {
    document.split_once(tag).and_then(|(_, rest)| rest.split('<').next())
}

/// Tags as the account stores them.
pub(crate) fn owned(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn stored(material: &Issued, tags: &[(&str, &str)]) -> StoredCertificate {
    StoredCertificate {
        pem: material.pem.clone(),
        chain: material.chain.clone(),
        tags: owned(tags),
        imported_at: now().as_second() - 1_000,
        ..StoredCertificate::default()
    }
}

pub(crate) fn leaf_of(pem: &str) -> Certificate {
    Certificate::from_pem(pem).expect("a stored certificate")
}

/// The stores reject a key that does not belong to the certificate.
pub(crate) fn matches_key(pem: &str, key: &str) -> bool {
    let key = KeyPair::from_pem(key).expect("a private key");
    let public = key.public_key_raw();
    leaf_of(pem).der().windows(public.len()).any(|bytes| bytes == public)
}

/// CloudFront's rule: the name itself, or a wildcard at the same level.
pub(crate) fn covers(names: &[String], alias: &str) -> bool {
    names.iter().any(|name| {
        name == alias
            || matches!((name.strip_prefix("*."), alias.split_once('.')), (Some(a), Some((_, b))) if a == b)
    })
}

/// Asserts that the account is unchanged, and prints the lines that differ. Responses stored for a
/// later attempt are ignored.
pub(crate) fn assert_same(expected: &Account, got: &Account, when: &str) {
    let without_readings = |account: &Account| {
        let mut account = account.clone();
        account.objects.retain(|key, _| !key.contains("/reading/"));
        account
    };
    let (expected, got) = (without_readings(expected), without_readings(got));
    if expected != got {
        let (expected, got) = (format!("{expected:#?}"), format!("{got:#?}"));
        let only = |a: &str, b: &str| {
            a.lines().filter(|line| !b.contains(line)).collect::<Vec<_>>().join("\n")
        };
        panic!("{when}: expected\n{}\ngot\n{}", only(&expected, &got), only(&got, &expected));
    }
}
