//! Reads keys, certificates and the catalogue again while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use tracing_subscriber::EnvFilter;

use super::Failure;
use super::log::{self, Levels};
use super::sandbox::InProcess;
use crate::config::{Fingerprinter, Fingerprints, Serve};
use crate::gateway::callers::CallerChanges;
use crate::server::{Config, Reload};
use crate::telemetry::{Telemetry, names};

/// After this many looks in a row that find the files changed, a warning is logged: until they stay the same, nothing is applied.
const WARN_AFTER_LOOKS: u32 = 6;

/// The outcomes of a reload, as telemetry records them.
const APPLIED: &str = "applied";
const REFUSED: &str = "refused";

/// Compares the files with their state when they were last read.
pub(super) struct Reloader {
    serve: Serve,
    fingerprinter: Fingerprinter,
    /// The state that is in force.
    applied: Fingerprints,
    /// The state that was tried last, which may have been refused.
    tried: Fingerprints,
    /// The state that the last look found, which may have been half-written.
    seen: Fingerprints,
    /// How many looks in a row found something else than the look before.
    unstable_looks: u32,
}

impl Reloader {
    /// Looks at the files. Afterwards they are read, so that a change in between is seen later and not never.
    pub(super) fn new(serve: &Serve) -> Self {
        let fingerprinter = Fingerprinter::default();
        let found = fingerprinter.take(serve);
        Self {
            serve: serve.clone(),
            fingerprinter,
            applied: found.clone(),
            tried: found.clone(),
            seen: found,
            unstable_looks: 0,
        }
    }

    /// Watches the files on its own thread, for as long as the process lives.
    pub(super) fn start(mut self, target: ReloadTarget, hangups: Receiver<()>) -> Result<(), Failure> {
        let refused = Arc::new(AtomicBool::new(false));
        let shown = Arc::clone(&refused);
        target.telemetry.observe(names::RELOAD_REFUSED, None, move || shown.load(Ordering::Relaxed).into());
        let run = move || {
            while let Some(asked) = self.wait(&hangups) {
                if let Some(outcome) = self.look(asked, |serve| target.read(serve), |read| target.apply(read)) {
                    // The files as they are now: an older refusal is over once they were applied.
                    refused.store(outcome == REFUSED, Ordering::Relaxed);
                    target.telemetry.count(names::RELOADS, Some(outcome));
                }
            }
        };
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(run);
        thread.map(drop).map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))
    }

    /// Waits until it is time to look: true after SIGHUP, `None` if there will be no other time.
    fn wait(&self, hangups: &Receiver<()>) -> Option<bool> {
        let interval = self.serve.reload.reload_interval;
        if interval.is_zero() {
            return hangups.recv().ok().map(|()| true);
        }
        match hangups.recv_timeout(interval) {
            Ok(()) => Some(true),
            Err(RecvTimeoutError::Timeout) => Some(false),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Applies a change that two looks in a row have found, and returns the outcome if something was tried. A file
    /// that is being written in place can be cut short and still be valid: a key without its end, callers without the
    /// last ones. SIGHUP means that the files are ready, so it applies what is there. Broken files are tried and logged
    /// once, and again for each SIGHUP.
    fn look<T>(
        &mut self,
        asked: bool,
        read: impl FnOnce(&Serve) -> Result<T, String>,
        apply: impl FnOnce(T) -> Result<Option<CallerChanges>, String>,
    ) -> Option<&'static str> {
        let now = self.fingerprinter.take(&self.serve);
        let stable = self.is_stable(&now);
        if !asked && (!stable || now == self.tried) {
            return None;
        }
        let settings = read(&self.serve);
        // The files may have changed between the look and the reading.
        if !asked && !self.is_stable(&self.fingerprinter.take(&self.serve)) {
            return None;
        }
        let changed = now.changed_since(&self.applied).join(", ");
        let span = tracing::info_span!("reload", changed, outcome = tracing::field::Empty).entered();
        self.tried = now.clone();
        let outcome = match settings.and_then(apply) {
            Ok(callers) => {
                self.applied = now;
                tracing::info!(
                    changed,
                    callers_added = callers.map(|callers| callers.added),
                    callers_removed = callers.map(|callers| callers.removed),
                    callers_changed = callers.map(|callers| callers.changed),
                    "the files were read again"
                );
                APPLIED
            }
            Err(error) => {
                tracing::error!(error, "the files were read again and cannot be used; the old ones stay");
                REFUSED
            }
        };
        span.record("outcome", outcome);
        Some(outcome)
    }

    /// Whether the look before found the same.
    fn is_stable(&mut self, now: &Fingerprints) -> bool {
        if *now == self.seen {
            self.unstable_looks = 0;
            return true;
        }
        self.unstable_looks += 1;
        if self.unstable_looks == WARN_AFTER_LOOKS {
            let changed = now.changed_since(&self.seen).join(", ");
            tracing::warn!(
                changed,
                "files change all the time; they are applied when two looks in a row find the same"
            );
        }
        self.seen = now.clone();
        false
    }
}

