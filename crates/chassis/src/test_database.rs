//! A migrated database for one test, on the server that `MAKEGOOD_TEST_DATABASE_URL` names.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, migrate::Migrator};

use crate::{
    config::Config,
    database::{self, Purpose},
};

pub(crate) struct TestDatabase {
    pub(crate) db: PgPool,
    config: Config,
    service: String,
}

impl TestDatabase {
    /// A missing variable fails the test: a skipped one would prove nothing.
    pub(crate) fn server_url() -> String {
        std::env::var("MAKEGOOD_TEST_DATABASE_URL")
            .expect("MAKEGOOD_TEST_DATABASE_URL names a server where tests may create databases")
    }

    pub(crate) async fn create() -> Self {
        let config = Config::for_tests(&Self::server_url());
        let service = format!("h_chassis_{}", uuid::Uuid::now_v7().simple());
        database::migrate(&config, &service, &Migrator::with_migrations(Vec::new())).await.expect("migrates");
        let url = database::service_url(&config, &service).expect("an address");
        let db = database::connect(&url, &service, Purpose::Http).await.expect("connects");
        Self { db, config, service }
    }

    /// A connection with all rights, for what the role may not do.
    pub(crate) async fn owner(&self) -> PgConnection {
        let options: sqlx::postgres::PgConnectOptions = self.config.database_url.parse().expect("an address");
        PgConnection::connect_with(&options.database(&format!("makegood_{}", self.service))).await.expect("connects")
    }

    pub(crate) async fn remove(self) {
        self.db.close().await;
        Self::drop_service(&self.config, &self.service).await;
    }

    pub(crate) async fn drop_service(config: &Config, service: &str) {
        let mut admin = PgConnection::connect(&config.database_url).await.expect("connects");
        for ddl in [format!("drop database makegood_{service} with (force)"), format!("drop role makegood_{service}")] {
            sqlx::query(AssertSqlSafe(ddl)).execute(&mut admin).await.expect("dropped");
        }
    }
}
