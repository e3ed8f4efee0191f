//! How many connections and calls there may be, with the files that the process may open.

use super::Config;
use crate::files::Files;
use crate::upstream::HttpVersion;

/// Without a limit from the operator, one connection for this many of the bytes that calls may hold: an idle connection
/// with TLS takes about as much memory in addition, 48 KiB as measured.
const BYTES_PER_CONNECTION: usize = 64 << 10;
/// The fewest connections, however little memory the container has.
const MIN_CONNECTIONS: usize = 256;

/// The limits in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    files: Files,
    pub(super) connections: usize,
    pub(super) calls: usize,
    /// Whether more connections were wanted than files allow.
    pub(super) files_limit_connections: bool,
    /// Whether more calls were wanted than files allow.
    pub(super) files_limit_calls: bool,
}

impl Capacity {
    /// Connections and calls share the files that are not kept back. What one of them does not need, the other may use,
    /// except for a half that is reserved for calls and a quarter that is reserved for connections. Together they may be
    /// allowed more than there are files; then the last ones find none and are refused.
    pub(super) fn new(config: &Config, files: Files) -> Self {
        let available = files.for_connections(config.workers);
        let wanted_connections = match config.limits.connections {
            0 => (config.max_bytes_held / BYTES_PER_CONNECTION).max(MIN_CONNECTIONS),
            given => given,
        };
        // Over HTTP/2 calls share connections to upstream.
        let files_per_call = if config.upstream.http == HttpVersion::Http2 { 0 } else { config.files_per_call };
        let wanted_for_calls = match files_per_call {
            0 => available / 4,
            files => config.max_calls.saturating_mul(files).min(available / 2),
        };
        let connections = wanted_connections.min(available - wanted_for_calls).max(1);
        let for_calls = available - connections.min(available / 4);
        let calls = for_calls.checked_div(files_per_call).map_or(config.max_calls, |calls| calls.min(config.max_calls));
        Self {
            files,
            connections,
            calls: calls.max(1),
            files_limit_connections: connections < wanted_connections,
            files_limit_calls: calls < config.max_calls,
        }
    }

    #[cfg(test)]
    pub(super) fn of_connections(connections: usize, files_limit_connections: bool) -> Self {
        let files = Files::of_process();
        Self { files, connections, calls: 1, files_limit_connections, files_limit_calls: false }
    }

    /// How many connections above the limit are served at a time, to answer probes and say why calls are refused. They
    /// are among the files that are kept back.
    pub(super) fn spare_connections(&self) -> usize {
        (self.files.kept_back() / 2).max(1)
    }

    /// How many connections may wait for their request at the admin port.
    pub(super) fn waiting_operators(&self) -> usize {
        (self.files.kept_back() / 4).max(1)
    }

    /// How many names each worker may look up at the same time: each lookup takes a file or two.
    pub(super) fn lookups(&self, workers: usize) -> usize {
        (self.files.kept_back() / 8 / workers.max(1)).max(2)
    }

    pub(super) fn files(&self) -> Files {
        self.files
    }

    /// The limit of open files that is enough for what was asked for.
    fn needed(config: &Config) -> usize {
        let for_calls = config.max_calls.saturating_mul(config.files_per_call);
        let for_connections = match config.limits.connections {
            // At least a quarter of the files is left to connections.
            0 => for_calls.div_ceil(3),
            given => given,
        };
        Files::needed_for(for_calls.saturating_add(for_connections), config.workers)
    }

    /// Logs the limits, and what to do where files allow less than was asked for.
    pub(super) fn log(&self, config: &Config) {
        let Self { files, connections, calls, .. } = *self;
        let (limit, kept_back) = (files.limit(), files.kept_back());
        if limit == usize::MAX {
            return;
        }
        tracing::info!(
            "{limit} files may be open, of which {kept_back} are kept back for probes, exports and name lookups; at most \
             {connections} connections and {calls} calls are served at once"
        );
        let asked = [
            ("GEMINI_GRPC_MAX_CALLS", config.max_calls, calls, self.files_limit_calls),
            ("GEMINI_GRPC_MAX_CONNECTIONS", config.limits.connections, connections, self.files_limit_connections),
        ];
        // Without a configured limit of connections, a lower one for lack of files is no mistake.
        let too_many =
            asked.into_iter().filter(|(.., files_limit_it)| *files_limit_it).filter(|(_, asked, ..)| *asked > 0);
        let needed = Self::needed(config);
        for (variable, asked, most, _) in too_many {
            tracing::warn!(
                "{variable} is {asked}, but the {limit} files that may be open allow only {most} at once, and more are \
                 refused with OUT_OF_FILES; raise the hard limit of open files to {needed} (ulimit -Hn, LimitNOFILE), or set \
                 {variable} to {most}"
            );
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::Serve;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        serve: Serve,
    }

    /// The limits of connections and calls, with this many files.
    fn limits(files: usize, flags: &[&str]) -> (usize, usize) {
        let fixed = ["test", "--api-key", "a-key", "--workers", "2", "--max-bytes-held", "1073741824"];
        let config = Flags::parse_from(fixed.iter().chain(flags)).serve.resolve().unwrap();
        let capacity = Capacity::new(&config, Files::with_limit(files));
        let is_lower = (capacity.files_limit_connections, capacity.files_limit_calls);
        let wanted = match config.limits.connections {
            0 => 16_384,
            given => given,
        };
        assert_eq!(is_lower, (capacity.connections < wanted, capacity.calls < config.max_calls), "{files} {flags:?}");
        (capacity.connections, capacity.calls)
    }

    #[test]
    fn connections_and_calls_follow_from_the_files() {
        for (files, flags, connections, calls) in [
            (1 << 20, &[][..], 16_384, 1000),
            (20_000, &[], 16_384, 1000),
            (4096, &[], 2540, 1000),
            (1024, &[], 426, 639),
            (256, &[], 90, 135),
            (40, &[], 1, 1),
            // What one of them does not need, the other has.
            (1024, &["--max-connections", "20"], 20, 832),
            (1024, &["--max-calls", "100"], 752, 100),
            (1024, &["--max-connections", "700", "--max-calls", "100"], 700, 100),
            (1024, &["--max-connections", "5000", "--max-calls", "5000"], 426, 639),
            // Calls share connections.
            (1024, &["--upstream-http", "2"], 639, 1000),
        ] {
            assert_eq!(limits(files, flags), (connections, calls), "{files} {flags:?}");
        }
    }

    #[test]
    fn with_a_sandbox_in_the_process_a_call_takes_two_files() {
        let mut config = Flags::parse_from(["test", "--api-key", "a-key", "--workers", "2"]).serve.resolve().unwrap();
        config.files_per_call = 2;
        assert_eq!(Capacity::new(&config, Files::with_limit(1024)).calls, 319);
    }

    #[test]
    fn the_limit_that_the_log_names_has_room_for_what_was_asked_for() {
        for (calls, connections) in [("1000", "0"), ("1000", "1000"), ("5000", "10"), ("10", "5000"), ("100", "400")] {
            let flags = ["--max-calls", calls, "--max-connections", connections];
            let config =
                Flags::parse_from(["test", "--api-key", "a-key"].iter().chain(&flags)).serve.resolve().unwrap();
            let enough = Capacity::new(&config, Files::with_limit(Capacity::needed(&config)));
            assert_eq!(enough.calls, config.max_calls, "{flags:?}");
            assert!(enough.connections >= config.limits.connections, "{flags:?}");
        }
    }
}
