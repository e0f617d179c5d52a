//! Definitions: those that ship, those of the shop, and every version that was ever started here.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use makegood_saga::definition::Definition;
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool};
use tokio::sync::RwLock;

/// What ships with Makegood.
const SHIPPED: &[(&str, &str)] = &[
    ("checkout.v1.yaml", include_str!("../../../saga-definitions/checkout.v1.yaml")),
    ("checkout.v2.yaml", include_str!("../../../saga-definitions/checkout.v2.yaml")),
    ("cancel-order.v1.yaml", include_str!("../../../saga-definitions/cancel-order.v1.yaml")),
    ("return-order.v1.yaml", include_str!("../../../saga-definitions/return-order.v1.yaml")),
];

/// All known versions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    by_version: Arc<HashMap<(String, u32), Arc<Definition>>>,
    newest: Arc<HashMap<String, Arc<Definition>>>,
    /// Versions that are stored in words which this build does not know.
    unreadable: Arc<HashSet<(String, u32)>>,
}

impl Definitions {
    /// The version that a new saga takes.
    pub fn newest(&self, name: &str) -> Option<&Arc<Definition>> {
        self.newest.get(name)
    }

    /// The version that a saga was started with.
    pub fn version(&self, name: &str, version: u32) -> Option<&Arc<Definition>> {
        self.by_version.get(&(name.to_owned(), version))
    }

    /// Every version that is known.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.by_version.values()
    }

    /// What is stored, if one of the wanted versions is not known here: another replica has released it since this one
    /// started, and a saga was begun with it or moved to it. Empty otherwise, without asking.
    pub(crate) async fn released_since<'a>(
        &self,
        conn: &mut PgConnection,
        mut wanted: impl Iterator<Item = (&'a str, u32)>,
    ) -> anyhow::Result<Self> {
        if wanted.all(|(name, version)| self.has_read(name, version)) {
            return Ok(Self::default());
        }
        stored(conn).await
    }

    /// Whether reading what is stored once more would bring nothing new of this version.
    fn has_read(&self, name: &str, version: u32) -> bool {
        let key = (name.to_owned(), version);
        self.by_version.contains_key(&key) || self.unreadable.contains(&key)
    }

    fn of(definitions: Vec<Definition>, unreadable: HashSet<(String, u32)>) -> Self {
        let mut by_version = HashMap::new();
        let mut newest: HashMap<String, Arc<Definition>> = HashMap::new();
        for definition in definitions {
            let definition = Arc::new(definition);
            by_version.insert((definition.name.clone(), definition.version), Arc::clone(&definition));
            let known = newest.entry(definition.name.clone()).or_insert_with(|| Arc::clone(&definition));
            if known.version < definition.version {
                *known = definition;
            }
        }
        Self { by_version: Arc::new(by_version), newest: Arc::new(newest), unreadable: Arc::new(unreadable) }
    }
}

/// Checks and stores what ships and what `folder` holds, and returns it with all that is stored.
///
/// # Errors
/// A definition that does not pass its check, or a released version whose text has changed: start-up must stop, since
/// running sagas would change their meaning.
pub async fn load(db: &PgPool, folder: Option<&Path>) -> anyhow::Result<Definitions> {
    let mut texts: Vec<(String, String)> =
        SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    if let Some(folder) = folder {
        texts.extend(read_folder(folder)?);
    }
    for (file, yaml) in &texts {
        let definition = Definition::parse_released(yaml).with_context(|| format!("definition {file}"))?;
        if !is_stored(db, &definition).await? {
            Definition::parse(yaml).with_context(|| format!("definition {file}"))?;
        }
        store(db, file, &definition, yaml).await?;
    }
    stored(db).await
}

async fn is_stored(db: &PgPool, definition: &Definition) -> anyhow::Result<bool> {
    sqlx::query_scalar("select exists (select from definition where name = $1 and version = $2)")
        .bind(&definition.name)
        .bind(i64::from(definition.version))
        .fetch_one(db)
        .await
        .context("looking for a definition")
}

