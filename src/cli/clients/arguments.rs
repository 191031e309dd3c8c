//! The grammar of `renewd client …` and its help.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::super::client::segment;
use crate::ca::client::Part;
use crate::ca::revoke::Reason;
use crate::pki::key::KeyType;
use crate::state::client::list::{ClientFilter, ClientStatus};

/// What to do with client certificates.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClientCommand {
    /// Issue a certificate to a new client, with a key that is made here
    ///
    /// With --id the command can be repeated: the same certificate is answered.
    #[command(after_help = "\
Examples:
  renewd client issue --ca internal --cn Ann --email ann@example.com --out certs
  renewd client issue --ca internal --cn gateway-7 --usage vpn --days 30 --auto-renew
  renewd client issue --ca internal --cn Ann --out certs --pfx-password-file password")]
    Issue {
        /// The common name: who it is
        #[arg(long = "cn", value_name = "NAME")]
        common_name: String,
        /// The kind of key
        #[arg(long, value_name = "KEY", value_parser = key_types())]
        key: Option<String>,
        /// What else there is to say
        #[command(flatten)]
        asked: Asked,
        /// Write a PKCS#12 file, too, under the password in this file
        #[arg(long, value_name = "FILE", requires = "out")]
        pfx_password_file: Option<PathBuf>,
    },

    /// Issue a certificate for somebody's own request (PKCS#10)
    ///
    /// The request's signature is checked. A name, purpose or extension in it that the CA's profile has no room for is
    /// refused.
    #[command(after_help = "\
Examples:
  renewd client sign --ca internal --csr ann.csr --out certs
  renewd client sign --ca internal --csr ann.csr --cn Ann --usage vpn")]
    Sign {
        /// The request
        #[arg(long, value_name = "FILE")]
        csr: PathBuf,
        /// The common name, in place of the request's
        #[arg(long = "cn", value_name = "NAME")]
        common_name: Option<String>,
        /// What else there is to say
        #[command(flatten)]
        asked: Asked,
    },

    /// List clients, a page at a time
    #[command(after_help = "\
Examples:
  renewd client list
  renewd client list --ca internal --status expiring
  renewd client list --search ann --limit 20 --json")]
    List(Listing),

    /// Show one client and all of its certificates
    #[command(after_help = "\
Examples:
  renewd client show ann
  renewd client show 0a1b2c3d4e5f60718293a4b5c6d7e8f9")]
    Show(Named),

    /// Write a part of a client's certificate into a file that only its owner may read
    #[command(after_help = "\
Examples:
  renewd client download ann --part fullchain --out ann.pem
  renewd client download ann --part pfx --password-file password --out ann.pfx")]
    Download {
        /// Which client
        #[command(flatten)]
        named: Named,
        /// What of it
        #[arg(long)]
        part: Part,
        /// The password of a PKCS#12 file is in this file
        #[arg(long, value_name = "FILE", required_if_eq("part", "pfx"))]
        password_file: Option<PathBuf>,
        /// Where to
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },

    /// Issue the next certificate of a client, with a new key
    ///
    /// A client whose key was made elsewhere gets that key certified again, or another with --csr. The certificate before
    /// it stays in force until it ends, unless told otherwise.
    #[command(after_help = "\
Examples:
  renewd client renew ann
  renewd client renew ann --revoke-old
  renewd client renew ann --csr new.csr")]
    Renew {
        /// Which client
        #[command(flatten)]
        named: Named,
        /// Another request
        #[arg(long, value_name = "FILE")]
        csr: Option<PathBuf>,
        /// Revoke those before it, as superseded
        #[arg(long)]
        revoke_old: bool,
    },

    /// Revoke all certificates of a client that are in force, or one of them
    ///
    /// A revocation is final: a client whose current certificate is revoked gets no other. Given a serial in place of a
    /// client, that certificate alone is revoked.
    #[command(after_help = "\
