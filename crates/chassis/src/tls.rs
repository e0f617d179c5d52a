//! One crypto provider in the whole process: with two in one build, rustls panics at the first use of TLS.

/// Makes aws-lc-rs the provider of every TLS connection. Calling it again does nothing.
pub fn install_provider() {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a crypto provider was installed before");
    }
}
