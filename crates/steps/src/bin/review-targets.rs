//! The Lambda function `review-targets`.

use rotation_steps::{review_targets, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(review_targets::step, |aws| {
        aws.cloudfront();
        aws.s3();
    })
    .await
}
