//! The table in which a benchmark prints its figures: always both sides, and the budget.

#![allow(dead_code, clippy::print_stdout, reason = "no benchmark uses all of it; figures are printed")]

use std::time::Duration;

const HEADINGS: [&str; 5] = ["what", "peer or limit", "renewd", "ratio", "budget"];

/// Figures, one row a thing measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 5]>,
    notes: Vec<String>,
}

impl Table {
    /// Adds a row: what was measured, the peer's figure or the limit, ours, the ratio of the two, the budget.
    pub fn row(&mut self, what: &str, peer: &str, ours: &str, ratio: &str, budget: &str) {
        self.rows.push([what, peer, ours, ratio, budget].map(str::to_owned));
    }

    /// Adds what a reader must know to judge the figures.
    pub fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Prints all of it, below the benchmark's name and the machine.
    pub fn print(&self, benchmark: &str) {
        let headings = HEADINGS.map(str::to_owned);
        let width = |column: usize| self.lines(&headings).map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
        println!("\n{benchmark} on {}\n", machine());
        for (index, row) in self.lines(&headings).enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
            if index == 0 {
                let rules: Vec<_> = widths.iter().map(|&width| "-".repeat(width)).collect();
                println!("| {} |", rules.join(" | "));
            }
        }
        println!();
        self.notes.iter().for_each(|note| println!("* {note}"));
    }

    fn lines<'a>(&'a self, headings: &'a [String; 5]) -> impl Iterator<Item = &'a [String; 5]> {
        std::iter::once(headings).chain(&self.rows)
    }
}

/// A duration as people read it: three figures and a unit.
pub fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        1.0.. => format!("{seconds:.2} s"),
        1e-3.. => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{:.1} µs", seconds * 1e6),
    }
}

/// How many times as large the first is as the second.
pub fn times(larger: Duration, smaller: Duration) -> String {
    format!("{:.1} ×", larger.as_secs_f64() / smaller.as_secs_f64())
}

/// The one in the middle.
///
/// # Panics
/// When there is none.
pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort();
    values[values.len() / 2]
}

/// Whether a benchmark was asked for: `cargo test --all-targets` starts these programs, too, and means no figures.
pub fn asked_for() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    format!("{cores} cores ({}), load {load} at the end", model.unwrap_or("of an unknown kind"))
}
