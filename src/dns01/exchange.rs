//! One question to one server.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Message, Query};
use hickory_resolver::proto::rr::{Name, RecordType};

/// What is asked, and how.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// The name, absolute.
    pub(super) name: Name,
    /// The type.
    pub(super) kind: RecordType,
    /// The server shall ask others.
    pub(super) recursion: bool,
    /// Whether signatures are wanted, and who looks at them.
    pub(super) security: Security,
    /// How long to wait for an answer over UDP, and again over TCP.
    pub(super) patience: Duration,
}

/// DNSSEC (RFC 4035, section 3.2), as one question asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// Not at all.
    Unasked,
    /// Signatures are wanted; a resolver that validates answers only what is good (DO).
    Checked,
    /// Signatures are wanted, whatever the resolver thinks of them (DO and CD).
    Unchecked,
}

/// Asks over UDP, and over TCP where that gives nothing whole: a truncated answer, none, or a garbled one.
///
/// Without EDNS, which some servers drop, unless signatures are wanted: the other answers are small, and larger ones come
/// over TCP.
pub(super) async fn ask(server: SocketAddr, question: &Question) -> Result<Message, NetError> {
    match over_udp(server, question).await {
        Ok(answer) if !answer.truncation => Ok(answer),
        Err(error) if is_no_route(&error) => Err(error),
        Ok(_) | Err(_) => over_tcp(server, question).await,
    }
}

async fn over_udp(server: SocketAddr, question: &Question) -> Result<Message, NetError> {
    let stream = UdpClientStream::builder(server, TokioRuntimeProvider::new());
    let mut stream = stream.with_timeout(Some(question.patience)).build();
    Ok(stream.send_message(question.request()).first_answer().await?.into_message())
}

async fn over_tcp(server: SocketAddr, question: &Question) -> Result<Message, NetError> {
    // The runtime ends the connection's task when it is dropped: it has to outlive the exchange.
    let runtime = TokioRuntimeProvider::new();
    let asked = async {
        let exchange = TcpClientStream::exchange(server, None, question.patience, None, runtime.clone()).await?;
        exchange.send(question.request()).first_answer().await
    };
    let answer = tokio::time::timeout(question.patience, asked).await.unwrap_or(Err(NetError::Timeout))?;
    if answer.truncation {
        return Err(NetError::from("the answer is truncated over TCP, too"));
    }
    Ok(answer.into_message())
}

impl Question {
    fn request(&self) -> DnsRequest {
        let mut options = DnsRequestOptions::default();
        options.use_edns = self.security != Security::Unasked;
        options.edns_set_dnssec_ok = options.use_edns;
        options.recursion_desired = self.recursion;
        let mut request = DnsRequest::from_query(Query::query(self.name.clone(), self.kind), options);
        request.metadata.checking_disabled = self.security == Security::Unchecked;
        request
    }
}

/// This machine has no way to that network, as to an IPv6 address where there is no IPv6.
pub(super) fn is_no_route(error: &NetError) -> bool {
    let NetError::Io(error) = error else { return false };
    let unsupported = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    matches!(error.kind(), io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable)
        || error.raw_os_error() == Some(unsupported)
}
