//! Bringing a service's database to this build's schema: the only work that is done with the right to DDL.

use anyhow::Context as _;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, migrate::Migrator, postgres::PgConnectOptions};

use super::address::{AUDITOR_ROLE, database_of, own_url, role_password, server};
use crate::config::Config;

/// Tables that every service has: barrier, dead letters, event log, idempotency keys.
static EVERY_SERVICE: Migrator = sqlx::migrate!("../../migrations/every_service");

/// Key of the advisory lock that lets one process at a time make databases and roles ("makegood" in ASCII).
const BOOTSTRAP_LOCK: i64 = 0x6d61_6b65_676f_6f64;

/// Creates database and role if missing, applies migrations/every_service and the service's own, grants the role SELECT, INSERT, UPDATE, DELETE
/// (default privileges set before migrating, so that a migration may revoke). Safe to run at once from several processes.
pub async fn migrate(config: &Config, service: &str, own: &Migrator) -> anyhow::Result<()> {
    if let Some(url) = own_url(service) {
        let mut connection =
            PgConnection::connect(&url).await.with_context(|| format!("connecting to the database of {service}"))?;
        apply(&mut connection, own).await.with_context(|| format!("migrating the database of {service}"))?;
        return connection.close().await.context("closing the migration's connection");
    }
    let server = server(config)?;
    super::await_server(&server, service).await?;
    let mut admin =
        PgConnection::connect_with(&server).await.context("connecting to the server as its administrator")?;
    // Held until the connection ends: two who alter one role at once would fail.
    sqlx::query("select pg_advisory_lock($1)")
        .bind(BOOTSTRAP_LOCK)
        .execute(&mut admin)
        .await
        .context("waiting for another migration")?;
    let migrated = migrate_locked(&mut admin, &server, config, service, own).await;
    admin.close().await.context("closing the administrator's connection")?;
    migrated.with_context(|| format!("migrating the database of {service}"))
}

async fn migrate_locked(
    admin: &mut PgConnection,
    server: &PgConnectOptions,
    config: &Config,
    service: &str,
    own: &Migrator,
) -> anyhow::Result<()> {
    let database = database_of(service)?;
    let role = database.as_str();
    for name in [role, AUDITOR_ROLE] {
        make_role(admin, name, &role_password(config, name)?).await?;
    }
    make_database(admin, &database).await?;
    let auditor_reads = format!("grant pg_read_all_data to {AUDITOR_ROLE}");
    run(admin, auditor_reads).await?;

    let mut connection = PgConnection::connect_with(&server.clone().database(&database))
        .await
        .context("connecting to the new database")?;
    let grants = format!(
        "revoke all on database {database} from public;
         grant connect on database {database} to {role}, {AUDITOR_ROLE};
         revoke all on schema public from public;
         grant usage on schema public to {role};
         alter default privileges in schema public grant select, insert, update, delete on tables to {role};
         alter default privileges in schema public grant usage, select on sequences to {role};"
    );
    run(&mut connection, grants).await.context("granting the role its rights")?;
    apply(&mut connection, own).await?;
    run(&mut connection, only_the_role_may_call(role)).await.context("keeping functions to the role")?;
    // What was migrated is the migration's to write; the role reads it to know whether it may begin.
    run(&mut connection, format!("revoke insert, update, delete on _sqlx_migrations from {role}")).await?;
    connection.close().await.context("closing the migration's connection")
}

/// Functions that act with their owner's rights make and drop tables, and PostgreSQL lets everybody call a new function.
fn only_the_role_may_call(role: &str) -> String {
    format!(
        "do $do$
         declare
             act regprocedure;
         begin
             for act in select oid from pg_proc where pronamespace = 'public'::regnamespace and prosecdef loop
                 execute format('revoke execute on function %s from public', act);
                 execute format('grant execute on function %s to {role}', act);
             end loop;
         end $do$"
    )
}

/// The password follows the secret, so that a rotated secret needs no hand on the database.
async fn make_role(admin: &mut PgConnection, role: &str, password: &str) -> anyhow::Result<()> {
    let created = run(admin, format!("create role {role} login password '{password}'")).await;
    match created {
        Ok(()) => tracing::info!(role, "created a database role"),
        Err(error) if exists_already(&error) => {
            run(admin, format!("alter role {role} login password '{password}'")).await?
        }
        Err(error) => return Err(error).with_context(|| format!("creating the role {role}")),
    }
    Ok(())
}

