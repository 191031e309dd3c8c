//! What `renewd doctor` found.

use serde::{Deserialize, Serialize};

use super::SCHEMA;
use crate::clock::Timestamp;

/// How well a thing is; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Something to know; certificates come all the same.
    Warning,
    /// Something will fail for this.
    Error,
}

impl Grade {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub check: String,
    /// How well it is.
    pub status: Grade,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), status: Grade::Ok, found: found.into(), advice: None }
    }

    /// Something to know.
    #[must_use]
    pub fn warning(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Grade::Warning, advice: told(advice), ..Self::ok(check, found) }
    }

    /// Something fails.
    #[must_use]
    pub fn error(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { status: Grade::Error, advice: told(advice), ..Self::ok(check, found) }
    }
}

/// Advice, where there is any.
fn told(advice: impl Into<String>) -> Option<String> {
    Some(advice.into()).filter(|words| !words.is_empty())
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// `config`, `clock`, `state`, `issuer`, `zone`, `store` or `certificate`.
    pub about: String,
    /// Which one, where there are several.
    pub name: Option<String>,
    /// One for each thing that was looked at.
    pub findings: Vec<Finding>,
}

impl Group {
    /// A group of findings about one of several, or about the only one where it has no name.
    #[must_use]
    pub fn new(about: &str, name: Option<&str>, findings: Vec<Finding>) -> Self {
        Self { about: about.to_owned(), name: name.map(str::to_owned), findings }
    }

    /// The worst of its findings.
    #[must_use]
    pub fn worst(&self) -> Grade {
        self.findings.iter().map(|finding| finding.status).max().unwrap_or(Grade::Ok)
    }
}

/// A whole examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examination {
    /// 1.
    pub schema: u32,
    /// When it was made.
    pub at: String,
    /// The one certificate that it is about; `None`: everything.
    pub certificate: Option<String>,
    /// How many findings are errors.
    pub errors: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// What was found.
    pub groups: Vec<Group>,
}

impl Examination {
    /// An examination with these findings.
    #[must_use]
    pub fn new(at: Timestamp, certificate: Option<&str>, groups: Vec<Group>) -> Self {
        let (at, certificate) = (at.to_string(), certificate.map(str::to_owned));
        let mut examination = Self { schema: SCHEMA, at, certificate, errors: 0, warnings: 0, groups };
        examination.count();
        examination
    }

    /// Puts a group before the others.
    pub fn begin_with(&mut self, group: Group) {
        self.groups.insert(0, group);
        self.count();
    }

    fn count(&mut self) {
        let of = |grade| self.groups.iter().flat_map(|group| &group.findings).filter(|it| it.status == grade).count();
        (self.errors, self.warnings) = (of(Grade::Error), of(Grade::Warning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_by_how_bad_they_are() {
        let findings = vec![Finding::ok("a", ""), Finding::warning("b", "", ""), Finding::error("c", "", "do this")];
        let group = Group::new("state", None, findings);
        assert_eq!(group.worst(), Grade::Error);
        let mut all = Examination::new(Timestamp::EPOCH, None, vec![group]);
        assert_eq!((all.errors, all.warnings), (1, 1));
        all.begin_with(Group::new("config", None, vec![Finding::error("d", "", "")]));
        assert_eq!((all.errors, all.groups[0].about.as_str()), (2, "config"));
        assert_eq!(serde_json::to_value(Grade::Warning).unwrap(), "warning");
    }
}