Examples:
  renewd client revoke ann --reason keyCompromise
  renewd client revoke ann --reason superseded --serial 0a1b2c3d4e5f60718293a4b5c6d7e8f9")]
    Revoke {
        /// Which client
        #[command(flatten)]
        named: Named,
        /// Why
        #[arg(long, value_name = "REASON", ignore_case = true, value_parser = reasons())]
        reason: String,
        /// This one alone
        #[arg(long, value_name = "SERIAL")]
        serial: Option<String>,
    },

    /// Revoke the certificates of a client for the time being
    #[command(after_help = "\
Example:
  renewd client hold ann")]
    Hold {
        /// Which client
        #[command(flatten)]
        named: Named,
        /// This one alone
        #[arg(long, value_name = "SERIAL")]
        serial: Option<String>,
    },

    /// End a hold
    #[command(after_help = "\
Example:
  renewd client release ann")]
    Release {
        /// Which client
        #[command(flatten)]
        named: Named,
        /// This one alone
        #[arg(long, value_name = "SERIAL")]
        serial: Option<String>,
    },

    /// Have a client renewed without being asked, when a third of its life is left
    #[command(after_help = "\
Examples:
  renewd client auto-renew ann
  renewd client auto-renew ann --off")]
    AutoRenew {
        /// Which client
        #[command(flatten)]
        named: Named,
        /// No longer
        #[arg(long)]
        off: bool,
    },

    /// Count clients by CA, usage and status
    #[command(after_help = "\
Example:
  renewd client stats")]
    Stats {
        /// Of this tenant only
        #[arg(long)]
        tenant: Option<String>,
    },

    /// Issue certificates to the clients in a CSV file
    ///
    /// The first line names the columns: common_name, and any of id, email, organization, organizational_unit, country,
    /// usage, tenant, days, key, names, auto_renew, notes, profile, ca. Each bad row is told with what to write, and the
    /// good ones are issued. With a column `id` the command can be repeated, after a crash too: nothing is issued twice.
    /// What came of each row is written to `results.csv`.
    #[command(after_help = "\
Examples:
  renewd client batch people.csv --ca internal --out certs --dry-run
  renewd client batch people.csv --ca internal --out certs")]
    Batch(Batch),
}

/// Which client.
#[derive(Debug, Args)]
pub(in crate::cli) struct Named {
    /// Its id, identifier, common name, or the serial of one of its certificates
    #[arg(value_name = "CLIENT")]
    pub(super) name: String,
    /// Of this tenant only
    #[arg(long)]
    pub(super) tenant: Option<String>,
}

