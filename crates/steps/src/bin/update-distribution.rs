//! The Lambda function `update-distribution`.

use rotation_steps::{update_distribution, run};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(update_distribution::step).await
}
