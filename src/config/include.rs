//! `include`: files that hold a part of the config.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::read::Value;
use super::source::Source;

/// What `include` leads to.
#[derive(Default)]
pub(super) struct Included {
    /// The files, each once, those of one pattern in the order of their names.
    pub(super) files: Vec<PathBuf>,
    /// Directories in which a new file would be included.
    pub(super) directories: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
}

impl Included {
    /// Follows the patterns in `value`, which stands in `main`.
    pub(super) fn expand(value: Option<&Value<'_>>, main: &Source) -> Self {
        let mut included = Self::default();
        included.seen.insert(resolved(&main.path));
        for pattern in value.map(Value::one_or_many).unwrap_or_default() {
            included.follow(&pattern, &main.directory);
        }
        included
    }

    fn follow(&mut self, value: &Value<'_>, directory: &Path) {
        let Some(text) = value.text() else { return };
        let (folder, pattern) = text.rsplit_once('/').map_or(("", text), |(folder, name)| (folder, name));
        if is_pattern(folder) || pattern.is_empty() {
            value.refuse(
                "`*` and `?` may stand in the last part of a path only",
                "write for instance \"conf.d/*.toml\"",
            );
            return;
        }
        if !is_pattern(pattern) {
            return self.add(directory.join(text));
        }
        let folder = if text.starts_with('/') { Path::new("/").join(folder) } else { directory.join(folder) };
        match names_in(&folder) {
            Ok(names) => {
                let matching = names.iter().filter(|name| matches(pattern, name));
                let files = matching.map(|name| folder.join(name)).filter(|path| path.is_file());
                files.for_each(|path| self.add(path));
                self.directories.push(folder);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                value.note(format!("there is no directory `{}`", folder.display()));
            }
            Err(error) => value.refuse(format!("`{}` cannot be read: {error}", folder.display()), ""),
        }
    }

    fn add(&mut self, path: PathBuf) {
        if self.seen.insert(resolved(&path)) {
            self.files.push(path);
        }
    }
}

/// The path that a chain of symbolic links leads to; the path itself where there is nothing.
pub(super) fn resolved(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn names_in(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(folder)?;
    entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default())).collect()
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// `*` stands for any letters, `?` for one. A name that begins with a dot is hidden from both.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                // The last star takes one letter more.
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, fits) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".a.toml", false),
            (".*.toml", ".a.toml", true),
            ("*.toml", "a.toml~", false),
            ("?.toml", "ab.toml", false),
            ("a*b*c", "axxbyybc", true),
            ("a*b*c", "axxbyyb", false),
            ("*", "", true),
            ("a", "a", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
