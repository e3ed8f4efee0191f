//! `gemini-grpc healthcheck`: for scripts and containers without another client.

use std::time::Duration;

use super::endpoint::Endpoint;
use super::{Failure, block_on, output};
use crate::pb::health::HealthCheckRequest;
use crate::pb::health::health_check_response::ServingStatus;
use crate::pb::health::health_client::HealthClient;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc healthcheck
  gemini-grpc healthcheck --endpoint http://10.0.0.7:50051 --service mountsea.gemini.v1.GenerativeService")]
pub(super) struct Args {
    #[command(flatten)]
    endpoint: Endpoint,

    /// The service to ask for; empty for the whole server.
    #[arg(long, default_value = "", value_name = "NAME")]
    service: String,

    /// How long to wait for the answer, in seconds.
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    timeout: u64,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let limit = Duration::from_secs(args.timeout);
    let status = block_on(async { tokio::time::timeout(limit, ask(args)).await })?
        .map_err(|_| Failure::Run(format!("no answer from {} within {} s", args.endpoint.url, args.timeout)))??;
    // The exit code is the answer, even if the output is closed.
    let _ = output::line(status.as_str_name());
    match status {
        ServingStatus::Serving => Ok(()),
        other => Err(Failure::Run(format!("{} is {}", args.endpoint.url, other.as_str_name()))),
    }
}

async fn ask(args: &Args) -> Result<ServingStatus, Failure> {
    let mut client = HealthClient::new(args.endpoint.connect().await?);
    match client.check(HealthCheckRequest { service: args.service.clone() }).await {
        Ok(answer) => Ok(answer.into_inner().status()),
        Err(status) => Err(args.endpoint.failed(&status).await),
    }
}
