//! The four calls of Cloudflare's API that this provider makes, and the answers to them.
//!
//! The `cloudflare` crate's own types for these fail on zones with CAA records, on pending zones and on error codes
//! above 65535. So each call asks for the raw body, and only what is needed of it is read here.

use cloudflare::framework::endpoint::spec::EndpointSpec;
use cloudflare::framework::endpoint::{RequestBody, serialize_query};
use http::Method;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// A call whose raw body holds `Answer` in Cloudflare's envelope.
pub(super) trait Call: Send + Sync {
    /// What stands under `result`.
    type Answer: DeserializeOwned + Send;

    fn method(&self) -> Method;

    /// Below the API's root.
    fn path(&self) -> String;

    fn query(&self) -> Option<String> {
        None
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        None
    }
}

/// A call as the `cloudflare` crate makes it, which hands its answer over unread.
#[derive(Debug)]
pub(super) struct Raw<C>(pub(super) C);

impl<C: Call> EndpointSpec for Raw<C> {
    const IS_RAW_BODY: bool = true;
    type JsonResponse = ();
    type ResponseType = Vec<u8>;

    fn method(&self) -> Method {
        self.0.method()
    }

    fn path(&self) -> String {
        self.0.path()
    }

    fn query(&self) -> Option<String> {
        self.0.query()
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        self.0.body()
    }
}

/// What Cloudflare wraps around every answer.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) success: bool,
    pub(super) result: Option<T>,
    pub(super) result_info: Option<Paging>,
    pub(super) errors: Option<Vec<Complaint>>,
}

/// Where in a list a page stands.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Paging {
    total_pages: Option<u32>,
    total_count: Option<u32>,
    per_page: Option<u32>,
}

impl Paging {
    /// How many pages the list has.
    pub(super) fn pages(&self) -> u32 {
        let counted = || Some(self.total_count?.div_ceil(self.per_page?.max(1)));
        self.total_pages.or_else(counted).unwrap_or(1)
    }
}

/// One error as Cloudflare tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Complaint {
    pub(super) code: i64,
    #[serde(default)]
    pub(super) message: String,
}

/// One page of the zones of a name.
#[derive(Debug)]
pub(super) struct FindZones<'a> {
    pub(super) name: &'a str,
    pub(super) page: u32,
}

/// A zone, as far as it matters here: pending zones have no more than this in common with active ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Zone {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: Option<String>,
}

impl Call for FindZones<'_> {
    type Answer = Vec<Zone>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        "zones".to_owned()
    }

    fn query(&self) -> Option<String> {
        // 50 is the most that Cloudflare gives of zones.
        serialize_query(&[("name", self.name), ("page", &self.page.to_string()), ("per_page", "50")])
    }
}

/// One page of the TXT records at a name.
#[derive(Debug)]
pub(super) struct ListTxt<'a> {
    pub(super) zone_id: &'a str,
    pub(super) name: &'a str,
    pub(super) page: u32,
}

/// A record, as far as TXT needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// In quotes, or without: older records keep what was typed.
    #[serde(default)]
    pub(super) content: String,
}

impl Call for ListTxt<'_> {
    type Answer = Vec<Record>;

    fn method(&self) -> Method {
        Method::GET
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records", self.zone_id)
    }

    fn query(&self) -> Option<String> {
        let page = self.page.to_string();
        serialize_query(&[("type", "TXT"), ("name", self.name), ("page", &page), ("per_page", "100")])
    }
}

/// Adds a TXT record beside those at the name.
#[derive(Debug)]
pub(super) struct CreateTxt<'a> {
    pub(super) zone_id: &'a str,
    pub(super) record: NewRecord<'a>,
}

/// The body of [`CreateTxt`].
#[derive(Debug, Serialize)]
pub(super) struct NewRecord<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    /// In quotes.
    pub(super) content: String,
    /// Seconds, 60–86400.
    pub(super) ttl: u32,
}

impl Call for CreateTxt<'_> {
    type Answer = IgnoredAny;

    fn method(&self) -> Method {
        Method::POST
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records", self.zone_id)
    }

    fn body(&self) -> Option<RequestBody<'_>> {
        serde_json::to_string(&self.record).ok().map(RequestBody::Json)
    }
}

/// Deletes one record.
#[derive(Debug)]
pub(super) struct DeleteRecord<'a> {
    pub(super) zone_id: &'a str,
    pub(super) id: &'a str,
}

impl Call for DeleteRecord<'_> {
    type Answer = IgnoredAny;

    fn method(&self) -> Method {
        Method::DELETE
    }

    fn path(&self) -> String {
        format!("zones/{}/dns_records/{}", self.zone_id, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_any_type_is_read() {
        let caa =
            r#"{"id":"1","name":"a.test","type":"CAA","data":{"flags":0,"tag":"issue","value":"ca.test"},"meta":{}}"#;
        let record: Record = serde_json::from_str(caa).unwrap();
        assert_eq!((record.kind.as_str(), record.content.as_str()), ("CAA", ""));
    }

    #[test]
    fn a_pending_zone_is_read() {
        let zone = r#"{"id":"z","name":"a.test","status":"pending","activated_on":null,"original_registrar":null}"#;
        assert_eq!(serde_json::from_str::<Zone>(zone).unwrap().status.as_deref(), Some("pending"));
    }

    #[test]
    fn pages_are_told_or_counted() {
        let pages = |json: &str| serde_json::from_str::<Paging>(json).unwrap().pages();
        assert_eq!(pages(r#"{"page":1,"per_page":50,"total_count":101,"total_pages":3}"#), 3);
        assert_eq!(pages(r#"{"page":1,"per_page":50,"total_count":101}"#), 3);
        assert_eq!(pages(r#"{"page":1,"per_page":0,"total_count":2}"#), 2);
        assert_eq!(pages("{}"), 1);
    }

    #[test]
    fn an_answer_without_a_result_is_read() {
        let envelope: Envelope<IgnoredAny> =
            serde_json::from_str(r#"{"success":false,"errors":[{"code":81057,"message":"taken"}],"result":null}"#)
                .unwrap();
        assert_eq!(envelope.errors.unwrap(), [Complaint { code: 81057, message: "taken".to_owned() }]);
        assert!(!envelope.success && envelope.result.is_none());
    }
}
