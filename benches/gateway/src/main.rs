//! The programs of the benchmark, as subcommands: an upstream double, load on a gateway, idle streams, and a probe.
//! `run.py` starts them; each can also be run alone, and has `--help`.

mod client;
mod clock;
mod load;
mod model;
mod open_loop;
mod payload;
mod process;
mod recorder;
mod spread;
mod streams;
mod tls;
mod tools;
mod upstream;
mod wire;

use std::error::Error;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answers like Gemini's REST API, as cheaply as possible; the model's name says what
    Upstream(upstream::Args),
    /// Loads a gateway and prints one JSON object: rates, latencies, CPU time, memory
    Load(load::Args),
    /// Opens idle streams in steps and prints what each costs in memory and CPU time
    Streams(streams::Args),
    /// Waits until one call is answered correctly
    Probe(load::ProbeArgs),
}

// One thread: what the load takes of the machine's cores is not there for the gateway.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match Cli::parse().command {
        Command::Upstream(args) => upstream::serve(args).await?,
        Command::Load(args) => println!("{}", load::run(args).await?),
        Command::Streams(args) => println!("{}", streams::run(args).await?),
        Command::Probe(args) => load::probe(args).await?,
    }
    // Streams that are still open end with the process.
    std::process::exit(0)
}