/// From template0, to which nobody can be connected: a busy template refuses to be copied.
async fn make_database(admin: &mut PgConnection, database: &str) -> anyhow::Result<()> {
    match run(admin, format!("create database {database} template template0")).await {
        Ok(()) => tracing::info!(database, "created a database"),
        Err(error) if exists_already(&error) => {}
        Err(error) => return Err(error).with_context(|| format!("creating the database {database}")),
    }
    Ok(())
}

/// duplicate_database, duplicate_object, or the unique violation of two who create at the same instant.
fn exists_already(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|told| told.code().map(|code| code.into_owned()));
    code.is_some_and(|code| ["42P04", "42710", "23505"].contains(&code.as_str()))
}

/// Runs DDL, which takes no parameters: all names in it come from [`database_of`] and all passwords are hexadecimal.
async fn run(connection: &mut PgConnection, ddl: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(ddl)).execute(connection).await.map(drop)
}

/// The two sets share one table of what was applied, so each must bear the other's rows.
async fn apply(connection: &mut PgConnection, own: &Migrator) -> anyhow::Result<()> {
    for (name, set) in [("every service's", &EVERY_SERVICE), ("the service's own", own)] {
        let mut set = Migrator::with_migrations(set.iter().cloned().collect());
        set.set_ignore_missing(true);
        set.run(&mut *connection).await.with_context(|| format!("applying {name} migrations"))?;
    }
    Ok(())
}

/// Whether every migration that this build knows was applied: before that, a role is not ready.
pub async fn has_schema(db: &PgPool, own: &Migrator) -> Result<bool, sqlx::Error> {
    let versions: Vec<i64> = EVERY_SERVICE.iter().chain(own.iter()).map(|migration| migration.version).collect();
    let applied: i64 = sqlx::query_scalar("select count(*) from _sqlx_migrations where success and version = any($1)")
        .bind(&versions)
        .fetch_one(db)
        .await?;
    Ok(usize::try_from(applied) == Ok(versions.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        database::{self, Purpose},
        test_database::TestDatabase,
    };

    #[tokio::test]
    async fn four_migrations_at_once_leave_one_schema_in_which_the_role_has_no_ddl() {
        let server = TestDatabase::server_url();
        let config = Config::for_tests(&server);
        let service = format!("h_chassis_{}", uuid::Uuid::now_v7().simple());
        let own = Migrator::with_migrations(Vec::new());
        let all = futures::future::join_all((0..4).map(|_| migrate(&config, &service, &own))).await;
        all.into_iter().collect::<anyhow::Result<Vec<()>>>().expect("all of them succeed");

        let url = database::service_url(&config, &service).expect("an address");
        let db = database::connect(&url, &service, Purpose::Http).await.expect("connects");
        assert!(has_schema(&db, &own).await.expect("asked"));
        let timeout: String =
            sqlx::query_scalar("show idle_in_transaction_session_timeout").fetch_one(&db).await.expect("asked");
        assert_eq!(timeout, "5s");
        sqlx::query("select make_key_partitions()").execute(&db).await.expect("the role may call it");
        sqlx::query("create table own (id int)").execute(&db).await.expect_err("the role has no DDL");
        sqlx::query("insert into dead_letter (id, subject, payload, reason, deliveries) values (gen_random_uuid(), 's', '', 'r', 1)").execute(&db).await.expect("writes");

        let url = database::auditor_url(&config, &service).expect("an address");
        let auditor = database::connect(&url, &service, Purpose::Admin).await.expect("connects");
        let parked: i64 =
            sqlx::query_scalar("select count(*) from dead_letter").fetch_one(&auditor).await.expect("reads");
        assert_eq!(parked, 1);
        sqlx::query("delete from dead_letter").execute(&auditor).await.expect_err("the auditor writes nothing");
        for acts_as_owner in ["make_key_partitions()", "make_day_partitions('barrier', 0, 9)"] {
            let call = AssertSqlSafe(format!("select {acts_as_owner}"));
            sqlx::query(call).execute(&auditor).await.expect_err("the auditor makes and drops no days");
        }

        db.close().await;
        auditor.close().await;
        TestDatabase::drop_service(&config, &service).await;
    }
}
