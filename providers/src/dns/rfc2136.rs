//! Any name server that takes dynamic updates (RFC 2136) signed with a shared key (TSIG, RFC 8945).
//!
//! One update is one message over one TCP connection. The answer's signature is checked, too: an unsigned "done" is
//! not believed.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_resolver::net::runtime::{Time as _, TokioTime};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode, update_message};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::rdata::tsig::{self, TsigError};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordSet, TSigVerifier, TSigner};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::{Capabilities, DnsProvider, Registration, TxtRecord, txt};
use crate::Error;

const TIMEOUT: Duration = Duration::from_secs(10);
/// How many seconds the server's clock may be off from ours (RFC 8945 section 10 recommends 300).
const FUDGE: u16 = 300;

/// Where the server is and how to sign.
#[derive(Debug, Clone)]
pub struct Rfc2136Settings {
    /// The zone's primary: `ns.example.com:53`, `[2001:db8::1]:53`.
    pub server: String,
    /// The key's name, as the server knows it.
    pub tsig_key: String,
    /// The key's algorithm.
    pub tsig_algorithm: TsigAlgorithm,
    /// The key, base64.
    pub tsig_secret: SecretString,
}

/// How updates are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TsigAlgorithm {
    /// `hmac-sha256`
    #[default]
    HmacSha256,
    /// `hmac-sha512`
    HmacSha512,
}

impl TsigAlgorithm {
    /// The algorithm of that name (RFC 8945 section 6), in lower case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "hmac-sha256" => Some(Self::HmacSha256),
            "hmac-sha512" => Some(Self::HmacSha512),
            _ => None,
        }
    }
}

impl From<TsigAlgorithm> for tsig::TsigAlgorithm {
    fn from(algorithm: TsigAlgorithm) -> Self {
        match algorithm {
            TsigAlgorithm::HmacSha256 => Self::HmacSha256,
            TsigAlgorithm::HmacSha512 => Self::HmacSha512,
        }
    }
}

/// One name server.
pub struct Rfc2136 {
    server: String,
    signer: TSigner,
}

impl Rfc2136 {
    /// A provider for the server; nothing is asked yet.
    ///
    /// # Errors
    /// `Rejected` where `server` has no port, `tsig_key` is no name, or `tsig_secret` is no base64.
    pub fn new(settings: Rfc2136Settings) -> Result<Self, Error> {
        let key_name = name(&settings.tsig_key)?;
        let key = key(&settings.tsig_secret)?;
        let signer = TSigner::new(key.to_vec(), settings.tsig_algorithm.into(), key_name, FUDGE)
            .map_err(|_| Error::rejected("`tsig_algorithm` is not supported"))?;
        Ok(Self { server: server(settings.server)?, signer })
    }

    async fn update(&self, record: &TxtRecord, mut message: Message) -> Result<(), Error> {
        // The server compares with its own clock, so this is the system's time and no other.
        let signed = message.finalize(&self.signer, TokioTime::current_time());
        let Ok(Some(verifier)) = signed else { return Err(Error::rejected("the update cannot be signed")) };
        let request = message.to_vec().map_err(|error| Error::rejected(error.to_string()))?;
        let answer = self.exchange(&request).await?;
        judge(record, &Answer::read(&answer, message.metadata.id, verifier)?)
    }

    async fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, Error> {
        let unavailable =
            |cause: &dyn fmt::Display| Error::Unavailable { detail: format!("`{}`: {cause}", self.server) };
        match tokio::time::timeout(TIMEOUT, exchange(&self.server, request)).await {
            Ok(answer) => answer.map_err(|error| unavailable(&error)),
            Err(_) => Err(unavailable(&format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }
}

impl fmt::Debug for Rfc2136 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rfc2136({}, key {})", self.server, self.signer.signer_name())
    }
}

#[async_trait]
impl DnsProvider for Rfc2136 {
    fn capabilities(&self) -> Capabilities {
        Capabilities::FULL
    }

    /// RFC 2136 section 2.5.1: the server passes over what it has already.
    async fn append_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        let (zone, set) = parts(record)?;
        self.update(record, update_message::append(set, zone, false, false)).await
    }

    /// RFC 2136 section 2.5.4: the server passes over what it does not have.
    async fn delete_txt(&self, record: &TxtRecord, _: Option<&Registration>) -> Result<(), Error> {
        let (zone, set) = parts(record)?;
        self.update(record, update_message::delete_by_rdata(set, zone, false)).await
    }
}

