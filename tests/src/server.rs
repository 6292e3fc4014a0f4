use crate::{Client, TestDatabase};
use giro_server::{App, Config, DatabaseUrl, Stopped};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A server in this process, on free ports, with a database of its own.
pub struct TestServer {
    app: App,
    /// Speaks to the API.
    pub client: Client,
    /// Speaks to the operators' listener.
    pub admin: Client,
    /// Its database.
    pub database: TestDatabase,
}

impl TestServer {
    /// With the default settings.
    pub async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    /// With settings of the test's own.
    pub async fn configured(configure: impl FnOnce(&mut Config)) -> Self {
        Self::on(TestDatabase::new().await, configure).await
    }

    /// On a database that exists.
    pub async fn on(database: TestDatabase, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        (config.server.listen, config.admin.listen) = (free, free);
        config.database.url = Some(DatabaseUrl::from(database.server_url.clone()));
        configure(&mut config);
        assert_eq!(config.check(), Vec::<String>::new());
        let app = App::start(&config).await.unwrap_or_else(|error| panic!("{error}"));
        let (client, admin) = (Client::new(app.api_address()), Client::new(app.admin_address()));
        let server = Self { app, client, admin, database };
        server.until_ready().await;
        server
    }

    /// Waits until a transfer could be applied.
    pub async fn until_ready(&self) {
        crate::eventually("the server is ready", async || {
            self.admin.get("/readyz").await.status == 200
        })
        .await;
    }

    /// Creates accounts `1..=count` without limits.
    pub async fn accounts(&self, count: u64) {
        let accounts: Vec<_> = (1..=count).map(|id| json!({ "id": id })).collect();
        let reply = self.client.post("/accounts", &json!(accounts)).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// The address of the API.
    pub fn address(&self) -> SocketAddr {
        self.app.api_address()
    }

    /// The address of the operators' listener.
    pub fn admin_address(&self) -> SocketAddr {
        self.app.admin_address()
    }

    /// The value of one metric, with its labels as they are printed; 0 when it is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.admin.get("/metrics").await.text;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// Stops it in order, with the default patience.
    pub async fn stop(self) -> (Stopped, TestDatabase) {
        self.stop_within(Duration::from_secs(10)).await
    }

    /// Stops it in order.
    pub async fn stop_within(self, limit: Duration) -> (Stopped, TestDatabase) {
        (self.app.stop(limit).await, self.database)
    }
}
