//! What is issued below CAs from elsewhere, and what is not, is what openssl believes and does not.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::ca::tests::{key, now, open, request, state};
use crate::ca::{Authority, CaError, LeafRequest, LeafSubject};
use crate::config::KeyType;
use crate::config::ca::{NameConstraints, NamePattern};
use crate::pki::chain::Chain;
use crate::pki::key::PrivateKey;
use crate::pki::testing::openssl;

/// A root that openssl has made with these extensions, beside those of a CA, in a folder of its own.
struct Elsewhere {
    folder: TempDir,
}

impl Elsewhere {
    fn new(extensions: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let made = Self { folder };
        let config = made.write(
            "openssl.cnf",
            &format!(
                "[req]\ndistinguished_name = dn\nx509_extensions = ca\nprompt = no\n[dn]\nO = Old Corp\nCN = Old Root\n\
                 [base]\nO = Old Corp\n[secret]\nO = Secret\n[ca]\nbasicConstraints = critical,CA:TRUE\n\
                 keyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n{extensions}\n"
            ),
        );
        let (root, key) = (made.file("root.pem"), made.file("root.key"));
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "300"];
        openssl(&[&new[..], &["-config", word(&config), "-keyout", word(&key), "-out", word(&root)]].concat(), b"");
        made
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        path
    }

    /// A CA that has taken it over.
    async fn imported(&self, directory: &TempDir) -> Result<Authority, CaError> {
        let authority = open(&state(directory).await, KeyType::EcdsaP256).await;
        let key = std::fs::read_to_string(self.file("root.key")).unwrap();
        let root = std::fs::read_to_string(self.file("root.pem")).unwrap();
        let der = Chain::from_pem(&root).unwrap().ders()[0].clone();
        authority.import(&PrivateKey::from_pem(&key).unwrap(), &[der], now()).await?;
        Ok(authority)
    }

    /// Whether openssl believes what it signs itself for this subject (`/O=…`), with these extensions.
    fn believes(&self, subject: &str, extensions: &str, purpose: &str) -> bool {
        let (csr, key, leaf) = (self.file("leaf.csr"), self.file("leaf.key"), self.file("leaf.pem"));
        let new = ["req", "-new", "-utf8", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
        openssl(&[&new[..], &["-subj", subject, "-keyout", word(&key), "-out", word(&csr)]].concat(), b"");
        let extensions = self.write("leaf.ext", extensions);
        let (root, root_key) = (self.file("root.pem"), self.file("root.key"));
        let by = ["-CA", word(&root), "-CAkey", word(&root_key), "-days", "20", "-extfile", word(&extensions)];
        openssl(&[&["x509", "-req", "-in", word(&csr), "-out", word(&leaf)][..], &by].concat(), b"");
        self.verifies(&leaf, purpose)
    }

    fn verifies(&self, leaf: &Path, purpose: &str) -> bool {
        let root = self.file("root.pem");
        let words = ["verify", "-purpose", purpose, "-CAfile", word(&root), word(leaf)];
        Command::new("openssl").args(words).output().unwrap().status.success()
    }
}

fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Called so, by organisation and country.
fn person(order: &str, country: Option<&str>, organization: Option<&str>) -> LeafRequest {
    let subject = LeafSubject {
        organization: organization.map(str::to_owned),
        country: country.map(str::to_owned),
        ..LeafSubject::named("ann")
    };
    LeafRequest { profile: "client".to_owned(), subject, ..request(order, &[], &key().spki_der()) }
}

const CLIENT: &str = "extendedKeyUsage=clientAuth\n";
const SERVER: &str = "extendedKeyUsage=serverAuth\nsubjectAltName=DNS:a.example\n";

