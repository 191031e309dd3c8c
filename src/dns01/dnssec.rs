//! Whether a zone is signed, and whether its signatures hold (RFC 4033 to 4035).
//!
//! A resolver that validates is believed. Where none does, the link that breaks most often is looked at: the zone's keys
//! against the DS records of its parent, and its signatures against its keys and the clock.

use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_resolver::proto::dnssec::{PublicKey as _, Verifier as _};
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use super::exchange::Security;
use super::{Dns01, Dns01Error, name};
use crate::clock::Timestamp;

/// The data, where it is of this kind.
macro_rules! variant {
    ($data:expr, $kind:ident) => {
        match $data {
            DNSSECRData::$kind(data) => Some(data),
            _ => None,
        }
    };
}

/// How a zone stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The resolver has validated it.
    Secure,
    /// It is signed, and its keys fit its parent's DS records; nobody validated the rest of the way.
    Signed,
    /// Nobody can tell forged answers from its own: it is not signed, or its parent does not say so.
    Unsigned {
        /// It has keys all the same: its parent lacks the DS record.
        has_keys: bool,
    },
    /// Resolvers that validate refuse it, and so do CAs.
    Bogus {
        /// What does not hold.
        why: String,
    },
}

impl Dns01 {
    /// Looks at one zone.
    ///
    /// # Errors
    /// `BadName`; `Resolver` where nobody could be asked.
    pub async fn dnssec(&self, zone: &str, now: Timestamp) -> Result<Standing, Dns01Error> {
        let apex = name::parse(zone)?;
        let checked = self.recursive.ask_for(&apex, RecordType::SOA, Security::Checked).await;
        if checked.as_ref().is_ok_and(|answer| answer.authentic_data) {
            return Ok(Standing::Secure);
        }
        let unchecked = |kind| self.recursive.ask_for(&apex, kind, Security::Unchecked);
        let (soa, ds, keys) = (unchecked(RecordType::SOA), unchecked(RecordType::DS), unchecked(RecordType::DNSKEY));
        let (soa, ds, keys) = match (tokio::try_join!(soa, ds, keys), &checked) {
            (Ok(answers), _) => answers,
            (Err(_), Err(_)) => return checked.map(|_| Standing::Secure),
            (Err(error), Ok(_)) => return Err(error),
        };
        let own = Evidence { apex: &apex, soa: &soa, ds: &ds, keys: &keys }.standing(now);
        Ok(match (checked, own) {
            (Err(refusal), Standing::Secure | Standing::Signed | Standing::Unsigned { .. }) => {
                Standing::Bogus { why: format!("the resolver gives its answers only unchecked: {refusal}") }
            }
            (_, own) => own,
        })
    }
}

/// What the zone and its parent say, unchecked.
struct Evidence<'a> {
    apex: &'a Name,
    soa: &'a Message,
    ds: &'a Message,
    keys: &'a Message,
}

impl Evidence<'_> {
    fn standing(&self, now: Timestamp) -> Standing {
        let fingerprints: Vec<&DS> = self.dnssec(self.ds).filter_map(|data| variant!(data, DS)).collect();
        let keys: Vec<&DNSKEY> = self.dnssec(self.keys).filter_map(|data| variant!(data, DNSKEY)).collect();
        if fingerprints.is_empty() {
            return Standing::Unsigned { has_keys: !keys.is_empty() };
        }
        // Of algorithms that nobody here knows nothing can be said (RFC 4035, section 5.2).
        if !fingerprints.iter().any(|ds| ds.algorithm().is_supported()) {
            return Standing::Signed;
        }
        match self.fault(&fingerprints, &keys, now) {
            None => Standing::Signed,
            Some(why) => Standing::Bogus { why },
        }
    }

    fn fault(&self, fingerprints: &[&DS], keys: &[&DNSKEY], now: Timestamp) -> Option<String> {
        if keys.is_empty() {
            return Some("its parent has a DS record for it, and it has no key (DNSKEY)".to_owned());
        }
        let entrusted = |key: &&&DNSKEY| {
            let covers = |ds: &&DS| ds.covers(self.apex, key).unwrap_or(false);
            key.zone_key() && !key.revoke() && fingerprints.iter().any(covers)
        };
        let entry: Vec<&DNSKEY> = keys.iter().filter(entrusted).copied().collect();
        if entry.is_empty() {
            let tags: Vec<String> = fingerprints.iter().map(|ds| ds.key_tag().to_string()).collect();
            return Some(format!("none of its keys fits the DS records in its parent (key tags {})", tags.join(", ")));
        }
        let signed = self.signed(self.keys, RecordType::DNSKEY, &entry, now);
        signed.and_then(|()| self.signed(self.soa, RecordType::SOA, keys, now)).err()
    }

    /// One of these keys has signed the records of this type, and the signature is in force.
    fn signed(&self, answer: &Message, kind: RecordType, keys: &[&DNSKEY], now: Timestamp) -> Result<(), String> {
        let of_kind = |record: &&Record| record.record_type() == kind && record.name == *self.apex;
        let records: Vec<&Record> = answer.answers.iter().filter(of_kind).collect();
        let signatures = self.dnssec(answer).filter_map(|data| variant!(data, RRSIG));
        let signatures: Vec<&RRSIG> = signatures.filter(|it| it.input().type_covered == kind).collect();
        let mut worst = format!("its {kind} record is not signed");
        for signature in signatures {
            match self.verify(signature, &records, keys, now) {
                Ok(()) => return Ok(()),
                Err(why) => worst = format!("the signature of its {kind} record {why}"),
            }
        }
        Err(worst)
    }

    fn verify(&self, signature: &RRSIG, records: &[&Record], keys: &[&DNSKEY], now: Timestamp) -> Result<(), String> {
        let input = signature.input();
        if is_before(input.sig_expiration.get(), now) {
            return Err(format!("expired at {}", Timestamp::from_seconds(i64::from(input.sig_expiration.get()))));
        }
        if !is_before(input.sig_inception.get(), now) {
            return Err(format!("counts from {} only", Timestamp::from_seconds(i64::from(input.sig_inception.get()))));
        }
        let signer = |key: &&&DNSKEY| key.calculate_key_tag().is_ok_and(|tag| tag == input.key_tag);
        let Some(first) = records.first() else { return Err("covers nothing".to_owned()) };
        let good = |key: &&DNSKEY| {
            let records = records.iter().copied();
            key.public_key().algorithm() == input.algorithm
                && key.verify_rrsig(self.apex, first.dns_class, signature, records).is_ok()
        };
        match keys.iter().filter(signer).any(good) {
            true => Ok(()),
            false => Err(format!("is not made by one of its keys (key tag {})", input.key_tag)),
        }
    }

    /// What DNSSEC has put into an answer at the zone's own name.
    fn dnssec<'m>(&'m self, answer: &'m Message) -> impl Iterator<Item = &'m DNSSECRData> {
        let own = answer.answers.iter().filter(|record| record.name == *self.apex);
        own.filter_map(|record| match &record.data {
            RData::DNSSEC(data) => Some(data),
            _ => None,
        })
    }
}

/// A time of 32 bits is not after now (RFC 1982: as far as such times can be told apart).
fn is_before(seconds: u32, now: Timestamp) -> bool {
    // The low 32 bits are what such a time is.
    let now = (now.seconds() & 0xffff_ffff) as u32;
    seconds.wrapping_sub(now).cast_signed() <= 0
}
