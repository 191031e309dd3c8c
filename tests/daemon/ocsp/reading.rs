//! Answers, read and verified by Python's cryptography, which shares no code with the product.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::peers::programs;

/// The responder has the right to answer for the issuer, and the answer is its own, made while it was in force, and not
/// for longer than that.
const SCRIPT: &str = r#"
import json, sys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

issuer = x509.load_pem_x509_certificate(open(sys.argv[1], "rb").read())

def at(time):
    return None if time is None else int(time.timestamp())

def single(one):
    reason = one.revocation_reason
    return {
        "status": one.certificate_status.name,
        "serial": format(one.serial_number, "x"),
        "hash": one.hash_algorithm.name,
        "this_update": at(one.this_update_utc),
        "next_update": at(one.next_update_utc),
        "revoked_at": at(one.revocation_time_utc),
        "reason": None if reason is None else reason.value,
    }

def read(der):
    answer = ocsp.load_der_ocsp_response(der)
    if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
        return {"status": answer.response_status.name}
    [responder] = answer.certificates
    responder.verify_directly_issued_by(issuer)
    responder.public_key().verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(answer.signature_hash_algorithm))
    key = x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest
    assert answer.responder_key_hash == key and answer.responder_name is None
    purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.OCSP_SIGNING], purposes
    responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    begin, end = responder.not_valid_before_utc, responder.not_valid_after_utc
    assert begin <= answer.produced_at_utc <= end
    assert issuer.not_valid_before_utc <= begin and end <= issuer.not_valid_after_utc
    singles = list(answer.responses)
    for one in singles:
        assert begin <= one.this_update_utc < one.next_update_utc <= end, (one.next_update_utc, end)
        assert one.this_update_utc <= answer.produced_at_utc
    nonces = [e.value.nonce.hex() for e in answer.extensions if isinstance(e.value, x509.OCSPNonce)]
    return {
        "status": "SUCCESSFUL",
        "singles": [single(one) for one in singles],
        "nonces": nonces,
        "responder": format(responder.serial_number, "x"),
        "responder_ends": at(end),
        "produced_at": at(answer.produced_at_utc),
    }

json.dump([read(bytes.fromhex(line)) for line in sys.stdin.read().split()], sys.stdout)
"#;

/// What an answer for this issuer (a PEM file) says.
pub fn read(issuer: &Path, der: &[u8]) -> Value {
    read_all(issuer, &[der]).remove(0)
}

/// What several answers say: one start of Python for all of them.
///
/// # Panics
/// When one of them is not what it must be.
pub fn read_all<T: AsRef<[u8]>>(issuer: &Path, answers: &[T]) -> Vec<Value> {
    let lines: Vec<String> = answers.iter().map(|der| hex::encode(der.as_ref())).collect();
    let mut python = Command::new(programs::venv_python());
    let printed = programs::must(python.args(["-c", SCRIPT]).arg(issuer), &lines.join("\n"));
    serde_json::from_str(&printed).expect("the script prints JSON")
}
