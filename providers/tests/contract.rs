//! One contract a trait, run against every provider: `contract/dns.rs` says what a DNS host must do, and each file
//! beside it sets one host up. A new provider is one more file and one more line here.

#[path = "../../tests/peers/peers.rs"]
mod peers;

mod contract {
    mod dns;

    mod acme_dns;
    mod cloudflare;
    mod exec;
    mod powerdns;
    mod rfc2136;
    #[cfg(feature = "aws")]
    mod route53;
}
