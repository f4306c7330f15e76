//! The Lambda function `import-certificate`.

use rotation_steps::{import_certificate, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(import_certificate::step, |aws| {
        aws.acm();
        aws.iam();
        aws.s3();
    })
    .await
}
