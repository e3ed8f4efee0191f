//! Which files are read again, and whether they have changed.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Serve;
use super::file::{MAX_FILE_BYTES, read_file};
use super::value::seconds_or_none;

/// The flag of reloading.
#[derive(Args, Clone, Debug)]
pub struct Reload {
    /// How often to look whether keys, certificates, callers or the catalogue have changed, in seconds. A change is
    /// applied when the next look finds the same contents. 0 means on SIGHUP only.
    #[arg(
        long,
        help_heading = "Reload",
        env = "GEMINI_GRPC_RELOAD_INTERVAL",
        default_value = "10",
        value_parser = seconds_or_none,
        value_name = "SECONDS"
    )]
    pub reload_interval: Duration,
}

/// Fingerprints of the files' contents at one moment. Contents, and not times or events: Kubernetes swaps the link of a
/// parent folder, which a watcher of the file does not notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints(Vec<(&'static str, Option<u64>)>);

/// Takes fingerprints. Only those of the same fingerprinter can be compared.
#[derive(Clone, Debug, Default)]
pub struct Fingerprinter(RandomState);

impl Fingerprinter {
    /// Reads the files that the flags name.
    pub fn take(&self, serve: &Serve) -> Fingerprints {
        let files = serve.files().into_iter().filter_map(|(variable, path)| Some((variable, path?)));
        Fingerprints(files.map(|(variable, path)| (variable, self.fingerprint(path))).collect())
    }

    /// `None` for a file that cannot be read.
    fn fingerprint(&self, path: &Path) -> Option<u64> {
        read_file(path, MAX_FILE_BYTES).ok().map(|bytes| self.0.hash_one(bytes))
    }
}

impl Fingerprints {
    /// The variables whose files differ.
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let pairs = self.0.iter().zip(&before.0);
        pairs.filter(|(now, before)| now != before).map(|((variable, _), _)| *variable).collect()
    }
}
