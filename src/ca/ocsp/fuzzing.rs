//! What is fuzzed: bodies that take any octets, and panic where something is wrong with us. `tests/fuzz.rs` runs them on a
//! stable compiler, the targets in `fuzz/` on a nightly one.

use super::request::Request;

/// Reads an OCSPRequest: octets that are accepted are written back as they were.
///
/// # Panics
/// Where they are not: a mistake of ours.
pub fn ocsp_request(octets: &[u8]) {
    if let Ok(request) = Request::read(octets) {
        assert!(request.encode() == octets, "a request is not written back as it was read");
        let plain = request.is_plain();
        assert!(plain == (request.asked().count() == 1 && request.nonce.is_none()), "a request is plain, or it is not");
        for asked in request.asked() {
            // A serial that the index takes is the one that was asked.
            assert!(asked.id.serial_key().is_none_or(|key| asked.id.serial.ends_with(&significant(&key.to_hex()))));
        }
    }
}

fn significant(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap_or_default()
}
