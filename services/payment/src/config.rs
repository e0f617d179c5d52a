//! Settings of the payment role.

use makegood_chassis::bearer_token::BearerToken;

/// Flags and variables of the payment role.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// Base address of the card provider.
    #[arg(long, env = "MAKEGOOD_PROVIDER_URL", default_value = "http://127.0.0.1:8080")]
    pub provider_url: String,
    /// Secret key for the card provider; the payment role does not start without it.
    #[arg(long, env = "MAKEGOOD_PROVIDER_KEY", hide_env_values = true)]
    pub provider_key: Option<BearerToken>,
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
