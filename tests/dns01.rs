//! DNS-01 against a real BIND, and against servers that misbehave as BIND never would.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "peers/peers.rs"]
mod peers;

#[path = "peers/fakes/name_server.rs"]
mod fake;
#[path = "dns01/hosts.rs"]
mod hosts;
#[path = "dns01/odd.rs"]
mod odd;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::RecordType;
use providers::dns::{Capabilities, DnsProvider};
use renewd::clock::Clock;
use renewd::config::{Certificate, KeyType, Propagation, RenewPolicy, Resolver};
use renewd::dns01::caa::{Memory as Asked, Record};
use renewd::dns01::dnssec::Standing;
use renewd::dns01::{Challenge, Dns01, Dns01Error, Instance, Location, Registrations, Seen, challenge_name};
use renewd::identifier::{DnsName, Identifier};

use fake::{Fake, Transport, forward, texts};
use hosts::{Host, Memory};
use peers::bind::Bind;
use peers::process::wait;

fn bind(zones: &[&str]) -> Arc<Bind> {
    Arc::new(Bind::start(zones))
}

fn instance(name: &str, zones: &[&str], provider: Arc<dyn DnsProvider>) -> Instance {
    Instance {
        name: name.to_owned(),
        zones: zones.iter().map(|zone| DnsName::parse(zone).unwrap()).collect(),
        propagation: Propagation { timeout: Duration::from_secs(10), servers: Vec::new(), recursive: false },
        provider,
    }
}

fn asking(resolvers: &[SocketAddr], bind: &Bind, instances: Vec<Instance>) -> Dns01 {
    keeping(resolvers, bind, instances, Arc::new(Memory::default()))
}

fn keeping(resolvers: &[SocketAddr], bind: &Bind, all: Vec<Instance>, kept: Arc<dyn Registrations>) -> Dns01 {
    let resolver = Resolver { servers: resolvers.to_vec(), authoritative_port: bind.address().port() };
    Dns01::new(all, &resolver, kept).unwrap()
}

