//! Clients: written down once, listed by index, renewed in time.

use std::time::Duration;

use renewd::clock::Timestamp;
use renewd::state::State;
use renewd::state::client::certificate::{ClientKey, ClientOwed, IssuedClient, NewClientCertificate};
use renewd::state::client::list::{ClientFilter, ClientStatus, WINDOW};
use renewd::state::client::{ClientRow, ClientSubject, NewClient};

use super::place::{NOW, execute};

const DAY: Duration = Duration::from_secs(86_400);

const KEY: NewClientCertificate<'static> = NewClientCertificate { key: ClientKey::Own(b"key"), revoke_old: false };

fn subject(name: &str) -> ClientSubject {
    let email = format!("{name}@Example.com");
    ClientSubject { common_name: name.to_owned(), email, ..ClientSubject::default() }
}

fn new<'a>(identifier: &'a str, subject: &'a ClientSubject) -> NewClient<'a> {
    NewClient {
        tenant: "",
        identifier,
        ca: "own",
        profile: "client",
        subject,
        names: &[],
        label: "vpn",
        notes: "",
        key_type: "ecdsa-p256",
        lifetime: Some(DAY * 90),
        auto_renew: true,
    }
}

async fn add(state: &State, identifier: &str) -> Option<String> {
    let subject = subject(identifier);
    let added = state.add_clients(&[(new(identifier, &subject), KEY)], "me", NOW).await.unwrap();
    added.into_iter().next().unwrap()
}

async fn row(state: &State, identifier: &str) -> ClientRow {
    state.client_called("", identifier).await.unwrap().unwrap()
}

async fn issued(state: &State, identifier: &str, id: &str, serial: &str, days: u32) {
    let client = row(state, identifier).await.id;
    let (not_before, not_after) = (NOW, NOW.plus(DAY * days));
    let renew_at = NOW.plus(DAY * days * 2 / 3);
    let (id, serial, ca) = (id.to_owned(), serial.to_owned(), "own".to_owned());
    let one = IssuedClient { id, client, ca, number: 1, serial, not_before, not_after, renew_at };
    state.client_certificates_issued(&[one], NOW).await.unwrap();
}

pub(super) async fn an_identity_is_written_once_and_issued_once(state: &State) {
    let id = add(state, "ann").await.unwrap();
    assert_eq!(add(state, "ann").await, None, "the name is taken");
    let open = state.owed_client_certificates("", NOW, 9).await.unwrap();
    assert_eq!((open.len(), &open[0].id, open[0].owed), (1, &id, Some(ClientOwed::Issue)));
    assert_eq!(open[0].key(state).unwrap().unwrap().as_slice(), b"key");
    assert!(state.owed_client_certificates(&id, NOW, 9).await.unwrap().is_empty());
    assert!(state.owed_client_certificates("", NOW.minus(DAY), 9).await.unwrap().is_empty());
    for serial in ["0a", "0b"] {
        issued(state, "ann", &id, serial, 90).await;
        let current = row(state, "ann").await.current.unwrap();
        assert_eq!((current.serial.as_str(), current.number), ("0a", 1), "the first counts");
    }
    assert!(state.owed_client_certificates("", NOW, 9).await.unwrap().is_empty());
    for word in [row(state, "ann").await.id.as_str(), "ann", "0a"] {
        assert_eq!(state.clients_meant(word, None, 9).await.unwrap().len(), 1, "{word}");
        assert!(state.clients_meant(word, Some("other"), 9).await.unwrap().is_empty());
    }
    assert!(state.clients_meant("0b", None, 9).await.unwrap().is_empty());
}

