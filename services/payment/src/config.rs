//! Settings of the payment role.

use std::str::FromStr;

/// Flags and variables of the payment role.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// Base address of the card provider.
    #[arg(long, env = "MAKEGOOD_PROVIDER_URL", default_value = "http://127.0.0.1:8080")]
    pub provider_url: String,
    /// Secret key for the card provider; the payment role does not start without it.
    #[arg(long, env = "MAKEGOOD_PROVIDER_KEY", hide_env_values = true)]
    pub provider_key: Option<ProviderKey>,
    /// Seconds after which a request to the provider counts as unanswered.
    #[arg(long, env = "MAKEGOOD_PROVIDER_TIMEOUT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub provider_timeout_seconds: u32,
    /// Requests to the provider that may be under way at once.
    #[arg(long, env = "MAKEGOOD_PROVIDER_IN_FLIGHT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub provider_in_flight: u32,
    /// Seconds after which an operation of which nothing was heard is asked about. Longer than a batch of requests
    /// takes that all time out, or requests still under way would be asked about.
    #[arg(long, env = "MAKEGOOD_PAYMENT_INQUIRE_AFTER_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub inquire_after_seconds: u32,
}

/// The provider's secret key; its `Debug` shows nothing.
#[derive(Clone)]
pub struct ProviderKey(String);

impl ProviderKey {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_token {
            Ok(Self(text.to_owned()))
        } else {
            Err("a provider key consists of printable ASCII without spaces")
        }
    }
}

impl std::fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderKey(…)")
    }
}
