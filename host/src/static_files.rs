//! The user's own files: what no service answers is looked up in a folder (`--static FOLDER`).

use std::path::{Path, PathBuf};

use axum::Router;
use tower_http::services::ServeDir;

/// The folder is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--static: {} is no folder", .0.display())]
pub struct NoFolder(pub PathBuf);

/// Lets `router` answer what it has no route for with the files below `folder`: `/gauges.html` is
/// `folder/gauges.html`, and `/gauges/` is `folder/gauges/index.html`. Nothing above the folder is reached.
///
/// # Errors
/// [`NoFolder`]
pub fn below(router: Router, folder: Option<&Path>) -> Result<Router, NoFolder> {
    match folder {
        None => Ok(router),
        Some(folder) if folder.is_dir() => Ok(router.fallback_service(ServeDir::new(folder))),
        Some(folder) => Err(NoFolder(folder.to_owned())),
    }
}
