//! `/dfx/apidocs`: what the REST twins take and give, as OpenAPI.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use cloverleaf_core::dfx::{Action, ROUTES};
use serde_json::{Value, json};

use super::events::{
    Create, Created, Data, DataAck, Failure, Listed, Login, Outcome, RegisterLicense, Registered, Retrieved,
    ServerStatus, Token, Tokens,
};
use super::rest::named;
use super::state::is_open;
use crate::openapi::{Document, Operation, Shape, show};

/// The result of one chunk: a route of REST alone.
pub(super) const INTERMEDIATE: &str = "/measurements/{id}/results/{chunk}";

/// What the list of measurements can be asked for.
const QUERY: [(&str, &str); 7] = [
    ("limit", "how many at most, a whole number; 50 if left out, and no more than that"),
    ("offset", "how many of the newest are left out, a whole number"),
    ("StatusID", "those that are this far alone"),
    ("StudyID", "those of this study alone"),
    ("UserProfileID", "those about this person alone"),
    ("PartnerID", "those on behalf of this partner alone"),
    ("Mode", "those of this mode alone"),
];

/// What else than 200 may be answered.
const STATUSES: [(&str, &str); 7] = [
    ("304", "the client's configuration is the newest"),
    ("400", "what was sent is malformed; the message names what was expected"),
    ("401", "the token, or what is to give one, is missing, invalid or expired"),
    ("404", "there is no such measurement"),
    ("413", "the body is too long"),
    ("429", "the chunk came before it can have been measured"),
    ("503", "the server ends"),
];

/// Served to programs, and as a page to browsers.
pub(super) fn routes() -> Router {
    let document = Arc::new(document());
    Router::new().route("/dfx/apidocs", get(async move |headers| show(&document, &headers)))
}

/// The OpenAPI document of all routes that something is behind.
pub fn document() -> Value {
    let mut document = Document::new(Shape::of::<Failure>());
    let text = |name: &str| Shape::text().under(name);
    let study = || text("ID").with("Name", Shape::text()).with("StatusID", Shape::text());
    let config = || text("ConfigFile").with("MD5Hash", Shape::text());
    let mimes = || text("ID").with("Name", Shape::text()).with("Mime", Shape::text()).list();
    #[rustfmt::skip]
    let table = [
        ("General.Status",                  "whether the server is up",                None,                                  Shape::of::<ServerStatus>(),  "400"),
        ("General.MimeTypes",               "the content types of payloads",           None,                                  mimes(),                      "400"),
        ("General.VerifyToken",             "whether the token is good",               None,                                  Shape::object(),              "400 401"),
        ("Users.Login",                     "logs a user in",                          Some(Shape::of::<Login>()),            Shape::of::<Tokens>(),        "400 401 413"),
        ("Users.Logout",                    "takes the token back",                    None,                                  Shape::object(),              "400 401"),
        ("Measurements.Retrieve",           "a measurement with its results",          None,                                  Shape::of::<Retrieved>(),     "400 401 404"),
        ("Measurements.List",               "measurements, the newest first",          None,                                  Shape::of::<Listed>().list(), "400 401"),
        ("Measurements.Create",             "starts a measurement",                    Some(Shape::of::<Create>()),           Shape::of::<Created>(),       "400 401 413"),
        ("Measurements.Data",               "adds a chunk",                            Some(Shape::of::<Data>()),             Shape::of::<DataAck>(),       "400 401 404 413 429 503"),
        ("Measurements.Remove",             "forgets a measurement",                   None,                                  Shape::object(),              "400 401 404"),
        ("Organizations.RegisterLicense",   "makes this machine a device",             Some(Shape::of::<RegisterLicense>()),  Shape::of::<Registered>(),    "400 401 413"),
        ("Organizations.UnregisterLicense", "takes the device's token back",           None,                                  Shape::object(),              "400 401"),
        ("Organizations.Login",             "logs an organisation in",                 Some(Shape::of::<Login>()),            Shape::of::<Tokens>(),        "400 401 413"),
        ("Organizations.LoginWithToken",    "whether a token is good",                 Some(Shape::of::<Token>()),            Shape::of::<Token>(),         "400 401 413"),
        ("Studies.Retrieve",                "a study",                                 None,                                  study(),                      "400 401"),
        ("Studies.List",                    "all studies",                             None,                                  study().list(),               "400 401"),
        ("Studies.GetConfig",               "what the SDK needs to know of a study",   Some(Shape::object()),                 config(),                     "304 400 401 413"),
        ("Auths.RenewToken",                "new tokens for a pair that ends with it", Some(Shape::of::<Tokens>()),           Shape::of::<Tokens>(),        "400 401 413"),
        ("Auths.GenerateToken",             "more tokens for a pair",                  Some(Shape::of::<Tokens>()),           Shape::of::<Tokens>(),        "400 401 413"),
    ];
    let described = |statuses: &str| -> Vec<_> {
        STATUSES.into_iter().filter(|(status, _)| statuses.contains(status)).collect()
    };
    for (name, summary, takes, gives, statuses) in table {
        let Some(route) = ROUTES.iter().find(|route| route.name == name) else { continue };
        let (method, path) = (&route.method.to_ascii_lowercase(), &named(route.path));
        let query: &[_] = if name == "Measurements.List" { &QUERY } else { &[] };
        let open = Action::new(route.number).is_some_and(is_open);
        let errors = &described(statuses);
        document.add(Operation { method, path, summary, query, takes, gives, errors, open });
    }
    document.add(Operation {
        method: "get",
        path: INTERMEDIATE,
        summary: "the result of a chunk; an empty object until there is one",
        query: &[],
        takes: None,
        gives: Shape::of::<Outcome>(),
        errors: &described("400 401 404"),
        open: false,
    });
    let description = "The REST twins of the DFX API, here and below <code>/dfx</code>. Tokens go into \
        <code>Authorization: Bearer</code>.";
    document.finish("Cloverleaf: the driver", description, json!({"type": "http", "scheme": "bearer"}))
}
