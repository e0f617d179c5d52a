//! The broker that tests talk to.

/// The URL that `MAKEGOOD_TEST_NATS_URL` names; its JetStream is shared, so a test takes names of its own.
pub fn nats_url() -> String {
    std::env::var("MAKEGOOD_TEST_NATS_URL").expect("MAKEGOOD_TEST_NATS_URL names a NATS server for tests")
}
