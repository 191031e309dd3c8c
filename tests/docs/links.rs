//! Where a page leads to: links to other pages and their headings, and paths of the project.

use std::path::Path;

use super::page::{Page, spans};

/// The folders whose paths are looked for.
const FOLDERS: [&str; 7] = ["src/", "providers/", "tests/", "systemd/", "packaging/", "docs/", "migrations/"];

/// The targets of all links on the page that lead to a file or heading of the project.
pub fn of(page: &Page) -> Vec<String> {
    let lines = page.prose().into_iter().map(without_spans);
    let targets = lines.flat_map(|line| line.split("](").skip(1).map(up_to_parenthesis).collect::<Vec<_>>());
    targets.filter(|target| !target.starts_with("https://")).collect()
}

/// Those that lead nowhere.
pub fn broken(page: &Page) -> Vec<String> {
    let leads_nowhere = |target: &String| !leads_somewhere(page, target);
    of(page).into_iter().filter(leads_nowhere).map(|target| format!("{}: {target}", page.path.display())).collect()
}

fn leads_somewhere(page: &Page, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(file) };
    match anchor {
        None => path.exists(),
        Some(anchor) => path.is_file() && Page::read(&path).headings().iter().any(|heading| slug(heading) == anchor),
    }
}

/// As code hosts make it of a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| if char == ' ' { '-' } else { char.to_ascii_lowercase() }).collect()
}

/// The paths of the project, in code spans and in commands, that are not there.
pub fn missing_paths(page: &Page) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let spans = page.prose().into_iter().flat_map(spans);
    let commands = page.blocks("sh").into_iter().flat_map(str::split_whitespace).map(str::to_owned);
    let paths = spans.chain(commands).filter(|word| is_path(word));
    paths.filter(|word| !root.join(word).exists()).map(|word| format!("{}: {word}", page.path.display())).collect()
}

/// A path of a file that is there, rather than one that somebody is to write.
fn is_path(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    FOLDERS.iter().any(|folder| word.starts_with(folder)) && word.bytes().all(plain) && !word.contains("/example.")
}

fn up_to_parenthesis(rest: &str) -> String {
    rest.split(')').next().unwrap_or_default().to_owned()
}

fn without_spans(line: &str) -> String {
    line.split('`').step_by(2).collect()
}