pub(super) async fn the_next_certificate_supersedes(state: &State) {
    let first = add(state, "ann").await.unwrap();
    issued(state, "ann", &first, "0a", 90).await;
    let client = row(state, "ann").await;
    let next = NewClientCertificate { key: ClientKey::Request("pem"), revoke_old: true };
    let second = state.add_client_certificate(&client, &next, "me", NOW).await.unwrap();
    assert_eq!(state.add_client_certificate(&client, &KEY, "me", NOW).await.unwrap(), second, "one at a time");
    issued(state, "ann", &second, "0b", 90).await;
    let all = state.client_certificates(&client.id).await.unwrap();
    assert_eq!((all[0].number, all[0].owed, all[0].csr.as_deref()), (2, Some(ClientOwed::Revoke), Some("pem")));
    assert!(!all[0].has_key() && all[0].superseded_by.is_none());
    assert_eq!(all[1].superseded_by.as_deref(), Some(second.as_str()));
    state.client_debt_paid(&second).await.unwrap();
    assert!(state.owed_client_certificates("", NOW, 9).await.unwrap().is_empty());
    assert_eq!(row(state, "ann").await.current.unwrap().serial, "0b");
}

pub(super) async fn what_the_ca_refuses_is_forgotten_again(state: &State) {
    let id = add(state, "ann").await.unwrap();
    let open = state.client_certificate(&id).await.unwrap().unwrap();
    state.withdraw_client_certificate(&open).await.unwrap();
    assert!(state.client_called("", "ann").await.unwrap().is_none());
    // What the CA has written down stays, and an identity that has had a certificate does, too.
    let id = add(state, "ann").await.unwrap();
    issued(state, "ann", &id, "0a", 90).await;
    let client = row(state, "ann").await;
    let next = state.add_client_certificate(&client, &KEY, "me", NOW).await.unwrap();
    let open = state.client_certificate(&next).await.unwrap().unwrap();
    state.withdraw_client_certificate(&open).await.unwrap();
    assert!(state.client_certificate(&next).await.unwrap().is_none());
    assert_eq!(row(state, "ann").await.current.unwrap().serial, "0a");
    state.withdraw_client_certificate(&state.client_certificate(&id).await.unwrap().unwrap()).await.unwrap();
    assert!(state.client_certificate(&id).await.unwrap().is_some());
}

pub(super) async fn who_is_due_is_renewed_and_put_off(state: &State) {
    for (name, days) in [("ann", 90), ("bob", 30)] {
        let id = add(state, name).await.unwrap();
        issued(state, name, &id, name, days).await;
    }
    assert_eq!(state.next_client_renewal().await.unwrap(), Some(NOW.plus(DAY * 20)));
    let due = |days: u32| async move { state.due_clients(NOW.plus(DAY * days), 9).await.unwrap() };
    assert!(due(19).await.is_empty());
    let bob = due(20).await.remove(0);
    assert_eq!((bob.identifier.as_str(), due(60).await.len()), ("bob", 2));
    state.client_renewal_failed(&bob.id, "no", NOW.plus(DAY * 21)).await.unwrap();
    assert!(due(20).await.is_empty());
    let put_off = row(state, "bob").await;
    assert_eq!((put_off.renew_failures, put_off.renew_error.as_deref()), (1, Some("no")));
    assert!(state.set_client_renewal(&bob.id, false).await.unwrap());
    assert_eq!(due(99).await.len(), 1);
    assert!(!state.set_client_renewal("nobody", true).await.unwrap());
}

pub(super) async fn who_is_not_renewed_is_counted(state: &State) {
    for (name, days) in [("ann", 90), ("bob", 30), ("eve", 60)] {
        let id = add(state, name).await.unwrap();
        issued(state, name, &id, name, days).await;
    }
    let tally = |hours: u32| async move {
        let tally = state.client_tally(NOW.plus(DAY / 24 * hours)).await.unwrap();
        (tally.failing, tally.late, tally.expired)
    };
    assert_eq!((tally(20 * 24).await, tally(20 * 24 + 1).await), ((0, 0, 0), (0, 1, 0)));
    assert!(state.client_troubles().await.unwrap().is_empty());
    for (name, error) in [("ann", "no"), ("bob", "never")] {
        state.client_renewal_failed(&row(state, name).await.id, error, NOW.plus(DAY * 25)).await.unwrap();
    }
    assert_eq!((tally(0).await, tally(26 * 24).await, tally(30 * 24).await), ((2, 0, 0), (2, 0, 0), (2, 0, 1)));
    let troubles = state.client_troubles().await.unwrap();
    assert_eq!((troubles.len(), troubles[0].count, troubles[0].ca.as_str()), (1, 2, "own"));
    assert_eq!(
        (troubles[0].first.identifier.as_str(), troubles[0].first.renew_error.as_deref()),
        ("bob", Some("never"))
    );
    state.set_client_renewal(&row(state, "bob").await.id, false).await.unwrap();
    assert_eq!(tally(31 * 24).await, (1, 0, 0));
    let counts = state.count_clients(NOW.plus(DAY * 31)).await.unwrap();
    let counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, [("expired", 1), ("valid", 2)]);
}

