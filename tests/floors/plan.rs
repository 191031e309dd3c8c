//! The table of floors, as the documentation shows it.

use std::collections::BTreeMap;

/// Which module stands on which line.
#[derive(Debug)]
pub struct Plan {
    floors: BTreeMap<String, Floor>,
}

/// A module's place.
#[derive(Debug, Clone)]
pub struct Floor {
    /// Greater is higher.
    pub height: usize,
    /// The line's label in the table.
    pub label: String,
}

impl Plan {
    /// Reads the fenced block below the heading `## Floors`. A line is a label, modules, and a remark in parentheses;
    /// modules after `then` stand above those before it. `main` stands above all.
    pub fn parse(document: &str) -> Self {
        let (_, section) = document.split_once("\n## Floors\n").expect("a section `## Floors`");
        let block = section.split("```").nth(1).expect("a fenced block below `## Floors`");
        let mut plan = Self { floors: BTreeMap::new() };
        for line in block.lines().skip(1).filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().iter().rev() {
            plan.add_line(line);
        }
        plan.add("main", "main.rs", usize::MAX);
        plan
    }

    fn add_line(&mut self, line: &str) {
        let mut words = line.split('(').next().unwrap_or_default().split_whitespace();
        let label = words.next().expect("a label");
        let is_label = label.starts_with(|first: char| first.is_ascii_digit()) && label.len() <= 2;
        assert!(is_label, "a line of the floors begins with its label: `{line}`");
        let mut height = self.floors.values().map(|floor| floor.height + 1).max().unwrap_or(0);
        for word in words {
            match word {
                "then" => height += 1,
                module => self.add(module, label, height),
            }
        }
    }

    fn add(&mut self, module: &str, label: &str, height: usize) {
        let floor = Floor { height, label: label.to_owned() };
        assert!(self.floors.insert(module.to_owned(), floor).is_none(), "`{module}` stands twice on the table");
    }

    /// Where a module stands.
    pub fn floor(&self, module: &str) -> Option<&Floor> {
        self.floors.get(module)
    }
}
