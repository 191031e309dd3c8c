//! One page of Markdown, as far as its tests need it.

use std::path::{Path, PathBuf};

/// A page and its lines, each with what it is.
#[derive(Debug)]
pub struct Page {
    /// Where it is.
    pub path: PathBuf,
    text: String,
}

impl Page {
    /// Reads the page at `path`.
    pub fn read(path: &Path) -> Self {
        Self { path: path.to_owned(), text: std::fs::read_to_string(path).unwrap() }
    }

    /// The fenced blocks in this language.
    pub fn blocks(&self, language: &str) -> Vec<&str> {
        let fence = format!("```{language}\n");
        let starts = self.text.match_indices(&fence).map(|(at, fence)| &self.text[at + fence.len()..]);
        starts.map(|rest| &rest[..rest.find("```").expect("a block ends")]).collect()
    }

    /// The lines outside of fenced blocks.
    pub fn prose(&self) -> Vec<&str> {
        let mut fenced = false;
        let mut lines = Vec::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                lines.push(line);
            }
        }
        lines
    }

    /// The headings, without their marks.
    pub fn headings(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|line| line.starts_with('#'));
        headings.map(|line| line.trim_start_matches('#').trim().to_owned()).collect()
    }

    /// The rows of the first table below the heading, each a list of cells, without the table's head.
    pub fn table(&self, heading: &str) -> Vec<Vec<String>> {
        let prose = self.prose();
        let below = prose.iter().skip_while(|line| line.trim_start_matches('#').trim() != heading);
        let table = below.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let cells = |line: &&str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        let rows: Vec<_> = table.map(cells).skip(2).collect();
        assert!(!rows.is_empty(), "a table below `{heading}` in {}", self.path.display());
        rows
    }
}

/// What stands between single backticks in a line.
pub fn spans(line: &str) -> Vec<String> {
    line.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
