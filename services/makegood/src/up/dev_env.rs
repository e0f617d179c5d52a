//! `dev.env`: what a client, a test or another command needs to know of a running development server.

use std::{ffi::OsStr, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Command, FromArgMatches};
use makegood_chassis::config::Config;
use makegood_servers::token;

use super::{data_servers::Urls, home::Home};
use crate::keys;

/// Everything in the file. Keys and secret are made once per home.
pub(crate) struct DevEnv {
    pub url: String,
    pub keys: keys::TestKeys,
    urls: Urls,
    secret: String,
    api_keys: PathBuf,
    file: PathBuf,
}

impl DevEnv {
    pub(crate) fn new(home: &Home, url: String, urls: Urls) -> Result<Self> {
        let api_keys = home.file("api_keys.json");
        let secret = token::keep(&home.file("secret"))?;
        let keys = keys::test_keys(home.path(), &api_keys, &secret)?;
        Ok(Self { url, keys, urls, secret, api_keys, file: home.file("dev.env") })
    }

    /// As a role reads it, with the shared settings that are not ours from the environment or their defaults.
    pub(crate) fn config(&self) -> Result<Config> {
        let flags: [&OsStr; 8] = [
            "--database-url".as_ref(),
            self.urls.database.as_ref(),
            "--nats-url".as_ref(),
            self.urls.nats.as_ref(),
            "--secret".as_ref(),
            self.secret.as_ref(),
            "--api-keys".as_ref(),
            self.api_keys.as_ref(),
        ];
        let command = Config::augment_args(Command::new("makegood").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).context("reading the shared settings")?;
        Config::from_arg_matches(&matches).context("reading the shared settings")
    }

    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            variable("MAKEGOOD_URL", &self.url),
            variable("MAKEGOOD_SECRET_KEY", &self.keys.secret),
            variable("MAKEGOOD_PUBLISHABLE_KEY", &self.keys.publishable),
            variable("MAKEGOOD_ADMIN_KEY", &self.keys.admin),
            variable("DATABASE_URL", &self.urls.database),
            variable("NATS_URL", &self.urls.nats),
            variable("MAKEGOOD_SECRET", &self.secret),
            variable("MAKEGOOD_API_KEYS", &self.api_keys.display().to_string()),
        ]
    }

    pub(crate) fn write(&self) -> Result<()> {
        let mut text =
            String::from("# Written by `makegood up` at each start. Test keys of this machine's development server.\n");
        for (name, value) in self.variables() {
            text.push_str(&format!("{name}={}\n", quoted(&value)));
        }
        token::write_private(&self.file, &text)
    }
}

/// As a shell reads it; bare where that is enough, for readers that know no quotes.
fn quoted(value: &str) -> String {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./:@".contains(&byte));
    if plain { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_with_a_space_or_a_quote_is_one_word_to_a_shell() {
        assert_eq!(quoted("nats://makegood:0af@127.0.0.1:4222"), "nats://makegood:0af@127.0.0.1:4222");
        assert_eq!(quoted("/home/ann o'dea/x"), r"'/home/ann o'\''dea/x'");
    }
}
