//! `gemini-grpc token`: make a token for a caller, or the hash of one.

use std::io::Read as _;

use super::{Failure, output};
use crate::gateway::ApiKey;
use crate::gateway::callers::{NAME_RULE, TokenHash, is_name};

/// Tools that look for secrets in code find it by this.
const PREFIX: &str = "gg_";
/// Shorter ones could be guessed from their hash, which has no salt.
const MIN_TOKEN_CHARS: usize = 32;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc token --name team-a
  gemini-grpc token --hash < token.txt

The token goes to the caller, who sends it as x-goog-api-key; the hash goes into the file of
GEMINI_GRPC_CALLERS (docs/callers.md). The token itself is kept nowhere.")]
pub(super) struct Args {
    /// The caller that it is for: its table for the file is printed too.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Read a token from standard input and print its hash.
    #[arg(long, conflicts_with = "name")]
    hash: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.hash {
        return output::line(TokenHash::of(given()?.expose()).to_hex());
    }
    let table = args.name.as_deref().map(table).transpose()?.unwrap_or_default();
    let token = random()?;
    let hash = TokenHash::of(&token).to_hex();
    output::print(format_args!("{token}\n\n{table}token_sha256 = \"{hash}\"\n"))
}

/// The head of a caller's table in the file.
fn table(name: &str) -> Result<String, Failure> {
    if !is_name(name) {
        return Err(Failure::Usage(format!("--name: {NAME_RULE}")));
    }
    // In TOML a bare dot would make a table in a table.
    Ok(if name.contains('.') { format!("[callers.\"{name}\"]\n") } else { format!("[callers.{name}]\n") })
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::Run(format!("the system's random source failed: {error}")))?;
    Ok(format!("{PREFIX}{}", base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)))
}

/// The token on standard input. Callers send it in place of a key, so it has to look like one.
fn given() -> Result<ApiKey, Failure> {
    let mut text = String::new();
    // More than the longest, so that a wrong file does not become a long wait.
    let read = std::io::stdin().take(8 << 10).read_to_string(&mut text);
    read.map_err(|error| Failure::Usage(format!("--hash: standard input cannot be read: {error}")))?;
    let token = text.trim().parse().ok().filter(|token: &ApiKey| token.expose().len() >= MIN_TOKEN_CHARS);
    token.ok_or_else(|| {
        let problem =
            format!("a token of {MIN_TOKEN_CHARS} to 4096 visible ASCII characters is expected on standard input");
        Failure::Usage(format!("--hash: {problem}; `gemini-grpc token` makes one"))
    })
}
