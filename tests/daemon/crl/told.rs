//! People are told of lists that are not what they should be.

use crate::harness::Daemon;
use crate::home::Home;
use crate::own_ca::{Clock, DAY, LIMIT};
use crate::pki::{Pki, config, config_at};
use crate::receiver::Receiver;

const KIND: &str = "crl_trouble";

fn sink(receiver: &Receiver) -> String {
    format!("[notify.hook.webhook]\nurl = \"{}\"\n\n", receiver.url("/"))
}

#[test]
fn a_published_url_that_leads_nowhere_is_told_again_and_again_and_its_end_once() {
    let (receiver, home, dead) = (Receiver::start(), Home::new(), Home::new());
    home.save(&config_at(&home, &format!("http://127.0.0.1:{}", dead.port()), &sink(&receiver)));
    let clock = Clock::new(&home);
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    daemon.until(LIMIT, "it is told", |_| receiver.of_kind(KIND).len() == 1);
    let first = receiver.of_kind(KIND).remove(0);
    assert_eq!((&first["issuer"], &first["severity"]), (&"own".into(), &"error".into()), "{first}");
    // The root's list and that of the issuing certificate: one alert, whose text names the first.
    assert!(first["title"].as_str().unwrap().contains("2 CRLs of `own`"), "{first}");
    assert!(first["text"].as_str().unwrap().contains("/crl/own/0/0.crl`"), "{first}");
    assert!(first["detail"].as_str().unwrap().contains("refused"), "{first}");

    // Whoever starts again has not seen that anything were well.
    assert!(daemon.terminate().success());
    let mut daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    clock.set(2 * 3600);
    daemon.until(LIMIT, "it is told again", |_| receiver.of_kind(KIND).len() == 2);
    assert_eq!(receiver.of_kind("recovered").len(), 0);
    assert!(receiver.of_kind(KIND)[1]["since"].is_string());

    home.save(&config(&home, &sink(&receiver)));
    daemon.until(LIMIT, "its end is told", |_| receiver.of_kind("recovered").len() == 1);
    assert_eq!(receiver.of_kind("recovered")[0]["title"], "The CRLs of `own` are well again");
    clock.set(8 * 3600);
    let watched = |daemon: &Daemon| daemon.json("/health")["checks"]["crls"]["status"] == "ok";
    daemon.until(LIMIT, "all is well", watched);
    assert_eq!((receiver.of_kind(KIND).len(), receiver.of_kind("recovered").len()), (2, 1));
}

#[test]
fn a_list_that_cannot_be_made_is_told_when_it_is_late_and_when_it_lapses() {
    let (receiver, home) = (Receiver::start(), Home::new());
    home.save(&config(&home, &sink(&receiver)));
    let clock = Clock::new(&home);
    let daemon = Daemon::start_with_env(&home, &[clock.variable()]);
    let mut pki = Pki { home, daemon };
    pki.until_published();
    assert_eq!(receiver.of_kind(KIND).len(), 0);
    let folder = pki.home.state().join("crl/own/1");
    std::fs::rename(&folder, folder.with_file_name("gone")).unwrap();
    std::fs::write(&folder, "").unwrap();
    for (days, count, words) in [(5, 1, "made anew long ago"), (8, 2, "it lapsed at")] {
        clock.set(days * DAY);
        pki.daemon.until(LIMIT, words, |_| receiver.of_kind(KIND).len() == count);
        let told = receiver.of_kind(KIND).remove(count - 1);
        assert!(told["text"].as_str().unwrap().contains(words), "{told}");
    }
    std::fs::remove_file(&folder).unwrap();
    pki.daemon.until(LIMIT, "its end is told", |_| receiver.of_kind("recovered").len() == 1);
}
