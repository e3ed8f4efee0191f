//! The flags of the store of limits, which gateways share.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::Error;
use super::pem::Pem;
use super::value::read;
use crate::store::{self, InvalidStoreUrl, StoreUrl};

const URL: &str = "GEMINI_GRPC_LIMITS_URL";
const FILE: &str = "GEMINI_GRPC_LIMITS_URL_FILE";
const CA: &str = "GEMINI_GRPC_LIMITS_CA";

/// The flags of the store.
#[derive(Args, Clone, Debug)]
pub struct Store {
    /// Redis or Valkey, where all gateways count the limits of callers together: redis:// or rediss:// (TLS), as in
    /// rediss://user:password@host:6379, or several hosts and ?cluster=true or ?sentinel=NAME (docs/callers.md). Without it
    /// each gateway counts for itself.
    #[arg(
        long,
        help_heading = "Callers",
        env = URL,
        hide_env_values = true,
        value_name = "URL",
        conflicts_with = "limits_url_file",
        value_parser = url
    )]
    pub limits_url: Option<Result<StoreUrl, InvalidStoreUrl>>,

    /// A file that holds that URL, which may contain a password.
    #[arg(long, help_heading = "Callers", env = FILE, value_name = "FILE")]
    pub limits_url_file: Option<PathBuf>,

    /// A PEM file with authorities to trust for rediss:// in place of the system's.
    #[arg(long, help_heading = "Callers", env = CA, value_name = "FILE")]
    pub limits_ca: Option<PathBuf>,

    /// The first part of all keys in Redis or Valkey. Gateways with the same share their limits.
    #[arg(
        long,
        help_heading = "Callers",
        env = "GEMINI_GRPC_LIMITS_PREFIX",
        default_value = "gemini-grpc",
        value_parser = prefix,
        value_name = "PREFIX"
    )]
    pub limits_prefix: Arc<str>,
}

impl Store {
    /// Where the store is, if there is one.
    pub(super) fn resolve(&self) -> Result<Option<store::Config>, Error> {
        let (variable, url) = match &self.limits_url_file {
            Some(path) => (FILE, Some(read(FILE, path)?.trim().parse())),
            None => (URL, self.limits_url.clone()),
        };
        let Some(url) = url.transpose().map_err(|problem| Error::StoreUrl { variable, problem })? else {
            return match self.limits_ca {
                Some(_) => Err(Error::Alone { variable: CA, missing: URL }),
                None => Ok(None),
            };
        };
        let ca = match &self.limits_ca {
            // Otherwise it would be ignored, and passwords sent in plaintext.
            Some(_) if !url.has_tls() => return Err(Error::Alone { variable: CA, missing: "a URL with rediss://" }),
            Some(path) => {
                let pem = Pem::read(CA, path)?;
                pem.authorities()?;
                Some(pem.bytes.into())
            }
            None => None,
        };
        Ok(Some(store::Config { url, ca, prefix: self.limits_prefix.clone() }))
    }

    /// The files that are read again.
    pub(super) fn files(&self) -> [(&'static str, Option<&PathBuf>); 2] {
        [(FILE, self.limits_url_file.as_ref()), (CA, self.limits_ca.as_ref())]
    }
}

/// Never fails: clap shows what it cannot use, and a password must not be shown. `Store::resolve` refuses the URL without
/// showing it.
fn url(text: &str) -> Result<Result<StoreUrl, InvalidStoreUrl>, Infallible> {
    Ok(text.trim().parse())
}

/// Braces would change the slots of a cluster.
fn prefix(text: &str) -> Result<Arc<str>, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/');
    match (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
        true => Ok(text.into()),
        false => Err("1 to 64 letters, digits, '.', '_', '-', ':' or '/' are expected".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        store: Store,
    }

    fn resolve(arguments: &[&str]) -> Result<Option<store::Config>, String> {
        let flags = Flags::try_parse_from([&["test"], arguments].concat()).map_err(|error| error.to_string())?;
        flags.store.resolve().map_err(|error| error.to_string())
    }

    #[test]
    fn a_store_has_a_url_of_its_own_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "redis://u:hunter2@cache\n").unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(resolve(&[]), Ok(None));
        for arguments in [["--limits-url", "redis://u:hunter2@cache"], ["--limits-url-file", file]] {
            let config = resolve(&arguments).unwrap().unwrap();
            assert_eq!((config.url.to_string().as_str(), &*config.prefix), ("cache:6379", "gemini-grpc"));
            assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
        }
    }

    #[test]
    fn a_mistake_is_named_by_its_variable_and_no_password_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        std::fs::write(&file, "http://u:hunter2@cache").unwrap();
        let file = file.to_str().unwrap();
        for (arguments, starts) in [
            (&["--limits-url", "http://u:hunter2@cache"][..], "GEMINI_GRPC_LIMITS_URL: a URL such as redis://"),
            (&["--limits-url-file", file], "GEMINI_GRPC_LIMITS_URL_FILE: a URL such as redis://"),
            (&["--limits-url-file", "/none"], "GEMINI_GRPC_LIMITS_URL_FILE: cannot read /none: "),
            (&["--limits-ca", file], "GEMINI_GRPC_LIMITS_CA: requires GEMINI_GRPC_LIMITS_URL, "),
            (
                &["--limits-url", "redis://a", "--limits-ca", file],
                "GEMINI_GRPC_LIMITS_CA: requires a URL with rediss://",
            ),
            (&["--limits-url", "rediss://a", "--limits-ca", file], "GEMINI_GRPC_LIMITS_CA: "),
            (&["--limits-url", "redis://u:hunter2@a", "--limits-url-file", file], "error: the argument "),
            (&["--limits-prefix", "a{b}"], "error: invalid value "),
        ] {
            let error = resolve(arguments).unwrap_err();
            assert!(error.starts_with(starts) && !error.contains("hunter2"), "{arguments:?}: {error}");
        }
    }
}
