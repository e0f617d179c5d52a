//! The broker that tests talk to.

/// The URL that `MAKEGOOD_TEST_NATS_URL` names; its JetStream is shared, so a test takes names of its own.
pub fn nats_url() -> String {
    std::env::var("MAKEGOOD_TEST_NATS_URL").expect("MAKEGOOD_TEST_NATS_URL names a NATS server for tests")
}

/// A connection of the test's own, with the user and password of the URL, which async-nats does not read by itself.
pub async fn nats_client() -> async_nats::Client {
    let address: async_nats::ServerAddr = nats_url().parse().expect("the URL of a NATS server");
    let options = match (address.username(), address.password()) {
        (Some(user), Some(password)) => {
            async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        }
        _ => async_nats::ConnectOptions::new(),
    };
    options.connect(address).await.expect("connects")
}
