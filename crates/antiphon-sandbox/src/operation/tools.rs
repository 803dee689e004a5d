//! The operations as a model calls them: a name, a few words and a schema for each, and how its arguments are read.

use serde_json::{Map, Value, json};

use super::FileOperation;

/// A function for the model that works on the files of its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileTool {
    Read,
    Write,
    Edit,
    Delete,
    List,
    Find,
    Grep,
}

impl FileTool {
    pub const ALL: [Self; 7] = [Self::Read, Self::Write, Self::Edit, Self::Delete, Self::List, Self::Find, Self::Grep];

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read_file",
            Self::Write => "write_file",
            Self::Edit => "edit_file",
            Self::Delete => "delete_file",
            Self::List => "list_files",
            Self::Find => "find_files",
            Self::Grep => "grep_files",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether it leaves every file as it is.
    pub fn only_reads(self) -> bool {
        match self {
            Self::Read | Self::List | Self::Find | Self::Grep => true,
            Self::Write | Self::Edit | Self::Delete => false,
        }
    }

    /// For the model. Small ones read every word of it, so there are few.
    pub fn description(self) -> &'static str {
        match self {
            Self::Read => "Reads a text file, at most 2000 lines at once.",
            Self::Write => "Writes a file, or replaces the one that is there; missing folders are made.",
            Self::Edit => "Replaces `old`, which must be in the file exactly once, by `new`.",
            Self::Delete => "Deletes a file, or a folder with everything in it.",
            Self::List => "Lists what is in a folder.",
            Self::Find => "Finds files by a glob like `*.py` or `src/**/*.py`.",
            Self::Grep => "Finds lines by a regular expression, with their file and number.",
        }
    }

    /// The JSON Schema of its arguments.
    pub fn parameters(self) -> Value {
        let text = || json!({"type": "string"});
        let counted = |about: &str| json!({"type": "integer", "minimum": 1, "description": about});
        let folder = || json!({"type": "string", "description": "Folder; the workspace if left out"});
        let (properties, required) = match self {
            Self::Read => (
                json!({"path": text(), "offset": counted("First line"), "limit": counted("Number of lines")}),
                &["path"][..],
            ),
            Self::Write => (json!({"path": text(), "content": text()}), &["path", "content"][..]),
            Self::Edit => {
                let all = json!({"type": "boolean", "description": "Replace every occurrence"});
                (json!({"path": text(), "old": text(), "new": text(), "replace_all": all}), &["path", "old", "new"][..])
            }
            Self::Delete => (json!({"path": text()}), &["path"][..]),
            Self::List => (json!({"path": folder(), "depth": counted("Levels of folders; 1 if left out")}), &[][..]),
            Self::Find => (json!({"pattern": text(), "path": folder()}), &["pattern"][..]),
            Self::Grep => {
                let path = json!({"type": "string", "description": "File or folder; the workspace if left out"});
                let glob = json!({"type": "string", "description": "Only in files that match, like `*.py`"});
                (json!({"pattern": text(), "path": path, "glob": glob}), &["pattern"][..])
            }
        };
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    /// Reads the arguments of a call. A null is as good as none, and a whole number may be written as `2.0`.
    ///
    /// # Errors
    /// For the model: which argument is missing, is not what was expected, or is not known.
    pub fn operation(self, arguments: &Map<String, Value>) -> Result<FileOperation, String> {
        let mut arguments = Arguments { given: arguments, read: Vec::new() };
        let operation = match self {
            Self::Read => FileOperation::Read {
                path: arguments.text("path")?,
                offset: arguments.number("offset")?,
                limit: arguments.number("limit")?,
            },
            Self::Write => FileOperation::Write { path: arguments.text("path")?, content: arguments.text("content")? },
            Self::Edit => FileOperation::Edit {
                path: arguments.text("path")?,
                old: arguments.text("old")?,
                new: arguments.text("new")?,
                replace_all: arguments.flag("replace_all")?,
            },
            Self::Delete => FileOperation::Delete { path: arguments.text("path")? },
            Self::List => FileOperation::List {
                path: arguments.text_or_none("path")?.unwrap_or_else(|| ".".to_owned()),
                depth: arguments.number("depth")?.map(|depth| u32::try_from(depth).unwrap_or(u32::MAX)),
            },
            Self::Find => {
                FileOperation::Find { pattern: arguments.text("pattern")?, path: arguments.text_or_none("path")? }
            }
            Self::Grep => FileOperation::Grep {
                pattern: arguments.text("pattern")?,
                path: arguments.text_or_none("path")?,
                glob: arguments.text_or_none("glob")?,
            },
        };
        arguments.nothing_else()?;
        Ok(operation)
    }
}

