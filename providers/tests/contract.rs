//! One contract a trait, run against every provider: `contract/dns.rs` says what a DNS host must do, and each file
//! beside it sets one host up. A new provider is one more file and one more line here.

mod contract {
    mod dns;
}
