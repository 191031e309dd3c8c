//! `renewd ca …` on a running daemon.

use crate::harness::Daemon;
use crate::home::Home;
use crate::peers::openssl;

#[test]
fn a_ca_is_rotated_while_it_runs_and_the_old_generation_stays() {
    let home = Home::new();
    home.save(&format!(
        "[http]\nlisten = [\"http://127.0.0.1:{}\"]\npublic_url = \"http://pki.example.com\"\n\
         [ca.internal]\nsubject = {{ common_name = \"Rotating CA\" }}\n[store.disk.directory]\n\
         [certificate.\"demo.internal\"]\n",
        home.port()
    ));
    let mut daemon = Daemon::start(&home);
    let limit = std::time::Duration::from_secs(30);
    daemon.until(limit, "the certificate is there", |daemon| daemon.get("/demo.internal/tls").status == 200);
    let before = openssl::certificates(&daemon.get("/demo.internal/tls").text());
    let rotated = daemon.cli(&["ca", "rotate", "internal"]);
    assert!(rotated.status.success(), "{rotated:?}");
    assert!(daemon.cli(&["renew", "demo.internal", "--force", "--wait"]).status.success());
    let after = openssl::certificates(&daemon.get("/demo.internal/tls").text());
    assert_ne!(before[1], after[1], "another issuing certificate");
    let exported = daemon.cli(&["ca", "export", "internal"]);
    let exported = openssl::certificates(&String::from_utf8_lossy(&exported.stdout));
    let [newest, root] = exported.as_slice() else { panic!("{exported:?}") };
    assert_eq!(newest, &after[1]);
    for chain in [&before, &after] {
        openssl::verify(root, &chain[1], &chain[0]).expect("both lead to the one root");
    }
    for generation in 1..=2 {
        assert_eq!(daemon.get(&format!("/ca/internal/{generation}.crt")).status, 200);
    }
    assert!(!daemon.cli(&["ca", "rotate", "other"]).status.success());
    assert!(daemon.terminate().success());
}