struct Arguments<'a> {
    given: &'a Map<String, Value>,
    read: Vec<&'static str>,
}

impl<'a> Arguments<'a> {
    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.read.push(name);
        self.given.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Result<String, String> {
        self.text_or_none(name)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    fn text_or_none(&mut self, name: &'static str) -> Result<Option<String>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.as_str().map(|text| Some(text.to_owned())).ok_or_else(|| unlike(name, "a string", value))
    }

    fn number(&mut self, name: &'static str) -> Result<Option<u64>, String> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let whole = |number: &f64| number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number);
        let number = value.as_u64().or_else(|| value.as_f64().filter(whole).map(|number| number as u64));
        number.map(Some).ok_or_else(|| unlike(name, "a whole number from 1", value))
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, String> {
        let Some(value) = self.take(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| unlike(name, "true or false", value))
    }

    fn nothing_else(&self) -> Result<(), String> {
        match self.given.keys().find(|name| !self.read.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(40).collect();
                Err(format!("`{name}` is no argument; there are `{}`", self.read.join("`, `")))
            }
        }
    }
}

fn unlike(name: &str, expected: &str, value: &Value) -> String {
    let value: String = value.to_string().chars().take(40).collect();
    format!("`{name}` is {expected}, and not {value}")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn arguments_are_read_or_named() {
        let check = |tool: &str, arguments: Value, expected: Result<FileOperation, &str>| {
            let tool = FileTool::named(tool).unwrap();
            let found = tool.operation(arguments.as_object().unwrap());
            assert_eq!(found, expected.map_err(str::to_owned), "{arguments}");
        };
        let path = || "a.txt".to_owned();
        check(
            "read_file",
            json!({"path": "a.txt", "offset": 2.0, "limit": null}),
            Ok(FileOperation::Read { path: path(), offset: Some(2), limit: None }),
        );
        check("read_file", json!({"offset": 2}), Err("`path` is missing"));
        check("read_file", json!({"path": null}), Err("`path` is missing"));
        check("read_file", json!({"path": ["a"]}), Err("`path` is a string, and not [\"a\"]"));
        for wrong in [json!("2"), json!(-1), json!(1.5), json!(1e300)] {
            let words = format!("`offset` is a whole number from 1, and not {wrong}");
            check("read_file", json!({"path": "a.txt", "offset": wrong}), Err(&words));
        }
        check(
            "read_file",
            json!({"path": "a.txt", "lines": 3}),
            Err("`lines` is no argument; there are `path`, `offset`, `limit`"),
        );
        check(
            "edit_file",
            json!({"path": "a.txt", "old": "a", "new": ""}),
            Ok(FileOperation::Edit { path: path(), old: "a".to_owned(), new: String::new(), replace_all: false }),
        );
        check(
            "edit_file",
            json!({"path": "a.txt", "old": "a", "new": "b", "replace_all": "yes"}),
            Err("`replace_all` is true or false, and not \"yes\""),
        );
        check("list_files", json!({}), Ok(FileOperation::List { path: ".".to_owned(), depth: None }));
        check(
            "grep_files",
            json!({"pattern": "x", "glob": "*.py"}),
            Ok(FileOperation::Grep { pattern: "x".to_owned(), path: None, glob: Some("*.py".to_owned()) }),
        );
    }

    /// A model is told of exactly the arguments that are read.
    #[test]
    fn schemas_name_the_arguments_that_are_read() {
        for tool in FileTool::ALL {
            let schema = tool.parameters();
            let properties = schema["properties"].as_object().unwrap();
            let sample = |value: &Value| match value["type"].as_str() {
                Some("integer") => json!(1),
                Some("boolean") => json!(true),
                _ => json!("x"),
            };
            let whole: Map<_, _> = properties.iter().map(|(name, value)| (name.clone(), sample(value))).collect();
            tool.operation(&whole).unwrap();
            for name in properties.keys() {
                let mut less = whole.clone();
                less.remove(name);
                let is_required = schema["required"].as_array().unwrap().contains(&json!(name));
                assert_eq!(tool.operation(&less).is_err(), is_required, "{tool:?}: {name}");
            }
        }
    }
}
