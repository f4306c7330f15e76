//! The bucket that the files of an archive are uploaded to.

use rotation_aws::Aws;
use rotation_aws::artifacts::{self, Bucket, Found};
use rotation_core::request::CLOUDFRONT_REGION;

use super::archive::File;
use crate::args::{Deploy, Global};
use crate::failure::Failure;
use crate::output;

/// The number of the account.
pub(super) async fn account(aws: &Aws) -> Result<String, Failure> {
    artifacts::account(aws).await.map_err(Failure::of_deployer)
}

/// The name of the bucket unless another is given.
pub(crate) fn of_its_own(account: &str) -> String {
    format!("certificate-rotation-artifacts-{account}-{CLOUDFRONT_REGION}")
}

/// The bucket for the files, which is created if it does not exist.
pub(super) async fn bucket(
    global: &Global,
    args: &Deploy,
    aws: &Aws,
    account: &str,
) -> Result<String, Failure> {
    let name = args.bucket.clone().unwrap_or_else(|| of_its_own(account));
    let bucket = Bucket { aws, name: &name, account };
    let taken = || {
        Failure::WillNotDo(format!(
            "The bucket {name} is not one of the account {account}, or you have no right to list it \
             (s3:ListBucket). Choose another with --bucket; it is created if it does not exist."
        ))
    };
    match bucket.find().await.map_err(Failure::of_deployer)? {
        Found::Ours => Ok(name),
        Found::Closed => Err(taken()),
        Found::Elsewhere => Err(Failure::WillNotDo(format!(
            "The bucket {name} is not in {CLOUDFRONT_REGION}, and Lambda loads functions only from a bucket in \
             its own region. Choose another with --bucket; it is created if it does not exist."
        ))),
        Found::Nothing => {
            output::confirm(
                global,
                &format!(
                    "The bucket {name} is created for the template and the functions: private, encrypted, over \
                     TLS only."
                ),
            )?;
            match bucket.create().await.map_err(Failure::of_deployer)? {
                true => Ok(name),
                false => Err(taken()),
            }
        }
    }
}

/// Uploads the files that are not there yet.
pub(super) async fn upload(bucket: &Bucket<'_>, files: &[File]) -> Result<(), Failure> {
    let mut there = 0;
    for file in files {
        if bucket.has(&file.key, &file.sha256).await.map_err(Failure::of_deployer)? {
            there += 1;
            continue;
        }
        let body = std::fs::read(&file.path).map_err(|error| Failure::file(&file.path, &error))?;
        let name = file.path.file_name().unwrap_or_default().display();
        output::say(format!("Uploading {name} ({})", size(body.len())));
        bucket.put(&file.key, &file.sha256, body).await.map_err(Failure::of_deployer)?;
    }
    if there > 0 {
        output::say(format!("{there} of {} files were uploaded before.", files.len()));
    }
    Ok(())
}

fn size(bytes: usize) -> String {
    match bytes / 1000 {
        kilobytes @ ..1000 => format!("{kilobytes} kB"),
        kilobytes => format!("{}.{} MB", kilobytes / 1000, kilobytes % 1000 / 100),
    }
}
