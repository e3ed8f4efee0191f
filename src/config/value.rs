//! Values as flags and files give them.

use std::path::Path;
use std::time::Duration;

use super::Error;
use super::file::{FileError, MAX_FILE_BYTES, read_file};

/// The text in a file that a flag names.
pub(super) fn read(variable: &'static str, path: &Path) -> Result<String, Error> {
    let text =
        read_file(path, MAX_FILE_BYTES).and_then(|bytes| String::from_utf8(bytes).map_err(|_| FileError::NotText));
    text.map_err(|problem| Error::File { variable, path: path.to_owned(), problem })
}

/// The longest duration, some thirty years: `Instant` cannot represent times that are much later.
const MAX_SECONDS: f64 = 1e9;

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match seconds_or_none(text) {
        Ok(none) if none.is_zero() => Err("more than 0 seconds are expected".to_owned()),
        other => other,
    }
}

/// 0 is allowed as well.
pub(super) fn seconds_or_none(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is expected".to_owned())?;
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return Err(format!("seconds from 0 to {MAX_SECONDS} are expected"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
