//! The real program against real servers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../peers/fakes/acme_dns.rs"]
mod acme_dns;
#[path = "../peers/fakes/cloudflare.rs"]
mod cloudflare;
#[path = "../peers/fakes/name_server.rs"]
mod name_server;
#[path = "../peers/peers.rs"]
mod peers;

mod bridge;
mod harness;
mod home;
mod own_ca;

mod crash;
mod deploy;
mod failover;
mod issuance;
mod postgres;
mod private_ca;
mod providers;
mod refusals;
mod reload;
mod renewal_info;
mod revocation;
mod secrecy;
mod store;
