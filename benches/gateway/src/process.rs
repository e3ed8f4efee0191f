//! CPU time and memory of a process and its descendants.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The processes of a gateway.
pub struct Processes(Vec<u32>);

/// CPU time so far, in seconds.
#[derive(Clone, Copy)]
pub struct Cpu {
    /// User and kernel, to the nanosecond.
    pub total: f64,
    /// The kernel's part, in steps of 10 ms.
    pub system: f64,
}

impl Processes {
    /// The process and its descendants at this moment.
    pub fn tree(pid: u32) -> Self {
        let mut all = vec![pid];
        let mut next = 0;
        while next < all.len() {
            let tasks = fs::read_dir(format!("/proc/{}/task", all[next]));
            for task in tasks.into_iter().flatten().flatten() {
                let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
                all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            }
            next += 1;
        }
        Self(all)
    }

    pub fn cpu(&self) -> Cpu {
        let total = self.0.iter().filter_map(|pid| {
            let clock = clock_getcpuclockid(Pid::from_raw(*pid as i32)).ok()?;
            Some(Duration::from(clock_gettime(clock).ok()?).as_secs_f64())
        });
        let system = self.0.iter().filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name before the last bracket may contain spaces; the 13th field after it is stime (proc_pid_stat(5)).
            stat.rsplit_once(')')?.1.split_whitespace().nth(12)?.parse::<f64>().ok()
        });
        Cpu { total: total.sum(), system: system.sum::<f64>() / 100.0 }
    }

    /// CPU time of each thread so far, in nanoseconds, by its id and name.
    pub fn threads(&self) -> BTreeMap<(u32, String), u64> {
        let tasks = self.0.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
        let times = tasks.flatten().flatten().filter_map(|task| {
            let (path, id) = (task.path(), task.file_name().to_str()?.parse().ok()?);
            let name = fs::read_to_string(path.join("comm")).ok()?.trim().to_owned();
            let time = fs::read_to_string(path.join("schedstat")).ok()?;
            Some(((id, name), time.split_whitespace().next()?.parse().ok()?))
        });
        times.collect()
    }

    /// Resident memory now, in MiB. Pages that forked workers share are counted once for each.
    pub fn resident_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    /// The highest resident memory since `reset_peak`, in MiB.
    pub fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    pub fn reset_peak(&self) {
        for pid in &self.0 {
            // Where this is not allowed, the peak since the start is reported.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    fn status_mib(&self, name: &str) -> f64 {
        let sizes = self.0.iter().filter_map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        });
        sizes.sum::<f64>() / 1024.0
    }
}

/// CPU seconds that the host took from this machine so far, of all cores. With much of it, a round is doubtful.
pub fn stolen() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = stat.lines().next().and_then(|line| line.split_whitespace().nth(8)?.parse::<f64>().ok());
    ticks.unwrap_or(0.0) / 100.0
}
