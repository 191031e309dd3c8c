//! Where a leaf says that its status and its issuer are to be found, and where they are: one place for both.

/// What stands in a leaf's authority information access and CRL distribution point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafPointers {
    /// id-ad-ocsp.
    pub ocsp_url: String,
    /// id-ad-caIssuers.
    pub ca_issuers_url: String,
    /// The distribution point; the issuing distribution point of the CRL there is the same, octet by octet.
    pub crl_url: String,
}

impl LeafPointers {
    /// Those of a leaf of this generation, in this shard.
    #[must_use]
    pub fn new(public_url: &str, ca: &str, generation: u32, shard: u32) -> Self {
        Self {
            ocsp_url: ocsp_url(public_url, ca),
            ca_issuers_url: ca_issuers_url(public_url, ca, generation),
            crl_url: crl_url(public_url, ca, generation, shard),
        }
    }
}

/// Where the OCSP responder of a CA answers.
#[must_use]
pub fn ocsp_url(public_url: &str, ca: &str) -> String {
    format!("{}/ocsp/{ca}", trimmed(public_url))
}

/// Where the issuing certificate of a generation is, in DER.
#[must_use]
pub fn ca_issuers_url(public_url: &str, ca: &str, generation: u32) -> String {
    format!("{}/ca/{ca}/{generation}.crt", trimmed(public_url))
}

/// Where the CRL of a shard is: the leaves' distribution point, and the list's own issuing distribution point.
#[must_use]
pub fn crl_url(public_url: &str, ca: &str, generation: u32, shard: u32) -> String {
    format!("{}/crl/{ca}/{generation}/{shard}.crl", trimmed(public_url))
}

/// Where the delta CRL of a shard is.
#[must_use]
pub fn delta_crl_url(public_url: &str, ca: &str, generation: u32, shard: u32) -> String {
    format!("{}/crl/{ca}/{generation}/{shard}/delta.crl", trimmed(public_url))
}

fn trimmed(public_url: &str) -> &str {
    public_url.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_the_paths_that_are_served() {
        let pointers = LeafPointers::new("http://pki.example.com/", "internal", 2, 7);
        assert_eq!(pointers.ocsp_url, "http://pki.example.com/ocsp/internal");
        assert_eq!(pointers.ca_issuers_url, "http://pki.example.com/ca/internal/2.crt");
        assert_eq!(pointers.crl_url, "http://pki.example.com/crl/internal/2/7.crl");
        assert_eq!(delta_crl_url("http://a", "b", 1, 0), "http://a/crl/b/1/0/delta.crl");
    }
}
