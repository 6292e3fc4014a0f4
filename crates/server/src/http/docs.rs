//! `/docs`: Swagger UI over `/openapi.json`. Every file of it is in this program, and a policy tells the
//! browser to load nothing from elsewhere.

use super::problem::Problem;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::Config;

/// Swagger UI writes styles into its elements, and its icons are data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Relative, so that the page also works below a prefix that a proxy takes away.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::from("../openapi.json")
            // Else it would ask a public validator about every document.
            .validator_url("none")
            .use_base_layout()
            .display_request_duration(true),
    )
});

/// `GET /docs`
pub(super) async fn redirect() -> Redirect {
    Redirect::permanent("docs/")
}

/// `GET /docs/`
pub(super) async fn index() -> Result<Response, Problem> {
    asset("index.html")
}

/// `GET /docs/{file}`
pub(super) async fn file(name: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::no_path())?;
    asset(&name)
}

fn asset(name: &str) -> Result<Response, Problem> {
    let found = utoipa_swagger_ui::serve(name, CONFIG.clone()).ok().flatten();
    let file = found.ok_or_else(Problem::no_path)?;
    let kind = HeaderValue::try_from(file.content_type).map_err(|_| Problem::no_path())?;
    let policy = HeaderValue::from_static(POLICY);
    let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, policy)];
    // Packed in the program already; every browser takes it.
    let packed = file.gzpipped.then_some([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
    Ok((headers, packed, file.bytes).into_response())
}
