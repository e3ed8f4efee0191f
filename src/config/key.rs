//! The gateway's own key, or keys.

use std::path::PathBuf;

use clap::Args;

use super::Error;
use super::key_file;
use super::value::read;
use crate::gateway::{ApiKey, InvalidKey, Keys};

const FILE: &str = "MOUNTSEA_API_KEY_FILE";

/// The key that goes upstream when the caller brings none.
#[derive(Args, Clone, Debug)]
pub struct Key {
    /// The key for callers that bring none. Better given by the variable or as a file: arguments are visible to others.
    #[arg(
        long,
        help_heading = "Key",
        env = "MOUNTSEA_API_KEY",
        hide_env_values = true,
        value_name = "KEY",
        conflicts_with = "api_key_file",
        value_parser = key
    )]
    pub api_key: Option<Result<ApiKey, InvalidKey>>,

    /// A file that holds that key, or several with a name each, which share the calls (docs/keys.md).
    #[arg(long, help_heading = "Key", env = FILE, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
}

impl Key {
    /// The key, from the file, the variable or the flag, or the keys of the file.
    pub fn resolve(&self) -> Result<Option<Keys>, Error> {
        let Some(path) = &self.api_key_file else {
            return Ok(self.api_key.clone().transpose().map_err(Error::ApiKey)?.map(Keys::One));
        };
        let text = read(FILE, path)?;
        key_file::parse(&text).map(Some).map_err(|problem| Error::Keys { path: path.clone(), problem })
    }

    /// The key for a command that calls: the first one, if there are several.
    pub fn for_client(&self) -> Result<Option<ApiKey>, Error> {
        Ok(self.resolve()?.and_then(|keys| keys.first().cloned()))
    }

    pub(super) fn file(&self) -> (&'static str, Option<&PathBuf>) {
        (FILE, self.api_key_file.as_ref())
    }
}

/// Never fails: clap shows what it cannot use, and a key must not be shown. `Key::resolve` refuses it without showing it.
fn key(text: &str) -> Result<Result<ApiKey, InvalidKey>, std::convert::Infallible> {
    Ok(text.trim().parse())
}
