//! The root, kept open: its key is unsealed and read once, not each time that a list is due.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::generation::{ROOT, Root};
use super::{Authority, CaError};
use crate::state::CaRow;

/// The root that was opened last, and the row that it was opened from.
#[derive(Debug, Default)]
pub(super) struct OpenRoot(Mutex<Option<(CaRow, Arc<Root>)>>);

impl Authority {
    /// The root, with its key where that is here. It is opened anew where the database says something else of it than
    /// when it was opened, whoever wrote that; `None` where there is none, or it is somebody else's.
    pub(super) async fn open_root(&self) -> Result<Option<Arc<Root>>, CaError> {
        let mut kept = self.root.0.lock().await;
        let row = self.state.ca(&self.name, ROOT).await?;
        if let (Some(row), Some((known, root))) = (&row, &*kept)
            && known.opens_like(row)
        {
            return Ok(Some(Arc::clone(root)));
        }
        // What it was is not kept beside what it is, nor where that does not open.
        *kept = None;
        let Some(row) = row else { return Ok(None) };
        let terms = self.terms.load_full();
        let root = Arc::new(self.reader(&terms).root_of(row.clone()).await?);
        Ok(Some(Arc::clone(&kept.insert((row, root)).1)))
    }

    /// Lets go of the root's key, and has the lists looked at without it.
    pub(super) async fn drop_root(&self) {
        *self.root.0.lock().await = None;
        self.state.wake_lists();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use tempfile::TempDir;

    use super::*;
    use crate::ca::tests::{now, open, state};
    use crate::config::KeyType;

    #[tokio::test]
    async fn a_root_is_opened_once_and_let_go_with_its_key() {
        let directory = TempDir::new().unwrap();
        let state = state(&directory).await;
        let authority = open(&state, KeyType::EcdsaP256).await;
        let first = authority.open_root().await.unwrap().unwrap();
        let again = authority.open_root().await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&first, &again) && first.signer.is_some());
        // Exporting the key changes nothing of what was opened.
        let file = authority.export_root(&"gehe1m".into(), now()).await.unwrap();
        assert!(Arc::ptr_eq(&first, &authority.open_root().await.unwrap().unwrap()));

        let open = Arc::downgrade(&first);
        drop((first, again));
        authority.forget_root().await.unwrap();
        assert_eq!(Weak::strong_count(&open), 0, "nobody holds the key any more");
        assert!(authority.open_root().await.unwrap().unwrap().signer.is_none());

        let (key, _) = crate::pki::bundle::open_pfx(&file, &"gehe1m".into()).unwrap();
        authority.restore_root(&key).await.unwrap();
        assert!(authority.open_root().await.unwrap().unwrap().signer.is_some());
    }

    #[tokio::test]
    async fn what_somebody_else_writes_of_a_root_is_heeded() {
        let directory = TempDir::new().unwrap();
        let state = state(&directory).await;
        let (here, there) = (open(&state, KeyType::EcdsaP256).await, open(&state, KeyType::EcdsaP256).await);
        assert!(here.open_root().await.unwrap().unwrap().signer.is_some());
        there.export_root(&"gehe1m".into(), now()).await.unwrap();
        there.forget_root().await.unwrap();
        assert!(here.open_root().await.unwrap().unwrap().signer.is_none());
    }
}
