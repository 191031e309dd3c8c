//! A name server that says what a test wants it to say, where BIND would not.

#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, MessageType, Query};
use hickory_resolver::proto::rr::rdata::TXT;
use hickory_resolver::proto::rr::{RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

type Handler = dyn Fn(&Message, Transport) -> Option<Message> + Send + Sync;

/// The running server; it ends when dropped.
pub struct Fake {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Query>>>,
    _tasks: JoinSet<()>,
}

impl Fake {
    /// Listens on UDP and TCP; `None` from the handler is silence.
    pub async fn start(
        address: SocketAddr,
        handler: impl Fn(&Message, Transport) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        let tcp = TcpListener::bind(address).await.expect("the TCP port is free");
        let address = tcp.local_addr().expect("a bound socket has an address");
        let udp = UdpSocket::bind(address).await.expect("the UDP port is free");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let handler: Arc<Handler> = Arc::new(move |question: &Message, transport| {
            heard.lock().unwrap().extend(question.queries.iter().cloned());
            handler(question, transport)
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&handler)));
        tasks.spawn(serve_tcp(tcp, handler));
        Self { address, asked, _tasks: tasks }
    }

    /// Everything that it was asked.
    pub fn asked(&self) -> Vec<Query> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve_udp(socket: UdpSocket, handler: Arc<Handler>) {
    let mut buffer = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let question = Message::from_vec(&buffer[..length]).expect("the product sends DNS");
        if let Some(answer) = handler(&question, Transport::Udp) {
            let _ = socket.send_to(&answer.to_vec().expect("the answer can be written"), from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, handler: Arc<Handler>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = serve_connection(&mut stream, &handler).await;
    }
}

async fn serve_connection(stream: &mut TcpStream, handler: &Arc<Handler>) -> std::io::Result<()> {
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    let question = Message::from_vec(&buffer).expect("the product sends DNS");
    let Some(answer) = handler(&question, Transport::Tcp) else { return Ok(()) };
    let bytes = answer.to_vec().expect("the answer can be written");
    stream.write_u16(u16::try_from(bytes.len()).expect("it fits")).await?;
    stream.write_all(&bytes).await
}

/// An authoritative answer with these TXT values.
pub fn texts(question: &Message, values: &[&str]) -> Message {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.authoritative = true;
    for value in values {
        let data = RData::TXT(TXT::new(vec![(*value).to_owned()]));
        answer.add_answer(Record::from_rdata(question.queries[0].name().clone(), 1, data));
    }
    answer
}

/// Asks another server the same over UDP, and passes on what it says.
pub fn forward(question: &Message, to: SocketAddr) -> Option<Message> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").ok()?;
    socket.send_to(&question.to_vec().ok()?, to).ok()?;
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Message::from_vec(&buffer[..length]).ok()
}
