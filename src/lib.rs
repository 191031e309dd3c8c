//! The daemon: everything that is ours. The modules below stand in reading order; `docs/ARCHITECTURE.md` tells the
//! rest.

pub mod cli;
pub mod daemon;
pub mod simulation;

pub mod http;
pub mod scheduler;

pub mod worker;

pub mod issuer;

pub mod ca;
pub mod deploy;
pub mod dns01;
pub mod notify;
pub mod report;

pub mod planner;

pub mod config;
pub mod state;

pub mod pki;
pub mod secret;

pub mod clock;
pub mod crash;
pub mod identifier;
pub mod locks;
pub mod logging;
