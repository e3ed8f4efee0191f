//! How many files this process may open. A connection is a file too, and a process without one left can neither answer
//! probes nor say why it refuses calls. So some are kept back: connections of callers and to upstream may not have them.

use std::io::{Error, stdin};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::Path;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// One file in this many is kept back, up to `MAX_KEPT_BACK`.
const FILES_PER_KEPT_BACK: usize = 8;
/// Enough for everything else that needs files: 256 connections whose calls are refused, 128 on the admin
/// port, name lookups, telemetry, and files that are read again.
const MAX_KEPT_BACK: usize = 512;
/// Files that a process has open before its first connection, with exporters of telemetry and a sandbox.
const BASE_FILES: usize = 32;
/// Files that each worker has open: those of its runtime, and its connection to a store.
const FILES_PER_WORKER: usize = 6;
/// macOS refuses a soft limit above this one (OPEN_MAX), even if its hard limit is infinite.
const OPEN_MAX: u64 = 10_240;

/// The limit of open files of this process, and what it leaves for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    limit: usize,
}

/// Raises the soft limit of open files to the hard one. Soft limits are low for programs that use `select`, which this
/// one does not; Go's runtime does the same.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let is_more = |soft: &Option<u64>| soft.unwrap_or(u64::MAX) > current.unwrap_or(u64::MAX);
    // If neither is taken, the process goes on with the limit that it has.
    let _ = [maximum, Some(OPEN_MAX)]
        .into_iter()
        .filter(is_more)
        .find(|soft| setrlimit(Resource::Nofile, Rlimit { current: *soft, maximum }).is_ok());
}

impl Files {
    /// As the limit is now.
    pub fn of_process() -> Self {
        let current = getrlimit(Resource::Nofile).current;
        Self { limit: current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX) }
    }

    #[cfg(test)]
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self { limit }
    }

    /// How many may be open.
    pub fn limit(self) -> usize {
        self.limit
    }

    /// How many of them connections of callers and to upstream may not have.
    pub fn kept_back(self) -> usize {
        (self.limit / FILES_PER_KEPT_BACK).min(MAX_KEPT_BACK)
    }

    /// How many connections fit, given what a process with this many workers has open anyway.
    pub fn for_connections(self, workers: usize) -> usize {
        self.limit.saturating_sub(self.kept_back()).saturating_sub(BASE_FILES + FILES_PER_WORKER * workers)
    }

    /// The limit that is enough for this many connections.
    pub fn needed_for(connections: usize, workers: usize) -> usize {
        let others = connections.saturating_add(BASE_FILES + FILES_PER_WORKER * workers);
        others.saturating_add((others / (FILES_PER_KEPT_BACK - 1) + 1).min(MAX_KEPT_BACK))
    }

    /// Whether only those that are kept back are left, or none.
    ///
    /// The system assigns the lowest free descriptor at or above a given number. So two probes nearly always suffice: as
    /// long as the first descriptor that is kept back is free, all of them are. Files are counted only where it is not, since
    /// a lower one may be free again.
    pub fn are_out(self) -> bool {
        let first_kept_back = self.limit - self.kept_back();
        let free_from = |least: usize| {
            let file = fcntl_dupfd_cloexec(stdin().as_fd(), RawFd::try_from(least).unwrap_or(RawFd::MAX)).ok()?;
            usize::try_from(file.as_raw_fd()).ok()
        };
        match free_from(0) {
            None => true,
            Some(lowest) if lowest >= first_kept_back => true,
            Some(_) if free_from(first_kept_back) == Some(first_kept_back) => false,
            Some(_) => open_count().is_some_and(|count| count >= first_kept_back),
        }
    }
}

/// How many files the process has open; `None` where the system does not say.
pub fn open_count() -> Option<usize> {
    let folder = ["/proc/self/fd", "/dev/fd"].into_iter().map(Path::new).find(|folder| folder.is_dir())?;
    // Linux since 6.2 has the count as the size of the folder. Otherwise the folder itself is one of those counted.
    let counted = folder.metadata().ok().map(|metadata| metadata.len()).filter(|size| *size > 0);
    let is_linux = folder.starts_with("/proc");
    match counted.filter(|_| is_linux) {
        Some(count) => usize::try_from(count).ok(),
        None => Some(folder.read_dir().ok()?.count().saturating_sub(1)),
    }
}

/// Whether an error says that no file can be opened, in this process (EMFILE) or in the whole system (ENFILE).
pub fn is_out_of_files(error: &Error) -> bool {
    let number = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| number == Some(errno.raw_os_error()))
}

/// What `connect` or `accept` would say without a file left.
pub fn out_of_files() -> Error {
    Error::from_raw_os_error(Errno::MFILE.raw_os_error())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_of_the_files_is_kept_back_up_to_512() {
        for (limit, kept_back, for_connections) in
            [(0, 0, 0), (40, 5, 0), (256, 32, 180), (1024, 128, 852), (4096, 512, 3540), (1 << 20, 512, 1_048_020)]
        {
            let files = Files { limit };
            assert_eq!((files.kept_back(), files.for_connections(2)), (kept_back, for_connections), "{limit}");
        }
        assert!(Files { limit: usize::MAX }.for_connections(2) > 1 << 40);
    }

    #[test]
    fn the_limit_that_is_named_leaves_the_room_that_was_asked_for() {
        for connections in [0, 1, 6, 7, 100, 1333, 3539, 3540, 100_000] {
            let limit = Files::needed_for(connections, 2);
            assert!(Files { limit }.for_connections(2) >= connections, "{connections}: {limit}");
            assert!(Files { limit: limit - 3 }.for_connections(2) < connections.max(1), "{connections}: {limit}");
        }
    }

    #[test]
    fn open_files_are_counted_and_the_last_ones_are_kept_back() {
        let count = open_count().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        // Other tests open and close files meanwhile; three are open whatever they do.
        assert!(count >= 3);
        let number = usize::try_from(file.as_raw_fd()).unwrap();
        assert!(Files { limit: 3 }.are_out() && Files { limit: number.min(count) }.are_out());
        assert!(!Files::of_process().are_out());
    }

    #[test]
    fn only_the_errors_of_too_many_open_files_say_so() {
        let errno = |errno: Errno| Error::from_raw_os_error(errno.raw_os_error());
        assert!(is_out_of_files(&out_of_files()) && is_out_of_files(&errno(Errno::NFILE)));
        assert!(!is_out_of_files(&errno(Errno::CONNREFUSED)) && !is_out_of_files(&Error::other("too many open files")));
    }
}
