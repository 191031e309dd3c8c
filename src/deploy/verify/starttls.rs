//! What is spoken before TLS: SMTP (RFC 3207), IMAP (RFC 9051, section 6.2.1), PostgreSQL's SSLRequest.

use std::fmt;
use std::io;
use std::net::IpAddr;

use providers::error::shorten;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, Take};

use super::AddressError;
use crate::config::StartTls;

/// As much as a server may say before TLS, in octets.
const LONGEST: u64 = 64 << 10;
/// The length of the message, and 1234 and 5679 in place of a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Brings a fresh connection to the point where TLS begins. `here` is our end's address, as which we greet.
///
/// # Errors
/// `Protocol`, with the server's answer.
pub(super) async fn begin<S>(stream: &mut S, protocol: StartTls, here: IpAddr) -> Result<(), AddressError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let begun = match protocol {
        StartTls::Smtp => smtp(&mut Dialogue::new(stream), here).await,
        StartTls::Imap => imap(&mut Dialogue::new(stream)).await,
        StartTls::Postgres => postgres(stream).await,
    };
    begun.map_err(|Problem(problem)| AddressError::Protocol { protocol, problem })
}

/// What takes leave after TLS has begun.
pub(super) const fn farewell(protocol: Option<StartTls>) -> &'static [u8] {
    match protocol {
        Some(StartTls::Smtp) => b"QUIT\r\n",
        Some(StartTls::Imap) => b"a2 LOGOUT\r\n",
        Some(StartTls::Postgres) | None => b"",
    }
}

async fn smtp<S: AsyncRead + AsyncWrite + Unpin>(dialogue: &mut Dialogue<'_, S>, here: IpAddr) -> Result<(), Problem> {
    dialogue.reply("220").await?;
    dialogue.say(&format!("EHLO {}\r\n", address_literal(here))).await?;
    let offered = dialogue.reply("250").await?;
    let is_starttls = |line: &String| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS"));
    if !offered.iter().any(is_starttls) {
        return Err(Problem::new("STARTTLS is not offered"));
    }
    dialogue.say("STARTTLS\r\n").await?;
    dialogue.reply("220").await?;
    dialogue.is_silent()
}

/// RFC 5321, section 4.1.3.
fn address_literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

async fn imap<S: AsyncRead + AsyncWrite + Unpin>(dialogue: &mut Dialogue<'_, S>) -> Result<(), Problem> {
    let greeting = dialogue.line().await?;
    if !begins(&greeting, "* OK") {
        return Err(Problem::answer(&greeting));
    }
    dialogue.say("a1 STARTTLS\r\n").await?;
    let answer = loop {
        let line = dialogue.line().await?;
        if begins(&line, "a1 ") {
            break line;
        }
    };
    if begins(&answer, "a1 OK") { dialogue.is_silent() } else { Err(Problem::answer(&answer)) }
}

fn begins(line: &str, word: &str) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

async fn postgres<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> Result<(), Problem> {
    stream.write_all(&SSL_REQUEST).await?;
    match stream.read_u8().await? {
        b'S' => Ok(()),
        b'N' => Err(Problem::new("the server has TLS switched off")),
        answer => Err(Problem(format!("the answer to SSLRequest is the octet {answer:#04x}"))),
    }
}

/// What a server said instead, fit for an error.
struct Problem(String);

impl Problem {
    fn new(words: impl fmt::Display) -> Self {
        Self(words.to_string())
    }

    fn answer(line: &str) -> Self {
        Self(format!("the server says `{}`", shorten(line)))
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

/// Lines to and fro, of bounded length altogether.
struct Dialogue<'a, S>(BufReader<Take<&'a mut S>>);

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Dialogue<'a, S> {
    fn new(stream: &'a mut S) -> Self {
        Self(BufReader::new(stream.take(LONGEST)))
    }

    async fn say(&mut self, line: &str) -> Result<(), Problem> {
        Ok(self.0.get_mut().get_mut().write_all(line.as_bytes()).await?)
    }

    /// One line, without its end.
    async fn line(&mut self) -> Result<String, Problem> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await?;
        if line.pop() == Some(b'\n') {
            return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        let too_much = self.0.get_ref().limit() == 0;
        Err(Problem::new(if too_much { "the server does not stop talking" } else { "the server hung up" }))
    }

