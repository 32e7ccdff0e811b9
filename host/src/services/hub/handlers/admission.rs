//! Who may connect: the origin, the token, the version and what else a request says.

use axum::extract::Query;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cloverleaf_core::phoenix::wire::Version;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use crate::origin::Origins;
use crate::services::hub::Hub;
use crate::services::hub::channel::Peer;
use crate::services::hub::state::Admission;

/// The subprotocol that carries a token, before its base64.
const BEARER: &str = "base64url.bearer.phx.";

/// Why a client may not connect; Phoenix says no more than the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("the query is not percent-encoded UTF-8")]
    Query,
    #[error("the token is not base64")]
    Token,
    #[error("none of the subprotocols is phoenix")]
    Subprotocol,
    #[error("a vsn that is not spoken, or not the token")]
    Refused,
}

impl Denied {
    /// As a status: Phoenix's in strict mode.
    pub(super) const fn status(self, strict: bool) -> StatusCode {
        match self {
            Self::Query => StatusCode::BAD_REQUEST,
            Self::Token if strict => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Token => StatusCode::BAD_REQUEST,
            Self::Subprotocol | Self::Refused => StatusCode::FORBIDDEN,
        }
    }
}

impl Hub {
    pub(super) fn may_come_from(&self, headers: &HeaderMap, origins: &Origins) -> bool {
        match &*self.inner.hosts {
            [] => origins.allow(headers),
            hosts => comes_from(hosts, headers, self.inner.shared.strict),
        }
    }

    /// Decides whether a client may connect with this token.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admit(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        token: Option<Vec<u8>>,
    ) -> Result<Admission, Denied> {
        if !is_well_formed(uri.query().unwrap_or_default()) {
            return Err(Denied::Query);
        }
        let Query(parameters) = Query::try_from_uri(uri).map_err(|_| Denied::Query)?;
        let peer = Peer { parameters, token, headers: told(headers) };
        let is_list = |(key, _): &(String, String)| key.starts_with("vsn[");
        if peer.parameters.iter().any(is_list) {
            return Err(Denied::Refused);
        }
        let version = peer.parameter("vsn").map_or(Some(Version::V1), Version::of).ok_or(Denied::Refused)?;
        let presented = match &peer.token {
            Some(token) => std::str::from_utf8(token).ok(),
            None => peer.parameter("token"),
        };
        if !self.inner.guard.admits(presented) {
            return Err(Denied::Refused);
        }
        let mut id = None;
        if self.inner.test_channels {
            if matches!(peer.parameter("deny"), Some("error" | "reason")) {
                return Err(Denied::Refused);
            }
            id = peer.parameter("uid").map(|uid| format!("user_socket:{uid}").into());
        }
        Ok(Admission { version, id, peer })
    }
}

/// Whether a query is what it should be: percent-encoded UTF-8.
fn is_well_formed(query: &str) -> bool {
    let mut bytes = Vec::with_capacity(query.len());
    let mut parts = query.split('%');
    bytes.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let Some((digits, rest)) = part.split_at_checked(2) else { return false };
        let Some(byte) = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')) else {
            return false;
        };
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The headers that channels are told: those that Phoenix's are.
fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    let is_told = |name: &str| name == "user-agent" || name.starts_with("x-");
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .filter(|(name, _)| is_told(name.as_str()) && *name != "x-phoenix-authtoken")
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

/// The subprotocol to answer with, and the token that came in another. Only the first header counts, and a token only if
/// there is just one.
pub(super) fn subprotocol(
    headers: &HeaderMap,
    strict: bool,
) -> Result<(Option<&'static str>, Option<Vec<u8>>), Denied> {
    let Some(offered) = headers.get(header::SEC_WEBSOCKET_PROTOCOL) else { return Ok((None, None)) };
    let offered = offered.to_str().unwrap_or_default();
    let offered = || offered.split(',').map(str::trim).filter(|offered| !offered.is_empty());
    let mut bearers = offered().filter_map(|offered| offered.strip_prefix(BEARER));
    let token = match (bearers.next(), bearers.next()) {
        (Some(token), None) => Some(decode_token(token, strict).ok_or(Denied::Token)?),
        _ => None,
    };
    if offered().any(|offered| offered == "phoenix") {
        Ok((Some("phoenix"), token))
    } else if token.is_some() && offered().count() == 1 {
        Ok((None, token))
    } else {
        Err(Denied::Subprotocol)
    }
}

/// The standard alphabet of base64, padded or not, as Phoenix reads and its own client writes; or the other, which the
/// name of the subprotocol promises.
fn decode_token(text: &str, strict: bool) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let decode = |alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok();
    decode(&alphabet::STANDARD).or_else(|| if strict { None } else { decode(&alphabet::URL_SAFE) })
}

/// Whether a request's `Origin` is one of `hosts`, whatever its port; `*.example.org` also means `example.org`.
/// Programs that are not browsers send none.
fn comes_from(hosts: &[String], headers: &HeaderMap, strict: bool) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Some(host) = origin.to_str().ok().and_then(origin_host) else { return false };
    // Browsers write hosts in lower case; Phoenix insists on it.
    let host = if strict { host.to_owned() } else { host.to_ascii_lowercase() };
    hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
        Some(domain) => host == domain || host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')),
        None => host == *allowed,
    })
}

/// The host of a URL (RFC 3986, 3.2.2), if it has one.
fn origin_host(origin: &str) -> Option<&str> {
    let (scheme, rest) = origin.split_once("//")?;
    if !(scheme.is_empty() || scheme.ends_with(':')) || scheme.contains(['/', '?', '#']) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}
