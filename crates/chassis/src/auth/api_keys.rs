//! The file of API keys: hashes only, so that whoever reads it can call nothing.
//!
//! Keys are random (24 bytes), so a fast keyed hash is enough: there is no weak key to guess. The file is
//! looked at once a second at most, so a key that is added or withdrawn counts within a second, with no restart.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use makegood_contracts::account::Account;
use serde::{Deserialize, Serialize};

use super::{Caller, Scope};
use crate::{
    clock,
    secret::{Secret, hex, random_hex},
};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Characters of a key that people may see: its kind, its mode, and enough to tell two keys apart.
const SHOWN_CHARACTERS: usize = 12;

/// The file as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeyFile {
    keys: Vec<KeyEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeyEntry {
    /// HMAC-SHA256 in hexadecimal.
    hash: String,
    #[serde(flatten)]
    account: Account,
    scopes: Vec<Scope>,
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
}

/// When and how large the file was; another stamp means other content.
type Stamp = Option<(SystemTime, u64)>;

#[derive(Default)]
struct Loaded {
    stamp: Stamp,
    by_hash: HashMap<String, KeyEntry>,
}

struct Shared {
    path: PathBuf,
    secret: Secret,
    loaded: RwLock<Loaded>,
    started: Instant,
    /// Milliseconds after `started` from which the file is looked at again.
    look_at_ms: AtomicU64,
}

