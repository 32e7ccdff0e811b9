//! In-process tests: the server on a free port, no outside program.

mod app;
mod support;
mod tidy;
