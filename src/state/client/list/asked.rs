//! A filter of identities in words of SQL.

use sqlx::Any;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;

use super::{ClientFilter, ClientStatus, WINDOW};
use crate::clock::Timestamp;
use crate::state::Result;
use crate::state::client::ClientRow;
use crate::state::row::{integer, text};

/// A value of a condition.
#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Number(i64),
}

/// Conditions joined by AND.
type Conditions = Vec<String>;

/// What a page is asked for with. The values of `lead` stand before those of `rest`.
#[derive(Debug)]
pub(super) struct Asked {
    /// What the index answers.
    lead: Conditions,
    /// What is held against each row that it yields.
    rest: Conditions,
    values: Vec<Value>,
    /// So many values belong to `lead`.
    leading: usize,
    /// In the order of their end, not of their making.
    by_end: bool,
}

impl Asked {
    pub(super) fn new(filter: &ClientFilter<'_>, after: &str, now: Timestamp) -> Self {
        let by_end = matches!(filter.status, Some(ClientStatus::Expired | ClientStatus::Expiring));
        let mut asked = Self { lead: Vec::new(), rest: Vec::new(), values: Vec::new(), leading: 0, by_end };
        let mut wanted = [("label", filter.label), ("tenant", filter.tenant), ("ca", filter.ca)].into_iter();
        match filter.status {
            Some(status) => asked.lead_by_status(status, now),
            None => {
                if let Some((column, value)) = wanted.by_ref().find_map(|(column, value)| Some((column, value?))) {
                    let condition = format!("{column} = {}", asked.text(value));
                    asked.lead.push(condition);
                }
            }
        }
        asked.begin_behind(after);
        asked.leading = asked.values.len();
        if let Some(status) = filter.status {
            asked.narrow_by_status(status, now);
        }
        for (column, value) in wanted.filter_map(|(column, value)| Some((column, value?))) {
            let condition = format!("{column} = {}", asked.text(value));
            asked.rest.push(condition);
        }
        if let Some(search) = filter.search {
            let pattern = asked.text(&format!("%{}%", escaped(&search.to_lowercase())));
            asked.rest.push(format!("sought LIKE {pattern} ESCAPE '!'"));
        }
        asked
    }

    fn lead_by_status(&mut self, status: ClientStatus, now: Timestamp) {
        let standing = match status {
            ClientStatus::Valid | ClientStatus::Expiring | ClientStatus::Expired => "active",
            other => other.as_str(),
        };
        self.lead.push(format!("standing = '{standing}'"));
        let end = match status {
            ClientStatus::Expiring => ">",
            ClientStatus::Expired => "<=",
            _ => return,
        };
        let condition = format!("not_after {end} {}", self.number(now.millis()));
        self.lead.push(condition);
    }

    fn narrow_by_status(&mut self, status: ClientStatus, now: Timestamp) {
        let due = match status {
            ClientStatus::Expiring => "<=",
            ClientStatus::Valid => ">",
            _ => return,
        };
        let condition = format!("renew_at {due} {}", self.number(now.millis()));
        self.rest.push(condition);
    }

    fn begin_behind(&mut self, after: &str) {
        let condition = if self.by_end {
            let (end, id) = after.split_once('.').unwrap_or(("", ""));
            format!("(not_after, id) > ({}, {})", self.number(end.parse().unwrap_or(i64::MIN)), self.text(id))
        } else {
            format!("id > {}", self.text(after))
        };
        self.lead.push(condition);
    }

    fn text(&mut self, value: &str) -> String {
        self.values.push(Value::Text(value.to_owned()));
        format!("${}", self.values.len())
    }

    fn number(&mut self, value: i64) -> String {
        self.values.push(Value::Number(value));
        format!("${}", self.values.len())
    }

    /// Nothing has to be held against the rows one by one.
    pub(super) const fn is_answered_by_the_index(&self) -> bool {
        self.rest.is_empty()
    }

    /// The statement for `limit` rows; it wants all values.
    pub(super) fn page(&self, limit: u32) -> String {
        let (lead, order) = (self.lead.join(" AND "), self.order());
        if self.rest.is_empty() {
            return format!("SELECT * FROM client WHERE {lead} ORDER BY {order} LIMIT {limit}");
        }
        let columns = "id, not_after, renew_at, label, tenant, ca, sought";
        let window = format!("SELECT {columns} FROM client WHERE {lead} ORDER BY {order} LIMIT {WINDOW}");
        let rest = self.rest.join(" AND ");
        let found = format!("SELECT id FROM ({window}) AS looked_at WHERE {rest} ORDER BY {order} LIMIT {limit}");
        format!("SELECT * FROM client WHERE id IN ({found}) ORDER BY {order}")
    }

    /// The statement for the last row that a page looks at; no row: it has looked at all. It wants the leading values.
    pub(super) fn last_of_window(&self) -> String {
        let (lead, order) = (self.lead.join(" AND "), self.order());
        format!("SELECT id, not_after FROM client WHERE {lead} ORDER BY {order} LIMIT 1 OFFSET {}", WINDOW - 1)
    }

    const fn order(&self) -> &'static str {
        if self.by_end { "not_after, id" } else { "id" }
    }

    /// What to begin behind for whatever follows this row.
    pub(super) fn place(&self, last: &ClientRow) -> String {
        match (&last.current, self.by_end) {
            (Some(current), true) => format!("{}.{}", current.not_after.millis(), last.id),
            _ => last.id.clone(),
        }
    }

    /// The same for a row of `last_of_window`.
    pub(super) fn place_of(&self, row: &AnyRow) -> Result<String> {
        let id = text(row, "id")?;
        Ok(if self.by_end { format!("{}.{id}", integer(row, "not_after")?) } else { id })
    }

    pub(super) fn bind_all<'q>(&self, query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
        bind(query, &self.values)
    }

    pub(super) fn bind_lead<'q>(&self, query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
        bind(query, &self.values[..self.leading])
    }
}

fn bind<'q>(query: Query<'q, Any, AnyArguments>, values: &[Value]) -> Query<'q, Any, AnyArguments> {
    values.iter().fold(query, |query, value| match value {
        Value::Text(text) => query.bind(text.clone()),
        Value::Number(number) => query.bind(*number),
    })
}

/// A text in which LIKE finds nothing but itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_what_is_written() {
        assert_eq!(escaped("50%_off!"), "50!%!_off!!");
    }

    #[test]
    fn one_filter_leads_and_the_others_narrow() {
        let now = Timestamp::from_millis(7);
        let filter = ClientFilter { label: Some("vpn"), ca: Some("own"), ..ClientFilter::default() };
        let asked = Asked::new(&filter, "", now);
        assert_eq!((asked.lead.len(), asked.rest.len(), asked.leading, asked.values.len()), (2, 1, 2, 3));
        let alone = Asked::new(&ClientFilter { label: None, ..filter }, "", now);
        assert_eq!(alone.page(9), "SELECT * FROM client WHERE ca = $1 AND id > $2 ORDER BY id LIMIT 9");
        let expired = ClientFilter { status: Some(ClientStatus::Expired), ..ClientFilter::default() };
        let page = Asked::new(&expired, "5.x", now).page(9);
        let lead = "standing = 'active' AND not_after <= $1 AND (not_after, id) > ($2, $3)";
        assert_eq!(page, format!("SELECT * FROM client WHERE {lead} ORDER BY not_after, id LIMIT 9"));
    }
}
