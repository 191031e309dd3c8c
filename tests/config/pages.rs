//! The pages that tell of the config are true: what they show is read by the program itself.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use renewd::config::{Loaded, load};

const EXAMPLE: &str = include_str!("../../config.example.toml");
const PAGE: &str = include_str!("../../docs/CONFIGURATION.md");

/// What the fragments of the page may refer to.
const BASE: &str = r#"
[account.letsencrypt]
directory = "letsencrypt"
agree_to_terms = true
[ca.internal]
subject = { common_name = "Internal" }
[dns.main.cloudflare]
api_token = { credential = "cloudflare" }
[store.disk.directory]
[defaults]
issuers = "letsencrypt"
dns = "main"
stores = "disk"
[certificate."pki.example.com"]
"#;

fn read(text: &str) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    File::create(directory.path().join("certificates.toml")).unwrap();
    load(&path).unwrap_or_else(|report| panic!("{report}\n{text}"))
}

/// Every key of the example in force: `#key` and `#[section]` are keys, `# text` is prose.
fn uncommented() -> String {
    let key = |line: &&str| line.strip_prefix('#').is_some_and(|rest| !rest.is_empty() && !rest.starts_with(' '));
    EXAMPLE.lines().map(|line| if key(&line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_runs_as_it_is() {
    let loaded = read(EXAMPLE);
    assert_eq!(loaded.notes, []);
    let config = loaded.config;
    assert!(config.accounts.is_empty() && config.dns.is_empty());
    assert_eq!(config.cas.keys().collect::<Vec<_>>(), ["internal"]);
    assert_eq!(config.certificates["demo.internal"].issuers, ["internal"]);
    assert_eq!(config.certificates["demo.internal"].stores, ["disk"]);
}

#[test]
fn every_key_of_the_example_is_a_right_one() {
    let loaded = read(&uncommented());
    let config = &loaded.config;
    assert_eq!((config.accounts.len(), config.dns.len(), config.certificates.len()), (2, 6, 2));
    let messages: Vec<_> = loaded.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].starts_with("there is no directory"), "{messages:?}");
}

#[test]
fn every_key_that_is_read_stands_in_the_example_and_on_the_page() {
    let keys = keys_in_source();
    assert!(keys.len() > 55, "{keys:?}");
    for key in keys {
        let word = |text: &str| {
            text.match_indices(&key).any(|(at, _)| {
                let inner =
                    |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
                !inner(text.as_bytes().get(at.wrapping_sub(1))) && !inner(text.as_bytes().get(at + key.len()))
            })
        };
        assert!(word(EXAMPLE), "`{key}` is missing in config.example.toml");
        assert!(word(PAGE), "`{key}` is missing in docs/CONFIGURATION.md");
    }
}

/// The keys that the reading code asks for.
fn keys_in_source() -> Vec<String> {
    let mut keys = Vec::new();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config")) {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in ["value", "required", "text", "flag", "number", "duration", "secret", "path", "section"] {
            let calls = [' ', '.', '('].map(|before| format!("{before}{call}(\""));
            for (at, found) in calls.iter().flat_map(|call| code.match_indices(call.as_str())) {
                let rest = &code[at + found.len()..];
                keys.push(rest[..rest.find('"').unwrap()].to_owned());
            }
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn every_block_of_the_page_is_read() {
    let blocks: Vec<&str> = PAGE.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 8);
    for block in blocks {
        read(&completed(block));
    }
}

/// The block with what it lacks from the base.
fn completed(block: &str) -> String {
    let mut config: toml::Table = block.parse().unwrap_or_else(|error| panic!("{error}\n{block}"));
    let base: toml::Table = BASE.parse().unwrap();
    for (section, names) in base {
        let toml::Value::Table(names) = names else { unreachable!() };
        let own = config.entry(section).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        for (name, value) in names {
            own.entry(name).or_insert(value);
        }
    }
    toml::to_string(&config).unwrap()
}