/// All that is stored and that this build can read. What a later release has stored in words of its own is for that one's replicas: here
/// only the sagas that run it are not moved, and what comes for them becomes dead letters, which can be sent again.
pub(crate) async fn stored(db: impl PgExecutor<'_>) -> anyhow::Result<Definitions> {
    let rows: Vec<(String, i32, String)> = sqlx::query_as("select name, version, yaml from definition")
        .fetch_all(db)
        .await
        .context("reading definitions")?;
    let mut readable = Vec::with_capacity(rows.len());
    let mut unreadable = HashSet::new();
    for (name, version, yaml) in rows {
        match Definition::parse_released(&yaml) {
            Ok(definition) => readable.push(definition),
            Err(error) => {
                tracing::error!(definition = name, version, %error, "a stored definition cannot be read here");
                unreadable.insert((name, version.unsigned_abs()));
            }
        }
    }
    Ok(Definitions::of(readable, unreadable))
}

fn read_folder(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("reading definitions in {}", folder.display()))?;
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            let yaml = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            texts.push((path.display().to_string(), yaml));
        }
    }
    Ok(texts)
}

/// Stores a version once; the same version with another text is refused.
async fn store(db: &PgPool, file: &str, definition: &Definition, yaml: &str) -> anyhow::Result<()> {
    let sha256 = Sha256::digest(yaml.as_bytes()).to_vec();
    let version = i32::try_from(definition.version).with_context(|| format!("{file}: the version is too large"))?;
    let stored: Vec<u8> = sqlx::query_scalar(
        r"with new as (
              insert into definition (name, version, yaml, sha256) values ($1, $2, $3, $4)
              on conflict (name, version) do nothing returning sha256)
          select sha256 from new
          union all
          select sha256 from definition where name = $1 and version = $2
          limit 1",
    )
    .bind(&definition.name)
    .bind(version)
    .bind(yaml)
    .bind(&sha256)
    .fetch_one(db)
    .await
    .with_context(|| format!("storing definition {file}"))?;
    anyhow::ensure!(
        stored == sha256,
        "{file}: {} v{version} is released and must not change (stored sha256 {}, file {}): make it version {}",
        definition.name,
        hex(&stored),
        hex(&sha256),
        version + 1,
    );
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Definitions as the admin address reads them: whatever is stored, also what another replica has brought along.
#[derive(Debug, Clone)]
pub struct DefinitionShelf {
    db: PgPool,
    /// What was parsed before. It stays true, since a version never changes.
    parsed: Arc<RwLock<Definitions>>,
}

impl DefinitionShelf {
    pub fn new(db: PgPool) -> Self {
        Self { db, parsed: Arc::default() }
    }

    /// All stored versions. They are parsed again only when one has come that is not known.
    pub async fn current(&self) -> anyhow::Result<Definitions> {
        let stored_keys: Vec<(String, i32)> = sqlx::query_as("select name, version from definition")
            .fetch_all(&self.db)
            .await
            .context("listing definitions")?;
        let known = self.parsed.read().await.clone();
        let is_known = |(name, version): &(String, i32)| known.has_read(name, version.unsigned_abs());
        if stored_keys.iter().all(is_known) {
            return Ok(known);
        }
        let all = stored(&self.db).await?;
        *self.parsed.write().await = all.clone();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use makegood_testing::TestDatabase;

    use super::*;
    use crate::{MIGRATOR, invariants::INVARIANTS};

    /// After a release was rolled back, what it had stored must not keep the sagas of all other definitions from running.
    #[tokio::test]
    async fn a_definition_that_this_build_cannot_read_is_left_to_the_one_that_stored_it() {
        let database = TestDatabase::create("orchestrator", &MIGRATOR).await;
        load(&database.db, None).await.expect("what ships is in order");
        let later = "saga: later\nversion: 1\nsteps:\n  - { step: one, teleport: s.v }\n";
        sqlx::query("insert into definition (name, version, yaml, sha256) values ('later', 1, $1, '')")
            .bind(later)
            .execute(&database.db)
            .await
            .expect("stores");
        let again = load(&database.db, None).await.expect("a start");
        assert!(again.newest("later").is_none() && again.newest("checkout").is_some());
        let shelf = DefinitionShelf::new(database.db.clone());
        assert_eq!(shelf.current().await.expect("those that can be read").all().count(), SHIPPED.len());
        database.verify_and_drop(INVARIANTS).await;
    }
}
