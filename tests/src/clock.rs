use crate::TestDatabase;
use crate::database::connect;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::Client;

/// The clock of one database: its functions read it instead of their own, so that a test says what time
/// it is.
pub struct Clock {
    owner: Client,
}

impl Clock {
    /// Stops the clock of a database at a moment, in microseconds since 1970.
    pub async fn stop(database: &TestDatabase, at: i64) -> Self {
        let owner = connect(&database.owner_url).await;
        owner
            .batch_execute(
                "CREATE TABLE giro.test_time AS SELECT clock_timestamp() AS at;
                 CREATE FUNCTION giro.test_clock() RETURNS timestamptz
                     LANGUAGE sql AS 'SELECT at FROM giro.test_time'",
            )
            .await
            .expect("a clock of the test's own");
        let definitions = "SELECT pg_get_functiondef(p.oid) FROM pg_proc p
             WHERE p.pronamespace = 'giro'::regnamespace AND p.prosrc LIKE '%clock_timestamp()%'";
        let functions = owner.query(definitions, &[]).await.expect("the functions");
        assert!(!functions.is_empty(), "no function reads the clock");
        for function in functions {
            let altered = function.get::<_, &str>(0);
            let altered = altered.replace("clock_timestamp()", "giro.test_clock()");
            owner.batch_execute(&altered).await.expect("the function reads the test's clock");
        }
        let clock = Self { owner };
        clock.set(at).await;
        clock
    }

    /// Sets the clock to a moment, in microseconds since 1970.
    pub async fn set(&self, at: i64) {
        let set = "UPDATE giro.test_time SET at = $1";
        self.owner.execute(set, &[&moment(at)]).await.expect("the clock is set");
    }
}

/// A moment, from microseconds since 1970.
pub fn moment(at: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at).expect("a moment after 1970"))
}
