//! PostgreSQL refuses to run as root, so root runs it as somebody who may do nothing.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use anyhow::{Context, Result};

/// Present on every Linux and macOS, and owner of nothing worth having.
const CANDIDATES: [&str; 2] = ["nobody", "daemon"];

/// The user that PostgreSQL runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// `None` where we are an ordinary user ourselves.
pub fn needed() -> Result<Option<User>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd =
        fs::read_to_string("/etc/passwd").context("reading /etc/passwd for a user that PostgreSQL can run as")?;
    let found = CANDIDATES.iter().find_map(|name| find(&passwd, name));
    found
        .map(Some)
        .context("PostgreSQL refuses to run as root, and /etc/passwd has no user `nobody`: start as another user")
}

fn find(passwd: &str, name: &str) -> Option<User> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let fields: Vec<&str> = line.split(':').collect();
    Some(User { name: name.to_owned(), uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
}

impl User {
    /// The first folder on the way to `path` (an absolute one) that the user cannot pass, or `path` itself.
    pub fn barred_at<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find(|step| !self.may_pass(step))
    }

    fn may_pass(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| {
            let mode = found.mode();
            let bit = if found.uid() == self.uid {
                0o100
            } else if found.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            mode & bit != 0
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_closed_to_others_is_named() {
        let open = std::env::temp_dir().join(format!("makegood-way-{}", std::process::id()));
        let closed = open.join("closed");
        let inner = closed.join("inner");
        fs::create_dir_all(&inner).expect("creates");
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).expect("sets");
        let nobody = User { name: "nobody".to_owned(), uid: 65_533, gid: 65_533 };
        assert_eq!(nobody.barred_at(&inner), Some(closed.as_path()));
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o711)).expect("sets");
        assert_eq!(nobody.barred_at(&inner), None);
        fs::remove_dir_all(&open).expect("removes");
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nnobody2:x:7:7::/:/x\nnobody:x:65534:65533:nobody:/:/usr/sbin/nologin\n";
        assert_eq!(find(passwd, "nobody"), Some(User { name: "nobody".to_owned(), uid: 65_534, gid: 65_533 }));
        assert_eq!(find(passwd, "daemon"), None);
    }
}
