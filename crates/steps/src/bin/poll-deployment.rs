//! The Lambda function `poll-deployment`.

use rotation_steps::{poll_deployment, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(poll_deployment::step, |aws| {
        aws.cloudfront();
    })
    .await
}
