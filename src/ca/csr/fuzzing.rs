//! What is fuzzed: bodies that take any octets, and panic where something is wrong with us.

use super::Request;
use crate::ca::{AlternativeName, strength};
use crate::config::ca::profile::built_in;
use crate::pki::der;

/// Reads a signing request. Its signature is passed over, else hardly anything would get behind it: whatever is read
/// then is still nothing that a leaf may not have.
///
/// # Panics
/// Where it is: a mistake of ours.
pub fn signing_request(octets: &[u8]) {
    let verified = Request::from_der(octets).ok();
    let Ok((request, _)) = Request::unverified(octets) else {
        return assert!(verified.is_none(), "a signature makes a request readable");
    };
    assert!(verified.is_none_or(|verified| verified == request), "a signature changes what is read");
    assert!(strength::check(&request.spki_der).is_ok(), "a key is taken that cannot be certified");
    let key = der::split_first(&request.spki_der).map(|key| key.rest.is_empty());
    assert!(key == Some(true), "something stands behind a key");
    for name in &request.names {
        let again = AlternativeName::parse(&name.to_string());
        assert!(again.as_ref() == Ok(name), "a name is read otherwise the second time");
    }
    for (name, profile) in built_in() {
        if request.check(&name, &profile, &request.names).is_ok() {
            assert!(request.wishes.is_modest(), "a leaf is more than a leaf");
        }
    }
}
