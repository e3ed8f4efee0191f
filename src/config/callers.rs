//! The flags of callers: how they are identified, and their limits.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Error;
use super::value::read;
use crate::gateway::callers::{self, Auth, CallersError};

/// The flags of callers.
#[derive(Args, Clone, Debug)]
pub struct Callers {
    /// How callers are known, and whose key goes upstream (docs/callers.md).
    #[arg(
        long,
        help_heading = "Callers",
        env = "GEMINI_GRPC_AUTH",
        value_enum,
        default_value_t = AuthMode::Forward,
        value_name = "MODE"
    )]
    pub auth: AuthMode,

    /// A TOML file with the callers, what they are known by, and their limits (docs/callers.md).
    #[arg(long, help_heading = "Callers", env = "GEMINI_GRPC_CALLERS", value_name = "FILE")]
    pub callers: Option<PathBuf>,

    /// What one caller may take of all connections, and of the bytes held, where the file has several callers, in percent;
    /// 100 means all.
    #[arg(
        long,
        help_heading = "Callers",
        env = "GEMINI_GRPC_CALLER_SHARE",
        default_value_t = 50,
        value_parser = clap::value_parser!(u8).range(1..=100),
        value_name = "PERCENT"
    )]
    pub caller_share: u8,
}

/// How callers are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Not at all: a caller's own key goes upstream, otherwise the gateway's.
    Forward,
    /// By a token that they send in the place of a key; the gateway's key goes upstream.
    Tokens,
    /// By a client certificate; the gateway's key goes upstream.
    Mtls,
    /// As forward, and everyone who reaches the gateway may spend its key.
    None,
}

/// Why a mode cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error(
        "this gateway has a key and listens on {0}, so everyone who reaches it could spend the key; set GEMINI_GRPC_AUTH to tokens or mtls, or to none if that is meant"
    )]
    Open(SocketAddr),
    #[error("{0} needs the callers in a file; set GEMINI_GRPC_CALLERS to it (docs/callers.md)")]
    NoCallers(&'static str),
    #[error(
        "{0} needs a key of the gateway's own to send upstream; set MOUNTSEA_API_KEY_FILE or MOUNTSEA_API_KEY (for --sandbox, to any word)"
    )]
    NoKey(&'static str),
    #[error("mtls needs to know who signs client certificates; set GEMINI_GRPC_TLS_CLIENT_CA")]
    NoClientCa,
}

/// The settings that a mode depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServingContext {
    pub(super) listen: SocketAddr,
    /// Whether the gateway has a key of its own.
    pub(super) has_key: bool,
    /// Whether client certificates are asked for and checked.
    pub(super) has_client_ca: bool,
}

impl Callers {
    pub(super) fn resolve(&self, context: ServingContext) -> Result<Auth, Error> {
        let is_open = context.has_key && !context.listen.ip().to_canonical().is_loopback();
        let (mode, path) = match (self.auth, &self.callers) {
            (AuthMode::Forward | AuthMode::None, Some(_)) => return Err(Error::CallersUnused),
            (AuthMode::Forward, None) if is_open => return Err(Error::Auth(AuthError::Open(context.listen))),
            (AuthMode::Forward | AuthMode::None, None) => return Ok(Auth::Forward),
            (AuthMode::Tokens, path) => ("tokens", path),
            (AuthMode::Mtls, path) => ("mtls", path),
        };
        let path = path.as_ref().ok_or(Error::Auth(AuthError::NoCallers(mode)))?;
        if !context.has_key {
            return Err(Error::Auth(AuthError::NoKey(mode)));
        }
        let of_callers = match self.auth {
            AuthMode::Mtls if !context.has_client_ca => return Err(Error::Auth(AuthError::NoClientCa)),
            AuthMode::Mtls => Auth::certificates,
            _ => Auth::tokens,
        };
        read_callers(path, |text| of_callers(callers::Callers::from_toml(text)?))
    }

    /// The file that is read again.
    pub(super) fn file(&self) -> (&'static str, Option<&PathBuf>) {
        ("GEMINI_GRPC_CALLERS", self.callers.as_ref())
    }
}

