//! Which web pages may talk to the server.
//!
//! Browsers name the page's origin in the `Origin` header of WebSocket upgrades and cross-site requests; other
//! clients send none and are let through. Without this check any page that a person visits could drive the car on
//! their loopback interface. Let in are pages from this machine (loopback hosts), pages that the server itself served,
//! and what `--allow-origin` lists. `null`, the origin of pages that are files, is let in only if listed: any page can
//! have it, by way of a frame in a sandbox.
//!
//! A server that only this machine can reach also looks at the `Host` header: a foreign name is one that somebody
//! rebound to this machine, so that their pages count as the server's own.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::auth::Exposure;

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
    /// use cloverleaf::auth::Exposure;
    /// use cloverleaf::origin::Origins;
    /// let origins = Origins::new(&["https://bench.example".into()], Exposure::Loopback);
    /// let from = |origin: &'static str| HeaderMap::from_iter([("origin".parse().unwrap(), HeaderValue::from_static(origin))]);
    /// assert!(origins.allow(&HeaderMap::new()));
    /// assert!(origins.allow(&from("http://localhost:3000")));
    /// assert!(origins.allow(&from("https://bench.example")));
    /// assert!(!origins.allow(&from("https://elsewhere.example")));
    /// ```
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        self.refusal(headers).is_none()
    }

    /// Why a request with these headers may not pass; `None` when it may.
    fn refusal(&self, headers: &HeaderMap) -> Option<String> {
        let text =
            |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
        let (origin, host) = (text(header::ORIGIN), text(header::HOST));
        if self.exposure == Exposure::Loopback
            && let Some(host) = &host
            && !self.is_ours(host)
        {
            return Some(format!(
                "this server is called localhost and not {host}; start it with --allow-origin http://{host} to call it so\n"
            ));
        }
        let origin = origin?;
        if self.allowed.iter().any(|allowed| allowed == "*" || *allowed == origin) {
            return None;
        }
        let local_or_own = authority(&origin).is_some_and(|authority| {
            is_loopback(authority.host()) || host.is_some_and(|host| host == authority.as_str())
        });
        (!local_or_own).then(|| {
            format!("pages from {origin} may not use this server; start it with --allow-origin {origin} to let them\n")
        })
    }

    /// Whether a name is of this machine, or of a listed origin (which a proxy passes on).
    fn is_ours(&self, host: &str) -> bool {
        let Ok(name) = host.parse::<Authority>() else { return false };
        is_loopback(name.host())
            || self.allowed.iter().any(|allowed| {
                allowed == "*" || authority(allowed).is_some_and(|allowed| allowed.host() == name.host())
            })
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
    match origins.refusal(request.headers()) {
        None => next.run(request).await,
        Some(reason) => (StatusCode::FORBIDDEN, reason).into_response(),
    }
}

/// Host and port of an origin.
fn authority(origin: &str) -> Option<Authority> {
    origin.parse::<Uri>().ok()?.into_parts().authority
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
            (Loopback, "null",                     "localhost:5000",     false),
            (Network,  "null",                     "bench.local:5000",   false),
            (Loopback, "https://LISTED.example",   "localhost:5000",     true),
            (Loopback, "https://listed.example",   "listed.example",     true),
            (Loopback, "http://localhost:5000",    "rebound.example",    false),
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

    #[test]
    fn a_name_that_was_rebound_to_this_machine_is_refused_without_an_origin_too() {
        use Exposure::{Loopback, Network};
        #[rustfmt::skip]
        let cases = [
            (Loopback, "127.0.0.1:5000",      true),
            (Loopback, "[::1]:5000",          true),
            (Loopback, "app.localhost:5000",  true),
            (Loopback, "listed.example:5000", true),
            (Loopback, "rebound.example",     false),
            (Loopback, "not a host",          false),
            (Network,  "rebound.example",     true),
        ];
        for (exposure, host, expected) in cases {
            let origins = Origins::new(&["https://listed.example".into()], exposure);
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            assert_eq!(origins.allow(&headers), expected, "{exposure:?} {host}");
        }
    }

    #[test]
    fn pages_that_are_files_can_be_let_in() {
        let origins = Origins::new(&["null".into()], Exposure::Loopback);
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("null"))]);
        assert!(origins.allow(&headers));
    }
}