/// One instance, `main`, on this BIND, whose provider hosts these zones.
fn plain(bind: &Arc<Bind>, zones: &[&'static str]) -> Dns01 {
    asking(&[bind.address()], bind, vec![instance("main", &[], Host::new(bind, zones, Capabilities::FULL))])
}

fn certificate(dns: &[&str]) -> Certificate {
    Certificate {
        names: vec![Identifier::parse("a.test").unwrap()],
        issuers: vec!["ca".to_owned()],
        dns: dns.iter().map(ToString::to_string).collect(),
        stores: Vec::new(),
        key: KeyType::default(),
        profile: None,
        renew: RenewPolicy::default(),
        chain: None,
        attempts_left: 5,
        alias: BTreeMap::new(),
        deploy: Vec::new(),
        verify: Vec::new(),
    }
}

fn challenge(location: &Location, base: &str, value: &str) -> Challenge {
    Challenge { location: location.clone(), value: value.to_owned(), challenge_name: challenge_name(base) }
}

fn missing(seen: Seen) -> Vec<String> {
    match seen {
        Seen::Everywhere => Vec::new(),
        Seen::Missing { servers } => servers,
    }
}

/// Adds a second server to `a.test`, at 127.0.0.2, and the value `one` to the challenge name at BIND.
async fn with_second_server(
    bind: &Arc<Bind>,
    handler: impl Fn(&Message, Transport) -> Option<Message> + Send + Sync + 'static,
) -> Fake {
    bind.nsupdate("update add a.test 1 NS ns2.a.test\nupdate add ns2.a.test 1 A 127.0.0.2");
    bind.nsupdate("update add _acme-challenge.a.test 1 TXT one");
    Fake::start(SocketAddr::from(([127, 0, 0, 2], bind.address().port())), handler).await
}

fn at_apex() -> Challenge {
    let name = challenge_name("a.test");
    let location = Location { instance: "main".to_owned(), zone: "a.test".to_owned(), name: name.clone() };
    Challenge { location, value: "one".to_owned(), challenge_name: name }
}

#[tokio::test]
async fn apex_and_wildcard_come_and_go_apart_and_leave_others_alone() {
    let bind = bind(&["a.test"]);
    bind.nsupdate("update add _acme-challenge.a.test 60 TXT theirs");
    let dns01 = plain(&bind, &["a.test"]);
    let location = dns01.locate(&certificate(&["main"]), "a.test").await.unwrap();
    assert_eq!(location, at_apex().location);
    let both = ["apex", "wildcard"].map(|value| challenge(&location, "a.test", value));
    for challenge in &both {
        assert_eq!(missing(dns01.propagated(&both).await.unwrap()).len(), 1);
        dns01.present(challenge).await.unwrap();
    }
    assert_eq!(dns01.propagated(&both).await.unwrap(), Seen::Everywhere);
    dns01.withdraw(&both[0]).await.unwrap();
    dns01.withdraw(&both[0]).await.unwrap();
    assert_eq!(bind.txt(&location.name), ["theirs", "wildcard"]);
    let words = missing(dns01.propagated(&both).await.unwrap());
    let address = bind.address();
    assert_eq!(words, [format!("ns.a.test ({address}) lacks 1 of 2 values: `_acme-challenge.a.test`")]);
    dns01.withdraw(&both[1]).await.unwrap();
    assert_eq!(bind.txt(&location.name), ["theirs"]);
}

#[tokio::test]
async fn cnames_aliases_and_delegations_lead_to_the_zone_that_really_holds_the_name() {
    let bind = bind(&["a.test", "sub.a.test", "b.test"]);
    bind.nsupdate("update add sub.a.test 1 NS ns.sub.a.test\nupdate add ns.sub.a.test 1 A 127.0.0.1");
    bind.nsupdate("update add _acme-challenge.a.test 1 CNAME One.b.test");
    bind.nsupdate("update add one.b.test 1 CNAME two.sub.a.test");
    let dns01 = plain(&bind, &["a.test", "sub.a.test", "b.test"]);
    let located = async |certificate: &Certificate, base: &str| {
        let location = dns01.locate(certificate, base).await.unwrap();
        format!("{} in {}", location.name, location.zone)
    };
    let mut wanted = certificate(&["main"]);
    assert_eq!(located(&wanted, "a.test").await, "two.sub.a.test in sub.a.test");
    assert_eq!(located(&wanted, "x.y.sub.a.test").await, "_acme-challenge.x.y.sub.a.test in sub.a.test");
    assert_eq!(located(&wanted, "x.a.test").await, "_acme-challenge.x.a.test in a.test");
    wanted.alias.insert("x.a.test".to_owned(), DnsName::parse("one.b.test").unwrap());
    assert_eq!(located(&wanted, "x.a.test").await, "two.sub.a.test in sub.a.test");
}

#[tokio::test]
async fn a_loop_of_cnames_and_a_name_without_a_zone_are_told() {
    let bind = bind(&["a.test"]);
    bind.nsupdate("update add _acme-challenge.a.test 1 CNAME two.a.test");
    bind.nsupdate("update add two.a.test 1 CNAME _acme-challenge.a.test");
    for step in 0..17 {
        bind.nsupdate(&format!("update add s{step}.a.test 1 CNAME s{}.a.test", step + 1));
    }
    bind.nsupdate("update add _acme-challenge.long.a.test 1 CNAME s0.a.test");
    bind.nsupdate("update add _acme-challenge.short.a.test 1 CNAME s2.a.test");
    let dns01 = plain(&bind, &["a.test"]);
    let failure = async |base: &str, dns: &[&str]| dns01.locate(&certificate(dns), base).await.unwrap_err();
    assert!(matches!(failure("a.test", &["main"]).await, Dns01Error::CnameLoop { .. }));
    assert!(matches!(failure("long.a.test", &["main"]).await, Dns01Error::CnameLoop { .. }));
    assert_eq!(dns01.locate(&certificate(&["main"]), "short.a.test").await.unwrap().name, "s17.a.test");
    assert!(matches!(failure("nowhere.invalid", &["main"]).await, Dns01Error::NoZone { .. }));
    assert!(matches!(failure("x.a.test", &["gone"]).await, Dns01Error::NoInstance { .. }));
}

#[tokio::test]
async fn a_top_level_zone_is_ours_only_where_the_config_says_so() {
    let bind = bind(&["lan"]);
    let host = Host::new(&bind, &["lan"], Capabilities::FULL);
    let unsaid = asking(&[bind.address()], &bind, vec![instance("main", &[], Arc::clone(&host) as _)]);
    let error = unsaid.locate(&certificate(&["main"]), "printer.lan").await.unwrap_err();
    assert!(matches!(error, Dns01Error::NoZone { .. }), "{error}");
    let said = asking(&[bind.address()], &bind, vec![instance("main", &["lan"], host)]);
    assert_eq!(said.locate(&certificate(&[]), "printer.lan").await.unwrap().zone, "lan");
}

/// Tasks move between threads: whoever calls these must be able to.
#[tokio::test]
async fn every_call_can_move_between_threads() {
    fn movable(_: impl Send) {}
    let bind = bind(&["a.test"]);
    let dns01 = plain(&bind, &["a.test"]);
    let (wanted, challenge) = (certificate(&["main"]), at_apex());
    movable(dns01.locate(&wanted, "a.test"));
    movable(dns01.present(&challenge));
    movable(dns01.withdraw(&challenge));
    movable(dns01.propagated(std::slice::from_ref(&challenge)));
}

#[tokio::test]
async fn the_first_of_the_certificate_s_instances_that_hosts_the_zone_takes_it() {
    let bind = bind(&["a.test", "b.test"]);
    let other = instance("other", &[], Host::new(&bind, &["b.test"], Capabilities::FULL));
    let main = instance("main", &[], Host::new(&bind, &["a.test"], Capabilities::FULL));
    let dns01 = asking(&[bind.address()], &bind, vec![other, main]);
    let located = dns01.locate(&certificate(&["other", "main"]), "a.test").await.unwrap();
    assert_eq!(located.instance, "main");
    let located = dns01.locate(&certificate(&["other", "main"]), "b.test").await.unwrap();
    assert_eq!(located.instance, "other");
    assert!(bind.all_txt("a.test").is_empty() && bind.all_txt("b.test").is_empty());
}

#[tokio::test]
async fn a_registration_is_made_once_and_used_when_its_cname_is_there() {
    let bind = bind(&["a.test", "auth.test"]);
    let capabilities = Capabilities { registers: true, delete: false, values_per_name: Some(2), ..Capabilities::FULL };
    let host = Host::new(&bind, &["auth.test"], capabilities);
    let all = || vec![instance("acme-dns", &[], Arc::clone(&host) as _)];
    let dns01 = asking(&[bind.address()], &bind, all());
    let wanted = certificate(&["acme-dns"]);
    let (one, two) = tokio::join!(dns01.locate(&wanted, "a.test"), dns01.locate(&wanted, "a.test"));
    for error in [one.unwrap_err(), two.unwrap_err()] {
        let Dns01Error::CnameMissing { name, target } = error else { panic!("{error}") };
        assert_eq!((name.as_str(), target.as_str()), ("_acme-challenge.a.test", "r0.auth.test"));
    }
    assert_eq!(host.registered.load(Ordering::SeqCst), 1);
    bind.nsupdate("update add _acme-challenge.a.test 1 CNAME r0.auth.test");
    let location = dns01.locate(&wanted, "a.test").await.unwrap();
    assert_eq!((location.zone.as_str(), location.name.as_str()), ("auth.test", "r0.auth.test"));
    let all_values = ["one", "two", "three"].map(|value| challenge(&location, "a.test", value));
    dns01.present(&all_values[0]).await.unwrap();
    dns01.present(&all_values[1]).await.unwrap();
    dns01.present(&all_values[1]).await.unwrap();
    assert!(matches!(dns01.present(&all_values[2]).await, Err(Dns01Error::TooManyValues { limit: 2, .. })));
    // Three were asked for, two were sent: a value sent twice would push out the other.
    assert_eq!(*host.secrets.lock().unwrap(), ["_acme-challenge.a.test 0", "_acme-challenge.a.test 0"]);
    assert_eq!(dns01.propagated(&all_values[..2]).await.unwrap(), Seen::Everywhere);
    dns01.withdraw(&all_values[0]).await.unwrap();
    assert_eq!(bind.txt("r0.auth.test"), ["one", "two"], "this host cannot delete");
    dns01.present(&all_values[2]).await.unwrap();

    let broken = keeping(&[bind.address()], &bind, all(), Arc::new(Memory { broken: true, ..Memory::default() }));
    let error = broken.locate(&wanted, "b.a.test").await.unwrap_err();
    assert!(matches!(error, Dns01Error::Registrations { .. }), "unkept, it is not shown to anybody: {error}");
}

#[tokio::test]
async fn hosts_that_replace_whole_sets_see_one_writer_a_name() {
    let bind = bind(&["a.test"]);
    for (atomic_append, writers) in [(false, 1), (true, 4)] {
        let host = Host::new(&bind, &["a.test"], Capabilities { atomic_append, ..Capabilities::FULL });
        let dns01 = asking(&[bind.address()], &bind, vec![instance("main", &[], Arc::clone(&host) as _)]);
        let all = ["one", "two", "three", "four"].map(|value| challenge(&at_apex().location, "a.test", value));
        futures_util::future::try_join_all(all.iter().map(|challenge| dns01.present(challenge))).await.unwrap();
        assert_eq!(host.most_writers.load(Ordering::SeqCst), writers);
    }
}

#[tokio::test]
async fn one_server_that_lags_or_fails_is_named() {
    let says = |code: ResponseCode, authoritative: bool, values: &'static [&'static str]| {
        move |question: &Message, _: Transport| {
            let mut answer = texts(question, values);
            answer.metadata.response_code = code;
            answer.metadata.authoritative = authoritative;
            Some(answer)
        }
    };
    let words = async |code, authoritative, values| {
        let bind = bind(&["a.test"]);
        let fake = with_second_server(&bind, says(code, authoritative, values)).await;
        let seen = plain(&bind, &["a.test"]).propagated(&[at_apex()]).await.unwrap();
        let start = format!("ns2.a.test ({}) ", fake.address);
        missing(seen).iter().map(|line| line.strip_prefix(&start).expect("it is this server").to_owned()).collect()
    };
    let cases: [(_, _, &'static [&'static str], Option<&str>); 6] = [
        (ResponseCode::NoError, true, &["one", "x"], None),
        (ResponseCode::NoError, true, &["old"], Some("lacks 1 of 1 values")),
        (ResponseCode::NXDomain, true, &[], Some("lacks 1 of 1 values")),
        (ResponseCode::ServFail, true, &[], Some("answers Server Failure")),
        (ResponseCode::Refused, false, &[], Some("answers Query Refused")),
        (ResponseCode::NoError, false, &["one"], Some("does not serve the zone (lame)")),
    ];
    for (code, authoritative, values, wanted) in cases {
        let found: Vec<String> = words(code, authoritative, values).await;
        let wanted: Vec<String> = wanted.iter().map(|words| format!("{words}: `_acme-challenge.a.test`")).collect();
        assert_eq!(found, wanted);
    }
}