/// The keys of the file, shared by all routers.
#[derive(Clone)]
pub struct ApiKeys {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKeys").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl ApiKeys {
    /// Reads the file. A missing file means that there are no keys yet; a damaged one is an error.
    pub fn load(path: impl Into<PathBuf>, secret: &Secret) -> anyhow::Result<Self> {
        let path = path.into();
        let loaded = read_loaded(&path)?;
        if loaded.stamp.is_none() {
            tracing::warn!(path = %path.display(), "there is no file of API keys yet: every call is refused until it is written");
        }
        let look_at_ms = AtomicU64::new(LOOK_EVERY.as_millis() as u64);
        let shared =
            Shared { path, secret: secret.clone(), loaded: RwLock::new(loaded), started: Instant::now(), look_at_ms };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes a key, appends its hash to the file, and returns the key: it is shown this once.
    pub fn create(
        path: &Path,
        secret: &Secret,
        account: Account,
        scopes: &[Scope],
        name: &str,
    ) -> anyhow::Result<String> {
        let kind = match (scopes.contains(&Scope::Admin), scopes.contains(&Scope::Server)) {
            (true, _) => "ak",
            (false, true) => "sk",
            (false, false) => "pk",
        };
        let mode = if account.livemode { "live" } else { "test" };
        let key = format!("{kind}_{mode}_{}", random_hex()?);
        let created_at = clock::machine_time();
        append(
            path,
            KeyEntry {
                hash: hash_of(secret, &key),
                account,
                scopes: scopes.to_vec(),
                name: name.to_owned(),
                created_at,
            },
        )
        .with_context(|| format!("adding a key to {}", path.display()))?;
        Ok(key)
    }

    /// Whose key it is. The look-up is by keyed hash, so its timing tells nothing of other keys.
    pub async fn caller(&self, key: &str) -> Option<Caller> {
        self.look_if_due().await;
        let hash = hash_of(&self.shared.secret, key);
        let loaded = self.shared.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let entry = loaded.by_hash.get(&hash)?;
        let shown: String = key.chars().take(SHOWN_CHARACTERS).collect();
        Some(Caller {
            account: entry.account,
            actor: format!("{shown}… ({})", entry.name),
            scopes: entry.scopes.clone(),
        })
    }

    /// One caller a second looks at the file, on a thread that may block; all others go on with what is loaded.
    async fn look_if_due(&self) {
        let now_ms = self.shared.started.elapsed().as_millis() as u64;
        let due_ms = self.shared.look_at_ms.load(Ordering::Relaxed);
        let next_ms = now_ms + LOOK_EVERY.as_millis() as u64;
        let is_mine = now_ms >= due_ms
            && self.shared.look_at_ms.compare_exchange(due_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !is_mine {
            return;
        }
        let shared = Arc::clone(&self.shared);
        if let Err(error) = tokio::task::spawn_blocking(move || shared.look()).await {
            tracing::error!(%error, "looking at the file of API keys failed");
        }
    }
}

impl Shared {
    /// Takes over a changed file. A damaged one changes nothing: the keys that were good stay good.
    fn look(&self) {
        let known = self.loaded.read().unwrap_or_else(PoisonError::into_inner).stamp;
        let changed = stamp_of(&self.path)
            .and_then(|stamp| if stamp == known { Ok(None) } else { read_loaded(&self.path).map(Some) });
        match changed {
            Ok(None) => {}
            Ok(Some(loaded)) => {
                tracing::info!(keys = loaded.by_hash.len(), "the file of API keys has changed");
                *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                "the changed file of API keys cannot be read; the former keys stay"
            ),
        }
    }
}

fn hash_of(secret: &Secret, key: &str) -> String {
    hex(&secret.mac("api-key", &[key.as_bytes()]))
}

fn stamp_of(path: &Path) -> anyhow::Result<Stamp> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some((metadata.modified()?, metadata.len()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("looking at {}", path.display())),
    }
}

/// The stamp is taken before the content: a change between the two is seen at the next look.
fn read_loaded(path: &Path) -> anyhow::Result<Loaded> {
    let stamp = stamp_of(path)?;
    let by_hash = read_file(path)?.keys.into_iter().map(|entry| (entry.hash.clone(), entry)).collect();
    Ok(Loaded { stamp, by_hash })
}

fn read_file(path: &Path) -> anyhow::Result<KeyFile> {
    match fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("reading API keys from {}", path.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(KeyFile::default()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// A new file takes the old one's place in one step. Two who append at once take turns by a lock beside it.
fn append(path: &Path, entry: KeyEntry) -> anyhow::Result<()> {
    let lock = File::create(path.with_extension("lock"))?;
    lock.lock()?;
    let mut file = read_file(path)?;
    file.keys.push(entry);
    let new_path = path.with_extension("new");
    let mut new_file = owner_only(&new_path)?;
    new_file.write_all(&serde_json::to_vec_pretty(&file)?)?;
    new_file.sync_all()?;
    fs::rename(&new_path, path)?;
    Ok(())
}

#[cfg(unix)]
fn owner_only(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn owner_only(path: &Path) -> io::Result<File> {
    File::create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_created_key_is_known_after_the_next_look_and_no_other_is() {
        let secret = Secret::new("0123456789abcdef0123456789abcdef").expect("long enough");
        let folder = std::env::temp_dir().join(format!("makegood-keys-{}", uuid::Uuid::now_v7().simple()));
        fs::create_dir(&folder).expect("a folder of its own");
        let path = folder.join("keys.json");
        let account = Account { id: uuid::Uuid::from_u128(1), livemode: false };

        let keys = ApiKeys::load(&path, &secret).expect("no file yet");
        let publishable = ApiKeys::create(&path, &secret, account, &[Scope::Storefront], "shop").expect("created");
        let admin = ApiKeys::create(&path, &secret, account, &[Scope::Admin], "ops").expect("created");
        assert!(publishable.starts_with("pk_test_") && admin.starts_with("ak_test_"));
        assert!(!fs::read_to_string(&path).expect("written").contains(&admin["ak_test_".len()..]));

        keys.shared.look_at_ms.store(0, Ordering::Relaxed);
        let caller = keys.caller(&publishable).await.expect("known");
        assert_eq!((caller.account, caller.scopes), (account, vec![Scope::Storefront]));
        assert!(caller.actor.ends_with("(shop)") && !caller.actor.contains(&publishable));
        assert!(keys.caller(&admin).await.is_some() && keys.caller("pk_test_0").await.is_none());

        fs::write(&path, "damaged").expect("written");
        keys.shared.look_at_ms.store(0, Ordering::Relaxed);
        assert!(keys.caller(&admin).await.is_some(), "a damaged file changes nothing");
        fs::remove_dir_all(&folder).expect("removed");
    }
}
