//! `certrotate`: plans, starts and watches certificate rotations on CloudFront.
//!
//! It uses the code of the steps and does nothing in a second way: plans are made by the code of
//! the step, rotations are executions of the deployed state machine.

mod account;
mod adopt;
mod aliases;
mod args;
mod bundle;
mod check;
mod deploy;
mod execution;
mod explain;
mod failure;
mod list;
mod output;
mod pkcs12;
mod plan;
mod put;
mod report;
mod start;
mod undeploy;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::output::{BAD, styled};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(run(&cli));
            // Without waiting for a prompt that is still open.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(Failure::Aws(format!("No thread can be started here: {error}."))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(format!("{} {failure}", styled(BAD, "certrotate:")));
            ExitCode::from(failure.code())
        }
    }
}

async fn run(cli: &Cli) -> Result<(), Failure> {
    let global = &cli.global;
    match &cli.command {
        Command::Check(args) => check::run(global, args),
        Command::Put(args) => put::run(global, args).await,
        Command::List => list::run(global).await,
        Command::Plan(args) => plan::run(global, args).await,
        Command::Adopt(args) => adopt::run(global, args).await,
        Command::Start(args) => start::run(global, args).await,
        Command::Watch(args) => watch::run(global, args).await,
        Command::Report(args) => report::run(global, args).await,
        Command::Explain(args) => explain::run(global, args),
        Command::Deploy(args) => deploy::run(global, args).await,
        Command::Undeploy(args) => undeploy::run(global, args).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "certrotate", &mut script);
            output::line(&String::from_utf8_lossy(&script))
        }
        Command::Man { directory } => {
            let failure = |error: std::io::Error| Failure::file(directory, &error);
            std::fs::create_dir_all(directory).map_err(failure)?;
            clap_mangen::generate_to(Cli::command(), directory).map_err(failure)
        }
    }
}
