//! Where the state of a test lives, and the bodies that run on either database.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use renewd::clock::Timestamp;
use renewd::config::{Database, KeyType, StateSettings};
use renewd::pki::key::PrivateKey;
use renewd::secret::SecretRef;
use renewd::state::order::Added;
use renewd::state::order::NewOrder;
use renewd::state::version::NewVersion;
use renewd::state::{OrderRow, State};
use tempfile::TempDir;

use super::{accounts, authority, certificates, clients, consumers, jobs, limits, orders, outbox, sealing, versions};
use crate::peers::postgres::Postgres;

/// The time at which every test begins.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

pub(super) const MINUTE: Duration = Duration::from_secs(60);

const EMPTY: &str = "TRUNCATE account, certificate, version, acme_order, txt, delivery, deployment, job, registration, \
                     client, client_certificate, ca, ca_certificate, crl, ocsp_responder, obstacle, spent, sink, event, \
                     notification, alert";

macro_rules! each_body {
    ($open:expr, $($body:path),* $(,)?) => {
        $({
            eprintln!("{}", stringify!($body));
            let state: State = $open(stringify!($body)).await;
            $body(&state).await;
        })*
    };
}

macro_rules! every_body {
    ($open:expr) => {
        each_body!(
            $open,
            accounts::a_key_is_kept_first_and_the_url_follows,
            accounts::a_key_is_replaced_in_two_steps,
            accounts::registrations_stay_as_they_were_first,
            authority::a_generation_is_written_once_and_signed_once,
            authority::a_leaf_is_written_once_and_signed_once,
            authority::many_leaves_are_written_once_and_signed_once,
            authority::the_private_ca_issues,
            clients::an_identity_is_written_once_and_issued_once,
            clients::the_next_certificate_supersedes,
            clients::what_the_ca_refuses_is_forgotten_again,
            clients::who_is_due_is_renewed_and_put_off,
            clients::who_is_not_renewed_is_counted,
            clients::lists_are_filtered_and_paged,
            clients::a_page_looks_at_a_bounded_number_of_rows,
            certificates::texts_compare_in_c_order,
            certificates::what_is_due_comes_by_need_and_what_is_new_takes_turns,
            certificates::putting_down_never_hides_a_wish,
            certificates::wishes_and_putting_down_race,
            certificates::retired_and_back,
            certificates::counted,
            certificates::facts_are_noted,
            certificates::what_is_in_trouble_is_tried_again,
            certificates::the_highest_time_is_kept,
            consumers::deliveries_stand_alone,
            consumers::deployments_are_gathered_by_command,
            consumers::txts_are_owed_until_withdrawn,
            consumers::rows_of_other_nodes_are_left_alone,
            jobs::jobs_are_kept_and_wake,
            limits::a_limit_is_kept_and_says_until_when,
            limits::a_quarter_is_kept_for_the_other_kind_and_all_is_taken,
            limits::an_order_counts_from_when_its_ca_has_made_it,
            limits::an_order_that_failed_gives_back_what_it_took_and_counts_as_a_failure,
            limits::who_waits_for_something_else_is_not_waited_for,
            limits::nothing_is_held_back_past_its_latest_time,
            limits::an_order_that_replaces_nothing_after_all_keeps_the_limits,
            orders::an_order_from_open_to_done,
            orders::trouble_is_remembered_on_the_certificate,
            orders::company_is_what_may_soon_be_issued,
            outbox::each_sink_gets_what_it_hears_of,
            outbox::what_fails_is_told_at_widening_intervals_until_it_is_well,
            outbox::a_receiver_s_failures_are_kept_apart_from_an_event_s,
            outbox::an_end_that_nears_is_found_until_it_is_watched_no_more,
            versions::one_transaction,
            versions::nothing_is_written_where_a_part_fails,
            versions::numbers_rise,
            versions::adopted_ones_are_stored_already,
            versions::revoked,
            sealing::a_sealed_value_opens_in_its_own_place_only,
        )
    };
}

#[tokio::test]
async fn every_function_on_sqlite() {
    let directory = TempDir::new().unwrap();
    let open = async |body: &str| State::open(&on_sqlite(&directory.path().join(body))).await.unwrap();
    every_body!(open);
}

