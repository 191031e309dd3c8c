//! `notify list` and `notify test`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::client::{Unanswered, segment};
use super::failure::{Failure, Outcome};
use super::output::Output;
use super::table::Table;
use super::wording;
use super::world::World;
use crate::notify::{self, Sinks};
use crate::report::sink::SinkList;
use crate::report::{self, SCHEMA};
use crate::state::{State, StateError};

pub(super) async fn list(output: &Output, world: &World) -> Outcome {
    let list: SinkList = match world.ask("/notifications").await? {
        Some(list) => list,
        None => own_list(world).await?,
    };
    output.answer(&list, || table(&list));
    Ok(ExitCode::SUCCESS)
}

/// Without a daemon the state tells; without a state the config does.
async fn own_list(world: &World) -> Result<SinkList, Failure> {
    let config = world.config()?;
    let state = match State::open_to_look(&config.state).await {
        Ok(state) => Some(state),
        Err(StateError::Absent { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok(report::sinks(state.as_ref(), config).await?)
}

fn table(list: &SinkList) -> String {
    if list.sinks.is_empty() {
        return "The config names no [notify.NAME].".to_owned();
    }
    let mut table = Table::new(&["NAME", "KIND", "DUE", "LAST SENT", "LAST ERROR"]);
    for sink in &list.sinks {
        let sent = sink.sent_at.clone().unwrap_or_else(|| "never".to_owned());
        let error = sink.error.clone().unwrap_or_default();
        table.row([sink.name.clone(), sink.kind.clone(), sink.due.to_string(), sent, error]);
    }
    table.render()
}

/// The daemon sends it, so that its environment and its credentials count; where none runs, it is sent from here.
pub(super) async fn test(output: &Output, world: &World, name: &str) -> Outcome {
    let path = format!("/notifications/{}/test", segment(name));
    let answer: Value = match world.client.post(&path, &json!({})).await {
        Ok(answer) => answer,
        Err(Unanswered::NoDaemon { .. }) => {
            send(world, name).await?;
            json!({ "schema": SCHEMA, "sink": name, "sent": true })
        }
        Err(other) => return Err(other.into()),
    };
    output.answer(&answer, || format!("`{name}` has taken the test."));
    Ok(ExitCode::SUCCESS)
}

async fn send(world: &World, name: &str) -> Result<(), Failure> {
    let config = world.config()?;
    let sinks = Sinks::of(&config.notify);
    let sink = sinks.get(name).ok_or_else(|| {
        let names: Vec<&str> = config.notify.keys().map(String::as_str).collect();
        anyhow::anyhow!("there is no sink `{name}` in the config: there is {}", wording::listed(&names))
    })?;
    let sent = notify::test(sink.as_ref(), &config.state.node, world.clock.now()).await;
    sent.map_err(|error| anyhow::Error::new(error).context(format!("`{name}` was not told")).into())
}
