//! The command lines that a page shows, asked of the program itself.

use std::process::Command;

use super::page::{Page, spans};

/// The words that follow the program's name, of each command line in a block or a code span.
pub fn of(page: &Page) -> Vec<String> {
    let blocks = ["sh", "console"].into_iter().flat_map(|language| page.blocks(language));
    let lines = blocks.flat_map(str::lines).map(str::to_owned);
    let spans = page.prose().into_iter().flat_map(spans);
    lines.chain(spans).filter_map(|line| words(&line)).collect()
}

/// Without what stands before the program: a prompt, `sudo`, cargo, or the variables that it is given.
fn words(line: &str) -> Option<String> {
    let line = line.trim_start_matches("$ ").trim_start_matches("sudo ");
    let line = line.trim_start_matches("RENEWD_CRASH_AT=order_made ").trim_start_matches("target/release/");
    let words = line.strip_prefix("renewd ").or_else(|| line.strip_prefix("cargo run --release -- "))?;
    Some(words.to_owned()).filter(|words| !words.contains('…'))
}

/// Whether the program knows each word: with `--help` at the end it does nothing, and refuses what stands before all the
/// same where it does not know it.
pub fn is_understood(words: &str) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
    let output = command.args(words.split_whitespace()).arg("--help").output().unwrap();
    output.status.success()
}
