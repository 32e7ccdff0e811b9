//! Who one is: tokens, licences, and the server itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::text;

/// Action 0718 and its reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Token {
    /// The token.
    #[serde(deserialize_with = "text::or_default")]
    pub token: String,
}

/// Actions 0201 (a user of e-mail and password) and 0717.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Login {
    /// Who logs in.
    #[serde(deserialize_with = "text::or_default")]
    pub email: String,
    /// The password.
    #[serde(deserialize_with = "text::or_default")]
    pub password: String,
    /// For how many seconds the token is to be good, and what renews it.
    #[serde(flatten)]
    pub lifetimes: Lifetimes,
}

/// For how many seconds tokens are to be good; `None` and 0 leave it to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Lifetimes {
    /// The token.
    #[serde(rename = "TokenExpiresIn", alias = "expiryInSec", skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// What renews it.
    #[serde(rename = "RefreshTokenExpiresIn", skip_serializing_if = "Option::is_none")]
    pub refresh: Option<u64>,
}

/// Action 0705: make this machine a device.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct RegisterLicense {
    /// The key of the licence.
    #[serde(deserialize_with = "text::or_default")]
    pub key: String,
    /// What the machine is: `LINUX` and the like.
    #[serde(rename = "DeviceTypeID", deserialize_with = "text::or_default")]
    pub device_type_id: String,
    /// The name of the program.
    #[serde(deserialize_with = "text::or_default")]
    pub name: String,
    /// The program once more, for machines.
    #[serde(deserialize_with = "text::or_default")]
    pub identifier: String,
    /// The version of the program.
    #[serde(deserialize_with = "text::or_default")]
    pub version: String,
    /// For how many seconds the token is to be good, and what renews it.
    #[serde(flatten)]
    pub lifetimes: Lifetimes,
}

/// The reply to 0705. The first clients cut the token out of the text, between `Token` and `UserID`: these come first.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Registered {
    /// The token of the device.
    pub token: String,
    /// Nobody.
    #[serde(rename = "UserID")]
    pub user_id: String,
    /// The device that this machine is now.
    #[serde(rename = "DeviceID")]
    pub device_id: String,
    /// `DEVICE`.
    #[serde(rename = "RoleID")]
    pub role_id: String,
    /// What renews the token, once.
    pub refresh_token: String,
}

/// The reply to logging in; the request and the reply of actions 2304 and 2305.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct Tokens {
    /// The token.
    #[serde(deserialize_with = "text::or_default")]
    pub token: String,
    /// What renews it, once.
    #[serde(deserialize_with = "text::or_default")]
    pub refresh_token: String,
    /// For how many seconds the new ones are to be good: in requests.
    #[serde(flatten)]
    pub lifetimes: Lifetimes,
}

/// The reply to 0100.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServerStatus {
    /// `ACTIVE`, `MAINTENANCE`, `ERROR` or `LATENCY`.
    #[serde(rename = "StatusID")]
    pub status_id: String,
    /// The version of the server.
    pub version: String,
    /// Where it stands.
    pub region: String,
    /// Whether a device may measure without a user.
    pub allow_anonymous: bool,
}
