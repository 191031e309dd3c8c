//! What an answer shows, and what the answers of all servers come to.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData};

use super::servers::Server;
use crate::dns01::exchange::is_no_route;
use crate::dns01::name;

/// The values that a name shall show.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The name.
    pub(super) name: Name,
    /// All of these, among others.
    pub(super) values: BTreeSet<String>,
    /// The config named the servers: they need not be authoritative.
    pub(super) answer_may_be_cached: bool,
}

/// What was seen at one address of a server.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    /// The address.
    pub(super) address: SocketAddr,
    /// What was seen.
    pub(super) look: Look,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// All values.
    Shown,
    /// An answer without all values; these words say which.
    Lacking(String),
    /// No answer; these words say why.
    Silent(String),
    /// This machine has no way there: nothing follows about the server.
    NoRoute,
}

impl Look {
    /// Judges what came of asking.
    pub(super) fn at(wanted: &Wanted, answer: Result<Message, NetError>) -> Self {
        match answer {
            Ok(answer) => judge(wanted, &answer),
            Err(error) if is_no_route(&error) => Self::NoRoute,
            Err(error) => Self::Silent(format!("gives no answer ({error})")),
        }
    }
}

fn judge(wanted: &Wanted, answer: &Message) -> Look {
    match answer.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Look::Lacking(format!("answers {}", code.to_str())),
    }
    if !answer.authoritative && !wanted.answer_may_be_cached {
        return Look::Lacking("does not serve the zone (lame)".to_owned());
    }
    let shown = values(answer, &wanted.name);
    match wanted.values.iter().filter(|value| !shown.contains(value.as_bytes())).count() {
        0 => Look::Shown,
        missing => Look::Lacking(format!("lacks {missing} of {} values", wanted.values.len())),
    }
}

/// The TXT values at the name, the strings of each joined.
fn values(answer: &Message, name: &Name) -> BTreeSet<Vec<u8>> {
    let own = answer.answers.iter().filter(|record| record.name == *name);
    let texts = own.filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    });
    texts.collect()
}

/// What keeps a CA from seeing the name's values, a line a server; empty where nothing does.
///
/// A server that shows all values at one of its addresses is not blamed for addresses that do not answer. One that
/// cannot be reached from here, or has no address at all, does not count while another shows the values.
pub(super) fn amiss(wanted: &Wanted, servers: &[Server], sights: &[Vec<Sight>]) -> Vec<String> {
    let stand = |sights: &Vec<Sight>| sights.iter().any(|sight| sight.look == Look::Shown);
    let shown = sights.iter().any(stand);
    let pairs = servers.iter().zip(sights);
    let complaints = pairs.filter_map(|(server, sights)| complaint(server, sights, shown));
    complaints.map(|words| format!("{words}: `{}`", name::text(&wanted.name))).collect()
}

/// Who shows all of the name's values.
pub(super) fn shown(servers: &[Server], sights: &[Vec<Sight>]) -> Vec<String> {
    let shows = |sights: &[Sight]| sights.iter().find(|sight| sight.look == Look::Shown).map(|sight| sight.address);
    let pairs = servers.iter().zip(sights);
    pairs.filter_map(|(server, sights)| Some(tell(server, shows(sights)?, "shows it"))).collect()
}

fn complaint(server: &Server, sights: &[Sight], shown_elsewhere: bool) -> Option<String> {
    let lacking = sights.iter().find_map(|sight| match &sight.look {
        Look::Lacking(words) => Some((sight.address, words)),
        _ => None,
    });
    if let Some((address, words)) = lacking {
        return Some(tell(server, address, words));
    }
    if sights.iter().any(|sight| sight.look == Look::Shown) {
        return None;
    }
    let silent = sights.iter().find_map(|sight| match &sight.look {
        Look::Silent(words) => Some((sight.address, words)),
        _ => None,
    });
    match (silent, &server.unknown) {
        (Some((address, words)), _) => Some(tell(server, address, words)),
        (None, Some(why)) => Some(format!("{} has no known address ({why})", server.label)),
        (None, None) if shown_elsewhere => None,
        (None, None) => Some(format!("{} cannot be reached from here", server.label)),
    }
}

