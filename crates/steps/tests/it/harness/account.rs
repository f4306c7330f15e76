//! What an AWS account holds, as far as a rotation can see it; compared before and after.

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
/// Makes `Distribution::serving` choose dedicated IP addresses.
pub(crate) const DEDICATED_IP: &str = "<Vip/>";

/// The clock of all tests stands still.
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
    /// Is every increase granted at once?
    pub(crate) quotas_granted: bool,
    /// By bucket and key.
    pub(crate) objects: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
    /// Type and value.
    pub(crate) parameters: BTreeMap<String, (String, String)>,
    /// How many certificates the stores really take, whatever the quotas say.
    pub(crate) acm_room: usize,
    pub(crate) iam_room: usize,
    /// How often an updated target is read before it is `Deployed`.
    pub(crate) reads_until_deployed: u32,
    pub(crate) page_size: usize,
    pub(crate) list_backwards: bool,
    /// IAM's list does not show what was uploaded just now.
    pub(crate) iam_list_lags: bool,
    /// Somebody edits a distribution right after its configuration is read next.
    pub(crate) edited_meanwhile: bool,
    /// Executions of the state machine, by ARN.
    pub(crate) executions: BTreeMap<String, Execution>,
    /// What SNS has sent: subjects and texts.
    pub(crate) messages: Vec<(String, String)>,
    /// What was put on the bus.
    pub(crate) events: Vec<Value>,
    /// Does the network have a way to IPv6?
    pub(crate) has_ipv6: bool,
    /// What edges do, by the name that is asked for; all others serve what is propagated.
    pub(crate) odd_edges: BTreeMap<String, OddEdge>,
    /// How many certificates were deleted.
    pub(crate) deletions: u32,
    /// How many certificates were ever put into a store.
    issued: u32,
}

/// An execution as Step Functions tells of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Execution {
    pub(crate) status: String,
    pub(crate) started: Timestamp,
    pub(crate) input: String,
    /// When, and the name of the error and its cause if it failed.
    pub(crate) ended: Option<(Timestamp, String, String)>,
}

impl Execution {
    pub(crate) fn running(started: Timestamp) -> Self {
        Self { status: "RUNNING".into(), started, input: "{}".into(), ended: None }
    }

    /// One that has come to an end, or waits to be redriven.
    pub(crate) fn is(self, status: &str, at: Timestamp, error: &str, cause: &str) -> Self {
        Self { status: status.into(), ended: Some((at, error.into(), cause.into())), ..self }
    }
}

/// What an edge does instead of serving what is propagated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OddEdge {
    /// Serves this PEM chain, with this key.
    Serves { chain: String, key: String },
    /// Ends the connection.
    HangsUp,
    /// Cannot be connected to.
    Unreachable,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredCertificate {
    /// IAM only.
    pub(crate) id: String,
    /// IAM only.
    pub(crate) path: String,
    /// IAM only: of its ARN.
    pub(crate) partition: String,
    /// ACM only.
    pub(crate) kind: String,
    pub(crate) pem: String,
    pub(crate) chain: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) imported_at: i64,
    /// ARNs of what uses it besides the distributions and tenants of this account, and of those that
    /// the store has not noticed to be gone.
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
}

impl Distribution {
    /// One that serves this certificate under these aliases, with `extra` elements.
    pub(crate) fn serving(id: &CertificateId, aliases: &[&str], extra: &str) -> Self {
        let aliases: String =
            aliases.iter().map(|alias| format!("<CNAME>{alias}</CNAME>")).collect();
        let (name, source) = match id {
            CertificateId::Acm { .. } => ("ACMCertificateArn", "acm"),
            CertificateId::Iam { .. } => ("IAMCertificateId", "iam"),
        };
        let method = if extra.contains(DEDICATED_IP) { "vip" } else { "sni-only" };
        // Certificate and CertificateSource: reads have the deprecated members.
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
    /// What an update of it may hold, as it was written.
    pub(crate) body: String,
    pub(crate) version: u32,
    pub(crate) reads_until_deployed: u32,
}

impl Tenant {
    /// One of a template, with a certificate of its own or the template's.
    pub(crate) fn of(template: &str, domain: &str, own: Option<&CertificateId>) -> Self {
        let own =
            own.map(|id| format!("<Certificate><Arn>{id}</Arn></Certificate>")).unwrap_or_default();
        Self {
            body: format!(
                "<DistributionId>{template}</DistributionId><Domains><member><Domain>{domain}</Domain></member></Domains><Customizations><WebAcl><Action>override</Action><Arn>arn:acl</Arn></WebAcl>{own}<Unheard>of</Unheard></Customizations><Enabled>true</Enabled><NewThing n=\"1\"/>"
            ),
            version: 1,
            reads_until_deployed: 0,
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
    /// Nothing but the new certificate in each kind of source.
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
            iam_list_lags: false,
            edited_meanwhile: false,
            executions: BTreeMap::new(),
            messages: Vec::new(),
            events: Vec::new(),
            has_ipv6: false,
            odd_edges: BTreeMap::new(),
            deletions: 0,
            issued: 0,
        }
    }
}

impl Account {
    /// An old certificate in this store, two distributions that serve it and one that serves another.
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

