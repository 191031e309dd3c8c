//! The pages are true as far as a machine can tell: configs are read by the program itself, links and paths lead
//! somewhere, and what is listed is what there is.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "docs/commands.rs"]
mod commands;
#[path = "docs/links.rs"]
mod links;
#[path = "docs/page.rs"]
mod page;
#[path = "docs/proofs.rs"]
mod proofs;

use std::fs::File;
use std::io::Write;
use std::path::Path;

use page::Page;
use renewd::config::{Loaded, load};
use renewd::crash::Point;
use renewd::state::CertificateState;

const EXAMPLE: &str = include_str!("../config.example.toml");

/// What a fragment may refer to, unless it says the same itself.
const BASE: &str = r#"
[account.letsencrypt]
directory = "letsencrypt"
agree_to_terms = true
[dns.main.cloudflare]
api_token = { credential = "cloudflare" }
[store.disk.directory]
[defaults]
issuers = "letsencrypt"
dns = "main"
stores = "disk"
[certificate."pki.example.com"]
"#;

/// `docs/CONFIGURATION.md` has a test of its own, and is left out where configs are read.
fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    paths.extend([root.join("README.md"), root.join("CHANGELOG.md")]);
    paths.sort();
    assert!(paths.len() >= 7, "{paths:?}");
    paths.iter().map(|path| Page::read(path)).collect()
}

fn page(name: &str) -> Page {
    pages().into_iter().find(|page| page.path.ends_with(name)).unwrap()
}

#[test]
fn every_config_is_read() {
    let mut count = 0;
    for page in pages().iter().filter(|page| !page.path.ends_with("CONFIGURATION.md")) {
        for block in page.blocks("toml") {
            read(&completed(block)).unwrap_or_else(|error| panic!("{}: {error}\n{block}", page.path.display()));
            count += 1;
        }
    }
    assert!(count > 8, "{count}");
}

#[test]
fn a_wrong_config_is_noticed() {
    assert!(read(&completed("[dns.own.rfc2136]\nserver = \"ns1.example.com:53\"")).is_err());
    assert!(read(&completed("[certificate.\"a.example\"]\ndns = \"mian\"")).is_err());
}

/// A block with an issuer of its own is a whole config and is read as it stands; another gets what it lacks.
fn completed(block: &str) -> String {
    let mut config: toml::Table = block.parse().unwrap_or_else(|error| panic!("{error}\n{block}"));
    if config.contains_key("account") || config.contains_key("ca") {
        return block.to_owned();
    }
    let base: toml::Table = BASE.parse().unwrap();
    for (section, names) in base {
        let own = config.entry(section).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        for (name, value) in names.as_table().unwrap() {
            own.entry(name).or_insert_with(|| value.clone());
        }
    }
    config.to_string()
}

fn read(text: &str) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    load(&path).map_err(|report| report.to_string())
}

#[test]
fn every_command_line_is_understood() {
    let mut lines: Vec<_> = pages().iter().flat_map(commands::of).collect();
    lines.dedup();
    assert!(lines.len() > 20, "{lines:?}");
    let refused: Vec<_> = lines.iter().filter(|line| !commands::is_understood(line)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn a_wrong_command_line_is_noticed() {
    assert!(!commands::is_understood("nonsense"));
    assert!(!commands::is_understood("renew example.com --forse"));
    assert!(!commands::is_understood("revoke example.com --reason because"));
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<_> = pages().iter().flat_map(links::broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let links: usize = pages().iter().map(|page| links::of(page).len()).sum();
    assert!(links > 20, "{links}");
}

#[test]
fn every_path_of_the_project_is_there() {
    let missing: Vec<_> = pages().iter().flat_map(links::missing_paths).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_walk_through_names_every_crash_point_in_order() {
    let page = page("ARCHITECTURE.md");
    let rows = page.table("The life of a certificate");
    let named: Vec<_> = rows.iter().flat_map(|row| page::spans(row.last().unwrap())).collect();
    assert_eq!(named, Point::ALL.iter().map(|point| point.name()).collect::<Vec<_>>());
}

#[test]
fn every_test_that_reliability_names_is_there() {
    let names = proofs::of(&page("RELIABILITY.md"));
    assert!(!names.is_empty());
    assert!(proofs::missing(&names).is_empty(), "no such test: {:#?}", proofs::missing(&names));
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let names = ["docs every_link_leads_somewhere", "docs every_link_leads_nowhere", "docs page", "nothing", "cli of"];
    let names: Vec<_> = names.map(str::to_owned).into();
    assert_eq!(proofs::missing(&names), names[1..].iter().collect::<Vec<_>>());
}

#[test]
fn both_tables_of_states_hold_every_state() {
    for (name, heading) in [("ARCHITECTURE.md", "The states of a certificate"), ("OPERATIONS.md", "States")] {
        let rows = page(name).table(heading);
        let states: Vec<_> = rows.iter().flat_map(|row| page::spans(&row[0])).collect();
        assert!(states.iter().all(|word| CertificateState::parse(word).is_some()), "{name}: {states:?}");
        assert_eq!((states.first(), states.len()), (Some(&"pending".to_owned()), 9), "{name}: {states:?}");
    }
}

#[test]
fn every_provider_has_its_section() {
    let providers: Vec<_> = EXAMPLE.lines().filter_map(provider).collect();
    assert!(providers.len() >= 6, "{providers:?}");
    let headings = page("PROVIDERS.md").headings();
    for provider in providers {
        assert!(headings.iter().any(|heading| heading == provider), "{provider}: {headings:?}");
    }
}

/// The provider in `#[dns.NAME.PROVIDER]`.
fn provider(line: &str) -> Option<&str> {
    let (_, provider) = line.strip_prefix("#[dns.")?.strip_suffix(']')?.split_once('.')?;
    Some(provider)
}
