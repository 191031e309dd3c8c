//! Simulated years: the real planner, worker and state against a simulated CA, DNS host and clock.
//!
//! A `Scenario` and its seed make a `Script`: who wants which certificates, and all the trouble that comes. `run` plays
//! it and answers with a `Report`. The same seed plays the same run again: nothing in it hangs on the machine's clock,
//! its randomness, or the order of a hash map. What must hold all along is watched by `witness`.

mod allowance;
mod authority;
mod ca;
mod chance;
mod driver;
mod forecast;
mod host;
mod inspection;
mod leaf;
mod memory;
mod order;
mod plug;
mod report;
mod restart;
mod scenario;
mod script;
mod shelf;
mod trouble;
mod witness;
mod world;

use crate::state::StateError;
use crate::worker::WorkError;

pub use driver::run;
pub use forecast::{Held, WhatIf, forecast};
pub use plug::Milestone;
pub use report::{Entry, Month, Report, Violation, What};
pub use scenario::Scenario;
pub use script::{Advice, Event, Part, Script};
pub use trouble::{Refusal, Span, Trouble, TroubleKind};

/// Why a simulation could not be played to its end: the machinery failed, not what is simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The state could not be made or read.
    #[error("the simulated state failed")]
    State(#[from] StateError),
    /// The worker failed outside a turn.
    #[error("the worker failed")]
    Work(#[from] WorkError),
    /// A name of the script is no name.
    #[error("the script cannot be used: {what}")]
    Script {
        /// What is wrong.
        what: String,
    },
    /// A certificate could not be made.
    #[error("the simulated CA could not sign: {what}")]
    Signing {
        /// What is wrong.
        what: String,
    },
}
