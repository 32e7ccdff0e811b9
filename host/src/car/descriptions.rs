//! What trouble codes mean: in the words of the user's own table, else as their structure says.
//!
//! A table is a file in one of two forms, told by its first character:
//!
//! ```text
//! P0301,Cylinder 1 misfires
//! U0100,"No messages from the engine, or too few"      CSV: a quote within quotes is doubled; # begins a comment
//!
//! {"P0301": "Cylinder 1 misfires"}
//! [{"code": "P0301", "description": "Cylinder 1 misfires"}]
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cloverleaf_core::obd2::Dtc;
use serde::Deserialize;

/// The largest table that is read, in bytes: there are 65 536 codes.
pub const MAX_FILE: u64 = 16 << 20;

/// Words for trouble codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptions(BTreeMap<Dtc, String>);

static COMPOSED: Descriptions = Descriptions(BTreeMap::new());

/// Why a table was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read, is not text, or is larger than [`MAX_FILE`].
    #[error("{}: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file begins as JSON, and is none, or of another form.
    #[error("{}: {error}; expected {{\"P0301\": \"text\"}} or [{{\"code\": \"P0301\", \"description\": \"text\"}}]", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why not.
        error: serde_json::Error,
    },
    /// A line, or an entry of a JSON file, is none.
    #[error("{}:{place}: {problem}", file.display())]
    Entry {
        /// The file.
        file: PathBuf,
        /// The line of a CSV file, the position in a JSON file; the first is 1.
        place: usize,
        /// What is wrong.
        problem: Problem,
    },
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has no comma.
    #[error("expected `P0301,text`, found `{0}`")]
    Comma(String),
    /// What should be a code is none.
    #[error(
        "`{0}` is no trouble code; expected P, C, B or U, a digit from 0 to 3 and three hexadecimal digits"
    )]
    Code(String),
    /// It says nothing.
    #[error("{0} has no text")]
    Empty(Dtc),
    /// Quotes do not end where the text does.
    #[error("the quotes of `{0}` do not end at the end of the line")]
    Quotes(String),
}

/// A code and its words.
type Entry = Result<(Dtc, String), Problem>;

/// A JSON table.
#[derive(Deserialize)]
#[serde(untagged, expecting = "not a table of trouble codes")]
enum Table {
    Object(BTreeMap<String, String>),
    List(Vec<Row>),
}

#[derive(Deserialize)]
struct Row {
    code: String,
    description: String,
}

impl Descriptions {
    /// No words but those that follow from a code's structure.
    pub fn composed() -> &'static Self {
        &COMPOSED
    }

    /// Reads a table. Of two entries for one code the later counts.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the place in it.
    pub fn load(file: &Path) -> Result<Self, LoadError> {
        let read = |error| LoadError::Read { file: file.to_owned(), error };
        if std::fs::metadata(file).map_err(read)?.len() > MAX_FILE {
            return Err(read(std::io::ErrorKind::FileTooLarge.into()));
        }
        Self::parse(file, &std::fs::read_to_string(file).map_err(read)?)
    }

    /// Reads a table from text; `file` stands for the file in errors.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn parse(file: &Path, text: &str) -> Result<Self, LoadError> {
        let text = text.trim_start_matches('\u{FEFF}');
        let entries: Vec<(usize, Entry)> = if text.trim_start().starts_with(['{', '[']) {
            let table = serde_json::from_str(text)
                .map_err(|error| LoadError::Json { file: file.to_owned(), error })?;
            let rows: Vec<(String, String)> = match table {
                Table::Object(rows) => rows.into_iter().collect(),
                Table::List(rows) => rows.into_iter().map(|row| (row.code, row.description)).collect(),
            };
            let rows = rows.into_iter().map(|(code, text)| entry(&code, text.trim()));
            rows.enumerate().map(|(index, entry)| (index + 1, entry)).collect()
        } else {
            let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
            let filled = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
            filled.map(|(place, line)| (place, row(line))).collect()
        };
        let words = entries.into_iter().map(|(place, entry)| {
            entry.map_err(|problem| LoadError::Entry { file: file.to_owned(), place, problem })
        });
        Ok(Self(words.collect::<Result<_, _>>()?))
    }

    /// The words for a code.
    pub fn of(&self, code: Dtc) -> String {
        self.0.get(&code).cloned().unwrap_or_else(|| code.describe().to_string())
    }

    /// The codes that the table has, with their words.
    pub fn own(&self) -> impl Iterator<Item = (Dtc, &str)> {
        self.0.iter().map(|(code, words)| (*code, words.as_str()))
    }
}