    /// The lines of an SMTP reply, which must carry this code.
    async fn reply(&mut self, code: &str) -> Result<Vec<String>, Problem> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if !line.starts_with(code) {
                return Err(Problem::answer(&line));
            }
            let goes_on = line.get(3..4) == Some("-");
            lines.push(line);
            if !goes_on {
                return Ok(lines);
            }
        }
    }

    /// Nothing was said behind the last line, where somebody on the way could have put it.
    fn is_silent(&self) -> Result<(), Problem> {
        match self.0.buffer() {
            [] => Ok(()),
            _ => Err(Problem::new("the server talks on in the clear where TLS should begin")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Plays a server: says the first line, and each other once something was said to it. Returns what it heard.
    async fn play(protocol: StartTls, lines: &[&[u8]]) -> (Result<(), String>, String) {
        let (mut client, mut server) = tokio::io::duplex(1 << 20);
        let serve = async {
            let mut heard = Vec::new();
            for (number, line) in lines.iter().enumerate() {
                if number > 0 || protocol == StartTls::Postgres {
                    server.read_buf(&mut heard).await.unwrap();
                }
                server.write_all(line).await.unwrap();
            }
            drop(server);
            String::from_utf8_lossy(&heard).into_owned()
        };
        let (begun, heard) = tokio::join!(begin(&mut client, protocol, HERE), serve);
        (begun.map_err(|error| error.to_string()), heard)
    }

    #[tokio::test]
    async fn smtp_begins_after_multi_line_replies() {
        let replies: [&[u8]; 3] =
            [b"220-hello\r\n220 there\r\n", b"250-mx\r\n250-SIZE 9\r\n250 starttls\r\n", b"220 go\r\n"];
        let (begun, heard) = play(StartTls::Smtp, &replies).await;
        assert_eq!((begun, heard.as_str()), (Ok(()), "EHLO [127.0.0.1]\r\nSTARTTLS\r\n"));
        assert_eq!(address_literal(IpAddr::V6(Ipv6Addr::LOCALHOST)), "[IPv6:::1]");
    }

    #[tokio::test]
    async fn smtp_says_why_not() {
        let says = async |replies: &[&[u8]]| play(StartTls::Smtp, replies).await.0.unwrap_err();
        let before = "SMTP did not lead to TLS: ";
        assert_eq!(says(&[b"554 no\x07 mail\r\n"]).await, format!("{before}the server says `554 no mail`"));
        assert_eq!(says(&[b"220 a\r\n", b"250 mx\r\n"]).await, format!("{before}STARTTLS is not offered"));
        let late = says(&[b"220 a\r\n", b"250 STARTTLS\r\n", b"454 later\r\n"]).await;
        assert_eq!(late, format!("{before}the server says `454 later`"));
        let injected = says(&[b"220 a\r\n", b"250 STARTTLS\r\n", b"220 go\r\n250 injected\r\n"]).await;
        assert_eq!(injected, format!("{before}the server talks on in the clear where TLS should begin"));
        assert_eq!(says(&[b"220 a\r\n", b"250-mx\r\n"]).await, format!("{before}the server hung up"));
        let endless = says(&[&b"220-a\r\n".repeat(20_000)]).await;
        assert_eq!(endless, format!("{before}the server does not stop talking"));
    }

    #[tokio::test]
    async fn imap_begins_and_says_why_not() {
        let (begun, heard) = play(StartTls::Imap, &[b"* OK hi\r\n", b"* CAPABILITY x\r\na1 ok go\r\n"]).await;
        assert_eq!((begun, heard.as_str()), (Ok(()), "a1 STARTTLS\r\n"));
        let says = async |replies: &[&[u8]]| play(StartTls::Imap, replies).await.0.unwrap_err();
        let before = "IMAP did not lead to TLS: the server ";
        assert_eq!(says(&[b"* BYE busy\r\n"]).await, format!("{before}says `* BYE busy`"));
        assert_eq!(says(&[b"* OK hi\r\n", b"a1 BAD what\r\n"]).await, format!("{before}says `a1 BAD what`"));
        let injected = says(&[b"* OK hi\r\n", b"a1 OK\r\n* OK more\r\n"]).await;
        assert_eq!(injected, format!("{before}talks on in the clear where TLS should begin"));
    }

    #[tokio::test]
    async fn postgres_begins_and_says_why_not() {
        let (begun, heard) = play(StartTls::Postgres, &[b"S"]).await;
        assert_eq!((begun, heard), (Ok(()), String::from_utf8_lossy(&SSL_REQUEST).into_owned()));
        let (begun, _) = play(StartTls::Postgres, &[b"N"]).await;
        assert_eq!(begun, Err("PostgreSQL did not lead to TLS: the server has TLS switched off".to_owned()));
        let (begun, _) = play(StartTls::Postgres, &[b"E"]).await;
        assert!(begun.unwrap_err().ends_with("0x45"));
    }
}
