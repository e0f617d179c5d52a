//! The deployment that a command talks to.
//!
//! Flags come first, then the environment, then what the development server wrote into `dev.env`: on a fresh machine
//! `make up` in one terminal and the command without a flag in another one is all it takes.

use std::{collections::HashMap, path::PathBuf};

use anyhow::{Context as _, bail};

/// Where the deployment is and what it is asked with.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DeploymentArgs {
    /// Address of the API; without it `dev.env` in `.makegood/` (or $MAKEGOOD_HOME) is read
    #[arg(long, env = "MAKEGOOD_URL")]
    pub(crate) url: Option<String>,
    /// Secret key of the shop: products, stock, carts with prices of their own
    #[arg(long, env = "MAKEGOOD_SECRET_KEY", hide_env_values = true)]
    pub(crate) secret_key: Option<String>,
    /// Admin key: the ledger's and the provider's books
    #[arg(long, env = "MAKEGOOD_ADMIN_KEY", hide_env_values = true)]
    pub(crate) admin_key: Option<String>,
    /// PostgreSQL server of the deployment
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// NATS server of the deployment
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    pub(crate) nats_url: Option<String>,
    /// Root secret of the deployment, from which the auditor's password derives
    #[arg(long, env = "MAKEGOOD_SECRET", hide_env_values = true)]
    pub(crate) secret: Option<String>,
}

/// A value that was needed and found nowhere; worded for the person who runs the command.
fn missing(flag: &str, variable: &str) -> anyhow::Error {
    anyhow::anyhow!("no {variable}: start the development server (make up), set the variable, or give --{flag}")
}

impl DeploymentArgs {
    /// Fills what flags and environment left open from `dev.env`, if there is one.
    pub(crate) fn resolve(mut self) -> anyhow::Result<Self> {
        let path = dev_env_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(self),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        // The file describes one deployment: its keys are of no use at another address.
        let mut file = parse_env(&text);
        if self.url.as_deref().is_some_and(|url| {
            file.get("MAKEGOOD_URL").is_some_and(|own| own.trim_end_matches('/') != url.trim_end_matches('/'))
        }) {
            return Ok(self);
        }
        for (value, variable) in [
            (&mut self.url, "MAKEGOOD_URL"),
            (&mut self.secret_key, "MAKEGOOD_SECRET_KEY"),
            (&mut self.admin_key, "MAKEGOOD_ADMIN_KEY"),
            (&mut self.database_url, "DATABASE_URL"),
            (&mut self.nats_url, "NATS_URL"),
            (&mut self.secret, "MAKEGOOD_SECRET"),
        ] {
            if value.is_none() {
                *value = file.remove(variable);
            }
        }
        Ok(self)
    }

    pub(crate) fn url(&self) -> anyhow::Result<&str> {
        let url = self.url.as_deref().ok_or_else(|| missing("url", "MAKEGOOD_URL"))?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!("the address {url:?} must begin with http:// or https://");
        }
        Ok(url.trim_end_matches('/'))
    }

    pub(crate) fn secret_key(&self) -> anyhow::Result<&str> {
        self.secret_key.as_deref().ok_or_else(|| missing("secret-key", "MAKEGOOD_SECRET_KEY"))
    }

    pub(crate) fn admin_key(&self) -> anyhow::Result<&str> {
        self.admin_key.as_deref().ok_or_else(|| missing("admin-key", "MAKEGOOD_ADMIN_KEY"))
    }
}

/// `$MAKEGOOD_HOME/dev.env`, or `.makegood/dev.env` here.
fn dev_env_path() -> PathBuf {
    let home = std::env::var_os("MAKEGOOD_HOME").filter(|home| !home.is_empty());
    PathBuf::from(home.unwrap_or_else(|| ".makegood".into())).join("dev.env")
}

/// `NAME=value` lines as a shell reads them: comments, an `export` in front and quotes around are tolerated.
fn parse_env(text: &str) -> HashMap<String, String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches(['"', '\'']).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_a_shell_reads_it() {
        let env = parse_env(
            "# written by the server\nMAKEGOOD_URL=http://127.0.0.1:1\nexport NATS_URL=\"nats://a:1\"\n\nDATABASE_URL='postgres://x?a=b'\n",
        );
        assert_eq!(env["MAKEGOOD_URL"], "http://127.0.0.1:1");
        assert_eq!(env["NATS_URL"], "nats://a:1");
        assert_eq!(env["DATABASE_URL"], "postgres://x?a=b");
        assert_eq!(env.len(), 3);
    }
}
