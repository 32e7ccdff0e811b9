//! The OpenAPI document of `/api`, for programs and for people.

use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;

/// The document for programs; a page with the same for browsers.
pub(super) fn show(document: &Value, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return axum::Json(document).into_response();
    }
    let mut page = String::from(
        "<!doctype html><meta charset=utf-8><title>Cloverleaf: the road</title><style>body{font:1em sans-serif;margin:2em}\
         td{padding:.2em 1em .2em 0;font-family:monospace}</style><h1>The road over REST</h1>\
         <p>Keys go into <code>X-API-KEY</code>. Programs get this page as OpenAPI (<code>Accept: application/json</code>).</p><table>",
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let summary = operation["summary"].as_str().unwrap_or_default();
            page.push_str(&format!(
                "<tr><td>{}</td><td>{path}</td><td>{summary}</td></tr>",
                method.to_uppercase()
            ));
        }
    }
    page.push_str("</table>");
    Html(page).into_response()
}
