//! Definitions: those that ship, those of the shop, and every version that was ever started here.

use std::{collections::HashMap, path::Path, sync::Arc};

use anyhow::Context as _;
use makegood_saga::definition::Definition;
use sha2::{Digest as _, Sha256};
use sqlx::{PgConnection, PgExecutor, PgPool};
use tokio::sync::RwLock;

/// What ships with Makegood.
const SHIPPED: &[(&str, &str)] = &[
    ("checkout.v1.yaml", include_str!("../../../saga-definitions/checkout.v1.yaml")),
    ("cancel-order.v1.yaml", include_str!("../../../saga-definitions/cancel-order.v1.yaml")),
    ("return-order.v1.yaml", include_str!("../../../saga-definitions/return-order.v1.yaml")),
];

/// All known versions. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    by_version: Arc<HashMap<(String, u32), Arc<Definition>>>,
    newest: Arc<HashMap<String, Arc<Definition>>>,
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
        if wanted.all(|(name, version)| self.version(name, version).is_some()) {
            return Ok(Self::default());
        }
        stored(conn).await
    }

    fn of(definitions: Vec<Definition>) -> Self {
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
        Self { by_version: Arc::new(by_version), newest: Arc::new(newest) }
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
        let definition = Definition::parse(yaml).with_context(|| format!("definition {file}"))?;
        store(db, file, &definition, yaml).await?;
    }
    stored(db).await
}

async fn stored(db: impl PgExecutor<'_>) -> anyhow::Result<Definitions> {
    let rows: Vec<(String, i32, String)> = sqlx::query_as("select name, version, yaml from definition")
        .fetch_all(db)
        .await
        .context("reading definitions")?;
    let definitions = rows
        .into_iter()
        .map(|(name, version, yaml)| {
            Definition::parse(&yaml).with_context(|| format!("stored definition {name} v{version}"))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Definitions::of(definitions))
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
        let is_known = |(name, version): &(String, i32)| {
            u32::try_from(*version).is_ok_and(|version| known.version(name, version).is_some())
        };
        if stored_keys.iter().all(is_known) {
            return Ok(known);
        }
        let all = stored(&self.db).await?;
        *self.parsed.write().await = all.clone();
        Ok(all)
    }
}
