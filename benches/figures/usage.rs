//! What a process uses, as the kernel counts it.

#![allow(dead_code, reason = "no benchmark uses all of it")]

use std::thread::sleep;
use std::time::{Duration, Instant};

/// The kernel counts in hundredths of a second: `USER_HZ` is 100 on every Linux of today.
const TICKS_A_SECOND: f64 = 100.0;

/// Memory, in KiB.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident: all pages in memory.
    pub resident: u32,
    /// Of them, pages of the process's own: heap and stacks.
    pub anonymous: u32,
    /// Of them, pages of files: the program's code, which the kernel can drop.
    pub of_files: u32,
    /// Proportional: pages shared with other processes count in part.
    pub proportional: u32,
}

/// The memory of a process.
pub fn memory(process: u32) -> Memory {
    let status = read(process, "status");
    let rollup = read(process, "smaps_rollup");
    Memory {
        resident: field(&status, "VmRSS:"),
        anonymous: field(&status, "RssAnon:"),
        of_files: field(&status, "RssFile:"),
        proportional: field(&rollup, "Pss:"),
    }
}

/// The most memory that a process has had in it at once, in KiB; none where it has ended.
pub fn peak(process: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// From now on `peak` of this process counts anew (proc(5), clear_refs).
pub fn forget_peak() {
    let mut file = std::fs::File::options().write(true).open("/proc/self/clear_refs").expect("it is there");
    std::io::Write::write_all(&mut file, b"5").expect("a process may do that to itself");
}

/// The share of one core that a process uses over this time, in percent.
pub fn cpu(process: u32, over: Duration) -> f64 {
    let (before, since) = (ticks(process), Instant::now());
    sleep(over);
    (ticks(process) - before) / TICKS_A_SECOND / since.elapsed().as_secs_f64() * 100.0
}

/// The time that a process has spent on processors since it began.
pub fn spent(process: u32) -> Duration {
    Duration::from_secs_f64(ticks(process) / TICKS_A_SECOND)
}

/// Mebibytes, for people.
pub fn mebibytes(kibibytes: u32) -> String {
    format!("{:.1} MiB", f64::from(kibibytes) / 1024.0)
}

/// How many times as much the first is as the second.
pub fn ratio(ours: u32, other: u32) -> String {
    format!("{:.2} ×", f64::from(ours) / f64::from(other))
}

/// User and system time of all threads (fields 14 and 15 of proc_pid_stat(5)).
fn ticks(process: u32) -> f64 {
    let stat = read(process, "stat");
    let (_, after_name) = stat.rsplit_once(") ").expect("the name is in parentheses");
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<f64>().expect("a number")).sum()
}

fn read(process: u32, file: &str) -> String {
    let path = format!("/proc/{process}/{file}");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read `{path}`: {error}"))
}

fn field(text: &str, name: &str) -> u32 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no `{name}` in {text}"))
}
