//! Certificates on record at a private CA, by the million.

use renewd::state::State;

use crate::daemon::{Home, config_of};

/// Rows a transaction.
const ROWS: usize = 50_000;

/// About as many characters as a leaf of P-256 takes in base64.
const CERTIFICATE: usize = 760;

/// Of how many one is revoked.
const REVOKED: usize = 100;

/// Writes so many certificates of generation 1 of `[ca.internal]` down, and gives the serials of those that are good,
/// in no order.
pub async fn fill(home: &Home, count: usize) -> Vec<Vec<u8>> {
    let state = State::open(&config_of(&home.config()).state).await.expect("the state can be opened");
    let mut serials = Vec::with_capacity(count);
    for first in (0..count).step_by(ROWS) {
        let numbers = first..count.min(first + ROWS);
        insert(&state, numbers.clone()).await;
        serials.extend(numbers.filter(|number| !number.is_multiple_of(REVOKED)).map(serial));
    }
    state.close().await;
    serials
}

/// One transaction. The rows of a page are in the order of their serials, as a table that grows slowly would never be:
/// writing them would take minutes otherwise.
async fn insert(state: &State, numbers: std::ops::Range<usize>) {
    let mut rows: Vec<_> = numbers.map(|number| (hex::encode(serial(number)), number)).collect();
    rows.sort();
    let mut write = state.begin().await.expect("the state can be written");
    let certificate = "A".repeat(CERTIFICATE);
    for chunk in rows.chunks(500) {
        let values: Vec<_> = chunk.iter().map(|(serial, number)| row(serial, *number)).collect();
        let statement = format!(
            "INSERT INTO ca_certificate (ca, serial, generation, order_id, names, subject, not_before, not_after, \
             certificate, created_at, revoked_at, revocation_reason) VALUES {}",
            values.join(", ")
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(&certificate);
        query.execute(&mut *write).await.expect("rows are written");
    }
    write.commit().await.expect("all is written");
}

fn row(serial: &str, number: usize) -> String {
    const BEGIN: usize = 1_800_000_000_000;
    const END: usize = BEGIN + 2_000_000_000_000;
    let (revoked, reason) = match number % REVOKED {
        0 => ((BEGIN + number).to_string(), "1"),
        _ => ("NULL".to_owned(), "NULL"),
    };
    format!(
        "('internal', '{serial}', 1, 'bench {number}', '[\"n{number}.test\"]', 'n{number}.test', {BEGIN}, {END}, $1, \
         {}, {revoked}, {reason})",
        BEGIN + number
    )
}

/// A serial of 16 octets, unlike those of its neighbours.
fn serial(number: usize) -> Vec<u8> {
    let number = u128::try_from(number).expect("it fits") + 1;
    // Odd, so that no two numbers meet; the highest bit stays clear.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    ((mixed ^ (mixed >> 61)) >> 1).to_be_bytes().to_vec()
}
