//! `renewd doctor`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::client::Unanswered;
use super::failure::{Failure, Outcome};
use super::looking::normalised;
use super::output::Output;
use super::table::one_line;
use super::world::World;
use crate::config;
use crate::report::{Examination, Finding, Grade, Group};

/// As long as a daemon may look.
const PATIENCE: Duration = Duration::from_secs(300);

/// More certificates than this are told of only where something is wrong.
const SHOWN: usize = 20;

/// As wide as the names of checks are.
const WIDTH: usize = 10;

/// A daemon that runs looks, with its own credentials; without one this program does.
pub(super) async fn doctor(output: &Output, world: &World, path: &Path, name: Option<&str>) -> Outcome {
    let name = name.map(normalised).transpose()?;
    let asked = world.client.post_patiently("/doctor", &json!({ "certificate": name }), PATIENCE).await;
    let mut examination: Examination = match asked {
        Ok(examination) => examination,
        Err(Unanswered::NoDaemon { .. }) => own(world, name.as_deref()).await?,
        Err(other) => return Err(other.into()),
    };
    examination.begin_with(config(path));
    output.answer(&examination, || told(&examination));
    Ok(if examination.errors == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn own(world: &World, name: Option<&str>) -> Result<Examination, Failure> {
    let found = crate::daemon::examine(world.config()?.clone(), name).await?;
    let unknown = || anyhow::anyhow!("there is no certificate `{}` in the config", name.unwrap_or_default());
    Ok(found.ok_or_else(unknown)?)
}

/// What `renewd check` says.
fn config(path: &Path) -> Group {
    let report = match config::load(path) {
        Ok(loaded) => {
            let mut report = loaded.check_secrets();
            report.notes.splice(0..0, loaded.notes);
            report
        }
        Err(report) => report,
    };
    let errors = report.errors.iter().map(|error| Finding::error("file", error.to_string(), ""));
    let notes = report.notes.iter().map(|note| Finding::ok("file", note.to_string()));
    let mut findings: Vec<Finding> = errors.chain(notes).collect();
    if findings.is_empty() {
        findings.push(Finding::ok("file", format!("{} is good", path.display())));
    }
    Group::new("config", None, findings)
}

/// A line for each finding, below what it is about.
fn told(examination: &Examination) -> String {
    let certificates = examination.groups.iter().filter(|group| group.about == "certificate").count();
    let shown = |group: &&Group| {
        !group.findings.is_empty()
            && (certificates <= SHOWN || group.about != "certificate" || group.worst() != Grade::Ok)
    };
    let mut text: String = examination.groups.iter().filter(shown).map(group).collect();
    let hidden = examination.groups.iter().filter(|group| !shown(group) && group.about == "certificate").count();
    if hidden > 0 {
        text += &format!("certificates\n  {:<7}  all is well with {hidden} more\n\n", Grade::Ok.as_str());
    }
    text + &summary(examination)
}

fn group(group: &Group) -> String {
    let name = group.name.as_ref().map(|name| format!(" {}", one_line(name))).unwrap_or_default();
    let findings: String = group.findings.iter().map(finding).collect();
    format!("{}{name}\n{findings}\n", group.about)
}

fn finding(finding: &Finding) -> String {
    let found = one_line(&finding.found);
    let line = format!("  {:<7}  {:<WIDTH$}  {found}\n", finding.status.as_str(), finding.check);
    let advice = |words: &String| format!("  {:<7}  {:<WIDTH$}  → {}\n", "", "", one_line(words));
    finding.advice.as_ref().map(advice).map_or(line.clone(), |advice| line + &advice)
}

fn summary(examination: &Examination) -> String {
    let count = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (examination.errors, examination.warnings) {
        (0, 0) => "All is well.".to_owned(),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn each_finding_is_a_line_and_advice_another() {
        let findings = vec![Finding::ok("clock", "right"), Finding::error("write", "refused\nby them", "look there")];
        let text = told(&Examination::new(Timestamp::EPOCH, None, vec![Group::new("zone", Some("a.test"), findings)]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["zone a.test", "  ok       clock       right"]);
        assert_eq!(lines[2..4], ["  error    write       refused by them", "                       → look there"]);
        assert_eq!(lines[5], "1 error, 0 warnings");
    }

    #[test]
    fn of_many_certificates_only_those_with_trouble_are_told() {
        let mut groups: Vec<Group> = (0..30)
            .map(|number| Group::new("certificate", Some(&number.to_string()), vec![Finding::ok("CAA", "fine")]))
            .collect();
        groups.push(Group::new("certificate", Some("bad"), vec![Finding::warning("CAA", "hm", "")]));
        let text = told(&Examination::new(Timestamp::EPOCH, None, groups));
        assert!(text.contains("certificate bad") && text.contains("all is well with 30 more"), "{text}");
        assert!(!text.contains("certificate 3\n"), "{text}");
    }
}
