//! What an error of the system means for the caller.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::Error;

/// Sorts the failure of `action` on `path`: what the operator must change is `Rejected` and says how, what may pass by
/// itself (no space, a quota, a read-only disk, too many open files) is `Unavailable`.
pub(super) fn failed(action: &str, path: &Path, error: impl Into<io::Error>) -> Error {
    let error = error.into();
    let seen = format!("cannot {action} `{}`: {error}", path.display());
    match Errno::from_io_error(&error) {
        Some(Errno::ACCESS | Errno::PERM) => Error::rejected(format!(
            "{seen}: the user that renewd runs as must be allowed to write there (under systemd also by \
             `ReadWritePaths=`)"
        )),
        Some(Errno::NOTDIR | Errno::LOOP) => {
            Error::rejected(format!("{seen}: a directory is wanted here: move away what is there"))
        }
        Some(Errno::NAMETOOLONG) => Error::rejected(seen),
        Some(Errno::ROFS) => Error::Unavailable {
            detail: format!("{seen}: under systemd a path outside `ReadWritePaths=` is read-only, too"),
        },
        _ => Error::Unavailable { detail: seen },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_by_itself_is_unavailable_and_names_the_path() {
        for errno in [Errno::NOSPC, Errno::ROFS, Errno::DQUOT, Errno::MFILE, Errno::NFILE, Errno::FBIG, Errno::IO] {
            let error = failed("write", Path::new("/srv/tls"), errno);
            assert!(matches!(&error, Error::Unavailable { detail } if detail.contains("`/srv/tls`")), "{error}");
        }
    }

    #[test]
    fn what_the_operator_must_change_is_rejected_and_says_so() {
        for errno in [Errno::ACCESS, Errno::PERM, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG] {
            let error = failed("write", Path::new("/srv/tls"), errno);
            assert!(matches!(&error, Error::Rejected { detail } if detail.contains("`/srv/tls`")), "{error}");
        }
    }
}