#[tokio::test]
async fn truncation_tcp_only_and_a_dislike_of_edns_stop_nobody() {
    let truncates = |question: &Message, transport: Transport| {
        let mut answer = texts(question, if transport == Transport::Udp { &[] } else { &["one"] });
        answer.metadata.truncation = transport == Transport::Udp;
        Some(answer)
    };
    let tcp_only =
        |question: &Message, transport: Transport| (transport == Transport::Tcp).then(|| texts(question, &["one"]));
    let no_edns = |question: &Message, _: Transport| question.edns.is_none().then(|| texts(question, &["one"]));
    let handlers: [fn(&Message, Transport) -> Option<Message>; 3] = [truncates, tcp_only, no_edns];
    for handler in handlers {
        let bind = bind(&["a.test"]);
        let fake = with_second_server(&bind, handler).await;
        assert_eq!(plain(&bind, &["a.test"]).propagated(&[at_apex()]).await.unwrap(), Seen::Everywhere);
        assert!(!fake.asked().is_empty());
    }
}

#[tokio::test]
async fn a_dead_server_blocks_and_a_dead_second_address_does_not() {
    let bind = bind(&["a.test"]);
    bind.nsupdate("update add _acme-challenge.a.test 1 TXT one\nupdate add ns.a.test 1 AAAA ::1");
    let dns01 = plain(&bind, &["a.test"]);
    assert_eq!(dns01.propagated(&[at_apex()]).await.unwrap(), Seen::Everywhere);
    bind.nsupdate("update add a.test 1 NS ns2.a.test\nupdate add ns2.a.test 1 A 127.0.0.2");
    let words = missing(dns01.propagated(&[at_apex()]).await.unwrap());
    assert!(words.len() == 1 && words[0].starts_with("ns2.a.test (127.0.0.2:"), "{words:?}");
}

