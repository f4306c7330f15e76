//! Arguments of the command line. Most doc comments here are help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Plans, starts and watches certificate rotations on CloudFront.
///
/// Reads the AWS credentials, profile and region as every AWS tool does, and finds the deployed stack automatically.
#[derive(Debug, Parser)]
#[command(name = "certrotate", version, propagate_version = true, after_long_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    success, and nothing to object to; a certificate that is fit, with or without warnings
  1    checked and found unfit: a certificate with problems (with --strict, or with warnings), a plan with findings, a rotation or a deployment that failed
  2    the command line is invalid
  3    AWS is unreachable or refused: credentials, permissions, no stack
  4    the confirmation was declined
  130  interrupted; a rotation or a deployment that was started continues";

#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The name of the stack, if there are several in the region; to deploy and undeploy [default:
    /// certificate-rotation]
    #[arg(
        long,
        alias = "stack-name",
        global = true,
        env = "CERTROTATE_STACK",
        value_name = "NAME"
    )]
    pub stack: Option<String>,
    /// The profile of ~/.aws to use, before AWS_PROFILE
    #[arg(long, global = true, value_name = "NAME")]
    pub profile: Option<String>,
    /// The region of the stack, before AWS_REGION; us-east-1 without either
    #[arg(long, global = true, value_name = "REGION")]
    pub region: Option<String>,
    /// What to print
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Do not ask for confirmation before a change of AWS
    #[arg(long, short, global = true)]
    pub yes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs: one JSON document, of watch one a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks offline whether certificate, chain and key are fit for CloudFront
    #[command(after_help = "\
Examples:
  certrotate check fullchain.pem key.pem
  certrotate check bundle.p12 --alias www.example.com --alias '*.shop.example.com'")]
    Check(Check),
    /// Checks a certificate and stores it as a new version of its source
    #[command(after_help = "\
Examples:
  certrotate put fullchain.pem key.pem --source tls/www
  certrotate put bundle.p12 --source ssm:/tls/www --yes")]
    Put(Put),
    /// Lists the account's third-party certificates for CloudFront, of both stores
    #[command(after_help = "\
Examples:
  certrotate list
  certrotate list --output json | jq '.certificates[] | select(.daysLeft < 30)'")]
    List,
    /// Shows what a rotation would do; starts nothing
    #[command(after_help = "\
Examples:
  certrotate plan tls/www
  certrotate plan tls/www --old ASCAEXAMPLE --targets E1A2B3C4D5E6F7")]
    Plan(Request),
    /// Tags a certificate as managed, after a plan
    #[command(after_help = "\
Examples:
  certrotate adopt ASCAEXAMPLE --source tls/www
  certrotate adopt arn:aws:acm:us-east-1:111122223333:certificate/0a1b --source tls/www --dry-run-only")]
    Adopt(Adopt),
    /// Starts a rotation, and watches it
    #[command(after_help = "\
Examples:
  certrotate start tls/www
  certrotate start tls/www --old ASCAEXAMPLE --concurrency 5 --retain-old-days 7 --detach")]
    Start(Start),
    /// Watches a rotation, by default the latest
    #[command(after_help = "\
Examples:
  certrotate watch
  certrotate watch auto-www-example-com-3f2a9c0d11ab-9be1c2d3e4f5-1")]
    Watch(Watch),
    /// Shows the report of a rotation, by default of the latest
    #[command(after_help = "\
Examples:
  certrotate report
  certrotate report www-2026-11 --html report.html")]
    Report(Report),
    /// Shows the runbook's entry for an error, an outcome, an alarm or a notice
    #[command(after_help = "\
Examples:
  certrotate explain RolledBack
  certrotate explain")]
    Explain(Explain),
    /// Deploys the archive of a release, or updates the stack to it
    #[command(after_help = "\
Examples:
  certrotate deploy certificate-rotation-0.1.0-arm64 -p NoticeEmail=you@example.com
  certrotate deploy certificate-rotation-0.1.0-arm64 --parameters production.json --dry-run")]
    Deploy(Deploy),
    /// Removes the stack, and says what stays
    #[command(after_help = "\
Examples:
  certrotate undeploy --dry-run
  certrotate undeploy --stack certificate-rotation")]
    Undeploy(Undeploy),
    /// Prints the completion script for a shell
    #[command(after_help = "\
