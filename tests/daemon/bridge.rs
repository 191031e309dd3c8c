//! A name server in front of something that has records but speaks no DNS.

use std::net::SocketAddr;
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, MessageType, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NS, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use crate::name_server::{Fake, forward};

/// The running server: recursive resolver, authoritative server and the CA's resolver in one. It ends when dropped.
pub struct Bridge {
    /// Where it listens, over UDP and TCP.
    pub address: SocketAddr,
    _fake: Fake,
}

/// One zone, whose TXT values are asked of a function at each question; everything else is asked of `elsewhere`, where
/// there is one, and does not exist where there is none.
struct Zone {
    apex: Name,
    elsewhere: Option<SocketAddr>,
    texts: Box<Texts>,
}

/// The TXT values at a name.
type Texts = dyn Fn(&str) -> Vec<String> + Send + Sync;

impl Bridge {
    /// Starts a server of this zone. `texts` gets names in lower case without the last dot.
    pub async fn start(
        zone: &str,
        elsewhere: Option<SocketAddr>,
        texts: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let zone = Arc::new(Zone { apex: absolute(zone), elsewhere, texts: Box::new(texts) });
        let fake = Fake::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |question, _| zone.answer(question)).await;
        Bridge { address: fake.address, _fake: fake }
    }
}

impl Zone {
    fn answer(&self, question: &Message) -> Option<Message> {
        let asked = question.queries.first()?.clone();
        if self.apex.zone_of(asked.name()) {
            return Some(self.own(question, &asked));
        }
        match self.elsewhere {
            Some(server) => forward(question, server).map(|answer| self.follow(answer, &asked)),
            None => Some(nothing(question)),
        }
    }

    /// What stands in the zone; where nothing does, its SOA stands beside.
    fn own(&self, question: &Message, asked: &Query) -> Message {
        let mut answer = reply(question);
        for data in self.records(asked.name(), asked.query_type()) {
            answer.add_answer(Record::from_rdata(asked.name().clone(), 1, data));
        }
        if answer.answers.is_empty() {
            answer.add_authority(Record::from_rdata(self.apex.clone(), 1, self.soa()));
        }
        answer
    }

    fn records(&self, name: &Name, kind: RecordType) -> Vec<RData> {
        let is_apex = *name == self.apex;
        match kind {
            RecordType::SOA if is_apex => vec![self.soa()],
            RecordType::NS if is_apex => vec![RData::NS(NS(self.server()))],
            RecordType::A if *name == self.server() => vec![RData::A(A::new(127, 0, 0, 1))],
            RecordType::TXT => {
                let name = name.to_ascii().trim_end_matches('.').to_ascii_lowercase();
                (self.texts)(&name).into_iter().map(|text| RData::TXT(TXT::new(vec![text]))).collect()
            }
            _ => Vec::new(),
        }
    }

    /// An answer from elsewhere whose CNAME leads into the zone goes on there, as a recursive resolver's would.
    fn follow(&self, mut answer: Message, asked: &Query) -> Message {
        let target = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if self.apex.zone_of(&target.0) => Some(target.0.clone()),
            _ => None,
        });
        if let Some(target) = target.filter(|_| asked.query_type() != RecordType::CNAME) {
            answer.metadata.response_code = ResponseCode::NoError;
            for data in self.records(&target, asked.query_type()) {
                answer.add_answer(Record::from_rdata(target.clone(), 1, data));
            }
        }
        answer
    }

    fn server(&self) -> Name {
        self.apex.prepend_label("ns").expect("the name is short")
    }

    fn soa(&self) -> RData {
        RData::SOA(SOA::new(self.server(), self.server(), 1, 3600, 600, 86_400, 1))
    }
}

fn reply(question: &Message) -> Message {
    let mut answer = question.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.authoritative = true;
    answer.metadata.recursion_available = true;
    answer
}

fn nothing(question: &Message) -> Message {
    let mut answer = reply(question);
    answer.metadata.response_code = ResponseCode::NXDomain;
    answer
}

fn absolute(name: &str) -> Name {
    Name::from_ascii(format!("{name}.")).expect("tests give valid names")
}
