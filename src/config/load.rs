//! From files to a `Config`, or to every reason against it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::certificate::{Settings, World};
use super::gather::Gathered;
use super::include::{self, Included};
use super::problems::{Kind, Place, Problems, Settled};
use super::read::{Page, Section};
use super::report::{Note, Report};
use super::secrets::Reference;
use super::source::Source;
use super::{Account, Ca, Certificate, Config, DnsInstance, Http, Notify, Resolver, StateSettings, Store, StoreKind};
use crate::identifier::CertificateName;

/// A config that was taken, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The config.
    pub config: Config,
    /// Names that were normalised, and the like.
    pub notes: Vec<Note>,
    /// What to watch: every file that was read and every directory in which a new file would be, by its own path
    /// and, where it is a symbolic link, by the path that it leads to.
    pub files: Vec<PathBuf>,
    /// Secrets and files that the config refers to, and where.
    pub(super) references: Vec<(Note, Reference)>,
}

/// Reads the config at `path` and what it includes.
///
/// # Errors
/// Every mistake at once, each with its place, in the order of the files and their lines.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let main = Source::read(path);
    if let Some(failure) = main.failure.as_ref().filter(|failure| failure.offset.is_none()) {
        return Err(Report::of_file(path, failure.message.clone()));
    }
    let problems = Problems::default();
    let page = Page { index: 0, source: &main, problems: &problems };
    let table = parse(&page);
    let mut root = Section::root(&page, &table);
    let included = Included::expand(root.value("include").as_ref(), &main);
    let sources: Vec<Source> = included.files.iter().map(|path| Source::read(path)).collect();
    let pages = sources.iter().enumerate();
    let pages: Vec<_> = pages.map(|(index, source)| Page { index: index + 1, source, problems: &problems }).collect();
    let tables: Vec<_> = pages.iter().map(parse).collect();
    let others = pages.iter().zip(&tables).map(|(page, table)| Section::root(page, table)).collect();
    let config = assemble(root, others, &main);
    let sources: Vec<&Source> = std::iter::once(&main).chain(&sources).collect();
    let files = watched(path, &included);
    let Settled { errors, notes, references } = problems.settle(&sources);
    match config {
        Some(config) if errors.is_empty() => Ok(Loaded { config, notes, files, references }),
        _ => Err(Report { errors, notes, files }),
    }
}

/// Parses one file; what the parser can make of a broken one is read, too.
fn parse<'a>(page: &Page<'a>) -> DeTable<'a> {
    let refuse = |offset, message: String, help: String| {
        let place = Place { file: page.index, offset };
        page.problems.error(Kind::Syntax, place, String::new(), message, help);
    };
    if let Some(failure) = &page.source.failure {
        let help = if page.index > 0 { "`include` names it" } else { "" };
        refuse(failure.offset, failure.message.clone(), help.to_owned());
        return DeTable::new();
    }
    let (table, errors) = DeTable::parse_recoverable(&page.source.text);
    let mut last = None;
    for error in errors {
        let offset = error.span().map_or(page.source.text.len(), |span| span.start);
        let (line, _) = page.source.position(offset);
        if last.replace(line) == Some(line) {
            continue;
        }
        match error.message() {
            "duplicate key" => refuse(Some(offset), duplicate(page.source, line), "leave one of them out".into()),
            // The parser's own words are fixed ones: it repeats nothing of the file.
            message => refuse(Some(offset), message.to_owned(), String::new()),
        }
    }
    table.into_inner()
}

/// The message for a key or table that stands twice in one file.
fn duplicate(source: &Source, line: u32) -> String {
    let header =
        |text: &str| text.trim().starts_with('[').then(|| text.split('#').next().unwrap_or(text).trim().to_owned());
    let mut lines = source.text.lines();
    let index = line as usize - 1;
    let first = lines.clone().nth(index).and_then(header).and_then(|wanted| {
        let found = lines.position(|text| header(text).is_some_and(|text| text == wanted))?;
        (found < index).then_some(found + 1)
    });
    match first {
        Some(first) => format!("is defined twice: first at {}:{first}", source.path.display()),
        None => "this key is there already".to_owned(),
    }
}