#[tokio::test]
async fn the_config_s_servers_are_asked_instead_with_recursion_where_it_says() {
    let bind = bind(&["a.test"]);
    let fake = Fake::start(SocketAddr::from(([127, 0, 0, 2], 0)), |question, _| {
        let mut answer = texts(question, if question.recursion_desired { &["one"] } else { &[] });
        answer.metadata.authoritative = false;
        Some(answer)
    })
    .await;
    for (recursive, lines) in [(true, 0), (false, 1)] {
        let mut main = instance("main", &[], Host::new(&bind, &["a.test"], Capabilities::FULL));
        main.propagation.servers = vec![fake.address];
        main.propagation.recursive = recursive;
        let seen = asking(&[bind.address()], &bind, vec![main]).propagated(&[at_apex()]).await.unwrap();
        assert_eq!(missing(seen).len(), lines);
    }
}

#[tokio::test]
async fn resolvers_are_never_asked_for_the_txt_and_the_next_one_stands_in() {
    let bind = bind(&["a.test"]);
    let upstream = bind.address();
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let good = Fake::start(anywhere, move |question, _| forward(question, upstream)).await;
    let bad = Fake::start(anywhere, |question, _| {
        let mut answer = texts(question, &[]);
        answer.metadata.response_code = ResponseCode::ServFail;
        Some(answer)
    })
    .await;
    let main = instance("main", &["a.test"], Host::new(&bind, &["a.test"], Capabilities::FULL));
    let dns01 = asking(&[bad.address, good.address], &bind, vec![main.clone()]);
    let location = dns01.locate(&certificate(&[]), "a.test").await.unwrap();
    let challenge = challenge(&location, "a.test", "one");
    assert_ne!(dns01.propagated(std::slice::from_ref(&challenge)).await.unwrap(), Seen::Everywhere);
    dns01.present(&challenge).await.unwrap();
    assert_eq!(dns01.propagated(&[challenge]).await.unwrap(), Seen::Everywhere);
    assert!(good.asked().iter().all(|query| query.query_type() != RecordType::TXT));
    assert_eq!(bad.asked().len(), 1, "the resolver that answered last is asked first");

    let error = asking(&[bad.address], &bind, vec![main]).locate(&certificate(&[]), "a.test").await.unwrap_err();
    assert!(matches!(&error, Dns01Error::Resolver { detail, .. } if detail.contains("Server Failure")), "{error}");
    assert!(error.is_temporary());
}