/// What a certificate is asked for with.
#[derive(Debug, Args)]
pub(in crate::cli) struct Asked {
    /// The CA's name in the config [default: the only one]
    #[arg(long, value_name = "CA")]
    pub(super) ca: Option<String>,
    /// What the client is called [default: made of the common name]
    #[arg(long)]
    pub(super) id: Option<String>,
    /// Its mail address
    #[arg(long)]
    pub(super) email: Option<String>,
    /// Its organization
    #[arg(long, value_name = "NAME")]
    pub(super) org: Option<String>,
    /// Its organizational unit
    #[arg(long, value_name = "NAME")]
    pub(super) ou: Option<String>,
    /// Its country, two capital letters
    #[arg(long, value_name = "CC")]
    pub(super) country: Option<String>,
    /// A further name: DNS name, address, mail address or URI; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// What it is used for [default: api-mtls]
    #[arg(long, value_name = "LABEL")]
    pub(super) usage: Option<String>,
    /// The CA's profile [default: client]
    #[arg(long)]
    pub(super) profile: Option<String>,
    /// Whose it is
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// How long it lives [default: as the profile says]
    #[arg(long, value_name = "N")]
    pub(super) days: Option<u32>,
    /// Renew it without being asked
    #[arg(long)]
    pub(super) auto_renew: bool,
    /// A remark
    #[arg(long, value_name = "TEXT")]
    pub(super) notes: Option<String>,
    /// Write key and certificates into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

impl Asked {
    /// As the daemon wants it.
    pub(super) fn request(&self, common_name: Option<&str>, key: Option<&str>, csr: Option<&str>) -> Value {
        json!({
            "ca": self.ca.as_deref().unwrap_or_default(),
            "id": self.id,
            "common_name": common_name.unwrap_or_default(),
            "email": self.email,
            "organization": self.org,
            "organizational_unit": self.ou,
            "country": self.country,
            "names": self.names,
            "usage": self.usage,
            "profile": self.profile,
            "tenant": self.tenant,
            "days": self.days,
            "key": key,
            "csr": csr,
            "auto_renew": self.auto_renew,
            "notes": self.notes,
        })
    }
}

/// Which clients to list.
#[derive(Debug, Args)]
pub(in crate::cli) struct Listing {
    /// Of this CA
    #[arg(long)]
    ca: Option<String>,
    /// With this use
    #[arg(long, value_name = "LABEL")]
    usage: Option<String>,
    /// That stand so
    #[arg(long, value_parser = statuses())]
    status: Option<String>,
    /// In whose identifier, common name or mail address this is found
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Of this tenant
    #[arg(long)]
    tenant: Option<String>,
    /// Behind this place, which the page before tells
    #[arg(long, value_name = "PLACE")]
    pub(super) after: Option<String>,
    /// So many at the most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) limit: u32,
}

impl Listing {
    /// The same for whoever looks into the state.
    pub(super) fn filter(&self) -> ClientFilter<'_> {
        ClientFilter {
            tenant: self.tenant.as_deref(),
            ca: self.ca.as_deref(),
            label: self.usage.as_deref(),
            status: self.status.as_deref().and_then(ClientStatus::parse),
            search: self.search.as_deref(),
        }
    }

    /// All but the place, as the daemon wants it.
    pub(super) fn query(&self) -> String {
        let wishes = [
            ("ca", &self.ca),
            ("usage", &self.usage),
            ("status", &self.status),
            ("search", &self.search),
            ("tenant", &self.tenant),
        ];
        let wishes = wishes.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let wishes = wishes.map(|(name, value)| format!("{name}={}&", segment(value)));
        wishes.chain([format!("limit={}", self.limit)]).collect()
    }
}

/// A table of clients.
#[derive(Debug, Args)]
pub(in crate::cli) struct Batch {
    /// The CSV file
    pub(super) file: PathBuf,
    /// The CA's name in the config, for rows that name none [default: the only one]
    #[arg(long, value_name = "CA")]
    pub(super) ca: Option<String>,
    /// Write keys, certificates and `results.csv` into this directory
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// The kind of key, for rows that name none
    #[arg(long, value_name = "KEY", value_parser = key_types())]
    pub(super) key: Option<String>,
    /// Whose they are, where rows do not say
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// Issue nothing, and tell what would be
    #[arg(long)]
    pub(super) dry_run: bool,
}

impl ValueEnum for Part {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Crt => "The certificate",
            Self::Key => "The private key, PKCS#8 in PEM",
            Self::Csr => "The request",
            Self::Chain => "What is between the certificate and the root",
            Self::Fullchain => "The certificate and then the chain",
            Self::Pfx => "Key and chain as PKCS#12",
        };
        Some(PossibleValue::new(self.as_str()).help(help))
    }
}

fn key_types() -> PossibleValuesParser {
    PossibleValuesParser::new(KeyType::ALL.map(KeyType::as_str))
}

fn reasons() -> PossibleValuesParser {
    let reasons = Reason::ALL.into_iter().filter(|reason| reason.is_final());
    PossibleValuesParser::new(reasons.map(Reason::as_str))
}

fn statuses() -> PossibleValuesParser {
    PossibleValuesParser::new(ClientStatus::ALL.map(ClientStatus::as_str))
}
