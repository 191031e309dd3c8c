//! Asking a name server with `dig`: a reader of DNS that shares no code with the product.

use std::net::SocketAddr;
use std::process::Command;

use super::programs;

/// A resource record as `dig` prints it: owner in lower case without the last dot, type, and data in master-file form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The owner's name.
    pub owner: String,
    /// Its type, as `TXT`.
    pub kind: String,
    /// Its data.
    pub data: String,
}

/// The records of the answer section, asked over TCP; none when the server does not answer.
pub fn answer(server: SocketAddr, name: &str, kind: &str) -> Vec<Record> {
    let output = programs::run(dig(server).args(["+noall", "+answer", "+tcp", "-q", name, "-t", kind]), "");
    String::from_utf8_lossy(&output.stdout).lines().filter_map(record).collect()
}

/// The TXT values that stand at exactly this name, sorted.
pub fn txt(server: SocketAddr, name: &str) -> Vec<String> {
    let owner = normal(name);
    let records = answer(server, name, "TXT").into_iter();
    let mut values: Vec<_> =
        records.filter(|r| r.kind == "TXT" && r.owner == owner).map(|r| characters(&r.data)).collect();
    values.sort();
    values
}

/// All TXT records of a zone (name and value), by zone transfer, sorted.
pub fn all_txt(server: SocketAddr, zone: &str) -> Vec<(String, String)> {
    let records = answer(server, zone, "AXFR");
    assert!(records.iter().any(|record| record.kind == "SOA"), "no transfer of the zone `{zone}` from {server}");
    let txt = records.into_iter().filter(|record| record.kind == "TXT");
    let mut found: Vec<_> = txt.map(|record| (record.owner, characters(&record.data))).collect();
    found.sort();
    found
}

/// The name that a server gives itself (`id.server`), over TCP or over UDP: tells whose server answers.
pub fn identity(server: SocketAddr, tcp: bool) -> Option<String> {
    let transport = if tcp { "+tcp" } else { "+notcp" };
    let output = programs::run(
        dig(server).args(["+short", "+time=1", transport, "-c", "CH", "-t", "TXT", "-q", "id.server"]),
        "",
    );
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    printed.starts_with('"').then(|| characters(printed.trim_end()))
}

fn dig(server: SocketAddr) -> Command {
    let mut dig = Command::new(programs::find("dig"));
    // `-r` keeps a `.digrc` out.
    dig.args(["-r", &format!("@{}", server.ip()), "-p", &server.port().to_string(), "+time=2", "+tries=1"]);
    dig
}

fn record(line: &str) -> Option<Record> {
    if line.starts_with(';') {
        return None;
    }
    // Owner, TTL and class are single words; the type follows, then the data to the end of the line.
    let (owner, rest) = word(line)?;
    let (_, rest) = word(rest)?;
    let (_, rest) = word(rest)?;
    let (kind, data) = word(rest)?;
    Some(Record { owner: normal(owner), kind: kind.to_owned(), data: data.trim().to_owned() })
}

fn word(text: &str) -> Option<(&str, &str)> {
    text.trim_start().split_once([' ', '\t'])
}

fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The text of a TXT record: quotes and escapes undone, its strings joined (RFC 1035, section 5.1).
fn characters(data: &str) -> String {
    let mut text = Vec::new();
    let mut rest = data.bytes();
    let mut quoted = false;
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => text.extend(escaped(&mut rest)),
            b' ' if !quoted => {}
            other => text.push(other),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The byte after a backslash: three digits are its decimal value, anything else stands for itself.
fn escaped(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = rest.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let value = |digit: u8| u32::from(digit.wrapping_sub(b'0'));
    u8::try_from(value(first) * 100 + value(rest.next()?) * 10 + value(rest.next()?)).ok()
}
