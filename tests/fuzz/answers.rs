//! A responder with certificates of its own, and answers looked at from outside.

use std::sync::Arc;

use renewd::ca::ocsp::{Request, Responder, Responders};
use renewd::ca::{Authority, LeafRequest, Registry};
use renewd::clock::Clock;
use renewd::config::load;
use renewd::pki::key::{KeyType, PrivateKey};
use renewd::state::State;
use tokio::runtime::Runtime;

use super::mutation::split;
use super::query::{Hash, Issuer, nonce, request};

const CONFIG: &str = "[ca.own]\nsubject = { common_name = \"Fuzzed\" }\n";

/// A CA that answers.
pub struct OwnCa {
    runtime: Runtime,
    responder: Arc<Responder>,
    clock: Clock,
    issuer: Issuer,
    serials: Vec<Vec<u8>>,
    _folder: tempfile::TempDir,
}

impl OwnCa {
    /// With a few certificates.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, CONFIG).unwrap();
        let config = load(&path).unwrap_or_else(|report| panic!("{report}")).config;
        let (runtime, clock) = (Runtime::new().unwrap(), Clock::system());
        let (responder, issuer, serials) = runtime.block_on(async {
            let state = State::open(&config.state).await.unwrap();
            let registry = Registry::open(state, clock.clone(), &config);
            let authority = registry.get("own").await.unwrap().unwrap();
            let serials = [issue(&authority, &clock, 1).await, issue(&authority, &clock, 2).await];
            let issuer = Issuer::from_der(&authority.generations()[0].certificate);
            let responder = Responders::new(registry, clock.clone()).get("own").await.unwrap().unwrap();
            responder.prepare(clock.now()).await;
            responder.load(clock.now()).await.unwrap();
            (responder, issuer, serials.to_vec())
        });
        Self { runtime, responder, clock, issuer, serials, _folder: folder }
    }

    /// Requests about its certificates.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let id = |hash, serial: &Vec<u8>| self.issuer.cert_id(hash, serial);
        let [first, second] = [0, 1].map(|number| id(Hash::Sha1, &self.serials[number]));
        vec![
            request(std::slice::from_ref(&first), &[]),
            request(&[id(Hash::Sha256, &self.serials[0])], &[]),
            request(&[first.clone(), second.clone()], &[]),
            request(&[first], &[nonce(&[5; 32])]),
            request(&[second, id(Hash::Sha1, &vec![1])], &[nonce(&[6; 16])]),
        ]
    }

    /// Asks, and holds the answer against the request.
    pub fn ask(&self, der: &[u8]) {
        let now = self.clock.now();
        let at_once = self.responder.answer_at_once(der, now);
        let answer = at_once.unwrap_or_else(|| self.runtime.block_on(self.responder.answer(der, now)));
        let outcome = read_answer(answer.der()).expect("an answer is well formed");
        match (Request::read(der), outcome) {
            (Err(_), Outcome::Status(1)) | (Ok(_), Outcome::Status(6)) => {}
            (Ok(request), Outcome::Singles { ids, nonce }) => {
                assert!(
                    request.asked().map(|asked| asked.id.der).eq(ids.iter().copied()),
                    "each is answered, in order"
                );
                assert_eq!(request.nonce, nonce, "the nonce is repeated");
            }
            (request, outcome) => panic!("{request:?} gets {outcome:?}"),
        }
    }
}

async fn issue(authority: &Authority, clock: &Clock, number: u8) -> Vec<u8> {
    let key = PrivateKey::generate(KeyType::default()).unwrap();
    let names = vec![renewd::identifier::Identifier::parse("fuzzed.test").unwrap().into()];
    let request = LeafRequest::server(format!("order {number}"), names, key.spki_der());
    let chain = authority.issue(&request, clock.now()).await.unwrap();
    let leaf = x509_parser::parse_x509_certificate(&chain.ders()[0]).unwrap().1;
    leaf.raw_serial().to_vec()
}

/// What an answer is, as far as its form goes.
#[derive(Debug)]
enum Outcome<'a> {
    /// No more than a status.
    Status(u8),
    /// CertIDs in DER, one an answer, and the nonce.
    Singles { ids: Vec<&'a [u8]>, nonce: Option<&'a [u8]> },
}

/// Reads an OCSPResponse (RFC 6960, section 4.2.1) to its last octet; `None` where it is not well formed.
fn read_answer(der: &[u8]) -> Option<Outcome<'_>> {
    let (status, rest) = expect(0x0a, whole(0x30, der)?)?;
    let [status] = status else { return None };
    if rest.is_empty() {
        return (*status != 0).then_some(Outcome::Status(*status));
    }
    let (_, octets) = expect(0x06, whole(0x30, whole(0xa0, rest)?)?)?;
    let (data, rest) = expect(0x30, whole(0x30, whole(0x04, octets)?)?)?;
    let (_, rest) = expect(0x30, rest)?;
    let (_, rest) = expect(0x03, rest)?;
    whole(0x30, whole(0x30, whole(0xa0, rest)?)?)?;
    let (_, rest) = expect(0xa2, data)?;
    let (_, rest) = expect(0x18, rest)?;
    let (singles, rest) = expect(0x30, rest)?;
    let nonce = if rest.is_empty() { None } else { Some(read_nonce(rest)?) };
    (*status == 0).then_some(Outcome::Singles { ids: read_singles(singles)?, nonce })
}

fn read_singles(mut singles: &[u8]) -> Option<Vec<&[u8]>> {
    let mut ids = Vec::new();
    while !singles.is_empty() {
        let (single, rest) = expect(0x30, singles)?;
        let (_, behind) = expect(0x30, single)?;
        ids.push(&single[..single.len() - behind.len()]);
        let (tag, _, behind) = split(behind)?;
        let (_, behind) = expect(0x18, behind)?;
        whole(0x18, whole(0xa0, behind)?)?;
        if ![0x80, 0xa1, 0x82].contains(&tag) {
            return None;
        }
        singles = rest;
    }
    Some(ids)
}

fn read_nonce(extensions: &[u8]) -> Option<&[u8]> {
    let (_, content) = expect(0x06, whole(0x30, whole(0x30, whole(0xa1, extensions)?)?)?)?;
    whole(0x04, whole(0x04, content)?)
}

/// The content of the one value that these octets are.
fn whole(tag: u8, octets: &[u8]) -> Option<&[u8]> {
    let (content, rest) = expect(tag, octets)?;
    rest.is_empty().then_some(content)
}

fn expect(tag: u8, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = split(octets)?;
    (found == tag).then_some((content, rest))
}
