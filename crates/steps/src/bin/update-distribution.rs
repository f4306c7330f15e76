//! The Lambda function `update-distribution`.

use rotation_steps::{run, update_distribution};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(update_distribution::step, |aws| {
        aws.cloudfront();
        aws.s3();
    })
    .await
}
