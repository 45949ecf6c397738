//! What the kernel tells of a process: time on the processor, memory.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

/// The processor time of a process and its threads at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    /// User and system of `/proc/PID/stat`, ended threads included, to one clock tick.
    ticks: Duration,
    /// The same per living thread, to the nanosecond, where the kernel keeps it (schedstat).
    threads: BTreeMap<u32, Duration>,
}

impl Cpu {
    /// Reads it now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).context(path)?;
        let ticks = stat_ticks(&stat).context("/proc/PID/stat has another form")?;
        let per_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100);
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread that ends in between is told by the other figure.
            let text = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
            let thread = entry.file_name().to_string_lossy().parse().ok();
            if let (Some(thread), Some(nanos)) = (thread, nanos) {
                threads.insert(thread, Duration::from_nanos(nanos));
            }
        }
        Ok(Self {
            ticks: Duration::from_secs_f64(ticks as f64 / per_second as f64),
            threads,
        })
    }

    /// What was used since `before`: by the finer clock, unless a thread has ended meanwhile.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let all_live = before
            .threads
            .keys()
            .all(|thread| self.threads.contains_key(thread));
        if all_live && !self.threads.is_empty() {
            let sum = |cpu: &Self| cpu.threads.values().sum::<Duration>();
            sum(self).saturating_sub(sum(before))
        } else {
            self.ticks.saturating_sub(before.ticks)
        }
    }
}

/// utime and stime: the 14th and 15th field; the second is a name in parentheses.
fn stat_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// Waits until the process has come to rest, and gives its time then: what it does after the last
/// route has left counts too.
pub(crate) fn cpu_at_rest(pid: u32, patience: Duration) -> Result<Cpu> {
    const INTERVAL: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + patience;
    let mut last = Cpu::of(pid)?;
    loop {
        std::thread::sleep(INTERVAL);
        let now = Cpu::of(pid)?;
        if now.since(&last) < INTERVAL / 50 || Instant::now() >= deadline {
            return Ok(now);
        }
        last = now;
    }
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident now (VmRSS).
    pub(crate) resident: u64,
    /// The most that was resident ever (VmHWM).
    pub(crate) peak: u64,
}

impl Memory {
    /// Reads it now.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/status");
        let status = fs::read_to_string(&path).context(path)?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number
                .and_then(|number| number.parse().ok())
                .with_context(|| format!("no {name} in /proc/PID/status"))
        };
        Ok(Self {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 900 0 1 0 25 17 0 0 20 0 1 0 100 9 8";
        assert_eq!(stat_ticks(stat), Some(42));
    }

    #[test]
    fn work_shows_in_the_time_of_this_process() {
        let pid = std::process::id();
        let before = Cpu::of(pid).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while Cpu::of(pid).unwrap().since(&before) < Duration::from_millis(20) {
            assert!(Instant::now() < deadline, "no time is counted");
        }
        let memory = Memory::of(pid).unwrap();
        assert!(memory.peak >= memory.resident && memory.resident > 0);
    }
}