fn watched(main: &Path, included: &Included) -> Vec<PathBuf> {
    let main = std::path::absolute(main).unwrap_or_else(|_| main.to_owned());
    let named = std::iter::once(&main).chain(&included.files).chain(&included.directories);
    let mut files: Vec<PathBuf> = Vec::new();
    for path in named.flat_map(|path| [path.clone(), include::resolved(path)]) {
        if !files.contains(&path) {
            files.push(path);
        }
    }
    files
}

fn assemble<'a>(mut root: Section<'a>, mut others: Vec<Section<'a>>, main: &Source) -> Option<Config> {
    let file = main.directory.join(main.path.file_name().unwrap_or_default());
    let state = StateSettings::read(&mut root, &file);
    let resolver = root.section("resolver").map(Resolver::read).unwrap_or_default();
    let http = root.section("http");
    let defaults = root.section("defaults");
    let gathered = Gathered::collect(&mut root, &mut others);
    let certificates: Vec<&str> = gathered.certificates.keys().map(CertificateName::as_str).collect();
    let http = http.map(|section| Http::read(section, &certificates)).unwrap_or_default();
    let directory = state.as_ref().map(|state| state.directory.clone()).unwrap_or_default();
    let accounts: BTreeMap<&str, Account> = read_all(&gathered.accounts, Account::read);
    let cas: BTreeMap<&str, Ca> = read_all(&gathered.cas, Ca::read);
    let dns = read_all(&gathered.dns, DnsInstance::read);
    let stores = read_all(&gathered.stores, |section| Store::read(section, &directory));
    let notify = read_all(&gathered.notify, Notify::read);
    refuse_shared_paths(&gathered, &stores);
    let world = world(&gathered, &dns);
    let defaults = defaults.map(|section| read_defaults(section, &world)).unwrap_or_default();
    let certificates = read_certificates(&gathered, &world, &defaults);
    root.finish();
    others.into_iter().for_each(Section::finish);
    Some(Config {
        state: state?,
        http,
        resolver,
        accounts: owned(accounts),
        cas: owned(cas),
        dns: owned(dns),
        stores: owned(stores),
        notify: owned(notify),
        certificates,
    })
}

fn read_all<'a, T>(
    sections: &BTreeMap<&'a str, Section<'a>>,
    read: impl Fn(Section<'a>) -> Option<T>,
) -> BTreeMap<&'a str, T> {
    sections.iter().filter_map(|(name, section)| Some((*name, read(section.clone())?))).collect()
}

fn owned<T>(map: BTreeMap<&str, T>) -> BTreeMap<String, T> {
    map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn world<'a>(gathered: &Gathered<'a>, dns: &BTreeMap<&'a str, DnsInstance>) -> World<'a> {
    let accounts = gathered.accounts.keys().map(|name| (*name, true));
    let cas = gathered.cas.keys().map(|name| (*name, false));
    World {
        issuers: cas.chain(accounts).collect(),
        dns: gathered.dns.keys().map(|name| (*name, dns.get(name).map(|instance| instance.zones.clone()))).collect(),
        stores: gathered.stores.keys().copied().collect(),
    }
}

fn read_defaults<'a>(mut section: Section<'a>, world: &World<'_>) -> Settings<'a> {
    let settings = Settings::read(&mut section, world);
    section.finish();
    settings
}

fn read_certificates(
    gathered: &Gathered<'_>,
    world: &World<'_>,
    defaults: &Settings<'_>,
) -> BTreeMap<CertificateName, Certificate> {
    let read = |(name, section): (&CertificateName, &Section<'_>)| {
        let certificate = Certificate::read(section.clone(), name, world, defaults)?;
        Some((name.clone(), certificate))
    };
    gathered.certificates.iter().filter_map(read).collect()
}

/// Two stores in one directory would undo each other's work.
fn refuse_shared_paths(gathered: &Gathered<'_>, stores: &BTreeMap<&str, Store>) {
    let mut taken: BTreeMap<&Path, &str> = BTreeMap::new();
    for (name, store) in stores {
        let StoreKind::Directory(directory) = &store.kind;
        if let Some(other) = taken.insert(&directory.path, name) {
            let message = format!("keeps its bundles where the store `{other}` keeps its own");
            gathered.stores[name].refuse(message, "give one of them another `path`");
        }
    }
}
