//! A signing request (PKCS#10) from a stranger.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| renewd::ca::csr::fuzzing::signing_request(octets));
