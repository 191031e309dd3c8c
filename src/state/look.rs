//! A look at one certificate: in one query what nearly every turn needs, and whether there is more.

use super::row::{integer, optional_text};
use super::{CertificateRow, DeliveryRow, Result, State, VersionRow};

/// A certificate, its current version, where that is stored, and whether there is anything else about it.
#[derive(Debug, Clone)]
pub struct Look {
    /// Its row.
    pub certificate: CertificateRow,
    /// The current version.
    pub version: Option<VersionRow>,
    /// Of the current version, to this node's stores and to shared ones.
    pub deliveries: Vec<DeliveryRow>,
    /// Of the current version, on this node, there are some.
    pub has_deployments: bool,
    /// An order is open.
    pub has_order: bool,
    /// TXT values are owed a withdrawal.
    pub has_txts: bool,
    /// An issuer stands in its way.
    pub has_obstacles: bool,
    /// Somebody has asked for something.
    pub has_jobs: bool,
}

const LOOK: &str = "SELECT v.*, c.name, c.definition, c.state, c.problem, c.reason, c.decided_at, c.look_again_at, \
    c.inspected, c.failures, c.retry_at, c.last_error, c.last_error_at, c.version_id, c.attempts_left, c.retired_at, \
    c.created_at AS enlisted_at, d.store AS d_store, d.node AS d_node, d.state AS d_state, d.failures AS d_failures, \
    d.retry_at AS d_retry_at, d.stored_at AS d_stored_at, d.error AS d_error, \
    (SELECT COUNT(*) FROM deployment x WHERE x.version_id = c.version_id AND x.node = $2) AS deployments, \
    (SELECT COUNT(*) FROM acme_order x WHERE x.certificate = c.name AND x.state = 'open') AS orders, \
    (SELECT COUNT(*) FROM txt x WHERE x.certificate = c.name AND x.withdrawn_at IS NULL) AS txts, \
    (SELECT COUNT(*) FROM obstacle x WHERE x.certificate = c.name) AS obstacles, \
    (SELECT COUNT(*) FROM job x WHERE x.subject = c.name AND x.state IN ('queued', 'running')) AS jobs \
    FROM certificate c LEFT JOIN version v ON v.id = c.version_id \
    LEFT JOIN delivery d ON d.version_id = c.version_id AND (d.node = $2 OR d.node = '') WHERE c.name = $1";

impl State {
    /// Looks at the certificate of that name; `None`: there is none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn look(&self, name: &str) -> Result<Option<Look>> {
        let rows = sqlx::query(LOOK).bind(name).bind(self.node()).fetch_all(self.reader()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let version = optional_text(row, "id")?.map(|_| VersionRow::read(row)).transpose()?;
        let delivery = |row| version.as_ref().and_then(|version| DeliveryRow::read_joined(row, version).transpose());
        let has = |column: &str| integer(row, column).map(|count| count > 0);
        Ok(Some(Look {
            certificate: CertificateRow::read_with(row, "enlisted_at")?,
            deliveries: rows.iter().filter_map(delivery).collect::<Result<_>>()?,
            has_deployments: has("deployments")?,
            has_order: has("orders")?,
            has_txts: has("txts")?,
            has_obstacles: has("obstacles")?,
            has_jobs: has("jobs")?,
            version,
        }))
    }
}
