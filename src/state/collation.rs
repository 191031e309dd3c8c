//! Text compares in C order: by its octets, as on SQLite.
//!
//! PostgreSQL compares a column by the database's own collation, which is mostly a human one, and SQLite knows no
//! `COLLATE "C"` that the shared migrations could say. So the columns of our tables are changed after the migrations: the
//! indexes go with them, and paging by name takes no sorting.

use sqlx::AnyPool;
use sqlx::migrate::Migrator;

use super::Result;

/// Changes the text columns of the migrations' tables that are not in C order yet. Several nodes may come at once.
pub(super) async fn to_c_order(pool: &AnyPool, migrations: &Migrator) -> Result<()> {
    let tables: Vec<String> = migrations.iter().flat_map(|step| tables(step.sql.as_str())).collect();
    let statement = format!(
        "DO $$ DECLARE found record; BEGIN \
         PERFORM pg_advisory_xact_lock(7239453); \
         FOR found IN SELECT table_name, column_name FROM information_schema.columns \
         WHERE table_schema = current_schema() AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' \
         AND table_name IN ({}) LOOP \
         EXECUTE format('ALTER TABLE %I ALTER COLUMN %I TYPE TEXT COLLATE \"C\"', found.table_name, found.column_name); \
         END LOOP; END $$",
        tables.join(", ")
    );
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(pool).await?;
    Ok(())
}

/// The tables that a migration makes, each in quotes.
fn tables(migration: &str) -> Vec<String> {
    let names = migration.split("CREATE TABLE ").skip(1).filter_map(|rest| rest.split([' ', '(']).next());
    names.map(|name| format!("'{name}'")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn tables_are_found() {
        let migration = "-- first\nCREATE TABLE a (x TEXT);\nCREATE INDEX i ON a (x);\nCREATE TABLE b_c(\n y TEXT);";
        assert_eq!(super::tables(migration), ["'a'", "'b_c'"]);
    }
}