/// The zone's name, and the record as a set of one.
fn parts(record: &TxtRecord) -> Result<(Name, RecordSet), Error> {
    let (zone, owner) = (name(&record.zone)?, name(&record.name)?);
    if !zone.zone_of(&owner) {
        return Err(Error::rejected(format!("`{}` is not in the zone `{}`", record.name, record.zone)));
    }
    let data = RData::TXT(TXT::from_bytes(txt::strings(&record.value)));
    Ok((zone, RecordSet::from(Record::from_rdata(owner, record.ttl, data))))
}

/// Sends one message with its length before it (RFC 1035 section 4.2.2) and reads one.
async fn exchange(server: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let length = u16::try_from(request.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes(), request].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// What of an answer matters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    code: ResponseCode,
    tsig_error: Option<TsigError>,
    /// Signed with our key, as an answer to our message, at about our time.
    authentic: bool,
}

impl Answer {
    fn read(bytes: &[u8], id: u16, mut verifier: TSigVerifier) -> Result<Self, Error> {
        let garbled = |what: &str| Error::Unavailable { detail: format!("the answer {what}") };
        let message = Message::from_vec(bytes).map_err(|_| garbled("cannot be read"))?;
        if message.metadata.id != id || message.metadata.message_type != MessageType::Response {
            return Err(garbled("is to another question"));
        }
        let signature = message.signature();
        Ok(Self {
            code: message.metadata.response_code,
            tsig_error: signature.and_then(|signature| signature.data.error),
            authentic: signature.is_some() && verifier.verify(bytes).is_ok(),
        })
    }
}

/// RFC 2136 section 2.2 and RFC 8945 section 5.3.2: what an answer means.
fn judge(record: &TxtRecord, answer: &Answer) -> Result<(), Error> {
    if let Some(error) = &answer.tsig_error {
        return Err(refused_signature(error));
    }
    let detail = format!("the server answered `{}`", answer.code);
    match answer.code {
        ResponseCode::NoError if answer.authentic => Ok(()),
        ResponseCode::NoError => {
            Err(Error::Unavailable { detail: "the answer is not signed with the key that was used".to_owned() })
        }
        // Signed, it speaks of the zone (RFC 2136); unsigned, of the key (RFC 8945).
        ResponseCode::NotAuth if answer.authentic => Err(Error::ZoneNotFound { zone: record.zone.clone() }),
        ResponseCode::NotZone => Err(Error::ZoneNotFound { zone: record.zone.clone() }),
        ResponseCode::NotAuth | ResponseCode::Refused => Err(Error::Unauthorized { detail }),
        ResponseCode::ServFail => Err(Error::Unavailable { detail }),
        _ => Err(Error::Rejected { detail }),
    }
}

fn refused_signature(error: &TsigError) -> Error {
    match error {
        TsigError::BadKey => Error::Unauthorized { detail: "the server does not know the key (BADKEY)".to_owned() },
        TsigError::BadSig => Error::Unauthorized { detail: "the server has another secret (BADSIG)".to_owned() },
        TsigError::BadTime => {
            Error::Unavailable { detail: format!("the clocks are more than {FUDGE} s apart (BADTIME)") }
        }
        other => {
            Error::Unauthorized { detail: format!("the signature was refused (TSIG error {})", u16::from(*other)) }
        }
    }
}

fn server(server: String) -> Result<String, Error> {
    let port = server.rsplit_once(':').and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
    match port {
        Some(1..) => Ok(server),
        _ => Err(Error::rejected(format!("`server` must be `host:port`, not `{server}`"))),
    }
}

/// A name as the wire has it: absolute, as it stands, without IDNA.
fn name(text: &str) -> Result<Name, Error> {
    let mut name = Name::from_ascii(text).map_err(|_| Error::rejected(format!("`{text}` is no domain name")))?;
    name.set_fqdn(true);
    Ok(name)
}