async fn agree(extensions: &str, cases: &[(Option<&str>, Option<&str>, bool)]) {
    let (elsewhere, directory) = (Elsewhere::new(extensions), TempDir::new().unwrap());
    let authority = elsewhere.imported(&directory).await.unwrap();
    for (index, (country, organization, good)) in cases.iter().enumerate() {
        let part = |key: &str, value: &Option<&str>| value.map(|text| format!("/{key}={text}")).unwrap_or_default();
        let subject = format!("{}{}/CN=ann", part("C", country), part("O", organization));
        assert_eq!(elsewhere.believes(&subject, CLIENT, "sslclient"), *good, "openssl: {subject}");
        let issued = authority.issue(&person(&index.to_string(), *country, *organization), now()).await;
        assert_eq!(issued.is_ok(), *good, "{subject}: {issued:?}");
        if let Ok(chain) = issued {
            let leaf = elsewhere.write("ours.pem", &chain.certificate_pem());
            assert!(elsewhere.verifies(&leaf, "sslclient"), "{subject}");
        }
    }
}

#[tokio::test]
async fn subjects_that_are_permitted_alone_are_certified() {
    let cases = [
        (None, Some("Old Corp"), true),
        (None, Some("OLD  corp"), true),
        (None, Some("Old Corpus"), false),
        (None, None, false),
        (Some("DE"), Some("Old Corp"), false),
    ];
    agree("nameConstraints = critical,@nc\n[nc]\npermitted;dirName.0 = base\n", &cases).await;
}

#[tokio::test]
async fn subjects_that_are_excluded_are_not_certified() {
    let cases = [(None, Some("Old Corp"), true), (None, Some("secret"), false), (None, None, true)];
    agree("nameConstraints = critical,@nc\n[nc]\nexcluded;dirName.0 = secret\n", &cases).await;
}

#[tokio::test]
async fn a_refusal_says_what_subjects_begin_with() {
    let constrained = "nameConstraints = critical,@nc\n[nc]\npermitted;dirName.0 = base\n";
    let (elsewhere, directory) = (Elsewhere::new(constrained), TempDir::new().unwrap());
    let authority = elsewhere.imported(&directory).await.unwrap();
    let refused = authority.issue(&person("1", None, None), now()).await.unwrap_err();
    assert!(refused.is_refusal());
    let words = refused.to_string();
    assert!(words.contains("`CN=ann`") && words.contains("subjects that begin with O=Old Corp"), "{words}");
    // What the CA makes for its own work is called so that verifiers believe it.
    let newest = authority.newest().unwrap();
    let own = super::own_subject(&newest.constraints, &LeafSubject::named("OCSP").to_der().unwrap());
    assert_eq!(super::subject_words(&own), "O=Old Corp, CN=OCSP");
}

#[tokio::test]
async fn constraints_that_nobody_can_hold_are_refused_at_import() {
    // permitted: dNSName `a`, with a maximum of 3
    let odd = "nameConstraints = critical,DER:30:0a:a0:08:30:06:82:01:61:81:01:03\n";
    let (elsewhere, directory) = (Elsewhere::new(odd), TempDir::new().unwrap());
    let extensions = "subjectAltName=DNS:a\nextendedKeyUsage=serverAuth\n";
    assert!(!elsewhere.believes("/O=Old Corp/CN=a", extensions, "sslserver"));
    let refused = providers::error::chain(&elsewhere.imported(&directory).await.unwrap_err());
    assert!(refused.contains("below `Old Root`: its name constraints cannot be read"), "{refused}");
}

#[tokio::test]
async fn leaves_are_for_what_the_ca_is_for() {
    let (elsewhere, directory) = (Elsewhere::new(CLIENT), TempDir::new().unwrap());
    let authority = elsewhere.imported(&directory).await.unwrap();
    assert!(elsewhere.believes("/CN=ann", CLIENT, "sslclient"));
    assert!(!elsewhere.believes("/CN=a.example", SERVER, "sslserver"));
    let issued = authority.issue(&person("1", None, None), now()).await.unwrap();
    assert!(elsewhere.verifies(&elsewhere.write("ours.pem", &issued.certificate_pem()), "sslclient"));
    let refused = authority.issue(&request("2", &["a.example"], &key().spki_der()), now()).await.unwrap_err();
    let words = refused.to_string();
    assert!(refused.is_refusal() && words.contains("the profile `server` is for serverAuth"), "{words}");
    assert!(words.contains("`Old Root` allows its leaves [\"clientAuth\"] alone"), "{words}");
}

