//! The Lambda function `start-rotation`.

use rotation_steps::{serve, start_rotation};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    serve(start_rotation::handle, |aws| {
        aws.acm();
        aws.cloudfront();
        aws.iam();
        aws.s3();
        aws.states();
        aws.tagging();
    })
    .await
}
