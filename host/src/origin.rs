//! Which web pages may talk to the server.
//!
//! Browsers name the page's origin in the `Origin` header of WebSocket upgrades and cross-site requests; other
//! clients send none and are let through. Without this check any page that a person visits could drive the car on
//! their loopback interface. Let in are pages from this machine (loopback hosts, and files, whose origin is
//! `null`), pages that the server itself served to the network, and what `--allow-origin` lists.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::config::Exposure;

/// The rule for one server.
#[derive(Clone, Debug)]
pub struct Origins {
    allowed: Arc<[String]>,
    exposure: Exposure,
}

impl Origins {
    /// Lets in pages of this machine and of the `allowed` origins (`https://host:port`, or `*` for all).
    pub fn new(allowed: &[String], exposure: Exposure) -> Self {
        let allowed =
            allowed.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        Self { allowed, exposure }
    }

    /// Whether a request with these headers may pass.
    ///
    /// ```
    /// use axum::http::{HeaderMap, HeaderValue};
    /// use cloverleaf::config::Exposure;
    /// use cloverleaf::origin::Origins;
    /// let origins = Origins::new(&["https://bench.example".into()], Exposure::Loopback);
    /// let from = |origin: &'static str| HeaderMap::from_iter([("origin".parse().unwrap(), HeaderValue::from_static(origin))]);
    /// assert!(origins.allow(&HeaderMap::new()));
    /// assert!(origins.allow(&from("http://localhost:3000")));
    /// assert!(origins.allow(&from("https://bench.example")));
    /// assert!(!origins.allow(&from("https://elsewhere.example")));
    /// ```
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else { return false };
        if origin == "null" || self.allowed.iter().any(|allowed| allowed == "*" || *allowed == origin) {
            return true;
        }
        let Some(authority) = origin.parse::<Uri>().ok().and_then(|uri| uri.into_parts().authority) else {
            return false;
        };
        if is_loopback(authority.host()) {
            return true;
        }
        // On the loopback interface a foreign Host header means a name that was rebound to this machine.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        self.exposure == Exposure::Network
            && host.is_some_and(|host| host.eq_ignore_ascii_case(authority.as_str()))
    }

    /// Puts the rule, and the CORS headers that follow from it, in front of `router`.
    pub fn guard(self, router: Router) -> Router {
        let rule = self.clone();
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |_: &HeaderValue, parts| rule.allow(&parts.headers)))
            .allow_headers(AllowHeaders::mirror_request())
            .allow_methods(AllowMethods::mirror_request())
            .allow_credentials(true);
        router.layer(cors).layer(from_fn_with_state(self, refuse_foreign))
    }
}

async fn refuse_foreign(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    if origins.allow(request.headers()) {
        return next.run(request).await;
    }
    let origin =
        request.headers().get(header::ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    let reason = format!(
        "pages from {} may not use this server; start it with --allow-origin to let them\n",
        origin.unwrap_or_default()
    );
    (StatusCode::FORBIDDEN, reason).into_response()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_listed_ones_are_let_in() {
        use Exposure::{Loopback, Network};
        #[rustfmt::skip]
        let cases = [
            (Loopback, "http://localhost:3000",    "127.0.0.1:5000",     true),
            (Loopback, "http://127.0.0.1",         "localhost:5000",     true),
            (Loopback, "http://[::1]:8080",        "[::1]:5000",         true),
            (Loopback, "null",                     "localhost:5000",     true),
            (Loopback, "https://LISTED.example",   "localhost:5000",     true),
            (Loopback, "https://listed.example:1", "localhost:5000",     false),
            (Loopback, "http://rebound.example",   "rebound.example",    false),
            (Loopback, "http://localhost.example", "localhost:5000",     false),
            (Loopback, "",                         "localhost:5000",     false),
            (Network,  "http://bench.local:5000",  "bench.local:5000",   true),
            (Network,  "http://bench.local:5001",  "bench.local:5000",   false),
            (Network,  "http://elsewhere.example", "bench.local:5000",   false),
        ];
        for (exposure, origin, host, expected) in cases {
            let origins = Origins::new(&["https://listed.example/".into()], exposure);
            let headers = HeaderMap::from_iter([
                (header::ORIGIN, HeaderValue::from_static(origin)),
                (header::HOST, HeaderValue::from_static(host)),
            ]);
            assert_eq!(origins.allow(&headers), expected, "{exposure:?} {origin} {host}");
        }
    }
}
