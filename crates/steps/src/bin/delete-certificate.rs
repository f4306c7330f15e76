//! The Lambda function `delete-certificate`.

use rotation_steps::{delete_certificate, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(delete_certificate::step, |aws| {
        aws.acm();
        aws.cloudfront();
        aws.iam();
        aws.s3();
    })
    .await
}
