//! Who imports whom, held against the plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Plan;
use crate::source;

/// The arrows between the top-level modules of one crate.
#[derive(Debug, Default)]
pub struct House {
    arrows: BTreeMap<String, BTreeSet<String>>,
    declared: BTreeSet<String>,
    /// `lib.rs` holds something that is not a module.
    furnished_hall: bool,
}

impl House {
    /// Reads the sources, given as (path from the project's root, text).
    pub fn new(files: &[(String, String)]) -> Self {
        let mut house = Self::default();
        for (path, text) in files {
            let path = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")).expect("a file of `src`");
            let path: Vec<_> = path.split('/').collect();
            match path[..] {
                ["lib"] => house.read_hall(text),
                ["main"] => house.add("main", source::imports(text, &[])),
                _ => house.add(path[0], source::imports(text, &path)),
            }
        }
        house
    }

    fn read_hall(&mut self, text: &str) {
        let (modules, rest) = source::declared_modules(text);
        self.declared.extend(modules);
        self.furnished_hall = rest;
    }

    fn add(&mut self, module: &str, imports: BTreeSet<String>) {
        let others = imports.into_iter().filter(|import| import != module);
        self.arrows.entry(module.to_owned()).or_default().extend(others);
    }

    /// All that is wrong, in sentences.
    pub fn complaints(&self, plan: &Plan) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.furnished_hall {
            complaints.push("`src/lib.rs` holds nothing but its modules".to_owned());
        }
        let named = self.declared.iter().chain(self.arrows.keys()).chain(self.arrows.values().flatten());
        let unknown: BTreeSet<_> = named.filter(|name| *name != "*" && plan.floor(name).is_none()).collect();
        complaints.extend(unknown.iter().map(|name| {
            format!("`{name}` is not on the table: give it a line in `docs/ARCHITECTURE.md`, below `## Floors`")
        }));
        for (from, imports) in &self.arrows {
            complaints.extend(imports.iter().filter_map(|to| complaint(plan, from, to)));
        }
        complaints.extend(self.cycles());
        complaints
    }

    /// The shortest cycle through each module, told once: at the module that comes first by name.
    fn cycles(&self) -> Vec<String> {
        let cycles = self.arrows.keys().filter_map(|start| {
            let path = self.way_back(start)?;
            (path.iter().min() == Some(&start.as_str())).then_some(path)
        });
        let told = |module: &str| format!("`{module}`");
        cycles.map(|path| format!("a cycle: {}", path.into_iter().map(told).collect::<Vec<_>>().join(" → "))).collect()
    }

    fn way_back<'a>(&'a self, start: &'a str) -> Option<Vec<&'a str>> {
        let mut seen = BTreeSet::new();
        let mut paths = vec![vec![start]];
        while !paths.is_empty() {
            let mut longer = Vec::new();
            for path in paths {
                for next in self.arrows.get(path[path.len() - 1]).into_iter().flatten() {
                    let path = [&path[..], &[next.as_str()]].concat();
                    if next == start {
                        return Some(path);
                    }
                    if seen.insert(next) {
                        longer.push(path);
                    }
                }
            }
            paths = longer;
        }
        None
    }
}

/// What is wrong with one arrow. Modules that are not on the table are told elsewhere.
fn complaint(plan: &Plan, from: &str, to: &str) -> Option<String> {
    if to == "*" {
        return Some(format!("`{from}` imports the whole crate: import modules by name"));
    }
    let (above, below) = (plan.floor(from)?, plan.floor(to)?);
    (below.height >= above.height).then(|| {
        format!(
            "`{from}` (line {}) imports `{to}` (line {}): a module imports only from a lower line",
            above.label, below.label
        )
    })
}
