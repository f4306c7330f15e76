//! The Lambda function `plan-rotation`.

use rotation_steps::{plan_rotation, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(plan_rotation::step, |aws| {
        aws.acm();
        aws.cloudfront();
        aws.iam();
        aws.s3();
        aws.states();
        aws.tagging();
    })
    .await
}
