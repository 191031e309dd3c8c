//! What people are told: one view of each thing, for the command line, the API and the local socket alike.
//!
//! Every top-level object carries `"schema": 1`. Times are RFC 3339 UTC.

pub mod account;
pub mod authority;
pub mod certificate;
pub mod changes;
pub mod client;
pub mod doctor;
mod facts;
pub mod job;
pub mod load;
pub mod plan;
pub mod sink;
pub mod why;

pub use account::{AccountView, account};
pub use authority::{AuthorityView, ListView, authority};
pub use certificate::{CertificateList, CertificateView, list, show};
pub use changes::{Change, changes};
pub use client::{ClientList, ClientStatistics, ClientView, client, client_statistics, clients};
pub use doctor::{Examination, Finding, Grade, Group};
pub use job::{JobView, job};
pub use load::Load;
pub use plan::{AuthorityChange, Plan, Planned, plan};
pub use sink::{SinkList, sinks};
pub use why::{Why, why};

/// The version of every object told: raised when a field's meaning changes, not when one is added.
pub const SCHEMA: u32 = 1;
