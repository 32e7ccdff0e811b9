//! `/dfx/apidocs`: what the REST twins take and give, as OpenAPI.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use cloverleaf_core::dfx::ROUTES;
use serde_json::{Value, json};

use super::events::{
    Create, Created, Data, DataAck, Failure, Listed, Login, Outcome, RegisterLicense, Registered, Retrieved,
    ServerStatus, Token, Tokens,
};
use super::rest::named;
use crate::openapi::{Document, Operation, Shape, show};

/// The result of one chunk: a route of REST alone.
pub(super) const INTERMEDIATE: &str = "/measurements/{id}/results/{chunk}";

/// What can go wrong with every request.
const ERRORS: [(&str, &str); 2] = [
    ("400", "what was sent is malformed; the message names what was expected"),
    ("401", "the token is missing, invalid or expired"),
];

/// What can go wrong with one about a measurement, too.
const ERRORS_OF_MEASUREMENT: [(&str, &str); 4] = [
    ERRORS[0],
    ERRORS[1],
    ("404", "there is no such measurement"),
    ("429", "the chunk came before it can have been measured"),
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
        ("General.Status",                  "whether the server is up",                None,                                Shape::of::<ServerStatus>()),
        ("General.MimeTypes",               "the content types of payloads",           None,                                mimes()),
        ("General.VerifyToken",             "whether the token is good",               None,                                Shape::object()),
        ("Users.Login",                     "logs a user in",                          Some(Shape::of::<Login>()),          Shape::of::<Tokens>()),
        ("Users.Logout",                    "takes the token back",                    None,                                Shape::object()),
        ("Measurements.Retrieve",           "a measurement with its results",          None,                                Shape::of::<Retrieved>()),
        ("Measurements.List",               "measurements, the newest first",          None,                                Shape::of::<Listed>().list()),
        ("Measurements.Create",             "starts a measurement",                    Some(Shape::of::<Create>()),         Shape::of::<Created>()),
        ("Measurements.Data",               "adds a chunk",                            Some(Shape::of::<Data>()),           Shape::of::<DataAck>()),
        ("Measurements.Remove",             "forgets a measurement",                   None,                                Shape::object()),
        ("Organizations.RegisterLicense",   "makes this machine a device",             Some(Shape::of::<RegisterLicense>()), Shape::of::<Registered>()),
        ("Organizations.UnregisterLicense", "takes the device's token back",           None,                                Shape::object()),
        ("Organizations.Login",             "logs an organisation in",                 Some(Shape::of::<Login>()),          Shape::of::<Tokens>()),
        ("Organizations.LoginWithToken",    "whether a token is good",                 Some(Shape::of::<Token>()),          Shape::of::<Token>()),
        ("Studies.Retrieve",                "a study",                                 None,                                study()),
        ("Studies.List",                    "all studies",                             None,                                study().list()),
        ("Studies.GetConfig",               "what the SDK needs to know of a study",   Some(Shape::object()),               config()),
        ("Auths.RenewToken",                    "new tokens for a pair that ends with it", Some(Shape::of::<Tokens>()),         Shape::of::<Tokens>()),
        ("Auths.GenerateToken",             "more tokens for a pair",                  Some(Shape::of::<Tokens>()),         Shape::of::<Tokens>()),
    ];
    for (name, summary, takes, gives) in table {
        let Some(route) = ROUTES.iter().find(|route| route.name == name) else { continue };
        let (method, path) = (&route.method.to_ascii_lowercase(), &named(route.path));
        let errors: &[_] = if path.starts_with("/measurements/") { &ERRORS_OF_MEASUREMENT } else { &ERRORS };
        document.add(Operation { method, path, query: &[], summary, takes, gives, open: false, errors });
    }
    document.add(Operation {
        method: "get",
        path: INTERMEDIATE,
        query: &[],
        summary: "the result of a chunk; an empty object until there is one",
        takes: None,
        gives: Shape::of::<Outcome>(),
        open: false,
        errors: &ERRORS_OF_MEASUREMENT,
    });
    let description = "The REST twins of the DFX API, here and below <code>/dfx</code>. Tokens go into \
        <code>Authorization: Bearer</code>.";
    document.finish("Cloverleaf: the driver", description, json!({"type": "http", "scheme": "bearer"}))
}
