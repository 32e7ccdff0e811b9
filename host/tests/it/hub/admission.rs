//! Who may connect.

use cloverleaf::auth::Key;
use cloverleaf::config::Options;

use super::Client;
use crate::support::Server;

/// Connects and answers the chosen subprotocol, or the status and body of the refusal.
async fn asks(server: &Server, path: &str, origin: Option<&str>, offered: Option<&str>) -> String {
    match Client::request(server, path, origin, offered).await {
        Ok((_, protocol)) => protocol.unwrap_or_else(|| "none".to_owned()),
        Err((status, body)) => format!("{status} {body}").trim_end().to_owned(),
    }
}

#[tokio::test]
async fn a_token_lets_in_by_subprotocol_or_parameter() {
    let mut options = Options::default();
    options.hub.hub_key = Some(Key::new("s3cret?>"));
    let server = Server::start(&options).await;
    let path = "/socket/websocket?vsn=2.0.0";
    for (path, offered, answer) in [
        (path, Some("phoenix, base64url.bearer.phx.czNjcmV0Pz4"), "phoenix"),
        (path, Some("phoenix, base64url.bearer.phx.czNjcmV0Pz4="), "phoenix"),
        (path, Some("base64url.bearer.phx.czNjcmV0Pz4"), "none"),
        ("/socket/websocket?vsn=2.0.0&token=s3cret%3F%3E", Some("phoenix"), "phoenix"),
        ("/socket/websocket?vsn=2.0.0&token=s3cret%3F%3E", None, "none"),
        ("/socket/websocket?vsn=2.0.0&token=secret", None, "403"),
        (path, None, "403"),
        (path, Some("phoenix"), "403"),
        (path, Some("phoenix, base64url.bearer.phx.c2VjcmV0"), "403"),
        (path, Some("other, base64url.bearer.phx.czNjcmV0Pz4"), "403"),
        (path, Some("phoenix, base64url.bearer.phx.!!"), "400 the token is not base64"),
    ] {
        assert_eq!(asks(&server, path, None, offered).await, answer, "{path} {offered:?}");
    }
}

#[tokio::test]
async fn pages_of_other_hosts_are_kept_out() {
    let mut options = Options::default();
    options.hub.hub_origin = vec!["example.com".to_owned(), "*.example.org".to_owned()];
    let server = Server::start(&options).await;
    for (origin, answer) in [
        (None, "none"),
        (Some("http://example.com"), "none"),
        (Some("https://EXAMPLE.com:8443"), "none"),
        (Some("https://example.org"), "none"),
        (Some("https://a.b.example.org"), "none"),
        (Some("https://notexample.org"), "403"),
        (Some("https://example.com.evil.net"), "403"),
        (Some("http://localhost"), "403"),
        (Some("null"), "403"),
        (Some(""), "403"),
        (Some("example.com"), "403"),
        (Some("http://"), "403"),
    ] {
        assert_eq!(asks(&server, "/socket/websocket", origin, None).await, answer, "{origin:?}");
    }
}

#[tokio::test]
async fn a_browser_that_offers_the_subprotocol_is_answered_without_a_key_too() {
    let server = Server::start(&Options::default()).await;
    for (offered, answer) in [
        ("phoenix", "phoenix"),
        ("phoenix, base64url.bearer.phx.czNjcmV0Pz4", "phoenix"),
        ("other", "none"),
        ("base64url.bearer.phx.!!", "none"),
    ] {
        assert_eq!(asks(&server, "/socket/websocket", None, Some(offered)).await, answer, "{offered}");
    }
}

#[tokio::test]
async fn a_query_that_is_not_percent_encoded_text_is_refused() {
    let server = Server::start(&Options::default()).await;
    for query in ["?x=%", "?x=%4", "?x=%+4", "?x=%zz", "?x=%ff"] {
        let answer = asks(&server, &format!("/socket/websocket{query}"), None, None).await;
        assert_eq!(answer, "400 the query is not percent-encoded UTF-8", "{query}");
    }
}
