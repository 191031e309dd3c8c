//! What the kernel says of this process.

/// Ticks of the kernel's clock in a second, as `/proc` counts them: 100 on every architecture that Linux has.
const TICKS: f64 = 100.0;

/// A look at this process; what cannot be read is left out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Time on processors, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Memory that is really there, in octets.
    pub resident_octets: Option<u64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// As many as may be open.
    pub most_files: Option<u64>,
}

impl Process {
    /// Looks.
    pub(super) fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu_seconds: cpu_seconds(&read("/proc/self/stat")),
            resident_octets: resident_octets(&read("/proc/self/status")),
            open_files: std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64),
            most_files: most_files(&read("/proc/self/limits")),
        }
    }
}

/// Fields 14 and 15 of `stat`; the second field, the program's name, may hold anything but ends with the last `)`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

fn resident_octets(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 9 9 9";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(resident_octets("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(
            most_files("Max open files            1024                 4096                 files\n"),
            Some(1024)
        );
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn this_process_is_seen() {
        let process = Process::look();
        assert!(process.resident_octets.is_some_and(|octets| octets > 100_000), "{process:?}");
        assert!(process.open_files.is_some_and(|files| files > 2), "{process:?}");
    }
}
