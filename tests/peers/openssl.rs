//! Reading and verifying certificates with the `openssl` program, which shares no code with the product.

use std::net::SocketAddr;
use std::process::Command;

use super::folder::Folder;
use super::programs;

/// Checks that the leaf chains to the root through the certificates of `chain_pem`, as a TLS client would.
///
/// All three are PEM; of `leaf_pem` the first certificate counts, `chain_pem` may be empty. The error is what `openssl`
/// says.
pub fn verify(root_pem: &str, chain_pem: &str, leaf_pem: &str) -> Result<(), String> {
    let folder = Folder::new("openssl");
    let mut openssl = openssl("verify");
    openssl.args(["-no-CApath", "-no-CAstore", "-x509_strict", "-purpose", "sslserver"]);
    openssl.arg("-CAfile").arg(folder.write("root.pem", root_pem));
    if chain_pem.contains("BEGIN CERTIFICATE") {
        openssl.arg("-untrusted").arg(folder.write("chain.pem", chain_pem));
    }
    let output = programs::run(openssl.arg(folder.write("leaf.pem", leaf_pem)), "");
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))),
    }
}

/// HMAC-SHA256 of a text, in hex.
pub fn hmac_sha256(secret: &str, text: &str) -> String {
    let printed = programs::must(openssl("dgst").args(["-sha256", "-hmac", secret]), text);
    printed.trim().rsplit(' ').next().unwrap_or_default().to_owned()
}

/// The public key of a certificate, PEM.
pub fn public_key_of_cert(certificate_pem: &str) -> String {
    programs::must(openssl("x509").args(["-noout", "-pubkey"]), certificate_pem)
}

/// The public key that belongs to a private key, PEM.
pub fn public_key_of_key(key_pem: &str) -> String {
    programs::must(openssl("pkey").arg("-pubout"), key_pem)
}

/// The serial of a certificate, lower-case hex.
pub fn serial(certificate_pem: &str) -> String {
    let printed = programs::must(openssl("x509").args(["-noout", "-serial"]), certificate_pem);
    printed.trim().trim_start_matches("serial=").to_ascii_lowercase()
}

/// The DNS names and addresses of a certificate, sorted.
pub fn names(certificate_pem: &str) -> Vec<String> {
    let printed = programs::must(openssl("x509").args(["-noout", "-ext", "subjectAltName"]), certificate_pem);
    let entries = printed.lines().skip(1).flat_map(|line| line.split(','));
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.trim().split_once(':').map(|(_, name)| name.to_owned())).collect();
    names.sort();
    names
}

/// The certificate that a server shows to a client who asks for this name, PEM.
///
/// `starttls` is the protocol to speak first: `smtp`, `imap`, `postgres`. The error is what `openssl` says.
pub fn served_certificate(address: SocketAddr, server_name: &str, starttls: Option<&str>) -> Result<String, String> {
    let chain = served_chain(address, server_name, starttls)?;
    Ok(chain.into_iter().next().expect("a served chain is not empty"))
}

/// All certificates that a server shows, the leaf first, PEM each.
pub fn served_chain(address: SocketAddr, server_name: &str, starttls: Option<&str>) -> Result<Vec<String>, String> {
    let mut client = openssl("s_client");
    client.args(["-connect", &address.to_string(), "-servername", server_name, "-showcerts"]);
    if let Some(protocol) = starttls {
        client.args(["-starttls", protocol]);
    }
    let output = programs::run(&mut client, "");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let chain = certificates(&printed);
    match chain.is_empty() {
        true => Err(format!("{printed}{}", String::from_utf8_lossy(&output.stderr))),
        false => Ok(chain),
    }
}

/// The certificates that stand in a text, PEM each.
pub fn certificates(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let bodies = text.split(BEGIN).skip(1).filter_map(|rest| rest.split_once(END));
    let mut found: Vec<String> = Vec::new();
    for (body, _) in bodies {
        let pem = format!("{BEGIN}{body}{END}\n");
        // `s_client` prints the leaf a second time.
        if !found.contains(&pem) {
            found.push(pem);
        }
    }
    found
}

fn openssl(command: &str) -> Command {
    let mut openssl = Command::new(programs::find("openssl"));
    openssl.arg(command);
    openssl
}
