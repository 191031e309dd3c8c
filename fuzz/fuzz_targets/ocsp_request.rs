//! An OCSPRequest from a stranger.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| renewd::ca::ocsp::fuzzing::ocsp_request(octets));
