//! One certificate from Pebble through each DNS host.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::acme_dns::{self, AcmeDnsServer};
use crate::bridge::Bridge;
use crate::cloudflare::{CloudflareServer, TOKEN, meaning};
use crate::harness::{Daemon, said};
use crate::home::{Home, STORE, certificate, dns, list, resolver};
use crate::peers::bind::Bind;
use crate::peers::moto::Moto;
use crate::peers::pebble::{Pebble, PebbleOptions};
use crate::peers::powerdns::PowerDns;
use crate::peers::{openssl, programs};
use crate::secrecy;

const LIMIT: Duration = Duration::from_secs(60);
const NAMES: [&str; 2] = ["zone.test", "*.zone.test"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn route53() {
    let moto = Arc::new(Moto::start());
    let zone = moto.hosted_zone("zone.test");
    let (records, id) = (Arc::clone(&moto), zone.clone());
    let bridge = Bridge::start("zone.test", None, move |name| records.txt(&id, name)).await;
    let world = World::new(bridge.address);
    world.home.secret("aws.key", "any-key-does");
    let settings = format!(
        "region = \"us-east-1\"\naccess_key_id = \"AKIAEXAMPLE\"\nsecret_access_key = {{ file = \"aws.key\" }}\n\
         endpoint_url = \"{}\"\n",
        moto.endpoint()
    );
    let mut daemon = world.start(&dns("host", &["zone.test"], "route53", &settings));
    world.obtain(&mut daemon);
    daemon.until(LIMIT, "the TXT values are gone", |_| moto.all_txt(&zone).is_empty());
    secrecy::check(&world.home, &daemon, &["any-key-does"]);
}

#[test]
fn powerdns() {
    let server = PowerDns::start(&["zone.test"]);
    let address = r#"{"rrsets": [{"name": "ns.zone.test.", "type": "A", "ttl": 60, "changetype": "REPLACE",
        "records": [{"content": "127.0.0.1", "disabled": false}]}]}"#;
    server.request("PATCH", "/zones/zone.test.", address).expect("the name server has an address");
    let world = World::new(server.dns_address());
    world.home.secret("powerdns.key", server.api_key());
    let settings = format!("api_url = \"{}\"\napi_key = {{ file = \"powerdns.key\" }}\n", server.api_url());
    let mut daemon = world.start(&dns("host", &["zone.test"], "powerdns", &settings));
    world.obtain(&mut daemon);
    daemon.until(LIMIT, "the TXT values are gone", |_| server.all_txt("zone.test").is_empty());
    secrecy::check(&world.home, &daemon, &[server.api_key()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cloudflare() {
    let server = Arc::new(CloudflareServer::start().await);
    server.cloud().add_zone("zone.test", "active");
    let records = Arc::clone(&server);
    let values = move |name: &str| records.cloud().contents(name).iter().map(|content| meaning(content)).collect();
    let bridge = Bridge::start("zone.test", None, values).await;
    let world = World::new(bridge.address);
    world.home.secret("cloudflare.key", TOKEN);
    let settings = format!("api_url = \"{}\"\napi_token = {{ file = \"cloudflare.key\" }}\n", server.api_url());
    let mut daemon = world.start(&dns("host", &["zone.test"], "cloudflare", &settings));
    world.obtain(&mut daemon);
    let gone = |_: &Daemon| server.cloud().contents("_acme-challenge.zone.test").is_empty();
    daemon.until(LIMIT, "the TXT values are gone", gone);
    assert_eq!(server.cloud().complaints, [""; 0]);
    secrecy::check(&world.home, &daemon, &[TOKEN]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acme_dns_waits_for_the_cname_and_then_goes_on() {
    let server = Arc::new(AcmeDnsServer::start().await);
    let bind = Bind::start(&["zone.test"]);
    let values = Arc::clone(&server);
    let bridge = Bridge::start(acme_dns::ZONE, Some(bind.address()), move |name| values.txt(name)).await;
    let world = World::new(bridge.address);
    let settings = format!("api_url = \"{}\"\n", server.api_url());
    let mut daemon = world.start(&dns("host", &["zone.test"], "acme-dns", &settings));

    daemon.until(LIMIT, "it waits for the operator", |daemon| daemon.state_of("zone.test") == "waiting");
    let why = daemon.cli_json(&["why", "zone.test"]);
    let waits_for = why["waits_for"].as_str().unwrap_or_else(|| panic!("it waits for nothing: {why}"));
    let target = waits_for.split('`').find(|word| word.ends_with(acme_dns::ZONE)).expect("the target is told");
    assert!(waits_for.contains("`_acme-challenge.zone.test` must be a CNAME"), "{waits_for}");
    let words = said(&daemon.cli(&["why", "zone.test"]));
    assert!(words.contains(target), "people are told, too: {words}");

    bind.nsupdate(&format!("update add _acme-challenge.zone.test 60 CNAME {target}."));
    let renewed = daemon.cli(&["renew", "zone.test", "--wait"]);
    assert!(renewed.status.success(), "{}", said(&renewed));
    world.obtain(&mut daemon);
    assert_eq!(server.names().accounts.len(), 1, "one name, one registration");
    assert!(daemon.cli_json(&["why", "zone.test"])["owed_txts"].as_array().is_some_and(Vec::is_empty));
    let passwords: Vec<_> = server.names().accounts.values().map(|account| account.password.clone()).collect();
    secrecy::check(&world.home, &daemon, &passwords.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn exec_and_a_withdrawal_that_fails_twice() {
    let bind = Bind::start(&["zone.test"]);
    let world = World::new(bind.address());
    let failures = world.home.file("failures");
    let hook = format!(
        "if [ \"$1\" = withdraw ] && [ \"$(cat '{failures}' 2>/dev/null | wc -l)\" -lt 4 ]; then\n\
         echo failed >>'{failures}'; echo 'the moon is full' >&2; exit 75; fi\nexec '{python}' '{script}' \"$1\"\n",
        failures = failures.display(),
        python = programs::find("python3").display(),
        script = Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/tests/contract/exec.py").display(),
    );
    let command = list(&["/bin/sh".to_owned(), world.home.write("hook.sh", &hook).display().to_string()]);
    let settings = format!(
        "command = {command}\nenvironment = {{ NSUPDATE = \"{}\", SERVER = \"127.0.0.1\", PORT = \"{}\", \
         KEY = \"hmac-sha256:{} {}\" }}\n",
        programs::find("nsupdate").display(),
        bind.address().port(),
        bind.tsig_key(),
        bind.tsig_secret(),
    );
    let mut daemon = world.start(&dns("host", &["zone.test"], "exec", &settings));
    world.obtain(&mut daemon);
    assert_eq!(bind.all_txt("zone.test").len(), 2, "its values could not be withdrawn yet");
    let owed = daemon.cli_json(&["why", "zone.test"])["owed_txts"].clone();
    assert!(owed.to_string().contains("the moon is full"), "what is owed is told, with its reason: {owed}");
    daemon.until(LIMIT, "the TXT values are gone", |_| bind.all_txt("zone.test").is_empty());
    assert_eq!(std::fs::read_to_string(&failures).expect("it failed").lines().count(), 4, "each of two values, twice");
    daemon.until(LIMIT, "nothing is owed", |daemon| daemon.json("/health")["checks"]["txt_owed"] == 0);
    let one = daemon.show("zone.test");
    assert_eq!((&one["failures"], &one["version"]), (&0.into(), &1.into()), "{one}");
    secrecy::check(&world.home, &daemon, &[bind.tsig_secret()]);
}

struct World {
    pebble: Pebble,
    home: Home,
    dns: std::net::SocketAddr,
}

impl World {
    /// A CA that asks this name server.
    fn new(dns: std::net::SocketAddr) -> Self {
        World { pebble: Pebble::start(PebbleOptions { dns, ..PebbleOptions::default() }), home: Home::new(), dns }
    }

    /// A daemon with this DNS instance and one certificate.
    fn start(&self, instance: &str) -> Daemon {
        let parts: [&str; 6] = [
            &self.home.head(),
            &resolver(self.dns),
            &self.home.account(&self.pebble),
            instance,
            STORE,
            &certificate("zone.test", &NAMES, ""),
        ];
        self.home.save(&parts.concat());
        Daemon::start(&self.home)
    }

    /// Waits until the certificate is stored, and has it verified.
    fn obtain(&self, daemon: &mut Daemon) {
        daemon.until_all(LIMIT, "stored");
        let file = |name: &str| self.home.read("zone.test", name);
        let (leaf, chain) = (file("cert.pem"), file("chain.pem"));
        openssl::verify(&self.pebble.root_pem(), &chain, &leaf).expect("the chain leads to Pebble's root");
        assert_eq!(openssl::public_key_of_cert(&leaf), openssl::public_key_of_key(&file("privkey.pem")));
        assert_eq!(openssl::names(&leaf), ["*.zone.test", "zone.test"]);
        assert_eq!(self.pebble.order_count(), 1);
    }
}
