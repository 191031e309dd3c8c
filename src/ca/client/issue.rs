//! Issuing: first everything is written down, then the CA signs, then it is noted what came of it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::leaf::Certified;
use super::request::{self, Wanted};
use super::{ClientError, Clients};
use crate::clock::Timestamp;
use crate::pki::key::{KeyType, PrivateKey};
use crate::state::client::certificate::{ClientKey, NewClientCertificate};
use crate::state::client::{ClientRow, ClientSubject, NewClient};

/// So often a name is looked for under which an identity is not known yet.
const TRIES: u32 = 8;

/// What came of a request.
#[derive(Debug, Clone)]
pub struct Given {
    /// The identity.
    pub client: ClientRow,
    /// It was there already, and nothing was issued.
    pub repeated: bool,
}

/// A request under way.
#[derive(Debug)]
struct Asked<'a> {
    wanted: &'a Wanted,
    identifier: String,
    key: Option<PrivateKey>,
}

impl Clients {
    /// Issues certificates to new identities, each by itself: the answers stand in the order of the requests. One that
    /// names its identity and was asked for before is answered with what was issued then.
    ///
    /// # Errors
    /// Where the database fails. What was written down by then is finished later.
    pub async fn issue(
        &self,
        wanted: &[Wanted],
        asker: &str,
        now: Timestamp,
    ) -> Result<Vec<Result<Given, ClientError>>, ClientError> {
        let mut answers = Vec::with_capacity(wanted.len());
        for one in wanted {
            answers.push(self.answer_at_once(one, now).await?);
        }
        let fresh: Vec<usize> = (0..wanted.len()).filter(|place| answers[*place].is_none()).collect();
        let asked: Vec<&Wanted> = fresh.iter().map(|place| &wanted[*place]).collect();
        for (place, given) in fresh.into_iter().zip(self.issue_new(&asked, asker, now).await?) {
            answers[place] = Some(given);
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// A refusal, or what was issued before; `None` where something is to be issued.
    async fn answer_at_once(
        &self,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Option<Result<Given, ClientError>>, ClientError> {
        let answer = match self.given_before(wanted, now).await {
            Ok(Some(given)) => Ok(given),
            Ok(None) => return Ok(None),
            Err(refused) => Err(refused),
        };
        match answer {
            Err(ClientError::State(error)) => Err(error.into()),
            answer => Ok(Some(answer)),
        }
    }

    /// Whether the CA would issue this, without issuing anything.
    ///
    /// # Errors
    /// Why it would not.
    pub async fn check(&self, wanted: &Wanted, now: Timestamp) -> Result<(), ClientError> {
        let certified = Certified {
            ca: &wanted.ca,
            profile: &wanted.profile,
            subject: &wanted.subject,
            names: &wanted.names,
            lifetime: wanted.lifetime,
        };
        match &wanted.csr {
            Some(csr) => self.try_out(&certified, ClientKey::Request(csr), now).await,
            None => self.try_out(&certified, ClientKey::Own(&self.sample(wanted.key).await?), now).await,
        }
    }

    /// A key of that kind that is used for nothing, made once.
    async fn sample(&self, kind: KeyType) -> Result<Arc<Zeroizing<Vec<u8>>>, ClientError> {
        let mut samples = self.samples.lock().await;
        if let Some(sample) = samples.get(&kind) {
            return Ok(Arc::clone(sample));
        }
        let made = make_keys(vec![Some(kind)]).await?.pop().flatten().ok_or(ClientError::Interrupted)?;
        let made = Arc::new(made.to_pkcs8_der());
        samples.insert(kind, Arc::clone(&made));
        Ok(made)
    }

    /// The identity that was made under that name before.
    ///
    /// # Errors
    /// `Taken` where it was made for somebody else, and where the database fails.
    pub async fn known(&self, wanted: &Wanted) -> Result<Option<ClientRow>, ClientError> {
        let Some(identifier) = &wanted.identifier else { return Ok(None) };
        let Some(client) = self.state.client_called(&wanted.tenant, identifier).await? else { return Ok(None) };
        match difference(&client, wanted) {
            Some(differs) => Err(ClientError::Taken { identifier: identifier.clone(), differs }),
            None => Ok(Some(client)),
        }
    }

    /// What was issued under that name before; what is not finished of it is finished.
    async fn given_before(&self, wanted: &Wanted, now: Timestamp) -> Result<Option<Given>, ClientError> {
        let Some(client) = self.known(wanted).await? else { return Ok(None) };
        if client.current.is_some() {
            return Ok(Some(Given { client, repeated: true }));
        }
        let open = self.state.client_certificates(&client.id).await?;
        let finished = self.finish(open, now).await?.pop().transpose()?;
        Ok(finished.map(|client| Given { client, repeated: true }))
    }

    async fn issue_new(
        &self,
        wanted: &[&Wanted],
        asker: &str,
        now: Timestamp,
    ) -> Result<Vec<Result<Given, ClientError>>, ClientError> {
        let keys = make_keys(wanted.iter().map(|one| one.csr.is_none().then_some(one.key)).collect()).await?;
        let asked = wanted.iter().zip(keys).map(|(wanted, key)| Asked { wanted, identifier: name_of(wanted), key });
        let written = self.write_down(asked.collect(), asker, now).await?;
        let mut rows = Vec::with_capacity(written.len());
        for id in written.iter().flatten() {
            rows.extend(self.state.client_certificate(id).await?);
        }
        let mut outcomes = self.finish(rows, now).await?.into_iter();
        let answers = wanted.iter().zip(written).map(|(wanted, id)| {
            let outcome = id.and_then(|_| outcomes.next()).unwrap_or_else(|| Err(taken(wanted)));
            outcome.map(|client| Given { client, repeated: false })
        });
        Ok(answers.collect())
    }

    /// The ids of the certificates that were written down; `None` where somebody else was quicker to take the name.
    async fn write_down(
        &self,
        mut asked: Vec<Asked<'_>>,
        asker: &str,
        now: Timestamp,
    ) -> Result<Vec<Option<String>>, ClientError> {
        let mut written = vec![None; asked.len()];
        for _ in 0..TRIES {
            let places: Vec<usize> = (0..asked.len()).filter(|place| written[*place].is_none()).collect();
            let keys: Vec<_> = asked.iter().map(|one| one.key.as_ref().map(PrivateKey::to_pkcs8_der)).collect();
            let new: Vec<_> =
                places.iter().map(|place| asked[*place].row(keys[*place].as_ref().map(|key| key.as_slice()))).collect();
            let ids = self.state.add_clients(&new, asker, now).await?;
            drop(new);
            for (place, id) in places.into_iter().zip(ids) {
                written[place] = id;
                asked[place].rename();
            }
            if written.iter().zip(&asked).all(|(id, one)| id.is_some() || one.wanted.identifier.is_some()) {
                break;
            }
        }
        Ok(written)
    }
}

impl Asked<'_> {
    fn row<'b>(&'b self, key: Option<&'b [u8]>) -> (NewClient<'b>, NewClientCertificate<'b>) {
        let wanted = self.wanted;
        let client = NewClient {
            tenant: &wanted.tenant,
            identifier: &self.identifier,
            ca: &wanted.ca,
            profile: &wanted.profile,
            subject: &wanted.subject,
            names: &wanted.names,
            label: &wanted.label,
            notes: &wanted.notes,
            key_type: if wanted.csr.is_some() { "" } else { wanted.key.as_str() },
            lifetime: wanted.lifetime,
            auto_renew: wanted.auto_renew,
        };
        let key = match (key, &wanted.csr) {
            (Some(key), _) => ClientKey::Own(key),
            (None, csr) => ClientKey::Request(csr.as_deref().unwrap_or_default()),
        };
        (client, NewClientCertificate { key, revoke_old: false })
    }

    /// Another name than before, where nobody asked for this one.
    fn rename(&mut self) {
        if self.wanted.identifier.is_none() {
            let word = uuid::Uuid::now_v7().simple().to_string();
            self.identifier = format!("{}-{}", name_of(self.wanted), &word[word.len() - 8..]);
        }
    }
}

/// What the identity is called first.
fn name_of(wanted: &Wanted) -> String {
    let common_name = || request::identifier_of(&wanted.subject.common_name);
    wanted.identifier.clone().unwrap_or_else(common_name)
}

/// In what an identity differs from what is asked for under its name; a remark and the time to live are no differences.
fn difference(client: &ClientRow, wanted: &Wanted) -> Option<&'static str> {
    let ClientSubject { common_name, email, organization, organizational_unit, country } = &wanted.subject;
    let differs = [
        (client.ca != wanted.ca, "CA"),
        (client.profile != wanted.profile, "profile"),
        (client.subject.common_name != *common_name, "common name"),
        (client.subject.email != *email, "email"),
        (client.subject.organization != *organization, "organization"),
        (client.subject.organizational_unit != *organizational_unit, "organizational unit"),
        (client.subject.country != *country, "country"),
        (client.label != wanted.label, "usage"),
        (client.names != wanted.names, "names"),
    ];
    differs.into_iter().find_map(|(differs, what)| differs.then_some(what))
}

fn taken(wanted: &Wanted) -> ClientError {
    ClientError::Taken { identifier: name_of(wanted), differs: "request" }
}

/// Keys of these kinds, off the threads that serve everybody: an RSA key takes seconds.
pub(super) async fn make_keys(kinds: Vec<Option<KeyType>>) -> Result<Vec<Option<PrivateKey>>, ClientError> {
    let make = move || kinds.into_iter().map(|kind| kind.map(PrivateKey::generate).transpose()).collect();
    let made: Result<Vec<_>, _> = tokio::task::spawn_blocking(make).await.map_err(|_| ClientError::Interrupted)?;
    Ok(made?)
}
