//! Which files are read again, and whether they have changed.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::Serve;
use super::value::seconds_or_none;

/// The flag of reloading.
#[derive(Args, Clone, Debug)]
pub struct Reload {
    /// How often to see whether keys, certificates or the catalogue have changed, in seconds; 0 means on SIGHUP only.
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

/// What was in the files at one moment, as fingerprints. Contents and not times or events: Kubernetes swaps the link
/// of a folder further up, of which no watcher of the file hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents(Vec<(&'static str, Option<u64>)>);

/// Takes fingerprints. Only those of one eye can be compared.
#[derive(Clone, Debug, Default)]
pub struct Eye(RandomState);

impl Eye {
    /// Looks at the files that the flags name.
    pub fn look(&self, serve: &Serve) -> Contents {
        let files = serve.files().into_iter().filter_map(|(variable, path)| Some((variable, path?)));
        Contents(files.map(|(variable, path)| (variable, self.fingerprint(path))).collect())
    }

    /// None of what cannot be read, and of what can be read only once, such as a pipe.
    fn fingerprint(&self, path: &Path) -> Option<u64> {
        let is_file = std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        let bytes = is_file.then(|| std::fs::read(path).ok()).flatten();
        bytes.map(|bytes| self.0.hash_one(bytes))
    }
}

impl Contents {
    /// The variables whose files differ.
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let pairs = self.0.iter().zip(&before.0);
        pairs.filter(|(now, before)| now != before).map(|((variable, _), _)| *variable).collect()
    }
}
