//! Each peer of the tests starts, answers one real question, and is gone once dropped.

#[path = "peers/peers.rs"]
mod peers;

use std::path::PathBuf;

use peers::bind::Bind;
use peers::powerdns::PowerDns;

#[test]
fn bind_takes_a_signed_update_and_keeps_it() {
    let mut bind = Bind::start(&["example.com", "sub.example.com", "example.net"]);
    bind.nsupdate("update add a.example.com 60 TXT \"one \\\"two\\\"\" \"three\"");
    bind.nsupdate("update add c.example.com 60 CNAME t.sub.example.com\nsend\nupdate add t.sub.example.com 60 TXT x");
    assert_eq!(bind.txt("a.example.com"), ["one \"two\"three"]);
    assert_eq!(bind.all_txt("example.com"), [("a.example.com".to_owned(), "one \"two\"three".to_owned())]);
    let process = bind.process_id().expect("it runs");
    bind.stop();
    assert!(is_gone(process));
    assert!(bind.txt("a.example.com").is_empty());
    bind.start_again();
    assert_eq!(bind.txt("a.example.com"), ["one \"two\"three"]);
    assert_eq!(peers::dig::answer(bind.address(), "c.example.com", "TXT").len(), 2, "CNAMEs are followed");
    assert_eq!(peers::dig::answer(bind.address(), "example.net", "SOA").len(), 1);
    assert!(peers::dig::answer(bind.address(), "nothing.example.org", "TXT").is_empty());
}

#[test]
fn powerdns_takes_a_record_by_its_api() {
    let mut server = PowerDns::start(&["example.com"]);
    let record = r#"{"rrsets": [{"name": "a.example.com.", "type": "TXT", "ttl": 60, "changetype": "REPLACE",
        "records": [{"content": "\"one\"", "disabled": false}]}]}"#;
    server.request("PATCH", "/zones/example.com.", record).expect("the API takes the record");
    assert_eq!(server.txt("a.example.com"), ["one"]);
    assert_eq!(server.all_txt("example.com"), [("a.example.com".to_owned(), "one".to_owned())]);
    let process = server.process_id().expect("it runs");
    server.stop();
    assert!(is_gone(process));
    server.start_again();
    assert_eq!(server.txt("a.example.com"), ["one"]);
}

fn is_gone(process: u32) -> bool {
    !PathBuf::from(format!("/proc/{process}")).exists()
}