#[tokio::test]
async fn leaves_are_for_what_the_ca_above_is_for() {
    let (elsewhere, directory) = (Elsewhere::new(CLIENT), TempDir::new().unwrap());
    let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
    elsewhere.believes("/CN=Old Issuing", extensions, "any");
    let read = |name: &str| std::fs::read_to_string(elsewhere.file(name)).unwrap();
    let ders = ["leaf.pem", "root.pem"].map(|name| Chain::from_pem(&read(name)).unwrap().ders()[0].clone());
    let authority = open(&state(&directory).await, KeyType::EcdsaP256).await;
    authority.import(&PrivateKey::from_pem(&read("leaf.key")).unwrap(), &ders, now()).await.unwrap();
    authority.issue(&person("1", None, None), now()).await.unwrap();
    let refused = authority.issue(&request("2", &["a.example"], &key().spki_der()), now()).await.unwrap_err();
    assert!(refused.to_string().contains("`Old Root` allows its leaves [\"clientAuth\"] alone"), "{refused}");
}

#[tokio::test]
async fn the_config_s_constraints_count_below_certificates_from_elsewhere() {
    let (elsewhere, directory) = (Elsewhere::new(""), TempDir::new().unwrap());
    let authority = elsewhere.imported(&directory).await.unwrap();
    let permitted = vec![NamePattern::Dns("example.internal".to_owned())];
    let name_constraints = NameConstraints { permitted, excluded: Vec::new() };
    let config = crate::config::Ca { name_constraints, ..authority.config().unwrap() };
    authority.set_terms(crate::ca::Terms { config: Some(config), public_url: None });
    authority.issue(&request("1", &["a.example.internal"], &key().spki_der()), now()).await.unwrap();
    let refused = authority.issue(&request("2", &["a.example"], &key().spki_der()), now()).await.unwrap_err();
    assert!(refused.to_string().contains("permitted: example.internal"), "{refused}");
}

#[tokio::test]
async fn addresses_are_certified_where_only_some_dns_names_are_permitted() {
    let permitted = "permitted;DNS:example.internal,permitted;IP:10.0.0.0/255.0.0.0";
    let elsewhere = Elsewhere::new(&format!("nameConstraints = critical,{permitted}\n"));
    let server = "extendedKeyUsage=serverAuth\nsubjectAltName=critical,IP:10.1.2.3\n";
    assert!(!elsewhere.believes("/CN=10.1.2.3", server, "sslserver"), "it takes the common name for a DNS name");
    assert!(elsewhere.believes("/", server, "sslserver"));
    let directory = TempDir::new().unwrap();
    let authority = elsewhere.imported(&directory).await.unwrap();
    for (order, names) in [("1", &["10.1.2.3"][..]), ("2", &["10.1.2.3", "a.example.internal"])] {
        let issued = authority.issue(&request(order, names, &key().spki_der()), now()).await.unwrap();
        assert!(elsewhere.verifies(&elsewhere.write("ours.pem", &issued.certificate_pem()), "sslserver"), "{names:?}");
    }
    for called in ["10.1.2.3", "version.1.2", "10.9"] {
        assert!(!elsewhere.believes(&format!("/CN={called}"), CLIENT, "sslclient"), "{called}");
        let asked = LeafRequest { subject: LeafSubject::named(called), ..person(called, None, None) };
        let refused = authority.issue(&asked, now()).await.unwrap_err();
        assert!(refused.is_refusal(), "{called}: {refused}");
    }
    // The config's constraints, which do not stand in the certificate, keep no address out either.
    let elsewhere = Elsewhere::new("");
    let directory = TempDir::new().unwrap();
    let authority = elsewhere.imported(&directory).await.unwrap();
    let permitted = vec![NamePattern::Dns("example.internal".to_owned())];
    let name_constraints = NameConstraints { permitted, excluded: Vec::new() };
    let config = crate::config::Ca { name_constraints, ..authority.config().unwrap() };
    authority.set_terms(crate::ca::Terms { config: Some(config), public_url: None });
    authority.issue(&request("1", &["10.1.2.3"], &key().spki_der()), now()).await.unwrap();
}
