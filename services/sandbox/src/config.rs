//! Settings of the sandbox.

use std::time::Duration;

use makegood_chassis::bearer_token::BearerToken;

/// Flags and variables of the sandbox.
#[derive(clap::Args, Debug, Clone)]
pub struct Config {
    /// Secret key that merchants present to the pretend card provider; it serves nobody without one.
    #[arg(long = "sandbox-provider-key", env = "MAKEGOOD_PROVIDER_KEY", hide_env_values = true)]
    pub sandbox_provider_key: Option<BearerToken>,
    /// Where the pretend card provider sends its callbacks.
    #[arg(
        long = "sandbox-provider-callback-url",
        env = "MAKEGOOD_PROVIDER_CALLBACK_URL",
        default_value = "http://127.0.0.1:8080/v1/provider/callbacks"
    )]
    pub sandbox_provider_callback_url: String,
    /// Address under which buyers reach the challenge page; by default the one that the authorization was sent to.
    #[arg(long = "sandbox-public-url", env = "MAKEGOOD_SANDBOX_PUBLIC_URL")]
    pub sandbox_public_url: Option<String>,
    /// Seconds after which the pretend carrier ships what it was announced; fractions are allowed.
    #[arg(long = "sandbox-ship-after", env = "MAKEGOOD_SANDBOX_SHIP_AFTER", default_value = "2", value_parser = seconds)]
    pub sandbox_ship_after: Duration,
}

/// Longer than a year is a mistake.
const MAX_SECONDS: f64 = 31_536_000.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text);
    match number.parse::<f64>() {
        Ok(seconds) if (0.0..=MAX_SECONDS).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds".to_owned()),
    }
}
