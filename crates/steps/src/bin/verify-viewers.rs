//! The Lambda function `verify-viewers`.

use rotation_steps::{run, verify_viewers};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(verify_viewers::step, |aws| {
        aws.cloudfront();
    })
    .await
}