#[tokio::test]
async fn caa_is_climbed_through_cnames_and_asked_for_once() {
    let bind = bind(&["a.test", "b.test"]);
    bind.nsupdate("update add a.test 1 CAA 0 issue \"ca.test\"\nupdate add deep.own.a.test 1 A 127.0.0.1");
    bind.nsupdate("update add own.a.test 1 CAA 0 issuewild \";\"\nupdate add alias.a.test 1 CNAME target.b.test");
    bind.nsupdate("update add target.b.test 1 CAA 128 issue \"other.test\"");
    let upstream = bind.address();
    let counting =
        Fake::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |question, _| forward(question, upstream)).await;
    let dns01 = asking(&[counting.address], &bind, Vec::new());
    let memory = Asked::default();
    for (name, at) in [
        ("a.test", Some("a.test")),
        ("x.y.A.test", Some("a.test")),
        ("deep.own.a.test", Some("own.a.test")),
        ("alias.a.test", Some("alias.a.test")),
        ("x.alias.a.test", Some("alias.a.test")),
        ("b.test", None),
    ] {
        let found = dns01.climb(name, &memory).await.unwrap();
        assert_eq!(found.as_ref().map(|found| found.at.as_str()), at, "{name}");
    }
    let found = dns01.climb("alias.a.test", &memory).await.unwrap().unwrap();
    assert_eq!(found.records, [Record { critical: true, tag: "issue".into(), value: "other.test".into() }]);
    let mut names: Vec<_> = counting.asked().iter().map(|query| query.name().to_string()).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a name is asked for twice");

    let silent = Fake::start(SocketAddr::from(([127, 0, 0, 1], 0)), |question, _| {
        let mut answer = texts(question, &[]);
        answer.metadata.response_code = ResponseCode::ServFail;
        Some(answer)
    })
    .await;
    let words = asking(&[silent.address], &bind, Vec::new()).climb("a.test", &Asked::default()).await.unwrap_err();
    assert!(words.contains("CAA of `a.test`") && words.contains("Server Failure"), "{words}");
}