Example:
  certrotate completions bash > /etc/bash_completion.d/certrotate")]
    Completions { shell: Shell },
    /// Writes the manual pages into a directory
    #[command(hide = true)]
    Man { directory: PathBuf },
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The files: together they hold the certificate, its chain and its key, as PEM, DER, PKCS#7, PKCS#12 or the
    /// JSON of a source; - is the standard input
    #[arg(required = true, value_name = "BUNDLE")]
    pub bundle: Vec<PathBuf>,
    /// A name that viewers use, and the certificate must have; international names in either spelling
    #[arg(long = "alias", value_name = "NAME")]
    pub aliases: Vec<String>,
    /// The store it is meant for
    #[arg(long, value_enum, default_value_t = Store::Acm)]
    pub store: Store,
    /// Warnings count as problems: the exit code is 1
    #[arg(long)]
    pub strict: bool,
    /// A file with the password of a PKCS#12 file; prompted for by default
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub check: Check,
    /// Where to: a secret's name or ARN, ssm:/path, a parameter's ARN, or s3://bucket/key
    #[arg(long)]
    pub source: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Store {
    /// Certificate Manager, in us-east-1
    Acm,
    /// IAM's server certificates
    Iam,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFailure {
    /// Restore the targets that were moved
    Rollback,
    /// Leave the targets as they are
    Stop,
    /// Restore the failed target, and go on with the others
    Continue,
}

/// A tag or a parameter as an argument; its value may contain equals signs.
fn tag(argument: &str) -> Result<(String, String), String> {
    let (key, value) = argument.split_once('=').ok_or("give it as NAME=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The input of a rotation, field by field.
#[derive(Debug, Args)]
pub(crate) struct Request {
    /// The source of the new certificate: a secret's name or ARN, ssm:/path, a parameter's ARN, or s3://bucket/key
    pub source: String,
    /// The certificate to replace: an ACM ARN, an IAM ARN or id; found by its tag if it is managed
    #[arg(long, value_name = "CERT")]
    pub old: Option<String>,
    /// The store for the new certificate; that of the old one by default
    #[arg(long, value_enum)]
    pub store: Option<Store>,
    /// Ids of distributions and tenants; all that serve the old certificate by default
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    pub targets: Vec<String>,
    /// Ids of distributions and tenants that are left on the old certificate
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    pub exclude: Vec<String>,
    /// Accept a new certificate that ends no later than the old one and was not clearly issued later
    #[arg(long)]
    pub allow_earlier_expiry: bool,
    /// Accept an ECDSA key after an RSA one on targets with dedicated IP addresses
    #[arg(long)]
    pub allow_key_change: bool,
    /// Tag for the new certificate, in addition to those of the old one; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
    /// Maximum targets in progress; above 1, the first one goes alone as a canary [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub concurrency: Option<u64>,
    /// Do not verify the edges after each deployment
    #[arg(long)]
    pub no_verify: bool,
    /// What to do when a target fails [default: rollback, and stop if the new certificate ends no later]
    #[arg(long, value_enum)]
    pub on_failure: Option<OnFailure>,
    /// Keep the old certificate
    #[arg(long, conflicts_with = "retain_old_days")]
    pub keep_old: bool,
    /// Days to keep the old certificate before it is deleted
    #[arg(long, value_name = "DAYS")]
    pub retain_old_days: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Adopt {
    /// The certificate that is served now: an ACM ARN, an IAM ARN or id
    #[arg(value_name = "CERT")]
    pub certificate: String,
    /// The source of its replacement
    #[arg(long)]
    pub source: String,
    /// Tag it despite problems with its rotation, for example an empty source
    #[arg(long)]
    pub anyway: bool,
    /// Only rehearse: automatic rotations stop after the plan
    #[arg(long)]
    pub dry_run_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub request: Request,
    /// The name of the rotation, and of its folder; made of source and time by default
    #[arg(long)]
    pub name: Option<String>,
    /// Only make the plan
    #[arg(long)]
    pub dry_run: bool,
    /// Do not watch
    #[arg(long)]
    pub detach: bool,
    #[command(flatten)]
    pub interval: Interval,
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub interval: Interval,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Interval {
    /// Polling interval, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub interval: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Execution {
    /// Its name or ARN
    pub execution: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub execution: Execution,
    /// Write the page into this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Open the page in the browser
    #[arg(long)]
    pub open: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// The unpacked archive
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// A file with parameters: a JSON object of names and values, or the list of the AWS CLI. Those not given keep
    /// their value
    #[arg(long, value_name = "FILE")]
    pub parameters: Option<PathBuf>,
    /// A parameter, before the file; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = tag)]
    pub parameter: Vec<(String, String)>,
    /// Tags for every resource of the stack; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = tag)]
    pub tags: Vec<(String, String)>,
    /// The bucket for template and functions, created if it does not exist [default:
    /// certificate-rotation-artifacts-ACCOUNT-REGION]
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// The role with which CloudFormation acts; your own permissions by default
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Go back to an older version
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Deploy although a rotation is running
    #[arg(long)]
    pub anyway: bool,
    #[command(flatten)]
    pub interval: Interval,
}

#[derive(Debug, Args)]
pub(crate) struct Undeploy {
    /// Delete the files that were deployed too, and their bucket
    #[arg(long)]
    pub artifacts: bool,
    /// Their bucket [default: certificate-rotation-artifacts-ACCOUNT-REGION]
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
    /// The role with which CloudFormation acts; your own permissions by default
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// Only show what would go and what would stay
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub interval: Interval,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The name, as in an execution, a notice or an alarm; lists all names by default
    pub error: Option<String>,
}
