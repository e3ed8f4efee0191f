//! Reads keys, certificates and the catalogue again while the server runs.

use std::sync::mpsc::{Receiver, RecvTimeoutError};

use super::log::{self, Levels};
use super::{Failure, serve};
use crate::config::{Contents, Eye, Serve};
use crate::server::Reload;
use crate::telemetry::{Telemetry, names};

/// Knows what was in the files when they were last read.
pub(super) struct Reloader {
    serve: Serve,
    eye: Eye,
    /// What is in force.
    applied: Contents,
    /// What was tried last, which may have been broken.
    tried: Contents,
}

impl Reloader {
    /// Looks at the files. Afterwards they are read, so that a change in between is seen later and not never.
    pub(super) fn new(serve: &Serve) -> Self {
        let eye = Eye::default();
        let contents = eye.look(serve);
        Self { serve: serve.clone(), eye, applied: contents.clone(), tried: contents }
    }

    /// Watches the files on a thread of its own, for as long as the process lives.
    pub(super) fn start(mut self, into: Into, hangups: Receiver<()>) -> Result<(), Failure> {
        let run = move || {
            while let Some(asked) = self.wait(&hangups) {
                if let Some(outcome) = self.look(asked, |serve| into.apply(serve)) {
                    into.telemetry.count(names::RELOADS, Some(outcome));
                }
            }
        };
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(run);
        thread.map(drop).map_err(|error| Failure::Run(format!("cannot start a thread: {error}")))
    }

    /// Waits until it is time to look: true if SIGHUP says so, none if nothing will ever.
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

    /// Applies what has changed, and says what came of it. Broken files are tried, and spoken of, once; those of
    /// somebody who asks, each time.
    fn look(&mut self, asked: bool, apply: impl FnOnce(&Serve) -> Result<(), String>) -> Option<&'static str> {
        let now = self.eye.look(&self.serve);
        if now == self.tried && !asked {
            return None;
        }
        let changed = now.changed_since(&self.applied).join(", ");
        let span = tracing::info_span!("reload", changed, outcome = tracing::field::Empty).entered();
        self.tried = now.clone();
        match apply(&self.serve) {
            Ok(()) => {
                self.applied = now;
                tracing::info!(changed, "the files were read again");
            }
            Err(error) => tracing::error!(error, "the files were read again and cannot be used; the old ones stay"),
        }
        let outcome = if self.applied == self.tried { "applied" } else { "refused" };
        span.record("outcome", outcome);
        Some(outcome)
    }
}

/// What the files are put into.
pub(super) struct Into {
    pub(super) server: Reload,
    /// The levels of the log.
    pub(super) levels: Levels,
    /// The URL of the sandbox, if answers come from there.
    pub(super) sandbox: Option<String>,
    /// Reloads are counted.
    pub(super) telemetry: Telemetry,
}

impl Into {
    fn apply(&self, serve: &Serve) -> Result<(), String> {
        let mut config = serve.resolve().map_err(|error| error.to_string())?;
        let filter = log::filter(&serve.log).map_err(|error| error.to_string())?;
        if let Some(url) = &self.sandbox {
            serve::use_sandbox(&mut config, url);
        }
        self.server.apply(&config).map_err(|error| error.to_string())?;
        self.levels.replace(filter);
        Ok(())
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

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: Serve,
    }

    fn reloader(key_file: &Path) -> Reloader {
        Reloader::new(&Flags::parse_from(["test", "--api-key-file", key_file.to_str().unwrap()]).serve)
    }

    #[test]
    fn files_are_tried_once_for_each_content_and_once_more_for_each_sighup() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "first").unwrap();
        let mut reloader = reloader(&file);
        let tries = Cell::new(0);
        let mut look = |asked, outcome: Result<(), String>| {
            let before = tries.get();
            let _ = reloader.look(asked, |_| {
                tries.set(before + 1);
                outcome
            });
            tries.get() - before
        };
        assert_eq!(look(false, Ok(())), 0);
        fs::write(&file, "").unwrap();
        assert_eq!([(); 3].map(|()| look(false, Err("broken".to_owned()))), [1, 0, 0]);
        assert_eq!(look(true, Err("broken".to_owned())), 1);
        // What was there before is a change too.
        fs::write(&file, "first").unwrap();
        assert_eq!([(); 2].map(|()| look(false, Ok(()))), [1, 0]);
        fs::remove_file(&file).unwrap();
        assert_eq!([(); 2].map(|()| look(false, Err("gone".to_owned()))), [1, 0]);
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
        let read = Cell::new(None);
        let _ = reloader.look(false, |serve| {
            read.set(serve.resolve().unwrap().gateway.key);
            Ok(())
        });
        assert_eq!(read.take().unwrap().expose(), "second");
    }
}