/// `code "," text`, the text perhaps in quotes.
fn row(line: &str) -> Entry {
    let (code, text) = line.split_once(',').ok_or_else(|| Problem::Comma(line.to_owned()))?;
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"') else {
        return entry(code, text);
    };
    let bad = || Problem::Quotes(line.to_owned());
    let inner = quoted.strip_suffix('"').ok_or_else(bad)?;
    if inner.replace("\"\"", "").contains('"') {
        return Err(bad());
    }
    entry(code, &inner.replace("\"\"", "\""))
}

fn entry(code: &str, text: &str) -> Entry {
    let code = code.trim().trim_matches('"');
    let code = Dtc::parse(code).ok_or_else(|| Problem::Code(code.to_owned()))?;
    if text.is_empty() {
        return Err(Problem::Empty(code));
    }
    Ok((code, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Descriptions, String> {
        Descriptions::parse(Path::new("own.csv"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_table_has_the_first_word_and_the_structure_the_last() {
        for text in [
            "P0301,Cylinder 1 misfires\nU0100,\"Lost \"\"it\"\", all\"\n",
            "\u{FEFF}# our words\r\n\r\np0301 , Cylinder 1 misfires\r\n\"U0100\",\"Lost \"\"it\"\", all\"\r\n",
            r#"{"P0301": "Cylinder 1 misfires", "U0100": "Lost \"it\", all"}"#,
            r#" [{"code": "P0301", "description": "Cylinder 1 misfires", "severity": 2},
                 {"code": "u0100", "description": "Lost \"it\", all"}]"#,
            "P0301,earlier\nP0301,Cylinder 1 misfires\nU0100,\"Lost \"\"it\"\", all\"",
        ] {
            let table = parse(text).expect(text);
            assert_eq!(table.of(Dtc(0x0301)), "Cylinder 1 misfires", "{text}");
            assert_eq!(table.of(Dtc(0xC100)), "Lost \"it\", all", "{text}");
            assert_eq!(table.of(Dtc(0x0133)), Dtc(0x0133).describe().to_string(), "{text}");
            assert_eq!(table.own().count(), 2);
        }
        assert_eq!(parse(""), Ok(Descriptions::default()));
        assert_eq!(Descriptions::composed().of(Dtc(0x0301)), "Powertrain, SAE: misfire, cylinder 1");
    }

    #[test]
    fn errors_name_file_and_place() {
        for (text, error) in [
            ("P0301,good\nP0302 bad", "own.csv:2: expected `P0301,text`, found `P0302 bad`"),
            (
                "\nX0301,text",
                "own.csv:2: `X0301` is no trouble code; expected P, C, B or U, a digit from 0 to 3 and three hexadecimal digits",
            ),
            ("P0301,", "own.csv:1: P0301 has no text"),
            ("P0301,\"text", "own.csv:1: the quotes of `P0301,\"text` do not end at the end of the line"),
            (
                "P0301,\"te\"xt\"",
                "own.csv:1: the quotes of `P0301,\"te\"xt\"` do not end at the end of the line",
            ),
            (
                r#"{"P0301": "good", "P9301": "bad"}"#,
                "own.csv:2: `P9301` is no trouble code; expected P, C, B or U, a digit from 0 to 3 and three hexadecimal digits",
            ),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
        let broken = parse("{\"P0301\": \"good\",\n\"P0302\" \"bad\"}").expect_err("broken JSON");
        assert!(
            broken.starts_with("own.csv: expected `:` at line 2 column 9; expected {\"P0301\""),
            "{broken}"
        );
        let other = parse("{\"P0301\": 7}").expect_err("no text");
        assert!(other.contains("expected {\"P0301\": \"text\"}"), "{other}");
        let missing = Descriptions::load(Path::new("no/such/table.csv")).expect_err("no file").to_string();
        assert!(missing.starts_with("no/such/table.csv: "), "{missing}");
    }
}