#[tokio::test]
async fn every_function_on_postgres() {
    let directory = TempDir::new().unwrap();
    let server = Postgres::start();
    let state = State::open(&on_postgres(&server, directory.path(), "bodies")).await.unwrap();
    // Emptied, not made anew: that is so much quicker.
    let open = async |_: &str| {
        execute(&state, EMPTY).await;
        execute(&state, "DELETE FROM meta WHERE name <> 'seal_key_id'").await;
        state.clone()
    };
    every_body!(open);
}

/// A state of its own in this folder.
pub(super) fn on_sqlite(directory: &Path) -> StateSettings {
    StateSettings {
        directory: directory.to_owned(),
        socket: directory.join("renewd.sock"),
        node: "a".to_owned(),
        database: Database::Sqlite,
        seal_key: None,
    }
}

/// A fresh database whose own collation is a human one, with password and seal key in files.
pub(super) fn on_postgres(server: &Postgres, directory: &Path, database: &str) -> StateSettings {
    server.sql(&format!(
        "CREATE DATABASE \"{database}\" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    ));
    let password = secret(directory, "password", server.password());
    let seal_key = directory.join("seal");
    let seal_key = match seal_key.exists() {
        true => SecretRef::File(seal_key),
        false => secret(directory, "seal", &renewd::secret::Sealer::generate_base64().unwrap()),
    };
    StateSettings {
        database: Database::Postgres {
            url: format!("postgres://127.0.0.1:{}/{database}", server.port()),
            user: server.user().to_owned(),
            password: Some(password),
        },
        seal_key: Some(seal_key),
        ..on_sqlite(directory)
    }
}

/// A file that only we can read.
#[expect(clippy::disallowed_methods, reason = "a test writes for itself")]
pub(super) fn secret(directory: &Path, name: &str, text: &str) -> SecretRef {
    let file = directory.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    SecretRef::File(file)
}

pub(super) async fn enlist(state: &State, names: &[&str]) {
    let mut write = state.begin().await.unwrap();
    for name in names {
        state.enlist(&mut write, name, "definition", NOW).await.unwrap();
    }
    write.commit().await.unwrap();
}

pub(super) async fn execute(state: &State, statement: &'static str) {
    let mut write = state.begin().await.unwrap();
    sqlx::query(statement).execute(&mut *write).await.unwrap();
    write.commit().await.unwrap();
}

pub(super) fn private_key() -> Vec<u8> {
    PrivateKey::generate(KeyType::EcdsaP256).unwrap().to_pkcs8_der().to_vec()
}

pub(super) fn new_order<'a>(certificate: &'a str, key: &'a [u8]) -> NewOrder<'a> {
    NewOrder {
        certificate,
        issuer: "ca",
        reason: "{}",
        names: vec![certificate.to_owned(), format!("*.{certificate}")],
        key_type: "ecdsa-p256",
        key,
        profile: Some("short"),
        replaces: None,
    }
}

/// An open order with this key.
pub(super) async fn order(state: &State, certificate: &str, key: &[u8]) -> OrderRow {
    let id = state.add_order(&new_order(certificate, key), &[], NOW).await.unwrap();
    let order = state.open_order(certificate).await.unwrap().unwrap();
    assert_eq!(Added::Order(order.id.clone()), id);
    order
}

pub(super) fn new_version<'a>(certificate: &'a str, key: &'a [u8], stores: &[(&str, &str)]) -> NewVersion<'a> {
    NewVersion {
        certificate,
        issuer: "ca",
        directory_url: Some("https://ca.test/directory"),
        order_url: Some("https://ca.test/order/1"),
        profile: None,
        serial: "0a".to_owned(),
        names: vec![certificate.to_owned()],
        key_type: "ecdsa-p256",
        key,
        chain: "PEM",
        not_before: NOW,
        not_after: NOW.plus(MINUTE * 60),
        jitter: 999_999,
        number_at_least: 1,
        stores: stores.iter().map(|(store, node)| ((*store).to_owned(), (*node).to_owned())).collect(),
        adopted: false,
    }
}

/// The certificate stands in the config and has one version, in these stores; its id.
pub(super) async fn certified(state: &State, certificate: &str, stores: &[(&str, &str)]) -> String {
    enlist(state, &[certificate]).await;
    state.add_version(&new_version(certificate, b"key", stores), None, NOW).await.unwrap()
}
