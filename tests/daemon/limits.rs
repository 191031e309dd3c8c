//! A CA's limits are kept, and how many attempts are left is told.

use std::time::Duration;

use crate::acme_ca::{AcmeCa, Endpoint, Script};
use crate::harness::Daemon;
use crate::home::{Home, STORE, certificate, dns};
use crate::own_ca::{Clock, problem};
use crate::peers::bind::Bind;
use crate::peers::pebble::{Pebble, PebbleOptions};

const LIMIT: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["n0.a.test", "n1.a.test", "n2.a.test"];

#[test]
fn what_would_break_a_limit_is_held_back_over_a_restart_until_there_is_room() {
    let bind = Bind::start(&["a.test"]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let home = Home::new();
    let extra: String = NAMES.iter().map(|name| certificate(name, &[name], "")).collect();
    let limited = "parallel_orders = 4\nlimits = { orders = \"2 per 1h\" }";
    let text = home.acme_config(&bind, &["a.test"], &pebble, &extra).replace("parallel_orders = 4", limited);
    home.save(&text);
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let stored = |daemon: &Daemon| NAMES.iter().filter(|name| daemon.state_of(name) == "stored").count();
    let held = |daemon: &Daemon| NAMES.into_iter().find(|name| daemon.state_of(name) == "waiting");
    daemon.until(LIMIT, "two stored and one held back", |daemon| stored(daemon) == 2 && held(daemon).is_some());
    let name = held(&daemon).expect("one waits");
    let why = daemon.cli_json(&["why", name]);
    assert_eq!((&why["obstacles"][0]["kind"], &why["failures"]), (&"held".into(), &0.into()), "{why}");
    let problem = why["problem"].as_str().expect("it is said");
    assert!(
        problem.starts_with("held back until 20") && problem.contains("2 per 1h new orders of the account"),
        "{why}"
    );

    const WAITS: &str = "a new certificate is ordered, once a limit of `pebble` lets it";
    let plan = daemon.cli_json(&["plan"]);
    let coming = plan["coming"].as_array().expect("a plan").iter().find(|entry| entry["certificate"] == name);
    assert_eq!((&coming.expect("it comes")["what"], &why["next"]), (&WAITS.into(), &WAITS.into()), "{plan}");

    daemon.kill();
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    clock.set(3000);
    daemon.until(LIMIT, "a look after the restart", |daemon| daemon.get("/health").status == 200);
    assert_eq!(pebble.order_count(), 2, "a restart forgets no limit");
    clock.set(3700);
    daemon.until_all(LIMIT, "stored");
    assert_eq!(pebble.order_count(), 3);
}

#[test]
fn too_few_attempts_are_a_failure_of_health_renewals() {
    let bind = Bind::start(&["a.test"]);
    let pebble = Pebble::start(PebbleOptions { dns: bind.address(), ..PebbleOptions::default() });
    let home = Home::new();
    let config = |more: &str| home.acme_config(&bind, &["a.test"], &pebble, &certificate(NAMES[0], &[NAMES[0]], more));
    home.save(&config(""));
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    daemon.until(LIMIT, "a good answer", |daemon| daemon.get("/health/renewals").status == 200);
    let metric = "renewd_certificate_attempts_left{certificate=\"n0.a.test\"} ";
    daemon.until(LIMIT, "the metric", |daemon| daemon.get("/metrics").text().contains(metric));
    daemon.reload_by_saving(&home, &config("attempts_left = 200"));
    daemon.until(LIMIT, "the failure", |daemon| daemon.get("/health/renewals").status == 503);
    let told = daemon.json("/health/renewals");
    assert_eq!((&told["status"], &told["too_few_attempts_left"]), (&"failing".into(), &1.into()), "{told}");
    assert!(!told.to_string().contains("a.test"), "{told}");
    daemon.reload_by_saving(&home, &config(""));
    daemon.until(LIMIT, "a good answer again", |daemon| daemon.get("/health/renewals").status == 200);
}

#[test]
fn orders_that_replace_nothing_after_all_keep_the_limit_of_orders() {
    let ca = AcmeCa::start(Script::default());
    let home = Home::new();
    let save = |limits: &str| {
        let account = format!(
            "[account.fake]\ndirectory = \"{}\"\nagree_to_terms = true\n{limits}\n\n[defaults]\nissuers = [\"fake\"]\n\n",
            ca.directory_url()
        );
        let names: String = NAMES.iter().map(|name| certificate(name, &[name], "")).collect();
        home.save(
            &(home.head() + &dns("none", &["a.test"], "exec", "command = [\"false\"]\n") + STORE + &account + &names),
        );
    };
    save("");
    let mut daemon = Daemon::start(&home);
    daemon.until_all(LIMIT, "stored");
    daemon.until(LIMIT, "what the CA suggests", |_| ca.count(Endpoint::RenewalInfo) == NAMES.len());
    assert!(daemon.terminate().success());
    let (database, backup) = (home.state().join("renewd.db"), home.file("backup.db"));
    std::fs::copy(&database, &backup).expect("a file can be copied");

    // What a restored backup knows of was replaced meanwhile, and CAs exempt no second replacement from their limits.
    let mut daemon = Daemon::start(&home);
    for name in NAMES {
        assert!(daemon.cli(&["renew", name, "--force", "--wait"]).status.success());
    }
    assert!(daemon.terminate().success());
    std::fs::copy(&backup, &database).expect("a file can be copied");
    save("limits = { orders = \"4 per 3h\" }");
    let mut daemon = Daemon::start(&home);
    let before = ca.count(Endpoint::NewOrder);
    for name in NAMES {
        daemon.cli(&["renew", name, "--force"]);
    }
    let held =
        |daemon: &Daemon| NAMES.iter().filter(|name| problem(daemon, name).starts_with("held back until")).count();
    daemon.until(LIMIT, "one is made, as the fourth, and two are held back", |daemon| held(daemon) == 2);
    daemon.until_all(LIMIT, "stored");
    let asked = &ca.requests(Endpoint::NewOrder)[before..];
    let exempt = asked.iter().filter(|order| order["replaces"].is_string()).count();
    assert_eq!((exempt, asked.len()), (3, 4), "{asked:?}");
}
