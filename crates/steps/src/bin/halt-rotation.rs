//! The Lambda function `halt-rotation`.

use rotation_steps::{halt_rotation, run};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    run(halt_rotation::step).await
}
