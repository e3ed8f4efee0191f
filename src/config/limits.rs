//! The flags of limits: calls, bytes and time.

use std::time::Duration;

use clap::Args;

use super::Error;
use super::value::seconds;
use crate::gateway;
use crate::gemini::json::DEFAULT_MAX_ELEMENTS;

/// The flags of limits.
#[derive(Args, Clone, Debug)]
pub struct Limits {
    /// Calls at once. One more is refused.
    #[arg(long, help_heading = "Limits", env = "GEMINI_GRPC_MAX_CALLS", default_value_t = 1000, value_name = "NUMBER")]
    pub max_calls: usize,

    /// What calls may hold of requests and answers at once, in bytes; 0 means half of the memory limit of the container, or 1 GiB.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_BYTES_HELD",
        default_value_t = 0,
        value_name = "BYTES"
    )]
    pub max_bytes_held: usize,

    /// The largest request taken, in bytes, unpacked.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_REQUEST_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES"
    )]
    pub max_request_bytes: usize,

    /// Elements in the lists and maps of a request, all together: contents, parts, tools and everything else outside of
    /// free-form JSON. One more is refused.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_ELEMENTS",
        default_value_t = DEFAULT_MAX_ELEMENTS,
        value_name = "NUMBER"
    )]
    pub max_elements: usize,

    /// The largest answer, or event of a streamed answer, taken from upstream, in bytes.
    #[arg(
        long,
        help_heading = "Limits",
        env = "GEMINI_GRPC_MAX_RESPONSE_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES"
    )]
    pub max_response_bytes: usize,

    /// How long a call may take, to its last byte, in seconds. A caller may ask for less.
    #[arg(
        long,
        help_heading = "Time limits",
        env = "GEMINI_GRPC_MAX_DURATION",
        default_value = "900",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub max_duration: Duration,

    /// How long a caller may take to send its request, in seconds.
    #[arg(
        long,
        help_heading = "Time limits",
        env = "GEMINI_GRPC_UPLOAD_TIMEOUT",
        default_value = "60",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub upload_timeout: Duration,

    /// How long upstream may take to begin its answer, in seconds. Pictures take long.
    #[arg(
        long,
        help_heading = "Time limits",
        env = "GEMINI_GRPC_FIRST_BYTE_TIMEOUT",
        default_value = "300",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub first_byte_timeout: Duration,

    /// How long upstream may be silent between two events of an answer, in seconds.
    #[arg(
        long,
        help_heading = "Time limits",
        env = "GEMINI_GRPC_IDLE_TIMEOUT",
        default_value = "120",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub idle_timeout: Duration,

    /// Send an empty message to callers of a stream after this many silent seconds; 0 means never. A caller may ask for it
    /// with x-heartbeat-seconds.
    #[arg(
        long,
        help_heading = "Time limits",
        env = "GEMINI_GRPC_HEARTBEAT",
        default_value_t = 0,
        value_name = "SECONDS"
    )]
    pub heartbeat: u16,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (variable, number, least) in [
            ("GEMINI_GRPC_MAX_REQUEST_BYTES", self.max_request_bytes, 1024),
            ("GEMINI_GRPC_MAX_RESPONSE_BYTES", self.max_response_bytes, 1024),
            ("GEMINI_GRPC_MAX_ELEMENTS", self.max_elements, 1),
            ("GEMINI_GRPC_MAX_CALLS", self.max_calls, 1),
            ("GEMINI_GRPC_MAX_BYTES_HELD", self.max_bytes_held(), 1),
        ] {
            if number < least {
                return Err(Error::TooSmall { variable, least });
            }
        }
        Ok(())
    }

    /// The cap on bytes, from the container if it is not given.
    pub(super) fn max_bytes_held(&self) -> usize {
        match self.max_bytes_held {
            0 => memory_limit().map_or(1 << 30, |limit| limit / 2),
            bytes => bytes,
        }
    }

    pub(super) fn times(&self) -> gateway::TimeLimits {
        gateway::TimeLimits {
            ceiling: self.max_duration,
            upload: self.upload_timeout,
            first_byte: self.first_byte_timeout,
            idle: self.idle_timeout,
        }
    }

    pub(super) fn heartbeat(&self) -> Option<Duration> {
        (self.heartbeat > 0).then(|| Duration::from_secs(self.heartbeat.into()))
    }
}

/// The memory limit that this process runs under, in control groups of either version. In a container its own group
/// is what is mounted as the root; outside, its path is to be followed.
fn memory_limit() -> Option<usize> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let files = groups.lines().flat_map(limit_files);
    let limits = files.filter_map(|file| std::fs::read_to_string(file).ok());
    // "max" is no limit, and version 1 writes a number near 2^63.
    limits.filter_map(|text| text.trim().parse().ok()).filter(|limit| *limit < 1 << 50).min()
}

/// Where the memory limit of a group may stand, by its line in /proc/self/cgroup.
fn limit_files(line: &str) -> Vec<String> {
    let (folder, path, name) = match line.splitn(3, ':').collect::<Vec<_>>()[..] {
        ["0", "", path] => ("/sys/fs/cgroup", path, "memory.max"),
        [_, controllers, path] if controllers.split(',').any(|name| name == "memory") => {
            ("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
        }
        _ => return Vec::new(),
    };
    vec![format!("{folder}{}/{name}", path.trim_end_matches('/')), format!("{folder}/{name}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_limit_stands_in_the_files_of_either_version() {
        for (line, files) in [
            ("0::/pods/a", vec!["/sys/fs/cgroup/pods/a/memory.max", "/sys/fs/cgroup/memory.max"]),
            ("0::/", vec!["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.max"]),
            (
                "5:memory:/a",
                vec!["/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"],
            ),
            ("4:cpu,cpuacct:/a", vec![]),
            ("nonsense", vec![]),
        ] {
            assert_eq!(limit_files(line), files, "{line}");
        }
    }
}
