//! The Lambda function `report-rotation`.

use rotation_steps::{report_rotation, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(report_rotation::step, |aws| {
        aws.s3();
    })
    .await
}
