//! The tests that `docs/RELIABILITY.md` names, and whether they are there.

use std::path::{Path, PathBuf};

use super::page::{Page, spans};

/// The names in the last column of each table of the page: `daemon kills::x`, `lib planner::tests::x`.
pub fn of(page: &Page) -> Vec<String> {
    let rows = page.prose().into_iter().filter(|line| line.starts_with("| "));
    let columns = rows.filter_map(|row| row.trim_end_matches('|').rsplit(" | ").next());
    columns.flat_map(spans).collect()
}

/// Those that name no test.
pub fn missing(names: &[String]) -> Vec<&String> {
    names.iter().filter(|name| !is_test(name)).collect()
}

/// A name is a program and the path of a test function in it, whose modules are files or `mod` blocks.
fn is_test(name: &str) -> bool {
    let Some((program, path)) = name.split_once(' ') else { return false };
    let (modules, function) = path.rsplit_once("::").unwrap_or(("", path));
    let modules: Vec<_> = modules.split("::").filter(|module| !module.is_empty()).collect();
    let source = format!("fn {function}(");
    sources(program).iter().any(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        modules.iter().all(|module| holds(file, &text, module)) && follows_test(&text, &source)
    })
}

/// The module is the file, a folder above it, or written out in it; `x_tests.rs` holds the tests of `x`.
fn holds(file: &Path, text: &str, module: &str) -> bool {
    let named = |part: std::path::Component<'_>| {
        let stem = Path::new(part.as_os_str()).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        stem == module || stem.strip_suffix("_tests").is_some_and(|of| of == module || module == "tests")
    };
    file.components().any(named) || text.contains(&format!("mod {module} {{"))
}

/// The function is there, and has one of the attributes that make a test of it.
fn follows_test(text: &str, source: &str) -> bool {
    let Some(at) = text.find(source) else { return false };
    let above = text[..at].rsplit("\n\n").next().unwrap_or_default();
    above.contains("test]") || above.contains("test(")
}

/// The files of one test program, or of the library and what it is linked with.
fn sources(program: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    match program {
        "lib" => below(&root.join("src"), &mut files),
        "providers" => below(&root.join("providers"), &mut files),
        program => {
            below(&root.join("tests").join(program), &mut files);
            files.extend([root.join(format!("tests/{program}.rs"))].into_iter().filter(|file| file.exists()));
        }
    }
    files
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}