/// The running parts that a reload changes.
pub(super) struct ReloadTarget {
    pub(super) server: Reload,
    /// The levels of the log.
    pub(super) levels: Levels,
    /// The upstream that takes the place of the configured one.
    pub(super) sandbox: Option<InProcess>,
    /// Reloads are counted.
    pub(super) telemetry: Telemetry,
}

impl ReloadTarget {
    fn read(&self, serve: &Serve) -> Result<(Config, EnvFilter), String> {
        let mut config = serve.resolve().map_err(|error| error.to_string())?;
        let filter = log::filter(&serve.log).map_err(|error| error.to_string())?;
        if let Some(sandbox) = &self.sandbox {
            sandbox.use_in(&mut config);
        }
        Ok((config, filter))
    }

    fn apply(&self, (config, filter): (Config, EnvFilter)) -> Result<Option<CallerChanges>, String> {
        let callers = self.server.apply(&config).map_err(|error| error.to_string())?;
        self.levels.replace(filter);
        Ok(callers)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::gateway::Keys;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: Serve,
    }

    fn reloader(key_file: &Path) -> Reloader {
        Reloader::new(&Flags::parse_from(["test", "--api-key-file", key_file.to_str().unwrap()]).serve)
    }

    /// Looks once and returns the key that was applied, if one was.
    fn key_after(reloader: &mut Reloader, asked: bool) -> Option<String> {
        let applied = Cell::new(None);
        let read = |serve: &Serve| serve.resolve().map_err(|error| error.to_string());
        let _ = reloader.look(asked, read, |config: Config| {
            applied.set(config.gateway.keys);
            Ok(None)
        });
        applied.take().and_then(|keys: Keys| Some(keys.only()?.expose().to_owned()))
    }

    #[test]
    fn files_are_tried_once_for_each_content_and_again_for_each_sighup() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "first").unwrap();
        let mut reloader = reloader(&file);
        let mut look = |asked, result: Result<(), String>| reloader.look(asked, |_| result, |()| Ok(None));
        let broken = || Err("broken".to_owned());
        assert_eq!(look(false, Ok(())), None);
        fs::write(&file, "").unwrap();
        assert_eq!([(); 4].map(|()| look(false, broken())), [None, Some("refused"), None, None]);
        assert_eq!([(); 2].map(|()| look(true, broken())), [Some("refused"); 2]);
        // What was there before is a change too.
        fs::write(&file, "first").unwrap();
        assert_eq!([(); 3].map(|()| look(false, Ok(()))), [None, Some("applied"), None]);
        fs::remove_file(&file).unwrap();
        assert_eq!([(); 3].map(|()| look(false, broken())), [None, Some("refused"), None]);
    }

    #[test]
    fn a_half_written_file_is_not_applied_until_two_looks_find_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "key-one").unwrap();
        let mut reloader = reloader(&file);
        for part in ["key-t", "key-tw", "key-two"] {
            fs::write(&file, part).unwrap();
            assert_eq!(key_after(&mut reloader, false), None, "{part}");
        }
        assert_eq!(key_after(&mut reloader, false).as_deref(), Some("key-two"));
        assert_eq!(key_after(&mut reloader, false), None);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_waits_for_two_more_looks() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "first").unwrap();
        let mut reloader = reloader(&file);
        fs::write(&file, "second").unwrap();
        assert_eq!(key_after(&mut reloader, false), None);
        let read = |_: &Serve| fs::write(&file, "third").map_err(|error| error.to_string());
        assert_eq!(reloader.look(false, read, |()| Ok(None)), None);
        assert_eq!(key_after(&mut reloader, false).as_deref(), Some("third"));
    }

    #[test]
    fn sighup_applies_what_is_there_without_a_second_look() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "first").unwrap();
        let mut reloader = reloader(&file);
        fs::write(&file, "second").unwrap();
        assert_eq!(key_after(&mut reloader, true).as_deref(), Some("second"));
        assert_eq!([(); 2].map(|()| key_after(&mut reloader, false)), [None, None]);
    }

    #[test]
    fn a_folder_that_is_swapped_behind_a_link_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (version, key) in [("1", "first"), ("2", "second")] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("key"), key).unwrap();
        }
        std::os::unix::fs::symlink("1", path("current")).unwrap();
        let mut reloader = reloader(&path("current").join("key"));
        std::os::unix::fs::symlink("2", path("next")).unwrap();
        fs::rename(path("next"), path("current")).unwrap();
        assert_eq!(key_after(&mut reloader, false), None);
        assert_eq!(key_after(&mut reloader, false).as_deref(), Some("second"));
    }
}
