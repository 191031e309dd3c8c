//! Where mistakes are gathered while a config is read.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::report::{ConfigError, Note};
use super::secrets::Reference;
use super::source::Source;
use crate::secret::SecretRef;

/// A place in one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which of the files, in the order in which they are read.
    pub(super) file: usize,
    /// Octets from its beginning; `None` where the file as a whole is meant.
    pub(super) offset: Option<usize>,
}

/// What depends on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The text itself is no TOML.
    Syntax,
    /// Something that stands there is wrong.
    Wrong,
    /// Something is missing, or leads nowhere: perhaps only because a syntax error swallowed it.
    Missing,
}

struct Problem {
    place: Place,
    kind: Kind,
    key: String,
    message: String,
    help: Option<String>,
}

/// Mistakes and notes, in no order until [`Problems::settle`].
#[derive(Default)]
pub(super) struct Problems {
    errors: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<(Place, String, String)>>,
    references: RefCell<Vec<(Place, String, Reference)>>,
    broken: Cell<bool>,
}

/// What was gathered, every place resolved.
pub(super) struct Settled {
    pub(super) errors: Vec<ConfigError>,
    pub(super) notes: Vec<Note>,
    pub(super) references: Vec<(Note, Reference)>,
}

impl Problems {
    /// Adds a mistake.
    pub(super) fn error(&self, kind: Kind, place: Place, key: String, message: String, help: String) {
        self.broken.set(self.broken.get() || kind == Kind::Syntax);
        let help = (!help.is_empty()).then_some(help);
        self.errors.borrow_mut().push(Problem { place, kind, key, message, help });
    }

    /// Adds a note.
    pub(super) fn note(&self, place: Place, key: String, message: String) {
        self.notes.borrow_mut().push((place, key, message));
    }

    /// Remembers where a secret is referred to.
    pub(super) fn secret(&self, place: Place, key: String, secret: SecretRef) {
        self.references.borrow_mut().push((place, key, Reference::Secret(secret)));
    }

    /// Remembers where a file is named that must be readable.
    pub(super) fn file(&self, place: Place, key: String, path: PathBuf) {
        self.references.borrow_mut().push((place, key, Reference::File(path)));
    }

    /// Sorts what was gathered and drops what only follows from a syntax error: what is missing perhaps stood in the
    /// broken part, and what the parser made of a broken line may be a piece of a secret.
    pub(super) fn settle(self, sources: &[&Source]) -> Settled {
        let mut errors = self.errors.into_inner();
        let broken = broken_lines(&errors, sources);
        errors.retain(|error| stands(error, &broken, self.broken.get(), sources));
        errors.sort_by(|left, right| (left.place, &left.key).cmp(&(right.place, &right.key)));
        errors.dedup_by(|right, left| {
            left.place == right.place && left.key == right.key && left.message == right.message
        });
        let mut notes = self.notes.into_inner();
        notes.retain(|(place, _, _)| !broken.contains(&line(*place, sources)));
        notes.sort();
        let references = self.references.into_inner().into_iter();
        Settled {
            errors: errors.into_iter().map(|problem| problem.resolve(sources)).collect(),
            notes: notes.into_iter().map(|(place, key, message)| note(place, key, message, sources)).collect(),
            references: references.map(|(place, key, to)| (note(place, key, String::new(), sources), to)).collect(),
        }
    }
}

/// Lines with a syntax error, and the ones after them.
fn broken_lines(errors: &[Problem], sources: &[&Source]) -> BTreeSet<(usize, u32)> {
    let syntax = errors.iter().filter(|error| error.kind == Kind::Syntax);
    syntax.map(|error| line(error.place, sources)).flat_map(|(file, line)| [(file, line), (file, line + 1)]).collect()
}

fn stands(error: &Problem, broken: &BTreeSet<(usize, u32)>, any_broken: bool, sources: &[&Source]) -> bool {
    match error.kind {
        Kind::Syntax => true,
        Kind::Wrong => broken.is_empty() || !broken.contains(&line(error.place, sources)),
        Kind::Missing => !any_broken,
    }
}

fn line(place: Place, sources: &[&Source]) -> (usize, u32) {
    (place.file, place.offset.map_or(0, |offset| sources[place.file].position(offset).0))
}

impl Problem {
    fn resolve(self, sources: &[&Source]) -> ConfigError {
        let note = note(self.place, self.key, self.message, sources);
        let Note { file, line, column, key, message } = note;
        ConfigError { file, line, column, key, message, help: self.help }
    }
}

fn note(place: Place, key: String, message: String, sources: &[&Source]) -> Note {
    let source = sources[place.file];
    let (line, column) = place.offset.map_or((0, 0), |offset| source.position(offset));
    Note { file: source.path.clone(), line, column, key, message }
}
