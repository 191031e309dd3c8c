//! For packagers: completions and the manual.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::failure::Outcome;
use super::output::Output;

pub(super) fn completions(output: &Output, shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::description(), "renewd", &mut script);
    output.bytes(&script);
    Ok(ExitCode::SUCCESS)
}

/// All pages after one another, or each in its file.
pub(super) fn man(output: &Output, directory: Option<&Path>) -> Outcome {
    if let Some(directory) = directory {
        let cannot = || format!("cannot write the manual into `{}`", directory.display());
        std::fs::create_dir_all(directory).with_context(cannot)?;
        clap_mangen::generate_to(super::description(), directory).with_context(cannot)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = super::description();
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages).context("cannot write the manual")?;
    output.bytes(&pages);
    Ok(ExitCode::SUCCESS)
}

fn render(command: &clap::Command, pages: &mut Vec<u8>) -> std::io::Result<()> {
    Man::new(command.clone()).render(pages)?;
    let subcommands = command.get_subcommands().filter(|command| command.get_name() != "help");
    subcommands.into_iter().try_for_each(|command| render(command, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_tells_of_every_command() {
        let mut command = super::super::description();
        command.build();
        let mut pages = Vec::new();
        render(&command, &mut pages).unwrap();
        let text = String::from_utf8(pages).unwrap();
        for name in ["renewd\\-run", "renewd\\-account\\-rotate\\-key", "renewd\\-revoke"] {
            assert!(text.contains(name), "{name}");
        }
    }
}
