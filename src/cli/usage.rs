//! `gemini-grpc usage`: what each caller has used, and has left.

use std::io::IsTerminal as _;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use self::show::Caller;
use super::{Failure, block_on, output};
use crate::cause::cause;

/// How a report is shown.
mod show;

/// Longer than the admin port takes for one response.
const TIMEOUT: Duration = Duration::from_secs(25);
/// The most callers that an error names.
const MAX_NAMED: usize = 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc usage
  gemini-grpc usage --caller team-a
  gemini-grpc usage --admin http://10.0.0.7:9464 --json
  kubectl exec deploy/gemini-grpc -- gemini-grpc usage

It asks the admin port of a gateway, which GEMINI_GRPC_ADMIN_LISTEN opens. docs/callers.md says what
the figures are.")]
pub(super) struct Args {
    /// The URL of the gateway's admin port.
    #[arg(long, default_value = "http://127.0.0.1:9464", value_name = "URL")]
    admin: String,

    /// Show only this caller.
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,

    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
}

/// What the gateway answers.
#[derive(Debug, Deserialize)]
struct Report {
    source: String,
    store_is_away: bool,
    since: String,
    callers: Vec<Caller>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let mut json = block_on(ask(&args.admin))??;
    if let Some(name) = &args.caller {
        choose(&mut json, name)?;
    }
    if args.json {
        return output::line(format_args!("{json:#}"));
    }
    let report = Report::deserialize(&json).map_err(|_| not_usage(&args.admin))?;
    output::print(show::head(&report.source, report.store_is_away, &report.since))?;
    if report.callers.is_empty() {
        return output::line(
            "\nThis gateway does not know its callers, so it counts nothing for them. GEMINI_GRPC_AUTH=tokens or mtls \
             identifies them (docs/callers.md).",
        );
    }
    let width = width();
    report.callers.iter().try_for_each(|caller| output::print(show::caller(caller, width)))
}

/// The report of the gateway, as JSON.
async fn ask(admin: &str) -> Result<Value, Failure> {
    let expected = || Failure::Usage("--admin: a URL such as http://127.0.0.1:9464 is expected".to_owned());
    let full = if admin.contains("://") { admin.to_owned() } else { format!("http://{admin}") };
    let url = Url::parse(&full).ok().filter(|url| url.scheme() == "http" && url.has_host());
    let url = url.and_then(|url| url.join("/usage").ok()).ok_or_else(expected)?;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT);
    let client = client.build().map_err(|error| Failure::Run(format!("no HTTP client: {}", cause(&error))))?;
    let failed = |error: reqwest::Error| {
        let advice = "start the gateway with GEMINI_GRPC_ADMIN_LISTEN, and name that address with --admin";
        Failure::Run(format!("no answer from the admin port {admin}: {}; {advice}", cause(&error)))
    };
    let response = client.get(url).send().await.map_err(failed)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::SERVICE_UNAVAILABLE => {
            return Err(Failure::Run(format!("{admin} answers too many requests at this moment; try again")));
        }
        _ => return Err(not_usage(admin)),
    }
    let body = response.bytes().await.map_err(failed)?;
    serde_json::from_slice(&body).ok().filter(|json: &Value| json["callers"].is_array()).ok_or_else(|| not_usage(admin))
}

fn not_usage(admin: &str) -> Failure {
    let advice = "name the address of GEMINI_GRPC_ADMIN_LISTEN with --admin, not the one where callers are served";
    Failure::Run(format!("{admin} has no usage to show: {advice}"))
}

/// Leaves only this caller in the report.
fn choose(json: &mut Value, name: &str) -> Result<(), Failure> {
    let Some(callers) = json["callers"].as_array_mut() else { return Ok(()) };
    let names: Vec<_> = callers.iter().filter_map(|caller| Some(caller["caller"].as_str()?.to_owned())).collect();
    if names.is_empty() {
        let why = "this gateway does not know its callers; GEMINI_GRPC_AUTH=tokens or mtls identifies them";
        return Err(Failure::Run(format!("--caller: {why} (docs/callers.md)")));
    }
    callers.retain(|caller| caller["caller"] == name);
    if callers.is_empty() {
        let more = names.len().saturating_sub(MAX_NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let known = names.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(format!("--caller: there is no caller {name:?}; known are {known}{more}")));
    }
    Ok(())
}

/// How many characters a line may have: those of the terminal, or of COLUMNS; `None` for a file.
fn width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let out = std::io::stdout();
    let of_terminal = || Some(usize::from(rustix::termios::tcgetwinsize(&out).ok()?.ws_col));
    columns.or_else(|| if out.is_terminal() { of_terminal() } else { None }).filter(|width| *width > 0)
}
