//! `/docs` needs nothing but the server.

use giro_tests::TestServer;
use tokio::process::Command;

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let address = server.address();
    let get = async |path: &str| {
        let url = format!("http://{address}{path}");
        let curl = ["-sSf", "-L", "--compressed", "-D", "/dev/stderr", &url];
        let output = Command::new("curl").args(curl).output().await.expect("curl");
        assert!(output.status.success(), "{path}: {output:?}");
        let text = |bytes| String::from_utf8_lossy(bytes).to_lowercase();
        (text(&output.stderr), text(&output.stdout))
    };
    let (_, page) = get("/docs").await;
    let files = page
        .split(['"', '\''])
        .filter(|text| [".js", ".css", ".png", ".ico"].iter().any(|suffix| text.ends_with(suffix)));
    let files: Vec<&str> = files.map(|file| file.trim_start_matches("./")).collect();
    assert!(files.len() >= 5, "{page}");
    for file in &files {
        assert!(!file.contains('/'), "{file} is not beside the page");
        let (headers, content) = get(&format!("/docs/{file}")).await;
        assert!(headers.contains("content-security-policy: default-src 'none'; "), "{headers}");
        assert!(!content.is_empty(), "{file}");
    }
    let (headers, initializer) = get("/docs/swagger-initializer.js").await;
    let policy = headers.lines().find(|line| line.starts_with("content-security-policy")).unwrap();
    assert!(initializer.contains(r#""url": "../openapi.json""#), "{initializer}");
    // Its default is a validator on the Internet.
    assert!(initializer.contains(r#""validatorurl": "none""#), "{initializer}");
    for text in [&page, &initializer, policy] {
        assert!(!text.contains("http:") && !text.contains("https:"), "{text}");
    }
    let reply = server.client.get("/docs/../../etc/passwd").await;
    assert_eq!((reply.status.as_u16(), reply.outcome()), (404, "not_applied"));
    assert_eq!(server.client.get("/docs/none.js").await.outcome(), "not_applied");
}