fn key(secret: &SecretString) -> Result<Zeroizing<Vec<u8>>, Error> {
    let decoded = STANDARD.decode(secret.expose_secret().trim()).map(Zeroizing::new);
    match decoded {
        Ok(key) if !key.is_empty() => Ok(key),
        _ => Err(Error::rejected("`tsig_secret` is no base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Rfc2136Settings {
        Rfc2136Settings {
            server: "127.0.0.1:53".to_owned(),
            tsig_key: "renewd".to_owned(),
            tsig_algorithm: TsigAlgorithm::HmacSha256,
            tsig_secret: SecretString::from("Y2FuYXJ5"),
        }
    }

    fn record() -> TxtRecord {
        let (zone, name) = ("zone.test".to_owned(), "_acme-challenge.zone.test".to_owned());
        TxtRecord { zone, name, value: "v".to_owned(), ttl: 60 }
    }

    fn answer(code: ResponseCode, tsig_error: Option<TsigError>, authentic: bool) -> Result<(), Error> {
        judge(&record(), &Answer { code, tsig_error, authentic })
    }

    #[test]
    fn answers_are_sorted_by_what_to_do_next() {
        let missing = Err(Error::ZoneNotFound { zone: "zone.test".to_owned() });
        assert_eq!(answer(ResponseCode::NoError, None, true), Ok(()));
        assert!(matches!(answer(ResponseCode::NoError, None, false), Err(Error::Unavailable { .. })));
        assert_eq!(answer(ResponseCode::NotAuth, None, true), missing);
        assert_eq!(answer(ResponseCode::NotZone, None, true), missing);
        assert!(matches!(answer(ResponseCode::NotAuth, None, false), Err(Error::Unauthorized { .. })));
        assert!(matches!(answer(ResponseCode::Refused, None, true), Err(Error::Unauthorized { .. })));
        assert!(matches!(answer(ResponseCode::ServFail, None, true), Err(Error::Unavailable { .. })));
        assert!(matches!(answer(ResponseCode::YXRRSet, None, true), Err(Error::Rejected { .. })));
        for (error, unauthorized) in [(TsigError::BadKey, true), (TsigError::BadSig, true), (TsigError::BadTime, false)]
        {
            let answer = answer(ResponseCode::NotAuth, Some(error), false);
            assert_eq!(matches!(answer, Err(Error::Unauthorized { .. })), unauthorized, "{answer:?}");
        }
    }

    #[test]
    fn an_answer_signed_by_someone_else_is_not_believed() {
        let provider = Rfc2136::new(settings()).unwrap();
        let other = SecretString::from("b3RoZXI=");
        let other = Rfc2136::new(Rfc2136Settings { tsig_secret: other, ..settings() }).unwrap();
        let (zone, set) = parts(&record()).unwrap();
        let mut request = update_message::append(set, zone, false, false);
        let now = TokioTime::current_time();
        let verifier = request.finalize(&provider.signer, now).unwrap().unwrap();
        let id = request.metadata.id;
        let mut forged = Message::response(id, request.metadata.op_code);
        forged.finalize(&other.signer, now).unwrap();
        let answer = Answer::read(&forged.to_vec().unwrap(), id, verifier).unwrap();
        assert_eq!(answer, Answer { code: ResponseCode::NoError, tsig_error: None, authentic: false });
    }

    #[test]
    fn settings_are_checked_and_no_secret_is_told() {
        let refused = |settings: Rfc2136Settings| Rfc2136::new(settings).unwrap_err().to_string();
        for server in ["127.0.0.1", "host:", ":53", "host:0", "host:65536"] {
            assert!(refused(Rfc2136Settings { server: server.to_owned(), ..settings() }).contains("host:port"));
        }
        let error = refused(Rfc2136Settings { tsig_secret: SecretString::from("canary!"), ..settings() });
        assert!(error.contains("tsig_secret") && !error.contains("canary"), "{error}");
        assert!(refused(Rfc2136Settings { tsig_secret: SecretString::from(""), ..settings() }).contains("tsig_secret"));
        let shown = format!("{:?} {:?}", settings(), Rfc2136::new(settings()).unwrap());
        assert!(!shown.contains("Y2FuYXJ5"), "{shown}");
    }

    #[test]
    fn a_name_outside_its_zone_is_refused_before_it_is_sent() {
        let outside = TxtRecord { name: "zone.test.elsewhere".to_owned(), ..record() };
        assert!(matches!(parts(&outside), Err(Error::Rejected { .. })));
        assert!(parts(&TxtRecord { name: "zone.test".to_owned(), ..record() }).is_ok());
    }
}
