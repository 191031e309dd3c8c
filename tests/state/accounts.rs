//! Accounts, and registrations at DNS hosts.

use providers::dns::Registration;
use renewd::state::State;
use secrecy::{ExposeSecret as _, SecretString};

use super::place::{MINUTE, NOW, private_key};

const URL: &str = "https://ca.test/directory";

pub(super) async fn a_key_is_kept_first_and_the_url_follows(state: &State) {
    let key = private_key();
    assert!(state.account("main", URL).await.unwrap().is_none());
    state.add_account("main", URL, &key, &["mailto:a@b.test".to_owned()], NOW).await.unwrap();
    state.add_account("main", URL, &private_key(), &[], NOW.plus(MINUTE)).await.unwrap();
    let account = state.account("main", URL).await.unwrap().unwrap();
    assert_eq!((account.name.as_str(), account.directory_url.as_str()), ("main", URL));
    assert_eq!((account.created_at, account.registered_at, &account.url), (NOW, None, &None));
    assert_eq!(*account.key(state).unwrap(), key, "the first key stays");
    assert!(account.next_key(state).unwrap().is_none());

    state.account_registered("main", URL, "https://ca.test/acct/1", NOW.plus(MINUTE)).await.unwrap();
    let account = state.account("main", URL).await.unwrap().unwrap();
    assert_eq!(account.url.as_deref(), Some("https://ca.test/acct/1"));
    assert_eq!(account.registered_at, Some(NOW.plus(MINUTE)));
    assert!(state.account("main", "https://other.test/").await.unwrap().is_none(), "each directory has its own");
}

pub(super) async fn a_key_is_replaced_in_two_steps(state: &State) {
    let (old, new) = (private_key(), private_key());
    state.add_account("main", URL, &old, &[], NOW).await.unwrap();
    state.add_account("main", "https://other.test/", &old, &[], NOW).await.unwrap();
    state.keep_next_account_key("main", URL, &new).await.unwrap();
    let account = state.account("main", URL).await.unwrap().unwrap();
    assert_eq!(*account.key(state).unwrap(), old);
    assert_eq!(*account.next_key(state).unwrap().unwrap(), new);

    state.account_key_replaced("main", URL, &new).await.unwrap();
    let account = state.account("main", URL).await.unwrap().unwrap();
    assert_eq!(*account.key(state).unwrap(), new);
    assert!(account.next_key(state).unwrap().is_none());
    let other = state.account("main", "https://other.test/").await.unwrap().unwrap();
    assert_eq!(*other.key(state).unwrap(), old);
}

pub(super) async fn registrations_stay_as_they_were_first(state: &State) {
    let given = |target: &str, secret: &str| Registration {
        target: target.to_owned(),
        secret: SecretString::from(secret.to_owned()),
    };
    assert!(state.registration("main", "a.test").await.unwrap().is_none());
    state.add_registration("main", "a.test", &given("x.auth.test", "pässword"), NOW).await.unwrap();
    state.add_registration("main", "a.test", &given("y.auth.test", "other"), NOW).await.unwrap();
    let found = state.registration("main", "a.test").await.unwrap().unwrap();
    assert_eq!((found.target.as_str(), found.secret.expose_secret()), ("x.auth.test", "pässword"));
    assert!(state.registration("other", "a.test").await.unwrap().is_none());
}
