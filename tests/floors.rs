//! The floors of the house: a module imports only from a lower line of the table in `docs/ARCHITECTURE.md`.
//!
//! The table stands there and nowhere else. The checker is shown made-up trees first, so that it is seen to fail.

use std::fs;
use std::path::Path;

#[path = "floors/house.rs"]
mod house;
#[path = "floors/plan.rs"]
mod plan;
#[path = "floors/source.rs"]
mod source;

use house::House;
use plan::Plan;

/// More lines than this and a file holds more than one idea.
const LONGEST_FILE: usize = 500;

#[test]
fn every_module_imports_from_lower_floors_only() {
    let complaints = House::new(&files("src")).complaints(&Plan::parse(&read("docs/ARCHITECTURE.md")));
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_are_of_one_idea_and_well_named() {
    let files = [files("src"), files("providers/src")].concat();
    assert!(files.len() > 10, "the sources were found");
    let complaints: Vec<_> = files.iter().flat_map(|(path, text)| style_complaints(path, text)).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn style_complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        complaints.push(format!("`{path}` has {lines} lines, more than {LONGEST_FILE}: divide it by ideas"));
    }
    if path.ends_with("/mod.rs") {
        complaints.push(format!("`{path}`: `foo.rs` stands beside `foo/`"));
    }
    let vague = source::type_names(text).into_iter().filter(|name| is_vague(name));
    complaints.extend(vague.map(|name| format!("`{path}`: the type `{name}` does not say what it is")));
    complaints
}

fn is_vague(name: &str) -> bool {
    ["Manager", "Service", "Helper", "Helpers", "Util", "Utils", "Common"].iter().any(|suffix| name.ends_with(suffix))
}

/// All Rust files below a directory of the project, as (path, text).
fn files(directory: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut open = vec![root.join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8");
                found.push((name.to_owned(), fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the project")
}

/// What the checker says of a made-up tree: `src/lib.rs` names all the modules.
fn said_of(tree: &[(&str, &str)]) -> Vec<String> {
    let plan = Plan::parse(
        "# House\n## Floors\nwords\n```text\n2  top\n1  left  right  then  upper  (a remark)\n0a ground\n```\n",
    );
    let files: Vec<_> = tree.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    House::new(&files).complaints(&plan)
}

#[track_caller]
fn assert_refused(tree: &[(&str, &str)], words: &str) {
    let said = said_of(tree);
    assert!(said.iter().any(|line| line.contains(words)), "`{words}` in {said:?}");
}

#[test]
fn downward_arrows_are_fine() {
    let tree = [
        ("src/lib.rs", "//! Words.\n#![warn(dead_code)]\npub mod top;\n#[cfg(test)]\nmod upper; pub mod ground;"),
        ("src/main.rs", "fn main() { renewd::top::run(); }"),
        ("src/top.rs", "use crate::{left::A, ground::{self, B}};\nmod tests { use super::*; }"),
        ("src/top/inner.rs", "use super::inner_of_top; use super::super::ground; use crate::top::x;"),
        ("src/upper.rs", "use crate::left; pub(crate) fn f() { crate::right::g() }"),
    ];
    assert_eq!(said_of(&tree), [""; 0]);
}

#[test]
fn an_upward_arrow_is_found_however_it_is_written() {
    for text in [
        "use crate::top::A;",
        "fn f() { let x = crate :: top::g(); }",
        "use crate::{left as l, r#top::A};",
        "use crate::{\n    left::{A, B},\n    top,\n};",
        "use super::top;",
        "use super::{left, top};",
        "mod tests { use super::super::top::A; }",
        "mod tests { use super::{f, super::top}; }",
        "mod outer { mod inner { } use super::super::top; }",
        "macro_rules! m { () => { $crate::top::g() } }",
        "const A: char = '\"'; use crate::top; const B: char = '\"';",
        "fn f<'a>(x: &'a str) { crate::top::g(r\"\\\"); }",
    ] {
        assert_refused(&[("src/right.rs", text)], "`right` (line 1) imports `top` (line 2)");
    }
    assert_refused(&[("src/right/deep/inner.rs", "use super::super::super::top;")], "imports `top`");
    assert_refused(&[("src/left.rs", "use crate::upper;")], "`left` (line 1) imports `upper` (line 1)");
}

#[test]
fn an_arrow_along_a_line_is_found() {
    assert_refused(&[("src/left.rs", "use crate::right::A;")], "`left` (line 1) imports `right` (line 1)");
}

#[test]
fn comments_and_strings_are_not_code() {
    for text in [
        "// use crate::top;",
        "//! [`crate::top`]",
        "/* outer /* crate::top */ crate::top */",
        "const A: &str = \"crate::top \\\" crate::top\";",
        "const A: &str = r#\"crate::top \" crate::top\"#;",
        "const A: &[u8] = br\"crate::top\"; const B: &[u8] = b\"crate::top\";",
        "const A: char = '\\''; // crate::top",
    ] {
        assert_eq!(said_of(&[("src/right.rs", text)]), [""; 0], "{text}");
    }
}

#[test]
fn a_cycle_is_found() {
    let tree = [
        ("src/left.rs", "use crate::ground;"),
        ("src/ground.rs", "use crate::upper;"),
        ("src/upper.rs", "use crate::left;"),
    ];
    assert_refused(&tree, "a cycle: `ground` → `upper` → `left` → `ground`");
}

#[test]
fn a_module_that_is_not_on_the_table_is_found() {
    assert_refused(&[("src/lib.rs", "pub mod attic;")], "`attic` is not on the table");
    assert_refused(&[("src/top.rs", "use crate::attic::A;")], "`attic` is not on the table");
}

#[test]
fn ways_around_the_table_are_found() {
    assert_refused(&[("src/top.rs", "use crate::*;")], "by name");
    assert_refused(&[("src/top.rs", "use super::*;")], "by name");
    assert_refused(&[("src/top.rs", "use crate as house;")], "by name");
    assert_refused(&[("src/lib.rs", "pub mod top; pub use top::A;")], "nothing but its modules");
}

#[test]
fn style_is_seen_to_be_refused() {
    let refused = |path: &str, text: &str| !style_complaints(path, text).is_empty();
    assert!(refused("src/top/mod.rs", ""));
    assert!(refused("src/top.rs", "pub struct StoreManager;"));
    assert!(refused("src/top.rs", "pub trait DnsService {}"));
    assert!(refused("src/top.rs", &"\n".repeat(501)));
    assert!(!refused("src/top.rs", &format!("// struct StoreManager\nuse tower::Service;{}", "\n".repeat(498))));
}
