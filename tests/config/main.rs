//! The config as people write it: what is taken, what is refused and how that is told, and that no secret is repeated.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod errors;
mod files;
mod pages;
mod secrets;
mod taken;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use renewd::config::{Loaded, Report, load};

/// A config with everything to refer to, below which a case is written.
const BASE: &str = r#"[account.le]
directory = "letsencrypt"
agree_to_terms = true
[ca.internal]
subject = { common_name = "Internal" }
[dns.main.cloudflare]
api_token = { file = "t" }
[store.disk.directory]
[defaults]
issuers = ["le"]
"#;

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// Loads the first of `files`, which may include the others.
fn load_files(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Loaded, Report>) {
    let directory = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| write(directory.path(), name, text));
    let result = load(&directory.path().join(files[0].0));
    (directory, result)
}

/// The errors, with file names instead of paths.
fn errors(files: &[(&str, &str)]) -> Vec<String> {
    let (directory, result) = load_files(files);
    let prefix = format!("{}/", directory.path().display());
    let report = result.expect_err(files[0].1);
    report.errors.iter().map(|error| error.to_string().replace(&prefix, "")).collect()
}

fn taken(text: &str) -> Loaded {
    load_files(&[("c.toml", text)]).1.unwrap_or_else(|report| panic!("{report}\n{text}"))
}
