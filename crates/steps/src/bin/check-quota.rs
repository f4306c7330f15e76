//! The Lambda function `check-quota`.

use rotation_steps::{check_quota, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(check_quota::step, |aws| {
        aws.acm();
        aws.cloudfront();
        aws.iam();
        aws.quotas();
    })
    .await
}