async fn found(state: &State, filter: ClientFilter<'_>, limit: u32, now: Timestamp) -> String {
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = state.clients(&filter, &after, limit, now).await.unwrap();
        assert!(page.clients.len() <= limit as usize);
        names.extend(page.clients.into_iter().map(|client| client.identifier));
        match page.next {
            Some(next) => after = next,
            None => return names.join(" "),
        }
    }
}

pub(super) async fn lists_are_filtered_and_paged(state: &State) {
    for (name, days) in [("a", 30), ("b", 10), ("c", 90), ("d", 20)] {
        let id = add(state, name).await.unwrap();
        issued(state, name, &id, name, days).await;
    }
    add(state, "e%").await.unwrap();
    let all = ClientFilter::default();
    let of = |status| ClientFilter { status: Some(status), ..all };
    let later = NOW.plus(DAY * 15);
    for limit in [1, 2, 9] {
        for (filter, now, expected) in [
            (all, NOW, "a b c d e%"),
            (ClientFilter { ca: Some("own"), label: Some("vpn"), tenant: Some(""), ..all }, NOW, "a b c d e%"),
            (ClientFilter { ca: Some("own"), label: Some("user"), ..all }, NOW, ""),
            (ClientFilter { search: Some("C@EXAMPLE"), ..all }, NOW, "c"),
            (ClientFilter { search: Some("%"), ..all }, NOW, "e%"),
            (of(ClientStatus::Pending), NOW, "e%"),
            (of(ClientStatus::Valid), NOW, "a b c d"),
            (of(ClientStatus::Valid), later, "a c"),
            (of(ClientStatus::Expiring), later, "d"),
            (of(ClientStatus::Expired), later, "b"),
            (of(ClientStatus::Expired), NOW.plus(DAY * 99), "b d a c"),
            (ClientFilter { search: Some("a"), ..of(ClientStatus::Expired) }, NOW.plus(DAY * 99), "b d a c"),
            (of(ClientStatus::Revoked), NOW, ""),
        ] {
            assert_eq!(found(state, filter, limit, now).await, expected, "{filter:?} by {limit}");
        }
    }
    let counts = state.client_counts(None, later).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|one| (one.status.as_str(), one.count)).collect();
    assert_eq!(counts, [("expired", 1), ("expiring", 1), ("pending", 1), ("valid", 2)]);
    assert!(state.client_counts(Some("other"), later).await.unwrap().is_empty());
}

/// Many identities with one statement, all alike but for two of them.
const MANY: &str = "INSERT INTO client (id, tenant, identifier, ca, profile, common_name, email, organization, \
    organizational_unit, country, label, notes, names, sought, key_type, auto_renew, standing, number, renew_failures, \
    created_at, created_by) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000) \
    SELECT 'id-' || (100000 + i), '', 'n' || i, 'own', 'client', 'N ' || i, '', '', '', '', 'vpn', '', '[]', 'n' || i, \
    '', 0, 'pending', 0, 0, 0, '' FROM n";

pub(super) async fn a_page_looks_at_a_bounded_number_of_rows(state: &State) {
    execute(state, MANY).await;
    let filter = ClientFilter { search: Some("n24999"), label: Some("vpn"), ..ClientFilter::default() };
    let (mut after, mut pages) = (String::new(), 0);
    let last = loop {
        let page = state.clients(&filter, &after, 100, NOW).await.unwrap();
        pages += 1;
        match page.next {
            Some(next) => after = next,
            None => break page,
        }
    };
    assert_eq!((pages, last.clients.len(), last.clients[0].identifier.as_str()), (25_000 / WINDOW + 1, 1, "n24999"));
}
