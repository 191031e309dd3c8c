//! Modes, owner and group: who may read what.

use std::path::Path;

use rustix::fs::{Gid, Mode, Stat, Uid};

use super::DirectorySettings;
use crate::Error;

/// The mode and ownership that one file or directory is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// The permission bits; the process's umask has no say.
    pub mode: Mode,
    /// The owner, where it is not left to the system.
    pub owner: Option<Uid>,
    /// The group, where it is not left to the system.
    pub group: Option<Gid>,
}

impl Access {
    /// Whether what the system says of a file agrees.
    pub fn agrees(&self, stat: &Stat) -> bool {
        Mode::from_raw_mode(stat.st_mode) == self.mode && self.owned(stat)
    }

    /// Whether owner and group are as wanted.
    pub fn owned(&self, stat: &Stat) -> bool {
        self.owner.is_none_or(|owner| owner.as_raw() == stat.st_uid)
            && self.group.is_none_or(|group| group.as_raw() == stat.st_gid)
    }
}

/// Who may read what in one store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Of directories.
    pub directory: Access,
    /// Of files without a private key.
    pub certificate: Access,
    /// Of files with one.
    pub key: Access,
}

impl Rules {
    /// Looks up owner and group.
    pub fn new(settings: &DirectorySettings) -> Result<Self, Error> {
        let owner = settings.owner.as_deref().map(user).transpose()?;
        let group = settings.group.as_deref().map(group).transpose()?;
        let access = |mode, owner, group| Access { mode: Mode::from_raw_mode(mode), owner, group };
        Ok(Self {
            directory: access(settings.directory_mode, None, group),
            certificate: access(settings.certificate_mode, None, None),
            key: access(settings.key_mode, owner, group),
        })
    }

    /// The rule for a file that holds a private key, or does not.
    pub fn file(&self, private: bool) -> Access {
        if private { self.key } else { self.certificate }
    }
}

fn user(name: &str) -> Result<Uid, Error> {
    resolve("user", Path::new("/etc/passwd"), name).map(Uid::from_raw)
}

fn group(name: &str) -> Result<Gid, Error> {
    resolve("group", Path::new("/etc/group"), name).map(Gid::from_raw)
}

/// The number of a user or group: in both files the third field of the line that begins with the name.
fn resolve(kind: &str, file: &Path, name: &str) -> Result<u32, Error> {
    if let Ok(number) = name.parse() {
        return usable(number).ok_or_else(|| Error::rejected(format!("`{name}` is no {kind}'s number")));
    }
    let table = std::fs::read_to_string(file).map_err(|error| super::failure::failed("read", file, error))?;
    look_up(&table, name).ok_or_else(|| {
        Error::rejected(format!(
            "no {kind} `{name}` on this machine: create it, or give a number if it is not in `{}`",
            file.display()
        ))
    })
}

fn look_up(table: &str, name: &str) -> Option<u32> {
    let fields = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let number = fields.filter(|fields| fields.first() == Some(&name)).find_map(|fields| fields.get(2)?.parse().ok());
    number.and_then(usable)
}

/// The highest number means "leave it as it is" to the system, and is nobody's.
fn usable(number: u32) -> Option<u32> {
    (number != u32::MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_in_the_third_field() {
        let table = "root:x:0:\nssl-cert:x:113:renewd,nginx\n# a comment\nbroken\nodd:x:many:\n";
        assert_eq!(look_up(table, "ssl-cert"), Some(113));
        assert_eq!(look_up(table, "ssl"), None);
        assert_eq!(look_up(table, "broken"), None);
        assert_eq!(look_up(table, "odd"), None);
    }

    #[test]
    fn numbers_are_taken_and_the_one_that_means_nobody_is_not() {
        let nowhere = Path::new("/nonexistent/group");
        assert_eq!(resolve("group", nowhere, "4711"), Ok(4711));
        assert!(matches!(resolve("group", nowhere, "4294967295"), Err(Error::Rejected { .. })));
    }

    #[test]
    fn an_unknown_name_is_rejected_in_words() {
        let error = group("no-such-group").expect_err("nobody has this group");
        assert!(error.to_string().contains("no group `no-such-group` on this machine"), "{error}");
        assert_eq!(user("root"), Ok(Uid::ROOT));
    }
}
