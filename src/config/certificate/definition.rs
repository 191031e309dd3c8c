//! Whether two certificates of the config are one and the same.

use std::fmt::Write;

use aws_lc_rs::digest;

use super::{Certificate, Profile, StartTls};

impl Certificate {
    /// SHA-256, in hex, of what the config wants done for the certificate. The same for the same definition in every
    /// run and every version; the order of names and stores does not matter, nor does `attempts_left`, which is only
    /// looked at.
    #[must_use]
    pub fn definition(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, self.canonical().as_bytes()))
    }

    /// One field a line, texts with their length, so that no two definitions read alike. A field that is added later
    /// is written only where it is not at its default: the hashes that are stored stay true.
    fn canonical(&self) -> String {
        let mut text = Canonical("renewd certificate 1\n".to_owned());
        text.sorted("name", self.names.iter().map(ToString::to_string));
        text.all("issuer", self.issuers.iter().map(String::as_str));
        text.all("dns", self.dns.iter().map(String::as_str));
        text.sorted("store", self.stores.iter().cloned());
        text.field("key", self.key.as_str());
        self.write_profile(&mut text);
        if let Some(chain) = &self.chain {
            text.field("chain", chain);
        }
        self.write_renew(&mut text);
        for (name, target) in &self.alias {
            text.field("alias", name);
            text.field("target", target.as_str());
        }
        self.write_deploy(&mut text);
        self.write_verify(&mut text);
        text.0
    }

    fn write_profile(&self, text: &mut Canonical) {
        match &self.profile {
            None => {}
            Some(Profile::Preferred(profile)) => text.field("profile", profile),
            Some(Profile::Required(profile)) => text.field("profile required", profile),
        }
    }

    fn write_renew(&self, text: &mut Canonical) {
        if let Some(before) = self.renew.before {
            text.field("before", &before.as_millis().to_string());
        }
        for window in &self.renew.windows {
            let days: String = window.days.iter().map(|day| if *day { 'x' } else { '-' }).collect();
            text.field("window", &format!("{days} {} {} {}", window.from, window.to, window.zone));
        }
    }

    fn write_deploy(&self, text: &mut Canonical) {
        for deploy in &self.deploy {
            text.field("deploy", if deploy.each { "each" } else { "once" });
            text.all("word", deploy.command.iter().map(String::as_str));
            text.field("timeout", &deploy.timeout.as_millis().to_string());
        }
    }

    fn write_verify(&self, text: &mut Canonical) {
        for verify in &self.verify {
            text.field("verify", &verify.address);
            if let Some(name) = &verify.server_name {
                text.field("server_name", name);
            }
            if let Some(protocol) = verify.starttls {
                text.field("starttls", protocol.as_str());
            }
        }
    }
}

impl StartTls {
    /// As the config writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Postgres => "postgres",
        }
    }
}

struct Canonical(String);

impl Canonical {
    fn field(&mut self, name: &str, value: &str) {
        // Writing to a `String` does not fail.
        let _ = writeln!(self.0, "{name} {}:{value}", value.len());
    }

    fn all<'v>(&mut self, name: &str, values: impl Iterator<Item = &'v str>) {
        values.for_each(|value| self.field(name, value));
    }

    fn sorted(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let mut values: Vec<String> = values.collect();
        values.sort();
        self.all(name, values.iter().map(String::as_str));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::{DeployCommand, KeyType, RenewPolicy, Verify, Window};
    use super::*;
    use crate::identifier::{DnsName, Identifier};

    fn certificate() -> Certificate {
        let name = |text: &str| Identifier::parse(text).unwrap();
        Certificate {
            names: vec![name("example.com"), name("*.example.com")],
            issuers: vec!["a".into(), "b".into()],
            dns: vec!["main".into()],
            stores: vec!["disk".into()],
            key: KeyType::EcdsaP256,
            profile: None,
            chain: None,
            renew: RenewPolicy {
                before: Some(Duration::from_secs(60)),
                windows: vec![Window { days: [true; 7], from: 0, to: 60, zone: "UTC".into() }],
            },
            attempts_left: 5,
            alias: BTreeMap::from([("example.com".into(), DnsName::parse("a.example.net").unwrap())]),
            deploy: vec![DeployCommand {
                command: vec!["a".into(), "b".into()],
                each: false,
                timeout: Duration::from_secs(60),
            }],
            verify: vec![Verify { address: "a:1".into(), server_name: None, starttls: Some(StartTls::Smtp) }],
        }
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(certificate().definition(), "dced97234eac090e0a247e837239b89f5529b54ff35d39543c229d83338c6245");
    }

    #[test]
    fn the_order_of_names_does_not_matter_and_that_of_issuers_does() {
        let mut other = certificate();
        other.names.reverse();
        assert_eq!(other.definition(), certificate().definition());
        other.issuers.reverse();
        assert_ne!(other.definition(), certificate().definition());
    }

    #[test]
    fn every_field_counts() {
        let changes: [fn(&mut Certificate); 15] = [
            |c| c.names.truncate(1),
            |c| c.issuers.truncate(1),
            |c| c.dns.clear(),
            |c| c.stores.clear(),
            |c| c.key = KeyType::Rsa2048,
            |c| c.profile = Some(Profile::Preferred("p".into())),
            |c| c.profile = Some(Profile::Required("p".into())),
            |c| c.chain = Some("p".into()),
            |c| c.renew.before = None,
            |c| c.renew.windows[0].days[0] = false,
            |c| c.alias.clear(),
            |c| c.deploy[0].command = vec!["a b".into()],
            |c| c.deploy[0].each = true,
            |c| c.verify[0].starttls = None,
            |c| c.verify[0].server_name = Some("a".into()),
        ];
        let mut hashes = std::collections::BTreeSet::from([certificate().definition()]);
        for change in changes {
            let mut other = certificate();
            change(&mut other);
            assert!(hashes.insert(other.definition()), "{other:?}");
        }
    }
}