fn read_callers(path: &Path, parse: impl FnOnce(&str) -> Result<Auth, CallersError>) -> Result<Auth, Error> {
    parse(&read("GEMINI_GRPC_CALLERS", path)?).map_err(|problem| Error::Callers { path: path.to_owned(), problem })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HERE: &str = "127.0.0.1:50051";

    fn resolve(auth: AuthMode, callers: Option<&str>, listen: &str, has_key: bool, has_client_ca: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = callers.map(|text| {
            let path = folder.path().join("callers.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let context = ServingContext { listen: listen.parse().unwrap(), has_key, has_client_ca };
        match (Callers { auth, callers: path, caller_share: 50 }).resolve(context) {
            Ok(auth) => format!("{auth:?}").split('(').next().unwrap().to_owned(),
            Err(error) => error.to_string().replace(folder.path().to_str().unwrap(), ""),
        }
    }

    #[test]
    fn a_key_is_open_to_the_network_only_if_that_is_said() {
        use AuthMode::{Forward, None as AllowAll};
        for (auth, listen, has_key, says) in [
            (Forward, HERE, true, "Forward"),
            (Forward, "[::1]:0", true, "Forward"),
            (Forward, "127.9.9.9:0", true, "Forward"),
            (Forward, "[::ffff:127.0.0.1]:0", true, "Forward"),
            (Forward, "0.0.0.0:1", false, "Forward"),
            (AllowAll, "0.0.0.0:1", true, "Forward"),
            (Forward, "0.0.0.0:1", true, "GEMINI_GRPC_AUTH: this gateway has a key and listens on 0.0.0.0:1, "),
            (Forward, "[::]:1", true, "GEMINI_GRPC_AUTH: this gateway has a key and listens on [::]:1, "),
            (Forward, "10.0.0.7:1", true, "GEMINI_GRPC_AUTH: this gateway has a key and listens on 10.0.0.7:1, "),
        ] {
            let got = resolve(auth, None, listen, has_key, false);
            assert!(got.starts_with(says), "{auth:?} {listen} {has_key}: {got}");
        }
    }

    #[test]
    fn a_mode_that_knows_callers_needs_their_file_a_key_and_what_proves_who_calls() {
        use AuthMode::{Forward, Mtls, None as AllowAll, Tokens};
        let hash = "0".repeat(64);
        let (token, san) = (format!("[callers.a]\ntoken_sha256 = '{hash}'"), "[callers.a]\nsan = 'a'".to_owned());
        let (token, san) = (Some(token.as_str()), Some(san.as_str()));
        for (auth, callers, has_key, has_client_ca, says) in [
            (Tokens, token, true, false, "Tokens"),
            (Mtls, san, true, true, "Certificates"),
            (Tokens, None, true, false, "GEMINI_GRPC_AUTH: tokens needs the callers in a file; "),
            (Mtls, None, true, true, "GEMINI_GRPC_AUTH: mtls needs the callers in a file; "),
            (Tokens, token, false, false, "GEMINI_GRPC_AUTH: tokens needs a key of the gateway's own "),
            (Mtls, san, false, true, "GEMINI_GRPC_AUTH: mtls needs a key of the gateway's own "),
            (Mtls, san, true, false, "GEMINI_GRPC_AUTH: mtls needs to know who signs client certificates; "),
            (Forward, token, true, false, "GEMINI_GRPC_CALLERS: callers are looked up only when GEMINI_GRPC_AUTH is "),
            (AllowAll, token, true, false, "GEMINI_GRPC_CALLERS: callers are looked up only when GEMINI_GRPC_AUTH is "),
            (Tokens, san, true, false, "GEMINI_GRPC_CALLERS: /callers.toml: callers.a: token_sha256 is missing, "),
            (Mtls, token, true, true, "GEMINI_GRPC_CALLERS: /callers.toml: callers.a: san is missing, "),
            (Tokens, Some(""), true, false, "GEMINI_GRPC_CALLERS: /callers.toml: it names no callers; "),
        ] {
            // A gateway that identifies its callers may listen anywhere.
            for listen in [HERE, "0.0.0.0:1"] {
                let got = resolve(auth, callers, listen, has_key, has_client_ca);
                assert!(got.starts_with(says), "{auth:?} {listen} {has_key} {has_client_ca}: {got}");
            }
        }
    }
}
