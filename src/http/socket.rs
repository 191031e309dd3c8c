//! The local socket: whoever may open it may do what it offers.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;

use super::peer::LocalUser;
use super::{App, listen, local_router};

/// Owner and group.
const MODE: u32 = 0o660;

/// As long as requests in progress may take at shutdown.
const GRACE: Duration = Duration::from_secs(5);

/// Why the local socket does not open.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon listens there.
    #[error("another renewd answers at `{}`", .path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something else than a socket is there.
    #[error("`{}` is there and is no socket: move it away, or choose another `[state] socket`", .path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot make the local socket `{}`", .path.display())]
    Unusable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the socket at `path`, mode 0660, and returns what serves it until `shutdown` becomes true and then removes
/// it. What a dead daemon left behind is replaced.
///
/// # Errors
/// Where another daemon answers there, something else is there, or the file system refuses.
pub fn serve_socket(
    app: App,
    path: &Path,
    shutdown: watch::Receiver<bool>,
) -> Result<impl Future<Output = io::Result<()>> + Send + use<>, SocketError> {
    let listener = open(path)?;
    Ok(serve(listener, app, path.to_owned(), shutdown))
}

fn open(path: &Path) -> Result<UnixListener, SocketError> {
    let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
    remove_stale(path)?;
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(unusable)?;
    }
    let listener = UnixListener::bind(path).map_err(unusable)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE)).map_err(unusable)?;
    Ok(listener)
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let unusable = |source| SocketError::Unusable { path: path.to_owned(), source };
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(unusable),
        Err(error) => Err(unusable(error)),
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
    }
}

async fn serve(listener: UnixListener, app: App, path: PathBuf, mut shutdown: watch::Receiver<bool>) -> io::Result<()> {
    let service = local_router(app).into_make_service_with_connect_info::<LocalUser>();
    let mut ending = shutdown.clone();
    let server = axum::serve(listener, service)
        .with_graceful_shutdown(async move { listen::asked(&mut shutdown).await })
        .into_future();
    let outcome = tokio::select! {
        outcome = server => outcome,
        () = async { listen::asked(&mut ending).await; tokio::time::sleep(GRACE).await } => Ok(()),
    };
    // One that is gone already is as good.
    let _ = std::fs::remove_file(&path);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/renewd.sock");
        let first = open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(open(&path), Err(SocketError::InUse { .. })));
        drop(first);
        open(&path).unwrap();
        let file = folder.path().join("file");
        std::fs::File::create(&file).unwrap();
        assert!(matches!(open(&file), Err(SocketError::NotASocket { .. })));
    }
}
