//! Following a job until it is over.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::client::segment;
use super::failure::Failure;
use super::output::Output;
use super::world::World;
use crate::report::JobView;

/// The daemon is asked this often.
const STRIDE: Duration = Duration::from_millis(250);

/// Asks until the job is over: on a terminal with a line that moves, else with a line for each change.
pub(super) async fn follow(output: &Output, world: &World, id: &str) -> Result<JobView, Failure> {
    let path = format!("/jobs/{}", segment(id));
    let teller = Teller::new(output);
    let mut last = String::new();
    loop {
        let job: JobView = world.client.get(&path).await?;
        if job.is_over() {
            teller.finish();
            return Ok(job);
        }
        let now = standing(&job);
        if now != last {
            teller.tell(&now);
            last = now;
        }
        tokio::time::sleep(STRIDE).await;
    }
}

fn standing(job: &JobView) -> String {
    let state = job.certificate_state.as_deref().unwrap_or(&job.state);
    let problem = job.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
    format!("{}: {state}{problem}", job.subject)
}

enum Teller {
    Spinner(ProgressBar),
    Lines(Output),
    Silence,
}

impl Teller {
    fn new(output: &Output) -> Self {
        if output.is_json() {
            return Self::Silence;
        }
        if !output.is_watched() {
            return Self::Lines(*output);
        }
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {wide_msg}") {
            spinner.set_style(style);
        }
        spinner.enable_steady_tick(Duration::from_millis(120));
        Self::Spinner(spinner)
    }

    fn tell(&self, text: &str) {
        match self {
            Self::Spinner(spinner) => spinner.set_message(text.to_owned()),
            Self::Lines(output) => output.complain(text),
            Self::Silence => {}
        }
    }

    fn finish(&self) {
        if let Self::Spinner(spinner) = self {
            spinner.finish_and_clear();
        }
    }
}
