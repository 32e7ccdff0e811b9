//! The user's own files: what no service answers is looked up in a folder (`--static FOLDER`).

use std::path::{Path, PathBuf};

use axum::Router;
use tower_http::services::ServeDir;

/// The folder is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--static: {} is not a directory", .0.display())]
pub struct NotADirectory(pub PathBuf);

/// Lets `router` answer what it has no route for with the files below `folder`: `/gauges.html` is
/// `folder/gauges.html`, and `/gauges/` is `folder/gauges/index.html`. Nothing above the folder is reached.
///
/// # Errors
/// [`NotADirectory`]
pub fn with_fallback(router: Router, folder: Option<&Path>) -> Result<Router, NotADirectory> {
    match folder {
        None => Ok(router),
        Some(folder) if folder.is_dir() => Ok(router.fallback_service(ServeDir::new(folder))),
        Some(folder) => Err(NotADirectory(folder.to_owned())),
    }
}
