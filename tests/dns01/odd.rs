//! Zones and servers that are set up oddly, as real ones are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use providers::dns::Capabilities;
use renewd::config::Resolver;
use renewd::dns01::{Dns01, Seen};

use crate::fake::{Fake, Transport, forward, texts};
use crate::hosts::{Host, Memory};
use crate::peers::bind::Bind;
use crate::{asking, at_apex, bind, certificate, challenge, instance, missing, plain, with_second_server};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn is_challenge(name: &Name) -> bool {
    name.to_ascii().to_ascii_lowercase().starts_with("_acme-challenge.")
}

fn failure(question: &Message) -> Message {
    let mut answer = texts(question, &[]);
    answer.metadata.response_code = ResponseCode::ServFail;
    answer
}

/// A resolver that passes every question on to this server, and can tell which there were.
async fn listening(bind: &Arc<Bind>) -> Fake {
    let upstream = bind.address();
    Fake::start(ANYWHERE, move |question, _| forward(question, upstream)).await
}

#[tokio::test]
async fn a_resolver_never_hears_of_a_name_whose_value_is_not_there_yet() {
    let bind = bind(&["a.test", "b.test", "_acme-challenge.own.a.test"]);
    bind.nsupdate("update add _acme-challenge.x.a.test 1 CNAME _acme-challenge.deep.b.test");
    bind.nsupdate("zone a.test\nupdate add _acme-challenge.own.a.test 1 NS ns.a.test");
    let resolver = listening(&bind).await;
    let zones = ["a.test", "b.test", "_acme-challenge.own.a.test"];
    let host = instance("main", &[], Host::new(&bind, &zones, Capabilities::FULL));
    let dns01 = asking(&[resolver.address], &bind, vec![host]);
    for (base, zone, name) in [
        ("a.test", "a.test", "_acme-challenge.a.test"),
        ("not.there.a.test", "a.test", "_acme-challenge.not.there.a.test"),
        ("x.a.test", "b.test", "_acme-challenge.deep.b.test"),
        ("own.a.test", "_acme-challenge.own.a.test", "_acme-challenge.own.a.test"),
    ] {
        let location = dns01.locate(&certificate(&["main"]), base).await.unwrap();
        assert_eq!((location.zone.as_str(), location.name.as_str()), (zone, name), "{base}");
        let challenge = challenge(&location, base, "one");
        assert_ne!(dns01.propagated(std::slice::from_ref(&challenge)).await.unwrap(), Seen::Everywhere);
        dns01.present(&challenge).await.unwrap();
        assert_eq!(dns01.propagated(&[challenge]).await.unwrap(), Seen::Everywhere, "{base}");
    }
    // Of the delegated one the servers are asked for, which are there; nothing that a TXT could not outlive.
    let asked = resolver.asked();
    let early = asked.iter().filter(|query| is_challenge(query.name()) && query.query_type() != RecordType::NS);
    assert_eq!(early.map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn where_no_server_of_the_zone_answers_the_resolver_is_asked() {
    let bind = bind(&["a.test", "b.test"]);
    bind.nsupdate("update add _acme-challenge.a.test 1 CNAME one.b.test");
    let resolver = listening(&bind).await;
    let nowhere = Fake::start(ANYWHERE, |question, _| Some(failure(question))).await;
    let host = instance("main", &[], Host::new(&bind, &["b.test"], Capabilities::FULL));
    let settings = Resolver { servers: vec![resolver.address], authoritative_port: nowhere.address.port() };
    let dns01 = Dns01::new(vec![host], &settings, Arc::new(Memory::default())).unwrap();
    let location = dns01.locate(&certificate(&["main"]), "a.test").await.unwrap();
    assert_eq!((location.zone.as_str(), location.name.as_str()), ("b.test", "one.b.test"));
    assert!(!nowhere.asked().is_empty(), "they were asked first");
}

#[tokio::test]
async fn a_cname_beside_a_txt_counts_as_the_cname() {
    let bind = bind(&["a.test", "b.test"]);
    let upstream = bind.address();
    let odd = Fake::start(ANYWHERE, move |question, _| {
        let asked = question.queries[0].name().clone();
        if !asked.to_ascii().eq_ignore_ascii_case("_acme-challenge.a.test.") {
            return forward(question, upstream);
        }
        let mut answer = texts(question, &[]);
        let target = Name::from_ascii("one.b.test.").unwrap();
        answer.add_answer(Record::from_rdata(asked.clone(), 1, RData::TXT(TXT::new(vec!["theirs".to_owned()]))));
        answer.add_answer(Record::from_rdata(asked, 1, RData::CNAME(CNAME(target))));
        Some(answer)
    })
    .await;
    let host = instance("main", &[], Host::new(&bind, &["a.test", "b.test"], Capabilities::FULL));
    let settings = Resolver { servers: vec![odd.address], authoritative_port: odd.address.port() };
    let dns01 = Dns01::new(vec![host], &settings, Arc::new(Memory::default())).unwrap();
    let location = dns01.locate(&certificate(&["main"]), "a.test").await.unwrap();
    assert_eq!((location.zone.as_str(), location.name.as_str()), ("b.test", "one.b.test"));
    let challenge = challenge(&location, "a.test", "ours");
    dns01.present(&challenge).await.unwrap();
    assert_eq!(dns01.propagated(std::slice::from_ref(&challenge)).await.unwrap(), Seen::Everywhere);
    dns01.withdraw(&challenge).await.unwrap();
    assert_eq!((bind.txt("one.b.test"), bind.txt("_acme-challenge.a.test")), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn behind_a_hidden_primary_the_servers_that_the_zone_names_decide() {
    let bind = bind(&["a.test"]);
    let (upstream, transferred) = (bind.address(), Arc::new(AtomicBool::new(false)));
    let arrived = Arc::clone(&transferred);
    let _secondary = with_second_server(&bind, move |question, _| {
        let is_early = question.queries[0].query_type() == RecordType::TXT && !arrived.load(Ordering::SeqCst);
        if is_early { Some(texts(question, &[])) } else { forward(question, upstream) }
    })
    .await;
    bind.nsupdate("update delete a.test NS ns.a.test.");
    let dns01 = plain(&bind, &["a.test"]);
    let location = dns01.locate(&certificate(&["main"]), "a.test").await.unwrap();
    assert_eq!(location, at_apex().location);
    // The primary, which takes updates and is not named, shows the value already.
    assert_eq!(bind.txt(&location.name), ["one"]);
    let words = missing(dns01.propagated(&[at_apex()]).await.unwrap());
    assert!(words.len() == 1 && words[0].starts_with("ns2.a.test (127.0.0.2:"), "{words:?}");
    transferred.store(true, Ordering::SeqCst);
    assert_eq!(dns01.propagated(&[at_apex()]).await.unwrap(), Seen::Everywhere);
}

#[tokio::test]
async fn servers_with_nothing_but_ipv6_addresses_are_asked_there() {
    let bind = bind(&["a.test"]);
    let (upstream, here) = (bind.address(), SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], bind.address().port())));
    let six = Fake::start(here, move |question, _| forward(question, upstream)).await;
    bind.nsupdate("update add a.test 1 NS ns6.a.test\nupdate add ns6.a.test 1 AAAA ::1");
    bind.nsupdate("update delete a.test NS ns.a.test.");
    let dns01 = plain(&bind, &["a.test"]);
    let location = dns01.locate(&certificate(&["main"]), "a.test").await.unwrap();
    let challenge = challenge(&location, "a.test", "one");
    let words = missing(dns01.propagated(std::slice::from_ref(&challenge)).await.unwrap());
    assert!(words.len() == 1 && words[0].starts_with("ns6.a.test ([::1]:"), "{words:?}");
    dns01.present(&challenge).await.unwrap();
    assert_eq!(dns01.propagated(&[challenge]).await.unwrap(), Seen::Everywhere);
    assert!(six.asked().iter().any(|query| query.query_type() == RecordType::CNAME), "it, too, tells of CNAMEs");
}

#[tokio::test]
async fn of_four_servers_the_one_that_is_stale_is_named_and_no_other() {
    let bind = bind(&["a.test"]);
    let (port, upstream) = (bind.address().port(), bind.address());
    bind.nsupdate("update add _acme-challenge.a.test 1 TXT one");
    let mut servers = Vec::new();
    for number in 2..=4 {
        bind.nsupdate(&format!(
            "update add a.test 1 NS ns{number}.a.test\nupdate add ns{number}.a.test 1 A 127.0.0.{number}"
        ));
        let stale = number == 3;
        let answer = move |question: &Message, _: Transport| {
            if stale { Some(texts(question, &["old"])) } else { forward(question, upstream) }
        };
        servers.push(Fake::start(SocketAddr::from(([127, 0, 0, number], port)), answer).await);
    }
    let words = missing(plain(&bind, &["a.test"]).propagated(&[at_apex()]).await.unwrap());
    assert_eq!(words, [format!("ns3.a.test (127.0.0.3:{port}) lacks 1 of 1 values: `_acme-challenge.a.test`")]);
    assert!(servers.iter().all(|server| !server.asked().is_empty()));
}
