//! The folder that a development server lives in.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// An existing folder, by its absolute path.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let path = fs::create_dir_all(path)
            .and_then(|()| fs::canonicalize(path))
            .with_context(|| format!("creating the home {} (MAKEGOOD_HOME names another)", path.display()))?;
        // Where root runs PostgreSQL as another user, that user must get through to its data. The files' own modes guard the secrets.
        let mode =
            fs::metadata(&path).with_context(|| format!("looking into {}", path.display()))?.permissions().mode();
        if mode & 0o011 != 0o011 {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o011))
                .with_context(|| format!("opening {}", path.display()))?;
        }
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}