#[tokio::test]
async fn signatures_are_held_against_keys_parent_and_clock() {
    let bind = Arc::new(Bind::start_signed(&["a.test", "s.a.test"], &["s.a.test"]));
    let (dns01, now) = (plain(&bind, &["a.test"]), Clock::system().now());
    let standing = async |zone: &str, at| dns01.dnssec(zone, at).await.unwrap();
    assert_eq!(standing("a.test", now).await, Standing::Unsigned { has_keys: false });
    assert!(wait(Duration::from_secs(30), || !bind.ds("s.a.test").is_empty()), "{}", bind.log());
    assert_eq!(standing("s.a.test", now).await, Standing::Unsigned { has_keys: true });

    let ds = bind.ds("s.a.test").remove(0);
    bind.nsupdate("update add s.a.test 1 NS ns.s.a.test\nupdate add ns.s.a.test 1 A 127.0.0.1");
    bind.nsupdate(&format!("zone a.test\nupdate add s.a.test 1 NS ns.s.a.test\nupdate add s.a.test 1 DS {ds}"));
    assert_eq!(standing("s.a.test", now).await, Standing::Signed);
    let why = async |at| match standing("s.a.test", at).await {
        Standing::Bogus { why } => why,
        other => panic!("{other:?}"),
    };
    let later = why(now.plus(Duration::from_secs(60 * 86_400))).await;
    assert!(later.contains("expired at"), "{later}");
    let earlier = why(now.minus(Duration::from_secs(60 * 86_400))).await;
    assert!(earlier.contains("counts from"), "{earlier}");

    let (head, digest) = ds.rsplit_once(' ').unwrap();
    let other: String = digest.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
    bind.nsupdate(&format!("zone a.test\nupdate delete s.a.test DS\nupdate add s.a.test 1 DS {head} {other}"));
    let unfit = why(now).await;
    assert!(unfit.contains("none of its keys fits the DS records"), "{unfit}");
}

#[tokio::test]
async fn a_resolver_that_validates_is_believed() {
    let bind = bind(&["a.test"]);
    let upstream = bind.address();
    let now = Clock::system().now();
    let secure = Fake::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |question, _| {
        let mut answer = forward(question, upstream)?;
        answer.metadata.authentic_data = question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        Some(answer)
    })
    .await;
    assert_eq!(asking(&[secure.address], &bind, Vec::new()).dnssec("a.test", now).await.unwrap(), Standing::Secure);
    let refusing = Fake::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |question, _| {
        if question.checking_disabled {
            return forward(question, upstream);
        }
        let mut answer = texts(question, &[]);
        answer.metadata.response_code = ResponseCode::ServFail;
        Some(answer)
    })
    .await;
    match asking(&[refusing.address], &bind, Vec::new()).dnssec("a.test", now).await.unwrap() {
        Standing::Bogus { why } => assert!(why.contains("only unchecked") && why.contains("Server Failure"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_host_s_refusal_is_handed_on() {
    let bind = bind(&["a.test"]);
    let dns01 = plain(&bind, &["b.test"]);
    let error = dns01.present(&at_apex()).await.unwrap_err();
    assert!(matches!(&error, Dns01Error::Provider { source: providers::Error::ZoneNotFound { .. }, .. }), "{error}");
    let mut elsewhere = at_apex();
    elsewhere.location.instance = "gone".to_owned();
    assert!(matches!(dns01.withdraw(&elsewhere).await, Err(Dns01Error::UnknownInstance { .. })));
    let twice = ["x", "x"].map(|name| instance(name, &[], Host::new(&bind, &[], Capabilities::FULL)));
    let resolver = Resolver { servers: Vec::new(), authoritative_port: 53 };
    let refused = Dns01::new(twice.to_vec(), &resolver, Arc::new(Memory::default()));
    assert!(matches!(refused, Err(Dns01Error::DuplicateInstance { .. })));
}
