//! The names on disk.

use std::fmt;

use super::super::BundleName;

/// Holds a directory for each bundle, which holds a directory for each version.
pub(super) const VERSIONS: &str = ".versions";

/// A version that is still being written. Like every name with a leading dot beside the versions it is ours to sweep.
pub(super) const UNFINISHED: &str = ".new";

/// A version that is being removed: gone under its number at once, then emptied.
pub(super) const CONDEMNED: &str = ".old";

/// The name of a version's directory: `000042`, or `000042.1` where the first was damaged by hand and written anew.
/// Ordered by version, then by repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VersionName {
    /// The bundle's version.
    pub version: u64,
    /// How often this version was written anew.
    pub repair: u32,
}

impl VersionName {
    /// Reads a name that this type wrote; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, repair) = text.split_once('.').unwrap_or((text, "0"));
        let name = Self { version: version.parse().ok()?, repair: repair.parse().ok()? };
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for VersionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:06}", self.version)?;
        match self.repair {
            0 => Ok(()),
            repair => write!(formatter, ".{repair}"),
        }
    }
}

/// What stands at `<path>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// Nothing.
    Absent,
    /// This store's link, to that version.
    Ours(VersionName),
    /// Something that this store did not make, in words.
    Foreign(String),
}

impl Link {
    /// Reads a link's target.
    pub fn parse(name: &BundleName, target: &str) -> Self {
        let folder = format!("{VERSIONS}/{name}/");
        let version = target.strip_prefix(&folder).map(|rest| rest.trim_end_matches('/')).and_then(VersionName::parse);
        version.map_or_else(|| Self::Foreign(format!("a symbolic link to `{target}`")), Self::Ours)
    }
}

/// Where the link of `name` points, relative to the store.
pub(super) fn target(name: &BundleName, version: VersionName) -> String {
    format!("{VERSIONS}/{name}/{version}")
}

/// The name under which a new link of `name` is made before it replaces the old one. No bundle's name begins with a dot.
pub(super) fn unfinished_link(name: &BundleName) -> String {
    format!(".{name}.new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: u64, repair: u32) -> VersionName {
        VersionName { version, repair }
    }

    #[test]
    fn version_names_read_what_they_write_and_nothing_else() {
        for (name, text) in
            [(version(7, 0), "000007"), (version(7, 2), "000007.2"), (version(12_345_678, 0), "12345678")]
        {
            assert_eq!(name.to_string(), text);
            assert_eq!(VersionName::parse(text), Some(name));
        }
        for strange in ["7", "0000007", "000007.0", "000007.01", "000007.", "+00007", "", ".new", "000007.1.1"] {
            assert_eq!(VersionName::parse(strange), None, "`{strange}`");
        }
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        assert!(version(1_000_000, 0) > version(999_999, 9));
        assert!(version(7, 10) > version(7, 9));
    }

    #[test]
    fn only_a_link_into_the_bundles_own_versions_is_ours() {
        let name = BundleName::parse("example.com").expect("a good name");
        assert_eq!(Link::parse(&name, ".versions/example.com/000007"), Link::Ours(version(7, 0)));
        assert_eq!(Link::parse(&name, ".versions/example.com/000007/"), Link::Ours(version(7, 0)));
        for strange in
            [".versions/example.org/000007", "/srv/.versions/example.com/000007", ".versions/example.com/../x", ""]
        {
            assert!(matches!(Link::parse(&name, strange), Link::Foreign(_)), "`{strange}`");
        }
    }
}
