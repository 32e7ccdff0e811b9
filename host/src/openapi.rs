//! OpenAPI documents, made from the types that are sent and received, and shown to programs and to people.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

/// The shape of what goes in or comes out.
#[derive(Clone)]
pub(crate) struct Shape {
    schema: Value,
    named: Vec<(String, RefOr<Schema>)>,
}

impl Shape {
    /// That of a type.
    pub(crate) fn of<T: ToSchema>() -> Self {
        Self::named::<T>(T::name().into_owned(), Vec::new())
    }

    /// utoipa gives every instance of a generic type the same name, and does not list what it is an instance for.
    pub(crate) fn generic<T: ToSchema, Inner: ToSchema>() -> Self {
        Self::named::<T>(format!("{}_{}", T::name(), Inner::name()), Self::of::<Inner>().named)
    }

    fn named<T: ToSchema>(name: String, mut named: Vec<(String, RefOr<Schema>)>) -> Self {
        T::schemas(&mut named);
        named.push((name.clone(), T::schema()));
        Self { schema: json!({"$ref": format!("#/components/schemas/{name}")}), named }
    }

    /// Plain text.
    pub(crate) fn text() -> Self {
        Self { schema: json!({"type": "string"}), named: Vec::new() }
    }

    /// Any object.
    pub(crate) fn object() -> Self {
        Self { schema: json!({"type": "object"}), named: Vec::new() }
    }

    /// A list of them.
    pub(crate) fn list(self) -> Self {
        Self { schema: json!({"type": "array", "items": self.schema}), named: self.named }
    }

    /// An object with it under this name.
    pub(crate) fn under(self, name: &str) -> Self {
        Self::object().with(name, self)
    }

    /// The object with something else under this name, too.
    pub(crate) fn with(mut self, name: &str, other: Self) -> Self {
        self.schema["properties"][name] = other.schema;
        match &mut self.schema["required"] {
            Value::Array(required) => required.push(json!(name)),
            required => *required = json!([name]),
        }
        self.named.extend(other.named);
        self
    }
}

/// What one route does.
pub(crate) struct Operation<'a> {
    /// In lower case.
    pub(crate) method: &'a str,
    /// With the names of its arguments in braces.
    pub(crate) path: &'a str,
    /// The parameters of its query, all of which may be left out, and what they mean.
    pub(crate) query: &'a [(&'a str, &'a str)],
    pub(crate) summary: &'a str,
    pub(crate) takes: Option<Shape>,
    pub(crate) gives: Shape,
    /// Whether it asks for no proof of who is calling.
    pub(crate) open: bool,
    /// The statuses of errors, and what they mean.
    pub(crate) errors: &'a [(&'a str, &'a str)],
}

/// A document under construction.
pub(crate) struct Document {
    /// What every error looks like.
    error: Value,
    paths: Map<String, Value>,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Document {
    /// Of routes whose errors have this shape.
    pub(crate) fn new(error: Shape) -> Self {
        let mut document = Self { error: error.schema.clone(), paths: Map::new(), schemas: BTreeMap::new() };
        document.describe(error);
        document
    }

    /// Describes a type that no route may have.
    pub(crate) fn describe(&mut self, shape: Shape) {
        self.schemas.extend(shape.named);
    }

    /// Describes a route.
    pub(crate) fn add(&mut self, operation: Operation<'_>) {
        let Operation { method, path, query, summary, takes, gives, open, errors } = operation;
        let content = |schema: &Value| json!({"application/json": {"schema": schema}});
        let arguments = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let arguments = arguments
            .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        let query = query.iter().map(|(name, what)| {
            json!({"name": name, "in": "query", "description": what, "schema": {"type": "string"}})
        });
        let parameters: Vec<Value> = arguments.chain(query).collect();
        let mut described = json!({
            "summary": summary,
            "parameters": parameters,
            "responses": {"200": {"description": "done", "content": content(&gives.schema)}},
        });
        if open {
            described["security"] = json!([]);
        }
        for (status, what) in errors {
            described["responses"][*status] = json!({"description": what});
            // What is no error has no body: 304.
            if *status >= "400" {
                described["responses"][*status]["content"] = content(&self.error);
            }
        }
        self.describe(gives);
        if let Some(takes) = takes {
            described["requestBody"] = json!({"required": true, "content": content(&takes.schema)});
            self.describe(takes);
        }
        let item = self.paths.entry(path).or_insert_with(|| json!({}));
        item[method] = described;
    }

    /// The document, with this title and description, of routes that ask for such a proof.
    pub(crate) fn finish(self, title: &str, description: &str, security: Value) -> Value {
        json!({
            "openapi": "3.1.0",
            "info": {"title": title, "description": description, "version": env!("CARGO_PKG_VERSION")},
            "security": [{"key": []}],
            "paths": self.paths,
            "components": {"schemas": self.schemas, "securitySchemes": {"key": security}},
        })
    }
}

/// The document for programs; a page with the same for browsers.
pub(crate) fn show(document: &Value, headers: &HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return axum::Json(document).into_response();
    }
    let info = |key: &str| document["info"][key].as_str().unwrap_or_default();
    let (title, description) = (info("title"), info("description"));
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title><style>body{{font:1em sans-serif;margin:2em}}\
         td{{padding:.2em 1em .2em 0;font-family:monospace}}</style><h1>{title}</h1>\
         <p>{description} Programs get this page as OpenAPI (<code>Accept: application/json</code>).</p><table>",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_says_what_its_query_may_have_and_whether_it_is_open() {
        let mut document = Document::new(Shape::object());
        let operation = |path, query, open| Operation {
            method: "get",
            path,
            query,
            summary: "",
            takes: None,
            gives: Shape::text(),
            open,
            errors: &[],
        };
        document.add(operation("/cone/{id}", &[("color", "of this color alone")], false));
        document.add(operation("/status", &[], true));
        let document = document.finish("", "", json!({}));
        assert_eq!(
            document["paths"]["/cone/{id}"]["get"]["parameters"],
            json!([
                {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
                {"name": "color", "in": "query", "description": "of this color alone", "schema": {"type": "string"}},
            ])
        );
        assert_eq!(document["paths"]["/cone/{id}"]["get"].get("security"), None);
        assert_eq!(document["paths"]["/status"]["get"]["security"], json!([]));
    }
}
