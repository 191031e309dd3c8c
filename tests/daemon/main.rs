//! The real program against real servers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

#[path = "../peers/fakes/acme_ca.rs"]
mod acme_ca;
#[path = "../peers/fakes/acme_dns.rs"]
mod acme_dns;
#[path = "../peers/fakes/cloudflare.rs"]
mod cloudflare;
#[path = "../peers/fakes/name_server.rs"]
mod name_server;
#[path = "../peers/peers.rs"]
mod peers;
#[path = "../peers/fakes/receiver.rs"]
mod receiver;

mod bridge;
mod exec_host;
mod harness;
mod home;
mod own_ca;
mod pki;

mod bad_days;
mod chaos;
mod client;
mod client_life;
mod client_news;
mod client_orphans;
mod crash;
mod crl;
mod csr;
mod deploy;
mod doctor;
mod every_key;
mod failover;
mod fair_share;
mod hierarchy;
mod issuance;
mod kills;
mod limits;
mod name_servers;
mod notify;
mod ocsp;
mod outage;
mod plugins;
mod postgres;
mod private_ca;
mod providers;
mod refusals;
mod reload;
mod renewal_info;
mod renewing;
mod revocation;
mod rotation;
mod secrecy;
mod store;
mod token;
mod told;
mod two_daemons;
