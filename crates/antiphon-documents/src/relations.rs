//! How the parts of Office's own files find one another, and what such a file is called.

use crate::fault::Fault;
use crate::kind::Kind;
use crate::markup::{Markup, Node};
use crate::package::Package;

/// What a part refers to.
pub(crate) struct Relation {
    pub(crate) id: String,
    /// The last word of its type, such as `notesSlide`.
    pub(crate) role: String,
    /// The name of an entry.
    pub(crate) target: String,
}

/// The relations of an entry; of the file itself if its name is empty.
pub(crate) fn relations(package: &mut Package<'_>, kind: Kind, of: &str) -> Result<Vec<Relation>, Fault> {
    let (folder, name) = of.rsplit_once('/').unwrap_or(("", of));
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let Some(bytes) = package.optional(kind, &format!("{prefix}_rels/{name}.rels"))? else { return Ok(Vec::new()) };
    let mut relations = Vec::new();
    let mut markup = Markup::new(kind, &bytes);
    while let Some(node) = markup.next()? {
        let Node::Open(element) = node else { continue };
        if element.name() != b"Relationship" || element.attribute("TargetMode").as_deref() == Some("External") {
            continue;
        }
        if let (Some(id), Some(role), Some(target)) =
            (element.attribute("Id"), element.attribute("Type"), element.attribute("Target"))
        {
            let role = role.rsplit('/').next().unwrap_or_default().to_owned();
            relations.push(Relation { id, role, target: resolved(folder, &target) });
        }
    }
    Ok(relations)
}

/// The entry of the main part.
pub(crate) fn main_part(package: &mut Package<'_>, kind: Kind) -> Result<String, Fault> {
    let main = relations(package, kind, "")?.into_iter().find(|relation| relation.role == "officeDocument");
    main.map(|main| main.target).ok_or_else(|| Fault::unreadable(kind, "it names no main part"))
}

/// The title in an entry with properties, as they are written by Office and by OpenDocument.
pub(crate) fn title(package: &mut Package<'_>, kind: Kind, entry: &str) -> Result<Option<String>, Fault> {
    let Some(bytes) = package.optional(kind, entry)? else { return Ok(None) };
    let mut title = String::new();
    let mut is_title = false;
    let mut markup = Markup::new(kind, &bytes);
    while let Some(node) = markup.next()? {
        match node {
            Node::Open(element) => is_title = element.name() == b"title",
            Node::Text(text) if is_title => title.extend(text.chars().filter(|character| !character.is_control())),
            Node::Text(_) => {}
            Node::Close(_) => is_title = false,
        }
    }
    let title: String = title.trim().chars().take(300).collect();
    Ok((!title.is_empty()).then_some(title))
}

fn resolved(folder: &str, target: &str) -> String {
    let mut path: Vec<_> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => folder.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}
