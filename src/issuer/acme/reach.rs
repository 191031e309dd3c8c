//! Where a CA's answers may send us: to the directory's own host, or to another host that is not on this machine or link.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// As many other hosts as one CA may name.
const MOST_HOSTS: usize = 16;

/// What may be asked for the sake of one directory. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    host: String,
    plain: bool,
    local: bool,
    /// Hosts that the CA named beside its own: their addresses are looked at.
    others: Arc<Mutex<HashSet<String>>>,
}

impl Reach {
    /// What the directory at this URL may lead to; `None` where the URL has no host.
    pub(super) fn of(directory: &Url) -> Option<Self> {
        let host = directory.host_str()?.to_owned();
        let (plain, local) = (directory.scheme() == "http", is_local_host(&host));
        Some(Self { host, plain, local, others: Arc::default() })
    }

    /// Whether the URL may be asked, else why not.
    pub(super) fn permits(&self, url: &Url) -> Result<(), &'static str> {
        match url.scheme() {
            "https" => {}
            "http" if self.plain => {}
            _ => return Err("it is no https URL"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it carries credentials");
        }
        let host = url.host_str().ok_or("it has no host")?;
        if host == self.host || self.local && !is_link_local_host(host) {
            return Ok(());
        }
        if is_local_host(host) {
            return Err("it leads to this machine or link");
        }
        self.note(host)
    }

    fn note(&self, host: &str) -> Result<(), &'static str> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if others.len() >= MOST_HOSTS && !others.contains(host) {
            return Err("the CA names too many hosts");
        }
        others.insert(host.to_owned());
        Ok(())
    }

    /// The name is one of the CA's other hosts, rather than the directory's or a proxy's.
    fn is_other(&self, name: &str) -> bool {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let other = self.is_other(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fit: Vec<SocketAddr> = found.filter(|address| !other || !is_local(address.ip())).collect();
            if fit.is_empty() {
                return Err(format!("`{}` leads to this machine or link", name.as_str()).into());
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

/// Where cloud hosts keep their secrets: not even a CA on this machine leads there.
fn is_link_local_host(host: &str) -> bool {
    match bare(host).parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(four)) => four.is_link_local(),
        Ok(IpAddr::V6(six)) => six.is_unicast_link_local(),
        Err(_) => false,
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.')
}

fn is_local_host(host: &str) -> bool {
    let bare = bare(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => is_local(address),
        Err(_) => bare == "localhost" || bare.ends_with(".localhost"),
    }
}

/// Loopback, link-local, multicast, or no address at all; so, too, for IPv4 within IPv6.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(four) => four.is_loopback() || four.is_link_local() || four.is_multicast() || four.octets()[0] == 0,
        IpAddr::V6(six) => is_local_v6(six),
    }
}

fn is_local_v6(six: Ipv6Addr) -> bool {
    six.is_loopback() || six.is_unicast_link_local() || six.is_multicast() || six.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(directory: &str) -> Reach {
        Reach::of(&Url::parse(directory).unwrap()).unwrap()
    }

    fn permits(reach: &Reach, url: &str) -> bool {
        reach.permits(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_public_ca_leads_to_itself_and_to_other_public_hosts() {
        let reach = reach("https://ca.example/dir");
        assert!(permits(&reach, "https://ca.example/order/1"));
        assert!(permits(&reach, "https://ca.example:8443/order/1"));
        assert!(permits(&reach, "https://certificates.example/1"));
        for url in [
            "http://ca.example/order/1",
            "ftp://ca.example/order/1",
            "https://user@ca.example/",
            "https://localhost/",
            "https://a.localhost./",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:169.254.169.254]/",
            "https://0.0.0.0/",
        ] {
            assert!(!permits(&reach, url), "{url}");
        }
    }

    #[test]
    fn a_local_ca_leads_to_this_machine() {
        assert!(permits(&reach("https://127.0.0.1:14000/dir"), "https://localhost:15000/"));
        assert!(permits(&reach("http://localhost/dir"), "http://127.0.0.1/"));
        for url in ["http://169.254.169.254/", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/"] {
            assert!(!permits(&reach("http://localhost/dir"), url), "{url}");
        }
    }

    #[test]
    fn a_ca_names_no_endless_hosts() {
        let reach = reach("https://ca.example/dir");
        let permitted = (0..100).filter(|number| permits(&reach, &format!("https://h{number}.example/"))).count();
        assert_eq!(permitted, MOST_HOSTS);
    }

    #[tokio::test]
    async fn a_host_that_a_ca_names_is_not_this_machine_by_dns() {
        let reach = reach("https://ca.example/dir");
        let resolve = || reach.resolve("localhost".parse().unwrap());
        assert!(resolve().await.is_ok(), "a proxy may be here");
        reach.note("localhost").unwrap();
        assert!(resolve().await.is_err());
    }
}
