//! Deploy commands and the places where certificates are served.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use providers::program::DEFAULT_PATH;

use crate::config::{Certificate, Verify};
use crate::deploy::verify::served;
use crate::report::Finding;

/// How long an address is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Each command of a certificate: is it there, and can it be run?
pub(super) fn commands(wanted: &Certificate) -> Vec<Finding> {
    let programs = wanted.deploy.iter().filter_map(|deploy| deploy.command.first());
    programs.map(|program| command(program)).collect()
}

fn command(program: &str) -> Finding {
    const ADVICE: &str = "give its whole path, and the user that renewd runs as the right to run it";
    let places: Vec<PathBuf> = if program.contains('/') {
        vec![PathBuf::from(program)]
    } else {
        DEFAULT_PATH.split(':').map(|folder| Path::new(folder).join(program)).collect()
    };
    match places.iter().find(|place| place.is_file()) {
        None => Finding::error("deploy", format!("`{program}` was not found"), ADVICE),
        Some(place) if !is_executable(place) => {
            Finding::error("deploy", format!("{} is not executable", place.display()), ADVICE)
        }
        Some(place) => Finding::ok("deploy", format!("{} is there", place.display())),
    }
}

fn is_executable(place: &Path) -> bool {
    std::fs::metadata(place).is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

/// Whether a place speaks TLS; what it serves is another matter, and looked at after each deploy.
pub(super) async fn address(place: &Verify) -> Finding {
    let advice = "the certificate is issued and stored all the same, and never counts as served";
    match served(place, PATIENCE).await {
        Err(error) => Finding::warning("verify", providers::error::chain(&error), advice),
        Ok(looks) => match looks.iter().find_map(|(_, look)| look.as_ref().ok()) {
            Some(found) => Finding::ok("verify", format!("`{}` serves serial {}", place.address, found.facts.serial)),
            None => {
                let words: Vec<String> = looks
                    .iter()
                    .filter_map(|(address, look)| {
                        Some(format!("{address}: {}", providers::error::chain(look.as_ref().err()?)))
                    })
                    .collect();
                Finding::warning("verify", format!("`{}`: {}", place.address, words.join("; ")), advice)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Grade;

    #[test]
    fn programs_are_found_as_they_are_when_they_are_run() {
        assert_eq!(command("sh").status, Grade::Ok);
        assert_eq!(command("/bin/sh").status, Grade::Ok);
        assert!(command("no-such-program").found.contains("not found"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        std::fs::File::create(&file).unwrap();
        let found = command(&file.to_string_lossy());
        assert!(found.found.contains("not executable"), "{found:?}");
    }
}
