//! Clients of a CA that was taken out of the config: nobody renews them, nothing fails for it, and it is said.

use crate::harness::{Daemon, said};
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT, config};

fn clients(daemon: &Daemon) -> String {
    daemon.json("/health")["checks"]["clients"]["status"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn they_rest_and_go_on_when_the_ca_is_back() {
    let home = Home::new();
    let clock = Clock::new(&home);
    let text = config(&home, "");
    home.save(&text);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let issue = ["client", "issue", "--ca", "own", "--cn", "Ann", "--id", "ann", "--days", "30", "--auto-renew"];
    let first = daemon.cli_json(&issue)["serial"].clone();
    daemon.reload_by_saving(&home, &text.replace("[ca.own]", "[ca.another]"));
    clock.set(29 * DAY);
    let view = daemon.cli_json(&["client", "show", "ann"]);
    assert_eq!((&view["orphaned"], &view["serial"]), (&true.into(), &first), "{view}");
    assert_eq!(clients(&daemon), "ok");
    let list = said(&daemon.cli(&["client", "list"]));
    assert!(list.contains("expiring, orphaned"), "{list}");
    for command in ["plan", "check"] {
        let told = said(&daemon.cli(&[command]));
        assert!(
            told.contains("ca.own: it is not in the config, and clients that would renew themselves (1)"),
            "{told}"
        );
    }
    // Who asks for it all the same is no failure either.
    assert!(daemon.cli(&["client", "auto-renew", "ann"]).status.success());
    daemon.until(LIMIT, "it rests again", |daemon| daemon.cli_json(&["client", "show", "ann"])["orphaned"] == true);
    assert_eq!(clients(&daemon), "ok");
    assert!(daemon.terminate().success());

    home.save(&text);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "it is renewed", |daemon| {
        let view = daemon.cli_json(&["client", "show", "ann"]);
        view["serial"] != first && view["orphaned"] == false
    });
    assert_eq!(clients(&daemon), "ok");
}