    /// The same in ACM, with a template and two tenants: one brings the old certificate itself.
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

    pub(crate) fn distributions_serving(&self, id: &CertificateId) -> Vec<String> {
        let serving = self.distributions.iter().filter(|(_, one)| one.serves(id));
        serving.map(|(id, _)| Self::distribution_arn(id)).collect()
    }

    /// How often a target is read before it is `Deployed`.
    pub(crate) fn reads_left(&mut self, id: &str) -> &mut u32 {
        let distribution = self.distributions.get_mut(id).map(|one| &mut one.reads_until_deployed);
        let tenant = self.tenants.get_mut(id).map(|one| &mut one.reads_until_deployed);
        distribution.or(tenant).expect("a target")
    }

    /// The certificate that each target has itself, by id.
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

    /// What lies in the stores, by what CloudFront calls it.
    pub(crate) fn certificates(&self) -> BTreeSet<String> {
        self.acm.keys().cloned().chain(self.iam.values().map(|one| one.id.clone())).collect()
    }

    /// The certificate that CloudFront calls this.
    pub(crate) fn pem_of(&self, id: &str) -> Option<&str> {
        let server = || self.iam.values().find(|one| one.id == id);
        self.acm.get(id).or_else(server).map(|one| one.pem.as_str())
    }

    /// The certificate that viewers meet who ask for this name: of the tenant or the distribution that has
    /// it, or else of the one that has its wildcard. Without a name it is that of dedicated IP addresses.
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
        users.extend(
            tenants
                .map(|(id, _)| format!("arn:aws:cloudfront::{ACCOUNT}:distribution-tenant/{id}")),
        );
        users.extend(self.acm.get(arn).map(|one| one.held_by.clone()).unwrap_or_default());
        users
    }

    pub(crate) fn policies(&self) -> Vec<&str> {
        self.distributions.values().filter_map(Distribution::policy).collect()
    }

    /// The objects of rotations.
    pub(crate) fn folder(&self) -> impl Iterator<Item = (&String, &String)> {
        self.objects.iter().filter(|(key, _)| key.starts_with(BUCKET))
    }
}

/// What follows an opening tag.
fn between<'a>(document: &'a str, tag: &str) -> Option<&'a str> {
    document.split_once(tag).and_then(|(_, rest)| rest.split('<').next())
}

fn stored(material: &Issued, tags: &[(&str, &str)]) -> StoredCertificate {
    StoredCertificate {
        pem: material.pem.clone(),
        chain: material.chain.clone(),
        tags: tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        imported_at: now().as_second() - 1_000,
        ..StoredCertificate::default()
    }
}

pub(crate) fn leaf_of(pem: &str) -> Certificate {
    Certificate::from_pem(pem).expect("a stored certificate")
}

/// The stores refuse a key that is not the certificate's.
pub(crate) fn matches_key(pem: &str, key: &str) -> bool {
    let key = KeyPair::from_pem(key).expect("a private key");
    let public = key.public_key_raw();
    leaf_of(pem).der().windows(public.len()).any(|bytes| bytes == public)
}

/// CloudFront's rule: the name itself, or a wildcard of the same level.
pub(crate) fn covers(names: &[String], alias: &str) -> bool {
    names.iter().any(|name| {
        name == alias
            || matches!((name.strip_prefix("*."), alias.split_once('.')), (Some(a), Some((_, b))) if a == b)
    })
}

/// The account is the same, or else the lines that differ.
/// What an attempt has left for the next one is no part of what there is.
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
