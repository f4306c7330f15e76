//! The Lambda function `record-target`.

use rotation_steps::{record_target, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(record_target::step, |aws| {
        aws.s3();
    })
    .await
}