fn tell(server: &Server, address: SocketAddr, words: &str) -> String {
    let address = address.to_string();
    if address == server.label {
        return format!("{address} {words}");
    }
    format!("{} ({address}) {words}", server.label)
}

#[cfg(test)]
mod tests {
    use std::io;

    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::TXT;

    use super::*;

    fn wanted(values: &[&str], answer_may_be_cached: bool) -> Wanted {
        let values = values.iter().map(ToString::to_string).collect();
        Wanted { name: name::parse("_acme-challenge.a.test").unwrap(), values, answer_may_be_cached }
    }

    fn answer(authoritative: bool, texts: &[&[&str]]) -> Message {
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.authoritative = authoritative;
        for strings in texts {
            let txt = TXT::new(strings.iter().map(ToString::to_string).collect());
            message.add_answer(Record::from_rdata(name::parse("_ACME-challenge.a.test").unwrap(), 1, RData::TXT(txt)));
        }
        message
    }

    fn server(label: &str) -> Server {
        Server { label: label.to_owned(), addresses: Vec::new(), unknown: None }
    }

    fn sight(look: Look) -> Sight {
        Sight { address: "192.0.2.1:53".parse().unwrap(), look }
    }

    fn lines(sights: &[Vec<Look>]) -> Vec<String> {
        let servers: Vec<Server> = (0..sights.len()).map(|number| server(&format!("ns{number}"))).collect();
        let sights: Vec<Vec<Sight>> = sights.iter().map(|looks| looks.iter().cloned().map(sight).collect()).collect();
        amiss(&wanted(&["one"], false), &servers, &sights)
    }

    #[test]
    fn all_values_must_be_there_among_others_whole_or_in_pieces() {
        let both = wanted(&["one", "two"], false);
        assert_eq!(Look::at(&both, Ok(answer(true, &[&["x"], &["o", "ne"], &["two"]]))), Look::Shown);
        let lacking = Look::Lacking("lacks 1 of 2 values".to_owned());
        assert_eq!(Look::at(&both, Ok(answer(true, &[&["one"], &["TWO"]]))), lacking);
    }

    #[test]
    fn a_lame_server_is_believed_only_where_the_config_names_it() {
        let cached = answer(false, &[&["one"]]);
        assert_eq!(Look::at(&wanted(&["one"], true), Ok(cached.clone())), Look::Shown);
        assert!(
            matches!(Look::at(&wanted(&["one"], false), Ok(cached)), Look::Lacking(words) if words.contains("lame"))
        );
    }

    #[test]
    fn a_network_without_a_way_there_tells_nothing_about_the_server() {
        let error = NetError::from(io::Error::from(io::ErrorKind::NetworkUnreachable));
        assert_eq!(Look::at(&wanted(&["one"], false), Err(error)), Look::NoRoute);
        assert_eq!(lines(&[vec![Look::Shown, Look::NoRoute], vec![Look::NoRoute]]), Vec::<String>::new());
        assert_eq!(lines(&[vec![Look::NoRoute]]), ["ns0 cannot be reached from here: `_acme-challenge.a.test`"]);
    }

    #[test]
    fn one_good_address_excuses_a_silent_one_but_not_one_that_lacks_the_value() {
        let silent = || Look::Silent("gives no answer (request timed out)".to_owned());
        assert_eq!(lines(&[vec![silent(), Look::Shown]]), Vec::<String>::new());
        let lacking = Look::Lacking("lacks 1 of 1 values".to_owned());
        assert_eq!(
            lines(&[vec![Look::Shown, lacking], vec![silent()], vec![Look::Shown]]),
            [
                "ns0 (192.0.2.1:53) lacks 1 of 1 values: `_acme-challenge.a.test`",
                "ns1 (192.0.2.1:53) gives no answer (request timed out): `_acme-challenge.a.test`"
            ]
        );
    }
}
