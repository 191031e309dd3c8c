//! Zones whose servers do not agree, and a resolver that remembers what is not there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::RecordType;

use crate::harness::Daemon;
use crate::home::{Home, STORE, certificate, resolver};
use crate::name_server::{Fake, Transport, forward, texts};
use crate::peers::bind::Bind;
use crate::peers::cache::Cache;
use crate::peers::pebble::{Pebble, PebbleOptions};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_ca_is_told_when_the_last_of_four_servers_shows_the_value() {
    let bind = Bind::start(&["a.test"]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let (upstream, caught_up) = (bind.address(), Arc::new(AtomicBool::new(false)));
    let mut servers = Vec::new();
    for number in 2..=4 {
        bind.nsupdate(&format!(
            "update add a.test 1 NS ns{number}.a.test\nupdate add ns{number}.a.test 1 A 127.0.0.{number}"
        ));
        let fresh = Arc::clone(&caught_up);
        let answer = move |question: &Message, transport: Transport| match number {
            // Stale, until it catches up.
            2 if question.queries[0].query_type() == RecordType::TXT && !fresh.load(Ordering::SeqCst) => {
                Some(texts(question, &["old"]))
            }
            // Over TCP only.
            3 if transport == Transport::Udp => None,
            _ => forward(question, upstream),
        };
        servers.push(Fake::start(SocketAddr::from(([127, 0, 0, number], upstream.port())), answer).await);
    }
    let home = Home::new();
    home.save(&home.acme_config(&bind, &["a.test"], &pebble, &certificate("a.test", &["a.test", "*.a.test"], "")));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "it waits", |daemon| daemon.log().contains("waiting: DNS: ns2.a.test (127.0.0.2:"));
    assert!(!daemon.log().contains("ns3.a.test"), "only the stale one is waited for");
    assert_eq!(pebble.requests("POST /chalZ/"), 0, "the CA was told too early");
    caught_up.store(true, Ordering::SeqCst);
    daemon.until_all(LIMIT, "stored");
    assert_eq!(daemon.show("a.test")["failures"], 0);
    assert!(servers.iter().all(|server| !server.asked().is_empty()));
    daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
    assert_eq!(bind.all_txt("a.test"), []);
}

#[test]
fn a_resolver_that_the_ca_asks_too_is_not_led_to_remember_that_nothing_is_there() {
    let bind = Bind::start(&["a.test"]);
    // That a name is not there is remembered for an hour.
    bind.nsupdate("update add a.test 3600 SOA ns.a.test. hostmaster.a.test. 9 3600 600 86400 3600");
    let cache = Cache::start(&["a.test"], bind.address());
    let pebble = Pebble::start(PebbleOptions { dns: cache.address(), ..PebbleOptions::default() });
    let home = Home::new();
    let text = home.head()
        + &resolver(cache.address()).replace(&format!("port = {}", cache.address().port()), "port = PORT")
        + &home.account(&pebble)
        + &home.rfc2136("main", &["a.test"], &bind)
        + STORE
        + &certificate("a.test", &["a.test", "*.a.test"], "");
    home.save(&text.replace("PORT", &bind.address().port().to_string()));
    let mut daemon = Daemon::start(&home);
    daemon.until(LIMIT, "an end", |daemon| {
        let view = daemon.show("a.test");
        view["state"] == "stored" || view["failures"].as_u64() > Some(0)
    });
    let view = daemon.show("a.test");
    assert_eq!((&view["state"], &view["failures"]), (&"stored".into(), &0.into()), "{view}");
}
